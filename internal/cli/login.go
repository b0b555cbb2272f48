package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/steadpaas/stead"
)

// logins is the file of platforms that the user has logged in to. It holds
// tokens: mode 0600.
type logins struct {
	Current string           `json:"current"` // a URL
	Logins  map[string]login `json:"logins"`  // by URL
}

type login struct {
	URL   string `json:"url"`
	Email string `json:"email,omitempty"`
	Token string `json:"token"`
}

// loginsPath is $STEAD_CONFIG_DIR, else the user's configuration directory.
func (sh *shell) loginsPath() (string, error) {
	if dir := sh.getenv("STEAD_CONFIG_DIR"); dir != "" {
		return filepath.Join(dir, "logins.json"), nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("find a place for the login: %w; set STEAD_CONFIG_DIR", err)
	}
	return filepath.Join(dir, "stead", "logins.json"), nil
}

func (sh *shell) readLogins() (logins, error) {
	l := logins{Logins: map[string]login{}}
	path, err := sh.loginsPath()
	if err != nil {
		return l, err
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err != nil {
		return l, fmt.Errorf("read the login: %w", err)
	}
	if err := json.Unmarshal(data, &l); err != nil {
		return l, stead.Invalid("", path+" is not readable: "+err.Error(), "remove it and log in again: stead login")
	}
	if l.Logins == nil {
		l.Logins = map[string]login{}
	}
	return l, nil
}

func (sh *shell) writeLogins(l logins) error {
	path, err := sh.loginsPath()
	if err != nil {
		return err
	}
	if len(l.Logins) == 0 { // nothing to keep
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("forget the login: %w", err)
		}
		_ = os.Remove(filepath.Dir(path)) // unless something else is in it
		return nil
	}
	data, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("keep the login: %w", err)
	}
	tmp := fmt.Sprintf("%s.%d", path, os.Getpid())
	defer os.Remove(tmp) // unless it was renamed
	if err := os.WriteFile(tmp, data, 0o600); err != nil {
		return fmt.Errorf("keep the login: %w", err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("keep the login: %w", err)
	}
	return nil
}

// login finds the platform and the token: --api or $STEAD_URL, $STEAD_TOKEN,
// else the last login.
func (sh *shell) login() (login, error) {
	l, err := sh.readLogins()
	if err != nil {
		return login{}, err
	}
	at := l.Current
	if u := sh.apiFlag(); u != "" {
		if at, err = cleanURL(u); err != nil {
			return login{}, err
		}
	}
	got := l.Logins[at]
	if t := sh.getenv("STEAD_TOKEN"); t != "" {
		got = login{URL: at, Token: t}
	}
	if got.Token == "" || got.URL == "" {
		return login{}, &stead.Error{Kind: stead.KindUnauthenticated, Msg: "you are not logged in" + onPlatform(at),
			Hint: "stead login --api http://127.0.0.1:7800, with your platform's URL; or set STEAD_URL and STEAD_TOKEN"}
	}
	return got, nil
}

func onPlatform(at string) string {
	if at == "" {
		return ""
	}
	return " at " + at
}

func (sh *shell) apiFlag() string {
	if sh.api != "" {
		return sh.api
	}
	return sh.getenv("STEAD_URL")
}

// scheme is what a platform's address without one means: TLS, but not on this
// machine.
func scheme(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsLoopback() || host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return "http"
	}
	return "https"
}

// cleanURL completes and checks the URL of a platform.
func cleanURL(s string) (string, error) {
	if !strings.Contains(s, "://") {
		s = scheme(s) + "://" + s
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil {
		return "", stead.Invalid("api", fmt.Sprintf("%q is not the URL of a platform", s), "write it as https://stead.example.com or http://127.0.0.1:7800")
	}
	return strings.TrimRight(u.Scheme+"://"+u.Host+u.Path, "/"), nil
}
