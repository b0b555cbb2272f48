package route

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"sync"

	"golang.org/x/crypto/bcrypt"
)

// basicAuth checks HTTP basic authentication against bcrypt hashes. A hash takes
// tens of milliseconds on purpose, so what was said of a credential is remembered
// (by a keyed digest, in memory only), and no more than one is computed at a time
// for each rule; a flood of guesses waits in a short line.
type basicAuth struct {
	hashes map[string]string // bcrypt, by user
	decoy  []byte            // checked for unknown users, who take as long
	key    []byte
	line   chan struct{}
	slot   chan struct{}

	mu    sync.Mutex
	known map[[32]byte]bool
}

const maxKnown = 4096

func newBasicAuth(hashes map[string]string) *basicAuth {
	a := &basicAuth{hashes: hashes, key: make([]byte, 32), line: make(chan struct{}, 64), slot: make(chan struct{}, 1), known: map[[32]byte]bool{}}
	rand.Read(a.key)
	for _, h := range hashes {
		a.decoy = []byte(h)
	}
	return a
}

// admits reports whether the value of an Authorization field lets a request in.
func (a *basicAuth) admits(field []byte) bool {
	if len(field) < 7 || !equalFold(field[:6], "basic ") {
		return false
	}
	raw, err := base64.StdEncoding.DecodeString(string(trim(field[6:])))
	if err != nil || len(raw) > 512 {
		return false
	}
	user, password, ok := bytes.Cut(raw, []byte(":"))
	if !ok || len(a.hashes) == 0 {
		return false
	}
	mac := hmac.New(sha256.New, a.key)
	mac.Write(raw)
	digest := [32]byte(mac.Sum(nil))
	a.mu.Lock()
	good, known := a.known[digest]
	a.mu.Unlock()
	if known {
		return good
	}
	return a.compute(digest, string(user), password)
}

func (a *basicAuth) compute(digest [32]byte, user string, password []byte) bool {
	select {
	case a.line <- struct{}{}:
		defer func() { <-a.line }()
	default:
		return false
	}
	a.slot <- struct{}{}
	defer func() { <-a.slot }()
	hash, there := a.hashes[user]
	if !there {
		hash = string(a.decoy)
	}
	good := bcrypt.CompareHashAndPassword([]byte(hash), password) == nil && there
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.known) >= maxKnown {
		clear(a.known)
	}
	a.known[digest] = good
	return good
}
