// Package secret seals values at rest: AES-256-GCM under a data key, the data
// key under a master key kept in a file of mode 0600 (envelope encryption).
package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
)

// KeyRing seals values under its newest master key and opens what any of its
// master keys sealed. It is safe for concurrent use.
type KeyRing struct {
	path string
	mu   sync.RWMutex
	keys []masterKey // oldest first; the last one seals
	size int64       // of the file that they were read from
}

// masterKey is one line of the file.
type masterKey struct {
	id  [idLen]byte
	key [keyLen]byte
}

// A sealed value is: version, id of the master key, nonce and data key sealed
// under it, nonce and value sealed under the data key.
const (
	version   = 1
	idLen     = 8
	keyLen    = 32
	nonceLen  = 12
	tagLen    = 16
	wrapLen   = nonceLen + keyLen + tagLen
	headerLen = 1 + idLen + wrapLen
	minSealed = headerLen + nonceLen + tagLen
)

// ErrSealed says that a sealed value could not be opened: it was changed,
// belongs to something else (aad), or its master key is not in the ring.
var ErrSealed = errors.New("sealed value cannot be opened")

// Seal returns plain in a form that only the ring opens, and only with the same
// aad, which names what the value belongs to.
func (r *KeyRing) Seal(plain, aad []byte) ([]byte, error) {
	if err := r.refresh(); err != nil {
		return nil, err
	}
	var dataKey [keyLen]byte
	_, _ = rand.Read(dataKey[:]) // crypto/rand.Read never fails (Go 1.24)
	out, err := r.wrap(dataKey[:], aad)
	if err != nil {
		return nil, err
	}
	return encrypt(out, dataKey[:], plain, aad)
}

// Open returns what was sealed with the same aad.
func (r *KeyRing) Open(sealed, aad []byte) ([]byte, error) {
	dataKey, err := r.unwrap(sealed, aad)
	if err != nil {
		return nil, err
	}
	return decrypt(dataKey, sealed[headerLen:], aad)
}

// Reseal returns the value sealed under the newest master key, and whether that
// differs from what was given. The value itself is checked, not only its key.
func (r *KeyRing) Reseal(sealed, aad []byte) ([]byte, bool, error) {
	plain, err := r.Open(sealed, aad)
	if err != nil {
		return nil, false, err
	}
	if r.Current(sealed) {
		return sealed, false, nil
	}
	out, err := r.Seal(plain, aad)
	return out, err == nil, err
}

// Current reports whether the value is sealed under the newest master key.
func (r *KeyRing) Current(sealed []byte) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(sealed) >= minSealed && [idLen]byte(sealed[1:1+idLen]) == r.newest().id
}

func (r *KeyRing) newest() masterKey { return r.keys[len(r.keys)-1] }

func (r *KeyRing) wrap(dataKey, aad []byte) ([]byte, error) {
	r.mu.RLock()
	k := r.newest()
	r.mu.RUnlock()
	head := append([]byte{version}, k.id[:]...)
	return encrypt(head, k.key[:], dataKey, bind(head, aad))
}

func (r *KeyRing) unwrap(sealed, aad []byte) ([]byte, error) {
	if len(sealed) < minSealed || sealed[0] != version {
		return nil, ErrSealed
	}
	head := sealed[:1+idLen]
	k, err := r.find([idLen]byte(head[1:]))
	if err != nil {
		return nil, err
	}
	return decrypt(k.key[:], sealed[1+idLen:headerLen], bind(head, aad))
}

// find returns a master key by id. One that is not known may have been added
// by another process, so the file is read again once.
func (r *KeyRing) find(id [idLen]byte) (masterKey, error) {
	if k, ok := r.lookup(id); ok {
		return k, nil
	}
	if err := r.reload(); err != nil {
		return masterKey{}, err
	}
	if k, ok := r.lookup(id); ok {
		return k, nil
	}
	return masterKey{}, fmt.Errorf("%w: its master key %x is not in %s", ErrSealed, id, r.path)
}

func (r *KeyRing) lookup(id [idLen]byte) (masterKey, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, k := range r.keys {
		if k.id == id {
			return k, true
		}
	}
	return masterKey{}, false
}

func bind(head, aad []byte) []byte { return append(append([]byte{}, head...), aad...) }

func gcm(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("make cipher: %w", err)
	}
	return cipher.NewGCM(block)
}

// encrypt appends a fresh nonce and the sealed plain to dst.
func encrypt(dst, key, plain, aad []byte) ([]byte, error) {
	g, err := gcm(key)
	if err != nil {
		return nil, err
	}
	var nonce [nonceLen]byte
	_, _ = rand.Read(nonce[:])
	return g.Seal(append(dst, nonce[:]...), nonce[:], plain, aad), nil
}

func decrypt(key, sealed, aad []byte) ([]byte, error) {
	g, err := gcm(key)
	if err != nil {
		return nil, err
	}
	plain, err := g.Open(nil, sealed[:nonceLen], sealed[nonceLen:], aad)
	if err != nil {
		return nil, ErrSealed
	}
	return plain, nil
}
