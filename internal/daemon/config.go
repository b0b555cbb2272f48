// Package daemon wires the platform together by hand and runs it. It is the
// only package that knows every other.
package daemon

import (
	"bufio"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build"
	"github.com/steadpaas/stead/internal/build/mirror"
)

// Config is the operator's settings. Each has a flag, an environment variable
// and a line in the settings file; the first of these that is given holds.
type Config struct {
	Data       string // everything that Stead keeps
	Domain     string // apps answer at <app>.<Domain>
	HTTP       string // the router's plain listener
	HTTPS      string // the router's TLS listener; "off": none
	API        string // the control plane's listener
	SSH        string // git and run over SSH; "off": none
	Database   string // "": SQLite below Data; else postgres://…
	Engine     string // "containerd" or "fake"
	Containerd string // address of the machine's own containerd; "": a private one
	Subnets    string // candidates for the instances' network, comma-separated prefixes
	StackCache string // where base images are shared between platforms of one machine
	BinDir     string // where containerd, its shim, runc and buildkitd are
	Builds     int    // builds at a time
	BuildMem   int    // MiB that all builds together may use
	Offline    bool   // instances may not reach public addresses
	Registries string // hosts of other registries that ready images and Dockerfile bases may come from; "*": any
	Mirrors    string // where builds fetch packages and images, over what the host is configured to use
	PublicURL  string // of the API, as people reach it; "": by the listener's address
	Egress     string // networks that drains and webhooks may call although they are refused otherwise
	LogLevel   string

	ACME       string // "off", "letsencrypt", "letsencrypt-staging", or a directory's URL
	ACMEEmail  string // told of trouble by the authority
	ACMEEAB    string // file with key id and MAC of an external account binding
	ACMECA     string // file with the roots that vouch for the directory
	ACMEDNS    string // host:port of the zone's primary, for DNS-01 by RFC 2136
	ACMEDNSKey string // file with its TSIG key, as tsig-keygen writes it
	TLSMin     string // least TLS version for every host: "1.2" or "1.3"
	APITLS     string // "off" or "on": TLS on the API's listener
	RouterUser string // whom the router becomes once its sockets are bound: a name, a number, or "root"
}

// setting ties the three names of one setting together.
type setting struct {
	Name  string // of the flag; the variable is STEAD_ + upper case with "_"
	Usage string
	Value pflag.Value
}

// settings lists all settings.
func (c *Config) settings() []setting {
	return []setting{
		{"data", "directory of everything that Stead keeps", text{&c.Data}},
		{"domain", "apps answer at <app>.DOMAIN", text{&c.Domain}},
		{"http", "address of the router's plain listener", text{&c.HTTP}},
		{"https", "address of the router's TLS listener, or off", text{&c.HTTPS}},
		{"api", "address of the control plane's API", text{&c.API}},
		{"public-url", "URL of the API as people reach it, as https://stead.example.com; empty: the API's address", text{&c.PublicURL}},
		{"ssh", "address for git and run over SSH, or off", text{&c.SSH}},
		{"database", "postgres://… to share state between control planes; empty: SQLite in the data directory", text{&c.Database}},
		{"engine", "what runs the apps: containerd, or fake (in memory, for trying the API)", text{&c.Engine}},
		{"containerd", "address of the machine's own containerd; empty: a private one", text{&c.Containerd}},
		{"subnets", "candidates for the instances' network, as 10.210.0.0/20,…; empty: chosen clear of the host's routes", text{&c.Subnets}},
		{"offline", "instances may not reach public addresses", boolean{&c.Offline}},
		{"builds", "builds at a time", whole{&c.Builds}},
		{"build-memory", "MiB that all builds together may use", whole{&c.BuildMem}},
		{"registries", "hosts of other registries that ready images and Dockerfile bases may come from, comma-separated; *: any", text{&c.Registries}},
		{"mirrors", "where builds fetch from, as npm=https://… goproxy=https://… docker.io=mirror.example.com; else as the host is configured; NAME=public: the public source", text{&c.Mirrors}},
		{"stack-cache", "directory of base images, shared by the platforms of a machine", text{&c.StackCache}},
		{"bin", "directory of containerd, its shim, runc and buildkitd; empty: where steadd is", text{&c.BinDir}},
		{"egress-allow", "networks that drains and webhooks may call although they belong to this machine, as 127.0.0.1/32,…", text{&c.Egress}},
		{"acme", "authority that certificates are obtained from: letsencrypt, letsencrypt-staging or the URL of a directory; off: none. Naming one agrees to its terms of service", text{&c.ACME}},
		{"acme-email", "address that the authority may write to", text{&c.ACMEEmail}},
		{"acme-eab", "file with the key id and the MAC key of an external account binding", text{&c.ACMEEAB}},
		{"acme-ca", "file with the root certificates that vouch for the authority's directory; empty: the machine's", text{&c.ACMECA}},
		{"acme-dns", "host:port of the zones' primary name server, to prove names by DNS-01 with updates (RFC 2136); empty: HTTP-01 and TLS-ALPN-01", text{&c.ACMEDNS}},
		{"acme-dns-key", "file with the TSIG key of these updates, as tsig-keygen writes it", text{&c.ACMEDNSKey}},
		{"tls-min", "least TLS version for every host: 1.2 or 1.3", text{&c.TLSMin}},
		{"router-user", "user that the router becomes once its sockets are bound: a name or a number; root: it keeps its rights", text{&c.RouterUser}},
		{"api-tls", "TLS on the API's listener: on or off", text{&c.APITLS}},
		{"log-level", "debug, info, warn or error", text{&c.LogLevel}},
	}
}

// The kinds of value of a setting; each is a pflag.Value.
type (
	text    struct{ p *string }
	whole   struct{ p *int }
	boolean struct{ p *bool }
)

func (v text) String() string     { return *v.p }
func (v text) Set(s string) error { *v.p = s; return nil }
func (v text) Type() string       { return "string" }

func (v whole) String() string { return strconv.Itoa(*v.p) }
func (v whole) Type() string   { return "number" }
func (v whole) Set(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return fmt.Errorf("%q is not a whole number above 0", s)
	}
	*v.p = n
	return nil
}

func (v boolean) String() string { return strconv.FormatBool(*v.p) }
func (v boolean) Type() string   { return "bool" }
func (v boolean) Set(s string) error {
	b, err := strconv.ParseBool(s)
	if err != nil {
		return fmt.Errorf("%q is neither true nor false", s)
	}
	*v.p = b
	return nil
}

// Defaults are the settings of a platform that nobody configured.
func Defaults() Config {
	return Config{
		Data: "/var/lib/stead", Domain: "stead.localhost", HTTP: ":8080", HTTPS: ":8443", API: "127.0.0.1:7800", SSH: ":2222",
		Engine: "containerd", StackCache: "/var/cache/stead", Builds: 2, BuildMem: 4096, LogLevel: "info", ACME: "off", TLSMin: "1.2", APITLS: "off", RouterUser: "stead-router",
	}
}

// registries lists the other registries that may be used.
func (c *Config) registries() (hosts []string) {
	for h := range strings.SplitSeq(c.Registries, ",") {
		if h = strings.TrimSpace(h); h != "" {
			hosts = append(hosts, h)
		}
	}
	return hosts
}

// mirrors are where builds fetch from: as the operator says, else as the host
// itself does.
func (c *Config) mirrors() build.Mirrors {
	set, err := build.ParseMirrors(c.Mirrors)
	if err != nil {
		set = nil // Check has refused it
	}
	return set.Over(mirror.Host(os.DirFS("/"), os.Getenv))
}

// variable names the environment variable of a setting.
func variable(name string) string {
	return "STEAD_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// load fills c from the settings file and then from the environment.
func (c *Config) load(file string, getenv func(string) string) error {
	fromFile, err := readSettings(file)
	if err != nil {
		return err
	}
	for _, s := range c.settings() {
		name := variable(s.Name)
		v, ok := fromFile[name]
		if e := getenv(name); e != "" {
			v, ok = e, true
		}
		if !ok {
			continue
		}
		if err := s.Value.Set(v); err != nil {
			return stead.Invalid(s.Name, name+": "+err.Error(), s.Usage)
		}
	}
	return nil
}

// readSettings reads lines of NAME=value; a missing file is an empty one.
func readSettings(path string) (map[string]string, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read settings: %w", err)
	}
	defer f.Close()
	out := map[string]string{}
	known := map[string]bool{}
	for _, s := range new(Config).settings() {
		known[variable(s.Name)] = true
	}
	for in, n := bufio.NewScanner(f), 1; in.Scan(); n++ {
		line := strings.TrimSpace(in.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok || !known[name] {
			return nil, stead.Invalid(path, fmt.Sprintf("%s line %d is not a setting: %q", path, n, line),
				"write NAME=value with a name from steadd serve --help, such as STEAD_DOMAIN=apps.example.com")
		}
		out[name] = strings.Trim(value, `"`)
	}
	return out, nil
}

// Check refuses settings that cannot work, naming the first.
func (c *Config) Check() error {
	if err := stead.CheckHost("domain", c.Domain); err != nil {
		return err
	}
	for name, addr := range map[string]string{"http": c.HTTP, "https": c.HTTPS, "api": c.API, "ssh": c.SSH} {
		if addr == "off" && (name == "https" || name == "ssh") {
			continue
		}
		if _, _, err := net.SplitHostPort(addr); err != nil {
			return stead.Invalid(name, fmt.Sprintf("%s is %q, which is not an address", variable(name), addr), "write host:port or :port, such as :8080")
		}
	}
	if c.Engine != "containerd" && c.Engine != "fake" {
		return stead.Invalid("engine", fmt.Sprintf("there is no engine %q", c.Engine), "use containerd or fake")
	}
	if _, err := c.prefixes(); err != nil {
		return err
	}
	if err := c.checkTLS(); err != nil {
		return err
	}
	if _, err := build.ParseMirrors(c.Mirrors); err != nil {
		return err
	}
	abs, err := filepath.Abs(c.Data)
	if err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	c.Data = abs
	if len(abs) > 60 {
		return stead.Invalid("data", "the data directory's path is longer than 60 bytes", "choose a shorter one; Unix sockets below it have short names")
	}
	return nil
}

func (c *Config) prefixes() ([]netip.Prefix, error) {
	var out []netip.Prefix
	for s := range strings.SplitSeq(c.Subnets, ",") {
		if s = strings.TrimSpace(s); s == "" {
			continue
		}
		p, err := netip.ParsePrefix(s)
		if err != nil || !p.Addr().Is4() || p.Bits() > 24 || p.Bits() < 12 {
			return nil, stead.Invalid("subnets", fmt.Sprintf("%q is not a usable subnet", s), "give IPv4 prefixes from /12 to /24, such as 10.210.0.0/20")
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

// egressAllowed are the networks of the setting egress-allow.
func (c *Config) egressAllowed() ([]netip.Prefix, error) {
	var out []netip.Prefix
	for s := range strings.SplitSeq(c.Egress, ",") {
		if s = strings.TrimSpace(s); s == "" {
			continue
		}
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, stead.Invalid("egress-allow", fmt.Sprintf("%q is not a network", s), "give prefixes such as 10.1.0.0/16 or 127.0.0.1/32")
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

// id names the platform on its machine: in interfaces, tables and cgroups. Two
// platforms have two data directories, and so two ids.
func (c *Config) id() string {
	sum := sha256.Sum256([]byte(c.Data))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:])[:5])
}

// Paths below the data directory.
func (c *Config) path(parts ...string) string {
	return filepath.Join(append([]string{c.Data}, parts...)...)
}

// appURL gives the URL that people use for a host.
func (c *Config) appURL(host string) string {
	_, port, err := net.SplitHostPort(c.HTTP)
	if err != nil || port == "80" {
		return "http://" + host
	}
	return "http://" + net.JoinHostPort(host, port)
}

// apiURL is the API's URL as people reach it.
func (c *Config) apiURL() string {
	if c.PublicURL != "" {
		return strings.TrimRight(c.PublicURL, "/")
	}
	if c.APITLS == "on" {
		return "https://" + reachable(c.API)
	}
	return "http://" + reachable(c.API)
}

// sshHost is the address of the SSH listener as clients write it.
func (c *Config) sshHost() string {
	u, err := url.Parse(c.PublicURL)
	_, port, perr := net.SplitHostPort(c.SSH)
	if c.PublicURL == "" || err != nil || perr != nil {
		return reachable(c.SSH)
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// reachable turns a listener's address into one that a client on this machine
// can use.
func reachable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}
