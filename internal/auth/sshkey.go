package auth

import (
	"crypto/rsa"
	"strings"
	"unicode"

	"golang.org/x/crypto/ssh"

	"github.com/steadpaas/stead"
)

// maxKey is the longest line of a public key, in bytes.
const maxKey = 16 << 10

// ParseSSHKey reads one line in authorized_keys form and returns the key with
// Name (its comment), Fingerprint and PublicKey set. Options in front are
// refused, as are DSA and RSA keys under 2048 bits.
func ParseSSHKey(line string) (stead.SSHKey, error) {
	line = strings.TrimSpace(line)
	if strings.Contains(line, "PRIVATE KEY") {
		return stead.SSHKey{}, stead.Invalid("key", "this is a private key; it must never leave your machine", "give the public key, the file that ends in .pub")
	}
	if len(line) > maxKey || strings.ContainsAny(line, "\n\r\x00") {
		return stead.SSHKey{}, badKey()
	}
	pub, comment, options, _, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil || len(options) > 0 {
		return stead.SSHKey{}, badKey()
	}
	if err := checkStrength(pub); err != nil {
		return stead.SSHKey{}, err
	}
	return stead.SSHKey{
		Name: printable(comment), Fingerprint: Fingerprint(pub),
		PublicKey: strings.TrimSpace(string(ssh.MarshalAuthorizedKey(pub))),
	}, nil
}

// Fingerprint returns a key's fingerprint as ssh-keygen -l prints it.
func Fingerprint(k ssh.PublicKey) string { return ssh.FingerprintSHA256(k) }

func badKey() error {
	return stead.Invalid("key", "this is not a public SSH key", "give one line as in ~/.ssh/id_ed25519.pub, starting with ssh-ed25519, ecdsa-sha2-… or ssh-rsa")
}

func checkStrength(pub ssh.PublicKey) error {
	weak := stead.Invalid("key", "the key is of a kind or size that is no longer safe", "make a new one with: ssh-keygen -t ed25519")
	switch pub.Type() {
	case ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256:
		return nil
	case ssh.KeyAlgoRSA:
		c, ok := pub.(ssh.CryptoPublicKey)
		if !ok {
			return weak
		}
		if k, ok := c.CryptoPublicKey().(*rsa.PublicKey); ok && k.N.BitLen() >= 2048 {
			return nil
		}
	}
	return weak
}

// printable keeps what is safe to show of a comment, at most 100 characters.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) && r != unicode.ReplacementChar {
			return r
		}
		return -1
	}, s)
	if r := []rune(s); len(r) > 100 {
		s = string(r[:100])
	}
	return strings.TrimSpace(s)
}
