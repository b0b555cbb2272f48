package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/client"
)

func (sh *shell) platformCommands() []*cobra.Command {
	return []*cobra.Command{sh.statusCommand(), sh.doctorCommand(), sh.versionCommand()}
}

func (sh *shell) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show how the platform does", Args: cobra.NoArgs,
		RunE: sh.run(func(ctx context.Context, c *client.Client, _ []string) error {
			st, err := c.Status(ctx)
			if err != nil {
				return err
			}
			if err := sh.print(st, func() { sh.checks(st.Checks) }); err != nil {
				return err
			}
			if !st.OK {
				return stead.Unavailable("a part of the platform is not well", "the line above says which and what to try", nil)
			}
			return nil
		}),
	}
}

func (sh *shell) checks(checks []stead.Check) {
	for _, ch := range checks {
		mark := sh.paint(green, "ok  ")
		if !ch.OK {
			mark = sh.paint(red, "FAIL")
		}
		fmt.Fprintf(sh.out, "%s  %-18s %s\n", mark, ch.Name, safe(ch.Detail))
	}
}

func (sh *shell) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the versions of this program and of the platform", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			type versions struct {
				Stead    string `json:"stead"`
				Platform string `json:"platform,omitempty"`
			}
			v := versions{Stead: Version}
			if c, err := sh.client(); err == nil {
				ctx, cancel := context.WithTimeout(cmd.Context(), 3*time.Second)
				defer cancel()
				if p, err := c.Version(ctx); err == nil {
					v.Platform = p.Version
				}
			}
			return sh.print(v, func() { sh.fields("stead", v.Stead, "platform", v.Platform) })
		},
	}
}

// doctorCommand looks at everything between the user and a working push.
func (sh *shell) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use: "doctor", Short: "Find what stands between you and a working push", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			checks := sh.diagnose(cmd.Context())
			if err := sh.print(checks, func() { sh.checks(checks) }); err != nil {
				return err
			}
			for _, ch := range checks {
				if !ch.OK {
					return &stead.Error{Kind: stead.KindPrecondition, Msg: ch.Name + ": " + ch.Detail, Hint: "mend the first line that failed; the others may depend on it"}
				}
			}
			return nil
		},
	}
}

func (sh *shell) diagnose(ctx context.Context) []stead.Check {
	var out []stead.Check
	note := func(name string, err error, good string) bool {
		ch := stead.Check{Name: name, OK: err == nil, Detail: good}
		if err != nil {
			ch.Detail = whole(err)
		}
		out = append(out, ch)
		return err == nil
	}
	_, err := exec.LookPath("git")
	note("git", err, "git is installed")
	l, err := sh.login()
	if !note("login", err, l.Email+onPlatform(l.URL)) {
		return out
	}
	c := client.New(l.URL, l.Token)
	me, err := c.Me(ctx)
	if !note("platform", err, l.URL+" answers; you are "+me.Email) {
		return out
	}
	note("clock", clock(ctx, l.URL), "this machine and the platform agree on the time")
	if st, err := c.Status(ctx); note("parts", err, "the platform tells about its parts") {
		for _, ch := range st.Checks {
			out = append(out, stead.Check{Name: ch.Name, OK: ch.OK, Detail: ch.Detail})
		}
	}
	ref, err := sh.appRef(ctx)
	if !note("app", err, ref) {
		return out
	}
	a, err := c.App(ctx, ref)
	if !note("access", err, a.URL) {
		return out
	}
	note("name", resolves(ctx, a.URL), "the app's host name resolves")
	if a.Release > 0 {
		note("answer", answers(ctx, a.URL), a.URL+" answers")
	}
	return out
}

// clockLimit is how far two clocks may differ: tokens and certificates expire
// by one and are made by the other.
const clockLimit = 2 * time.Minute

// clock compares this machine's time with the platform's.
func clock(ctx context.Context, at string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at+"/healthz", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	resp.Body.Close()
	there, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		return nil // a proxy dropped it: nothing to compare
	}
	if off := time.Since(there).Round(time.Second); off.Abs() > clockLimit {
		return fmt.Errorf("this machine's clock differs from the platform's by %v; set both by NTP", off)
	}
	return nil
}

// whole is an error with what to try.
func whole(err error) string {
	if e, ok := errors.AsType[*stead.Error](err); ok && e.Hint != "" {
		return e.Msg + "; try: " + e.Hint
	}
	return err.Error()
}

func resolves(ctx context.Context, at string) error {
	u, err := url.Parse(at)
	if err != nil {
		return err
	}
	if strings.HasSuffix(u.Hostname(), ".localhost") {
		return nil // this machine, by RFC 6761, section 6.3; browsers know that, programs that do not: curl --resolve
	}
	if _, err := net.DefaultResolver.LookupHost(ctx, u.Hostname()); err != nil {
		return fmt.Errorf("%s does not resolve: make a DNS record that points at the platform", u.Hostname())
	}
	return nil
}

// dialLocal connects to this machine for names below .localhost, which not
// every resolver knows.
func dialLocal(ctx context.Context, network, address string) (net.Conn, error) {
	if host, port, err := net.SplitHostPort(address); err == nil && strings.HasSuffix(host, ".localhost") {
		address = net.JoinHostPort("localhost", port)
	}
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

func answers(ctx context.Context, at string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return err
	}
	c := &http.Client{Transport: &http.Transport{DialContext: dialLocal, DisableKeepAlives: true}}
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 500 {
		return fmt.Errorf("%s answered %s; see stead logs", at, resp.Status)
	}
	return nil
}
