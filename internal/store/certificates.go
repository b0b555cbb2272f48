package store

import (
	"fmt"
	"time"

	"github.com/steadpaas/stead"
)

// Certificate is a certificate with its key, sealed, and who obtains it now.
type Certificate struct {
	stead.Certificate
	Chain        string
	Key          []byte // sealed; nil: none yet
	Staple       []byte // OCSP answer, DER
	StapleAt     *time.Time
	Holder       string
	ClaimedUntil *time.Time
}

const certificateColumns = `id, app_id, host, names, source, state, issuer, fingerprint, not_before, not_after, reason, attempts,
	next_at, chain, private_key, staple, staple_at, holder, claimed_until, created_at, updated_at`

const certificateQuery = `SELECT c.id, COALESCE(c.app_id, ''), COALESCE(a.name, ''), c.host, c.names, c.source, c.state, c.issuer, c.fingerprint,
	c.not_before, c.not_after, c.reason, c.attempts, c.next_at, c.chain, c.private_key, c.staple, c.staple_at, c.holder, c.claimed_until,
	c.created_at, c.updated_at FROM certificates c LEFT JOIN apps a ON a.id = c.app_id `

func scanCertificate(r row) (c Certificate, err error) {
	err = r.Scan(&c.ID, &c.AppID, &c.App, &c.Host, text{&c.Names}, &c.Source, &c.State, &c.Issuer, &c.Fingerprint,
		stamp{&c.NotBefore}, stamp{&c.NotAfter}, &c.Reason, &c.Attempts, stamp{&c.NextAt}, &c.Chain, &c.Key, &c.Staple, stamp{&c.StapleAt},
		&c.Holder, stamp{&c.ClaimedUntil}, stamp{&c.CreatedAt}, stamp{&c.UpdatedAt})
	return c, err
}

// SaveCertificate adds a certificate, or replaces the one of that ID.
func (tx *Tx) SaveCertificate(c Certificate) error {
	var app any
	if c.AppID != "" {
		app = c.AppID
	}
	if c.Names == nil {
		c.Names = []string{}
	}
	return tx.exec(`INSERT INTO certificates (`+certificateColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)
		ON CONFLICT (id) DO UPDATE SET names = excluded.names, state = excluded.state, issuer = excluded.issuer, fingerprint = excluded.fingerprint,
		not_before = excluded.not_before, not_after = excluded.not_after, reason = excluded.reason, attempts = excluded.attempts,
		next_at = excluded.next_at, chain = excluded.chain, private_key = excluded.private_key, staple = excluded.staple, staple_at = excluded.staple_at,
		holder = excluded.holder, claimed_until = excluded.claimed_until, updated_at = excluded.updated_at`,
		c.ID, app, c.Host, text{c.Names}, c.Source, c.State, c.Issuer, c.Fingerprint, microsOrNull(c.NotBefore), microsOrNull(c.NotAfter), c.Reason,
		c.Attempts, microsOrNull(c.NextAt), c.Chain, c.Key, c.Staple, microsOrNull(c.StapleAt), c.Holder, microsOrNull(c.ClaimedUntil),
		micros(c.CreatedAt), micros(c.UpdatedAt))
}

// Certificates returns the certificates of an app; "": of the platform itself.
func (tx *Tx) Certificates(app stead.ID) ([]Certificate, error) {
	return many(tx, scanCertificate, certificateQuery+`WHERE COALESCE(c.app_id, '') = $1 ORDER BY c.created_at, c.id`, app)
}

// AllCertificates returns every certificate.
func (tx *Tx) AllCertificates() ([]Certificate, error) {
	return many(tx, scanCertificate, certificateQuery+`ORDER BY c.created_at, c.id`)
}

// CertificateByID returns a certificate.
func (tx *Tx) CertificateByID(id stead.ID) (Certificate, error) {
	return one(tx, scanCertificate, certificateQuery+`WHERE c.id = $1`, id)
}

// DueCertificate returns the one that has waited longest to be obtained or
// renewed, and that nobody is at.
func (tx *Tx) DueCertificate(now time.Time) (Certificate, error) {
	return one(tx, scanCertificate, certificateQuery+`WHERE c.source = 'acme' AND c.next_at <= $1
		AND (c.claimed_until IS NULL OR c.claimed_until < $1) ORDER BY c.next_at, c.id LIMIT 1`, micros(now))
}

// DeleteCertificate removes a certificate.
func (tx *Tx) DeleteCertificate(id stead.ID) error {
	return tx.must(`DELETE FROM certificates WHERE id = $1`, id)
}

// AllDomains returns the domains of all apps that are not destroyed.
func (tx *Tx) AllDomains() ([]stead.Domain, error) {
	return many(tx, scanDomain, `SELECT `+domainColumns+` FROM domains
		WHERE app_id IN (SELECT id FROM apps WHERE destroyed_at IS NULL) ORDER BY host`)
}

// SaveDomain replaces what can change of a domain.
func (tx *Tx) SaveDomain(d stead.Domain) error {
	return tx.must(`UPDATE domains SET auto_tls = $2, https_redirect = $3, hsts = $4, min_tls = $5 WHERE id = $1`,
		d.ID, d.AutoTLS, d.HTTPSRedirect, int(d.HSTS), d.MinTLS)
}

// Challenge is what an ACME authority is about to look for.
type Challenge struct {
	Host, Token, Answer, Chain, Key string
	CreatedAt                       time.Time
}

func scanChallenge(r row) (c Challenge, err error) {
	err = r.Scan(&c.Host, &c.Token, &c.Answer, &c.Chain, &c.Key, stamp{&c.CreatedAt})
	return c, err
}

// SaveChallenge adds a challenge, or replaces it.
func (tx *Tx) SaveChallenge(c Challenge) error {
	return tx.exec(`INSERT INTO acme_challenges (host, token, answer, chain, private_key, created_at) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (host, token) DO UPDATE SET answer = excluded.answer, chain = excluded.chain, private_key = excluded.private_key,
		created_at = excluded.created_at`, c.Host, c.Token, c.Answer, c.Chain, c.Key, micros(c.CreatedAt))
}

// Challenges returns all challenges.
func (tx *Tx) Challenges() ([]Challenge, error) {
	return many(tx, scanChallenge, `SELECT host, token, answer, chain, private_key, created_at FROM acme_challenges ORDER BY host, token`)
}

// DeleteChallenge removes a challenge, and those made before a time.
func (tx *Tx) DeleteChallenge(host, token string, before time.Time) error {
	return tx.exec(`DELETE FROM acme_challenges WHERE host = $1 AND token = $2 OR created_at < $3`, host, token, micros(before))
}

// TLSRevision changes whenever something changes that certificates depend on.
func (tx *Tx) TLSRevision() (string, error) {
	return one(tx, func(r row) (string, error) {
		var events, saved, count, challenges, last int64
		err := r.Scan(&events, &saved, &count, &challenges, &last)
		return fmt.Sprint(events, saved, count, challenges, last), err
	}, `SELECT (SELECT COALESCE(MAX(seq), 0) FROM events), (SELECT COALESCE(MAX(updated_at), 0) FROM certificates),
		(SELECT COUNT(*) FROM certificates), (SELECT COUNT(*) FROM acme_challenges), (SELECT COALESCE(MAX(created_at), 0) FROM acme_challenges)`)
}

// PlatformSecret returns a sealed value of the platform's own.
func (tx *Tx) PlatformSecret(id string) ([]byte, error) {
	return one(tx, func(r row) (b []byte, err error) { err = r.Scan(&b); return b, err }, `SELECT value FROM platform_secrets WHERE id = $1`, id)
}

// InsertPlatformSecret keeps a sealed value; ErrDuplicate if there is one.
func (tx *Tx) InsertPlatformSecret(id string, value []byte) error {
	return tx.insert(`INSERT INTO platform_secrets (id, value) VALUES ($1, $2)`, id, value)
}
