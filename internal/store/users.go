package store

import (
	"time"

	"github.com/steadpaas/stead"
)

// User is a user with the hash of the password.
type User struct {
	stead.User
	Password string // as package auth encodes it
}

const userColumns = `id, email, name, admin, password, created_at`

func scanUser(r row) (u User, err error) {
	err = r.Scan(&u.ID, &u.Email, &u.Name, &u.Admin, &u.Password, stamp{&u.CreatedAt})
	return u, err
}

// InsertUser adds a user; ErrDuplicate if the address is taken.
func (tx *Tx) InsertUser(u User) error {
	return tx.insert(`INSERT INTO users (`+userColumns+`) VALUES ($1, $2, $3, $4, $5, $6)`,
		u.ID, u.Email, u.Name, u.Admin, u.Password, micros(u.CreatedAt))
}

// Users returns all users by e-mail.
func (tx *Tx) Users() ([]User, error) {
	return many(tx, scanUser, `SELECT `+userColumns+` FROM users ORDER BY email`)
}

// User returns the user with the ID or e-mail address.
func (tx *Tx) User(ref string) (User, error) {
	return one(tx, scanUser, `SELECT `+userColumns+` FROM users WHERE id = $1 OR email = $1`, ref)
}

// SetPassword replaces the hash of a user's password.
func (tx *Tx) SetPassword(id stead.ID, hash string) error {
	return tx.must(`UPDATE users SET password = $2 WHERE id = $1`, id, hash)
}

// DeleteUser removes a user with tokens, keys and memberships.
func (tx *Tx) DeleteUser(id stead.ID) error { return tx.must(`DELETE FROM users WHERE id = $1`, id) }

// Token is a token as it is kept.
type Token struct {
	stead.Token
	Login bool   // made by a login: revoked when the password changes
	Hash  string // SHA-256 of the secret, hexadecimal
}

const tokenColumns = `id, user_id, name, scope, login, hash, created_at, expires_at, used_at`

func scanToken(r row) (t Token, err error) {
	err = r.Scan(&t.ID, &t.UserID, &t.Name, &t.Scope, &t.Login, &t.Hash, stamp{&t.CreatedAt}, stamp{&t.ExpiresAt}, stamp{&t.UsedAt})
	return t, err
}

// InsertToken adds a token.
func (tx *Tx) InsertToken(t Token) error {
	return tx.insert(`INSERT INTO tokens (`+tokenColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		t.ID, t.UserID, t.Name, t.Scope, t.Login, t.Hash, micros(t.CreatedAt), microsOrNull(t.ExpiresAt), microsOrNull(t.UsedAt))
}

// Tokens returns a user's tokens, newest first.
func (tx *Tx) Tokens(user stead.ID) ([]Token, error) {
	return many(tx, scanToken, `SELECT `+tokenColumns+` FROM tokens WHERE user_id = $1 ORDER BY id DESC`, user)
}

// TokenByHash returns the token whose secret has the hash, expired or not.
func (tx *Tx) TokenByHash(hash string) (Token, error) {
	return one(tx, scanToken, `SELECT `+tokenColumns+` FROM tokens WHERE hash = $1`, hash)
}

// TouchToken records that a token was used.
func (tx *Tx) TouchToken(id stead.ID, at time.Time) error {
	return tx.exec(`UPDATE tokens SET used_at = $2 WHERE id = $1`, id, micros(at))
}

// DeleteToken removes a token of a user.
func (tx *Tx) DeleteToken(user, id stead.ID) error {
	return tx.must(`DELETE FROM tokens WHERE user_id = $1 AND id = $2`, user, id)
}

// DeleteLogins removes the tokens that logins of a user made, but one.
func (tx *Tx) DeleteLogins(user, but stead.ID) error {
	return tx.exec(`DELETE FROM tokens WHERE user_id = $1 AND login AND id <> $2`, user, but)
}

// DeleteExpired removes a user's tokens that ran out before the given time.
func (tx *Tx) DeleteExpired(user stead.ID, before time.Time) error {
	return tx.exec(`DELETE FROM tokens WHERE user_id = $1 AND expires_at < $2`, user, micros(before))
}

const keyColumns = `id, user_id, name, fingerprint, public_key, created_at`

func scanKey(r row) (k stead.SSHKey, err error) {
	err = r.Scan(&k.ID, &k.UserID, &k.Name, &k.Fingerprint, &k.PublicKey, stamp{&k.CreatedAt})
	return k, err
}

// InsertSSHKey adds a key; ErrDuplicate if anybody has it.
func (tx *Tx) InsertSSHKey(k stead.SSHKey) error {
	return tx.insert(`INSERT INTO ssh_keys (`+keyColumns+`) VALUES ($1, $2, $3, $4, $5, $6)`,
		k.ID, k.UserID, k.Name, k.Fingerprint, k.PublicKey, micros(k.CreatedAt))
}

// SSHKeys returns a user's keys, oldest first.
func (tx *Tx) SSHKeys(user stead.ID) ([]stead.SSHKey, error) {
	return many(tx, scanKey, `SELECT `+keyColumns+` FROM ssh_keys WHERE user_id = $1 ORDER BY id`, user)
}

// SSHKeyByFingerprint returns the key with the fingerprint, of any user.
func (tx *Tx) SSHKeyByFingerprint(fp string) (stead.SSHKey, error) {
	return one(tx, scanKey, `SELECT `+keyColumns+` FROM ssh_keys WHERE fingerprint = $1`, fp)
}

// DeleteSSHKey removes a key.
func (tx *Tx) DeleteSSHKey(id stead.ID) error {
	return tx.must(`DELETE FROM ssh_keys WHERE id = $1`, id)
}
