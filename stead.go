// Package stead holds the words of the platform as types: what an app, a
// build, a release, a process or a role is, what makes one valid, and who may
// do what with it.
//
// It imports the standard library only and does no I/O. Every other package of
// the module speaks in these types; the JSON form of a type is its form in the
// v1 API and in the CLI's -o json.
package stead

import (
	"crypto/rand"
	"encoding/hex"
	"regexp"
	"time"
)

// ID names a thing for ever. It is a UUID of version 7 (RFC 9562, section 5.7),
// in lower case, so IDs sort by the time they were made.
type ID string

// NewID returns a fresh ID for the given time.
func NewID(now time.Time) ID {
	var b [16]byte
	_, _ = rand.Read(b[:]) // crypto/rand.Read never fails (Go 1.24)
	ms := now.UnixMilli()
	for i := range 6 {
		b[i] = byte(ms >> (40 - 8*i))
	}
	b[6] = b[6]&0x0f | 0x70
	b[8] = b[8]&0x3f | 0x80
	var s [36]byte
	hex.Encode(s[0:8], b[0:4])
	hex.Encode(s[9:13], b[4:6])
	hex.Encode(s[14:18], b[6:8])
	hex.Encode(s[19:23], b[8:10])
	hex.Encode(s[24:36], b[10:16])
	s[8], s[13], s[18], s[23] = '-', '-', '-', '-'
	return ID(s[:])
}

var (
	idGrammar   = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
	nameGrammar = regexp.MustCompile(`^[a-z](-?[a-z0-9])*$`)
)

// IsID reports whether s has the form of an ID, and so is not a name.
func IsID(s string) bool { return idGrammar.MatchString(s) }

// MaxName is the longest name of an app, space or org, in bytes. With the
// platform's domain behind it, an app's name must fit a DNS label (RFC 1035).
const MaxName = 40

// CheckName refuses what cannot name an org, a space or an app. Names become
// host names, so they are lower-case letters, digits and single inner hyphens,
// starting with a letter.
func CheckName(field, name string) error {
	switch {
	case name == "":
		return Invalid(field, "the name is empty", "give a name such as \"hello\"")
	case len(name) > MaxName:
		return Invalid(field, "the name is longer than 40 characters", "choose a shorter one; it becomes part of the app's URL")
	case !nameGrammar.MatchString(name):
		return Invalid(field, "the name "+quote(name)+" is not usable in a URL",
			"use lower-case letters, digits and single hyphens, starting with a letter, such as \"my-app\"")
	}
	return nil
}
