package route

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// stickyCookie names the instance that a visitor stays on.
const stickyCookie = "stead_affinity"

// token is what the cookie says for an instance: a keyed digest of its name. It
// tells nothing, cannot be made up, and is checked by being found.
func (b *backend) token(key []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(b.Instance))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:18])
}

// stickyKey reads the key from its file, or makes it: visitors stay where they
// are when the router restarts.
func stickyKey(path string) ([]byte, error) {
	key, err := os.ReadFile(path)
	if err == nil && len(key) == 32 {
		return key, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the key of sticky sessions: %w", err)
	}
	key = make([]byte, 32)
	rand.Read(key)
	if err := os.WriteFile(path, key, 0o600); err != nil {
		return nil, fmt.Errorf("write the key of sticky sessions: %w", err)
	}
	return key, nil
}

// stuck returns the instance that the request's cookie names, if it serves.
func (c *conn) stuck(p *policy) *backend {
	var found *backend
	c.req.cookies(stickyCookie, func(v []byte) bool {
		found = p.sticky[string(v)]
		return found == nil
	})
	return found
}

// stick has the answer carry the cookie for b, if the request did not.
func (c *conn) stick(p *policy, b *backend) {
	x := &c.x
	if x.cookie = x.cookie[:0]; c.stuck(p) == b {
		return
	}
	path := p.prefix
	if path == "" {
		path = "/"
	}
	x.cookie = append(append(x.cookie, "Set-Cookie: "+stickyCookie+"="...), b.token(c.core.table.Load().key)...)
	x.cookie = append(append(x.cookie, "; Path="+path...), "; HttpOnly; SameSite=Lax"...)
	if c.secure {
		x.cookie = append(x.cookie, "; Secure"...)
	}
	x.cookie = append(x.cookie, "\r\n"...)
}

// cookies calls yield with each value of the cookie of that name until it
// returns false.
func (h *head) cookies(name string, yield func([]byte) bool) {
	for i := range h.fields {
		f := &h.fields[i]
		if f.id != fieldOther || !equalFold(f.name, "cookie") {
			continue
		}
		for rest := f.value; len(rest) > 0; {
			var pair []byte
			pair, rest = cutSemicolon(rest)
			if len(pair) > len(name) && pair[len(name)] == '=' && string(pair[:len(name)]) == name && !yield(pair[len(name)+1:]) {
				return
			}
		}
	}
}

func cutSemicolon(v []byte) (pair, rest []byte) {
	for i, b := range v {
		if b == ';' {
			return trim(v[:i]), v[i+1:]
		}
	}
	return trim(v), nil
}
