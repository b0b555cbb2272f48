package stead

import (
	"regexp"
	"strings"
	"time"
)

// App is what a user owns and deploys. Its name is unique in its space.
type App struct {
	ID          ID        `json:"id"`
	Name        string    `json:"name"`
	SpaceID     ID        `json:"space_id"`
	Space       string    `json:"space"`
	OrgID       ID        `json:"org_id"`
	Org         string    `json:"org"`
	Region      string    `json:"region"`
	URL         string    `json:"url"`         // where its web process answers
	GitURL      string    `json:"git_url"`     // over HTTP
	SSHURL      string    `json:"git_ssh_url"` // over SSH
	Maintenance bool      `json:"maintenance"`
	Routed      bool      `json:"routed"`  // the router serves by every change made so far
	Settled     bool      `json:"settled"` // and what runs is as asked, or will not be: its instances' states say why
	Release     int       `json:"release"` // the version that serves; 0: none yet
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"`
}

// Config is an app's environment variables.
type Config map[string]string

// MaxConfig is the size of all keys and values of an app's Config, in bytes.
const MaxConfig = 64 << 10

var configKey = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)

// CheckConfigKey refuses what cannot be the name of an environment variable
// (POSIX.1-2017, section 8.1), and the names that the platform sets itself.
func CheckConfigKey(key string) error {
	switch {
	case !configKey.MatchString(key):
		return Invalid("config", "config key "+quote(key)+" cannot name an environment variable",
			"use letters, digits and underscores, starting with a letter, such as DATABASE_URL")
	case key == "PORT" || strings.HasPrefix(key, "STEAD_"):
		return Invalid("config", "config key "+key+" is set by the platform",
			"choose another name; PORT and STEAD_* are given to each instance")
	}
	return nil
}

// Check refuses keys and sizes that cannot be given to a process.
func (c Config) Check() error {
	n := 0
	for k, v := range c {
		if err := CheckConfigKey(k); err != nil {
			return err
		}
		if strings.ContainsRune(v, 0) {
			return Invalid("config", "the value of "+k+" contains a NUL byte", "encode binary values, for example as base64")
		}
		n += len(k) + len(v)
	}
	if n > MaxConfig {
		return Invalid("config", "the app's config is larger than 64 KiB", "keep large values in a file or a service")
	}
	return nil
}

// Domain is a host name that an app answers for.
type Domain struct {
	ID        ID        `json:"id"`
	AppID     ID        `json:"app_id"`
	Host      string    `json:"host"`     // lower case; "*.example.com" matches one label
	Platform  bool      `json:"platform"` // made with the app, under the platform's own domain
	CreatedAt time.Time `json:"created_at"`

	AutoTLS       bool              `json:"auto_tls"`              // obtain and renew a certificate, where the platform has an ACME authority
	HTTPSRedirect string            `json:"https_redirect"`        // RedirectAuto, RedirectOn, RedirectOff
	HSTS          Seconds           `json:"hsts"`                  // of Strict-Transport-Security; 0: no such header
	MinTLS        string            `json:"min_tls,omitempty"`     // "1.2" or "1.3"; "": the platform's
	Certificate   CertificateSource `json:"certificate,omitempty"` // of what serves it now
}

var hostGrammar = regexp.MustCompile(`^(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+$`)

// CheckHost refuses what cannot be a domain's host name (RFC 1123, section 2.1,
// lower case, at least two labels, an optional leading "*.").
func CheckHost(field, host string) error {
	if len(host) > 253 || !hostGrammar.MatchString(host) {
		return Invalid(field, quote(host)+" is not a host name", "give a name such as www.example.com or *.example.com, without scheme, port or path")
	}
	return nil
}

// Route sends the requests for a host, below a path, to a process of an app.
type Route struct {
	ID          ID                `json:"id"`
	AppID       ID                `json:"app_id"`
	App         string            `json:"app"`
	Host        string            `json:"host"`
	Path        string            `json:"path"`    // a prefix of whole segments; "/" for all
	Process     string            `json:"process"` // "web"
	StripPrefix bool              `json:"strip_prefix,omitempty"`
	Policy      RoutePolicy       `json:"policy"` // passwords left out
	Passwords   map[string]string `json:"-"`      // of Policy.BasicAuth: bcrypt hashes, by user
}

// CheckPath refuses what cannot be a route's path prefix.
func CheckPath(field, path string) error {
	if !strings.HasPrefix(path, "/") || strings.ContainsAny(path, "?#%\\ \t\r\n\x00") ||
		strings.Contains(path, "//") || strings.Contains(path, "/.") || len(path) > 1024 {
		return Invalid(field, quote(path)+" is not a path", "give a plain path such as /api, starting with a slash")
	}
	return nil
}
