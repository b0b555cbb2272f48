// Package auth holds what logging in needs: password hashes, tokens, SSH keys
// and limits on guessing. It decides nothing; package platform does.
package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"github.com/steadpaas/stead"
)

// Lengths of a password, in characters and in bytes.
const (
	MinPassword = 8
	MaxPassword = 1024
)

// CheckPassword refuses what is too short to be safe or too long to be one.
func CheckPassword(field, password string) error {
	switch {
	case utf8.RuneCountInString(password) < MinPassword:
		return stead.Invalid(field, "the password is shorter than 8 characters", "choose a longer one; several words are fine")
	case len(password) > MaxPassword:
		return stead.Invalid(field, "the password is longer than 1024 bytes", "choose a shorter one")
	}
	return nil
}

// The cost of a hash (OWASP Password Storage Cheat Sheet, Argon2id): memory in
// KiB, passes, lanes.
const (
	memory  = 19 << 10
	passes  = 2
	lanes   = 1
	saltLen = 16
	hashLen = 32
)

// Passwords hashes and checks passwords, a few at a time: each takes 19 MiB, so
// a flood of logins must wait in line, and a longer line is refused.
type Passwords struct {
	slots chan struct{}
	line  chan struct{}
}

// NewPasswords returns a Passwords that computes at most n hashes at once.
func NewPasswords(n int) *Passwords {
	return &Passwords{slots: make(chan struct{}, n), line: make(chan struct{}, 16*n)}
}

// Hash returns the encoded hash of a password
// ("$argon2id$v=19$m=…,t=…,p=…$salt$hash"). It fails with KindLimit when too
// many wait, or when ctx ends.
func (p *Passwords) Hash(ctx context.Context, password string) (string, error) {
	var salt [saltLen]byte
	_, _ = rand.Read(salt[:])
	sum, err := p.compute(ctx, password, salt[:], memory, passes, lanes)
	if err != nil {
		return "", err
	}
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, memory, passes, lanes,
		b64.EncodeToString(salt[:]), b64.EncodeToString(sum)), nil
}

// Verify reports whether the encoded hash is the password's. An empty hash (no
// such user, or one without a password) takes the same time and is false.
func (p *Passwords) Verify(ctx context.Context, encoded, password string) (bool, error) {
	if len(password) > MaxPassword {
		password = "" // nobody's
	}
	if encoded == "" {
		_, err := p.compute(ctx, password, make([]byte, saltLen), memory, passes, lanes)
		return false, err
	}
	h, err := parseHash(encoded)
	if err != nil {
		return false, err
	}
	sum, err := p.compute(ctx, password, h.salt, h.memory, h.passes, h.lanes)
	return err == nil && subtle.ConstantTimeCompare(sum, h.sum) == 1, err
}

func (p *Passwords) compute(ctx context.Context, password string, salt []byte, m, t uint32, l uint8) ([]byte, error) {
	select {
	case p.line <- struct{}{}:
		defer func() { <-p.line }()
	default:
		return nil, &stead.Error{Kind: stead.KindLimit, Msg: "too many logins at once", Hint: "try again in a few seconds"}
	}
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return argon2.IDKey([]byte(password), salt, t, m, l, hashLen), nil
}

type parsedHash struct {
	memory, passes uint32
	lanes          uint8
	salt, sum      []byte
}

var errHash = errors.New("password hash is damaged")

func parseHash(encoded string) (h parsedHash, err error) {
	f := strings.Split(encoded, "$")
	if len(f) != 6 || f[1] != "argon2id" || f[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return h, errHash
	}
	if _, err := fmt.Sscanf(f[3], "m=%d,t=%d,p=%d", &h.memory, &h.passes, &h.lanes); err != nil {
		return h, errHash
	}
	var err1, err2 error
	h.salt, err1 = base64.RawStdEncoding.DecodeString(f[4])
	h.sum, err2 = base64.RawStdEncoding.DecodeString(f[5])
	if err1 != nil || err2 != nil || h.memory > 1<<20 || h.passes == 0 || h.passes > 64 || h.lanes == 0 {
		return h, errHash
	}
	return h, nil
}
