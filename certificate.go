package stead

import "time"

// CertificateSource says where a certificate comes from.
type CertificateSource string

// The sources.
const (
	CertificateUploaded CertificateSource = "uploaded" // a person brought it
	CertificateACME     CertificateSource = "acme"     // obtained and renewed by the platform
	CertificateInternal CertificateSource = "internal" // signed by the platform's own authority, on demand; never listed
)

// CertificateState is what a certificate is at.
//
//	pending → ready → (renewal) → ready
//	   ↓ ↑
//	 failed           tried again at NextAt
type CertificateState string

// The states.
const (
	CertificatePending CertificateState = "pending" // being obtained
	CertificateReady   CertificateState = "ready"   // served
	CertificateFailed  CertificateState = "failed"  // not obtained yet; Reason says why
)

// Certificate is TLS for hosts of an app, or with no AppID for the platform's own.
type Certificate struct {
	ID          ID                `json:"id"`
	AppID       ID                `json:"app_id,omitempty"`
	App         string            `json:"app,omitempty"`
	Host        string            `json:"host,omitempty"` // that it was obtained for; "": uploaded
	Names       []string          `json:"names" nullable:"false"`
	Source      CertificateSource `json:"source"`
	State       CertificateState  `json:"state"`
	Issuer      string            `json:"issuer,omitempty"`
	Fingerprint string            `json:"fingerprint,omitempty"` // SHA-256, hexadecimal
	NotBefore   *time.Time        `json:"not_before,omitempty"`
	NotAfter    *time.Time        `json:"not_after,omitempty"`
	Reason      string            `json:"reason,omitempty"`  // why the last attempt failed
	Attempts    int               `json:"attempts"`          // that failed in a row
	NextAt      *time.Time        `json:"next_at,omitempty"` // of the next attempt or renewal
	CreatedAt   time.Time         `json:"created_at"`
	UpdatedAt   time.Time         `json:"updated_at"`
}

// NewCertificate is a certificate that a person brings: its chain, the leaf and
// the intermediates, and its key, both PEM.
type NewCertificate struct {
	Chain string `json:"chain" maxLength:"200000"`
	Key   string `json:"key" maxLength:"50000"`
}

// Authority is the platform's own certificate authority, for people to trust.
type Authority struct {
	Certificate string    `json:"certificate"` // PEM
	Fingerprint string    `json:"fingerprint"` // SHA-256, hexadecimal
	NotAfter    time.Time `json:"not_after"`
}

// Values of Domain.HTTPSRedirect.
const (
	RedirectAuto = "auto" // on when a certificate that browsers trust serves the host
	RedirectOn   = "on"
	RedirectOff  = "off"
)

// DomainPatch changes what is not nil.
type DomainPatch struct {
	AutoTLS       *bool    `json:"auto_tls,omitempty"`
	HTTPSRedirect *string  `json:"https_redirect,omitempty" enum:"auto,on,off"`
	HSTS          *Seconds `json:"hsts,omitempty" minimum:"0"`
	MinTLS        *string  `json:"min_tls,omitempty" enum:",1.2,1.3"`
}

// maxHSTS is two years, what preload lists ask for.
const maxHSTS = Seconds(2 * 365 * 24 * 3600)

// Apply changes d by the patch, or says what is wrong with it.
func (p DomainPatch) Apply(d *Domain) error {
	if p.AutoTLS != nil {
		d.AutoTLS = *p.AutoTLS
	}
	if r := p.HTTPSRedirect; r != nil {
		if *r != RedirectAuto && *r != RedirectOn && *r != RedirectOff {
			return Invalid("https_redirect", quote(*r)+" is no choice for the redirect to HTTPS", "use auto, on or off")
		}
		d.HTTPSRedirect = *r
	}
	if h := p.HSTS; h != nil {
		if *h < 0 || *h > maxHSTS {
			return Invalid("hsts", "the time of Strict-Transport-Security must be between 0 and two years", "give seconds, such as 31536000 for a year, or 0 to end it")
		}
		d.HSTS = *h
	}
	if v := p.MinTLS; v != nil {
		if *v != "" && *v != "1.2" && *v != "1.3" {
			return Invalid("min_tls", quote(*v)+" is no TLS version that can be asked for", "use 1.2 or 1.3; nothing for the platform's")
		}
		d.MinTLS = *v
	}
	return nil
}
