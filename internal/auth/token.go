package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"strings"
)

// TokenPrefix starts each token's secret, so that scanners of code find leaks.
const TokenPrefix = "stead_"

// maxToken is longer than any secret of ours.
const maxToken = 128

// NewToken returns the secret of a new token, 256 random bits, and the hash
// that is kept of it.
func NewToken() (secret, hash string) {
	var b [32]byte
	_, _ = rand.Read(b[:]) // crypto/rand.Read never fails (Go 1.24)
	secret = TokenPrefix + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b[:]))
	return secret, HashToken(secret)
}

// HashToken returns the SHA-256 of a secret, hexadecimal. A secret is random,
// so a fast hash without salt is enough to keep it.
func HashToken(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// IsToken reports whether s has the form of a token's secret.
func IsToken(s string) bool { return strings.HasPrefix(s, TokenPrefix) && len(s) <= maxToken }
