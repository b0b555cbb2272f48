package auth

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/steadpaas/stead"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("unexpected error: %v", err)
	}
}

func TestPasswords(t *testing.T) {
	p := NewPasswords(2)
	h, err := p.Hash(t.Context(), "correct horse")
	check(t, err)
	h2, err := p.Hash(t.Context(), "correct horse")
	check(t, err)
	if h == h2 || !strings.HasPrefix(h, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("hashes %q %q", h, h2)
	}
	for password, want := range map[string]bool{"correct horse": true, "correct hors": false, "": false, strings.Repeat("x", 5000): false} {
		got, err := p.Verify(t.Context(), h, password)
		check(t, err)
		if got != want {
			t.Errorf("verify %.20q: %v", password, got)
		}
	}
	if ok, err := p.Verify(t.Context(), "", ""); ok || err != nil {
		t.Errorf("no hash: %v %v", ok, err)
	}
	for _, bad := range []string{"x", "$argon2id$v=19$m=99999999,t=2,p=1$AA$AA", "$argon2id$v=19$m=1,t=0,p=1$AA$AA", "$argon2i$v=19$m=1,t=1,p=1$AA$AA"} {
		if _, err := p.Verify(t.Context(), bad, "x"); err == nil {
			t.Errorf("accepted %q", bad)
		}
	}
}

// TestFlood fills the slots and the line: the next login is refused at once,
// one that waits leaves with its context.
func TestFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPasswords(1)
		p.slots <- struct{}{} // a hash that takes for ever
		ctx, cancel := context.WithCancel(t.Context())
		errs := make(chan error, cap(p.line))
		for range cap(p.line) {
			go func() { _, err := p.Hash(ctx, "password"); errs <- err }()
		}
		synctest.Wait()
		if _, err := p.Hash(ctx, "password"); stead.KindOf(err) != stead.KindLimit {
			t.Errorf("got %v", err)
		}
		cancel()
		for range cap(p.line) {
			if err := <-errs; err != context.Canceled {
				t.Errorf("got %v", err)
			}
		}
	})
}

func TestCheckPassword(t *testing.T) {
	for password, ok := range map[string]bool{"": false, "1234567": false, "12345678": true, "pässwört": true, strings.Repeat("x", 1025): false} {
		if err := CheckPassword("password", password); (err == nil) != ok {
			t.Errorf("%.20q: %v", password, err)
		}
	}
}

func TestToken(t *testing.T) {
	a, hash := NewToken()
	b, _ := NewToken()
	if a == b || len(a) != 6+52 || !IsToken(a) || HashToken(a) != hash || strings.Contains(hash, a[6:]) {
		t.Errorf("tokens %q %q %q", a, b, hash)
	}
	if IsToken("x") || IsToken(TokenPrefix+strings.Repeat("x", 200)) {
		t.Error("accepted what is no token")
	}
}

func TestLimiter(t *testing.T) {
	now := time.Unix(1000, 0)
	l := NewLimiter(3, time.Minute, func() time.Time { return now })
	for range 10 { // successes do not count
		ok, err := l.Try("a")
		check(t, err)
		ok()
	}
	for range 3 {
		_, err := l.Try("a")
		check(t, err)
	}
	_, err := l.Try("a")
	if stead.KindOf(err) != stead.KindLimit {
		t.Errorf("got %v", err)
	}
	_, err = l.Try("b")
	check(t, err)
	now = now.Add(time.Minute)
	_, err = l.Try("a")
	check(t, err)
	if _, err = l.Try("a"); err == nil {
		t.Error("one a minute, not two")
	}
	for i := range maxKeys + 100 {
		_, err := l.Try(fmt.Sprint(i))
		check(t, err)
	}
	if len(l.full) > maxKeys {
		t.Errorf("keeps %d keys", len(l.full))
	}
}

func TestSSHKeys(t *testing.T) {
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	check(t, err)
	k, err := ssh.NewPublicKey(pub)
	check(t, err)
	line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k)))
	got, err := ParseSSHKey("  " + line + " ada@lap\x1b[31mtop\n")
	check(t, err)
	if got.Fingerprint != ssh.FingerprintSHA256(k) || got.PublicKey != line || got.Name != "ada@lap[31mtop" {
		t.Errorf("key: %+v", got)
	}
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	check(t, err)
	rsaKey, err := ssh.NewPublicKey(&weak.PublicKey)
	check(t, err)
	block, err := ssh.MarshalPrivateKey(priv, "")
	check(t, err)
	for name, bad := range map[string]string{
		"empty": "", "junk": "ssh-ed25519 AAAA", "options": `command="x" ` + line, "two": line + "\n" + line,
		"weak": string(ssh.MarshalAuthorizedKey(rsaKey)), "private": "-----BEGIN OPENSSH PRIVATE KEY-----\n" + string(block.Bytes),
		"huge": line + strings.Repeat(" x", maxKey),
	} {
		if _, err := ParseSSHKey(bad); stead.KindOf(err) != stead.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseSSHKey(f *testing.F) {
	f.Add("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGlvpg== x")
	f.Fuzz(func(_ *testing.T, s string) { _, _ = ParseSSHKey(s) })
}

func TestRemote(t *testing.T) {
	if RemoteFrom(t.Context()) != "" || RemoteFrom(WithRemote(t.Context(), "192.0.2.1")) != "192.0.2.1" {
		t.Error("the address got lost")
	}
}
