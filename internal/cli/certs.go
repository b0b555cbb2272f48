package cli

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/client"
)

func (sh *shell) certCommands() []*cobra.Command {
	group := &cobra.Command{Use: "certs", Short: "List the TLS certificates of an app", Args: cobra.NoArgs,
		RunE: sh.runApp(func(ctx context.Context, c *client.Client, app string, _ []string) error {
			all, err := c.Certificates(ctx, app)
			if err != nil {
				return err
			}
			return sh.print(all, func() { sh.certTable(all) })
		})}
	group.AddCommand(sh.certAddCommand(), sh.certInfoCommand(), sh.certAutoCommand(), sh.certRenewCommand(), sh.certRemoveCommand(),
		sh.certPlatformCommand(), sh.certAuthorityCommand())
	return []*cobra.Command{group}
}

func (sh *shell) certTable(all []stead.Certificate) {
	rows := make([][]string, len(all))
	for i, c := range all {
		state, ends := string(c.State), ""
		if c.Reason != "" {
			state += ": " + c.Reason
		}
		if c.NotAfter != nil {
			ends = c.NotAfter.Format(time.DateOnly)
		}
		rows[i] = []string{strings.Join(c.Names, " "), string(c.Source), ends, state, string(c.ID)}
	}
	sh.table("No certificates; hosts are served with one by the platform's own authority (stead certs ca).",
		[]string{"names", "source", "expires", "state", "id"}, rows)
}

func (sh *shell) certAddCommand() *cobra.Command {
	return &cobra.Command{Use: "add CHAIN KEY", Short: "Serve the app's hosts with a certificate of your own", Args: cobra.ExactArgs(2),
		Long:    "Serve the app's hosts with a certificate of your own. CHAIN is a PEM file with the certificate and its\nintermediates, KEY one with its private key, which is stored sealed and never shown again.",
		Example: "  stead certs add fullchain.pem privkey.pem",
		RunE: sh.runApp(func(ctx context.Context, c *client.Client, app string, args []string) error {
			chain, err := readPEM("chain", args[0])
			if err != nil {
				return err
			}
			key, err := readPEM("key", args[1])
			if err != nil {
				return err
			}
			got, err := c.AddCertificate(ctx, app, stead.NewCertificate{Chain: chain, Key: key})
			if err != nil {
				return err
			}
			return sh.print(got, func() {
				sh.say("%s serves %s with this certificate until %s", app, strings.Join(got.Names, ", "), got.NotAfter.Format(time.DateOnly))
			})
		})}
}

func readPEM(field, name string) (string, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return "", stead.Invalid(field, "cannot read "+name+": "+err.Error(), "give the path of a PEM file")
	}
	return string(b), nil
}

func (sh *shell) certInfoCommand() *cobra.Command {
	return &cobra.Command{Use: "info HOST|ID", Short: "Show a certificate", Args: cobra.ExactArgs(1),
		RunE: sh.runApp(func(ctx context.Context, c *client.Client, app string, args []string) error {
			got, err := c.Certificate(ctx, app, args[0])
			if err != nil {
				return err
			}
			return sh.print(got, func() { sh.certDetails(got) })
		})}
}

func (sh *shell) certDetails(c stead.Certificate) {
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(sh.out, "%-12s %s\n", name, value)
		}
	}
	when := func(t *time.Time) string {
		if t == nil {
			return ""
		}
		return t.Format(time.RFC3339)
	}
	line("names", strings.Join(c.Names, " "))
	line("source", string(c.Source))
	line("state", string(c.State))
	line("issuer", c.Issuer)
	line("valid from", when(c.NotBefore))
	line("expires", when(c.NotAfter))
	line("sha-256", c.Fingerprint)
	line("next attempt", when(c.NextAt))
	line("reason", c.Reason)
	line("id", string(c.ID))
}

func (sh *shell) certAutoCommand() *cobra.Command {
	return &cobra.Command{Use: "auto on|off [HOST]", Short: "Have the platform obtain and renew certificates, or not", Args: cobra.RangeArgs(1, 2),
		Long: "Have the platform obtain and renew certificates by ACME, or not: for one host, or for all of the app. It is on by\ndefault where the platform has an authority; a certificate that you add comes first.",
		RunE: sh.runApp(func(ctx context.Context, c *client.Client, app string, args []string) error {
			if args[0] != "on" && args[0] != "off" {
				return usage{fmt.Errorf("say on or off, not %q", args[0])}
			}
			hosts := args[1:]
			if len(hosts) == 0 {
				all, err := c.Domains(ctx, app)
				if err != nil {
					return err
				}
				for _, d := range all {
					hosts = append(hosts, d.Host)
				}
			}
			changed := []stead.Domain{}
			for _, h := range hosts {
				d, err := c.UpdateDomain(ctx, app, h, stead.DomainPatch{AutoTLS: new(args[0] == "on")})
				if err != nil {
					return err
				}
				changed = append(changed, d)
			}
			return sh.print(changed, func() { sh.say("certificates for %s: automatic %s", strings.Join(hosts, ", "), args[0]) })
		})}
}

func (sh *shell) certRenewCommand() *cobra.Command {
	return &cobra.Command{Use: "renew HOST|ID", Short: "Renew a certificate that the platform obtains now", Args: cobra.ExactArgs(1),
		RunE: sh.runApp(func(ctx context.Context, c *client.Client, app string, args []string) error {
			got, err := c.RenewCertificate(ctx, app, args[0])
			if err != nil {
				return err
			}
			return sh.print(got, func() { sh.say("renewing; stead certs info %s shows how it goes", got.Host) })
		})}
}

func (sh *shell) certRemoveCommand() *cobra.Command {
	return &cobra.Command{Use: "remove HOST|ID", Short: "Remove a certificate that you added", Args: cobra.ExactArgs(1),
		RunE: sh.runApp(func(ctx context.Context, c *client.Client, app string, args []string) error {
			return c.RemoveCertificate(ctx, app, args[0])
		})}
}

func (sh *shell) certPlatformCommand() *cobra.Command {
	return &cobra.Command{Use: "platform", Short: "List the certificates of the platform's own hosts", Args: cobra.NoArgs,
		RunE: sh.run(func(ctx context.Context, c *client.Client, _ []string) error {
			all, err := c.PlatformCertificates(ctx)
			if err != nil {
				return err
			}
			return sh.print(all, func() { sh.certTable(all) })
		})}
}

func (sh *shell) certAuthorityCommand() *cobra.Command {
	return &cobra.Command{Use: "ca", Short: "Print the root of the platform's own authority, for browsers to trust", Args: cobra.NoArgs,
		Example: "  stead certs ca > stead-ca.pem",
		RunE: sh.run(func(ctx context.Context, c *client.Client, _ []string) error {
			a, err := c.Authority(ctx)
			if err != nil {
				return err
			}
			return sh.print(a, func() {
				fmt.Fprint(sh.out, a.Certificate)
				sh.say("SHA-256 %s, until %s", a.Fingerprint, a.NotAfter.Format(time.DateOnly))
			})
		})}
}

// domainSetCommand changes how a host is reached over TLS.
func (sh *shell) domainSetCommand() *cobra.Command {
	var redirect, tls string
	var hsts int
	cmd := &cobra.Command{Use: "set HOST", Short: "Change how a host is reached: redirect to HTTPS, HSTS, least TLS version", Args: cobra.ExactArgs(1)}
	f := cmd.Flags()
	f.StringVar(&redirect, "https-redirect", "", "on, off, or auto: when a certificate that browsers trust serves it")
	f.IntVar(&hsts, "hsts", 0, "seconds of Strict-Transport-Security; 0 ends it")
	f.StringVar(&tls, "tls-min", "", "1.2 or 1.3; empty: the platform's")
	cmd.RunE = sh.runApp(func(ctx context.Context, c *client.Client, app string, args []string) error {
		var p stead.DomainPatch
		if f.Changed("https-redirect") {
			p.HTTPSRedirect = &redirect
		}
		if f.Changed("hsts") {
			p.HSTS = new(stead.Seconds(hsts))
		}
		if f.Changed("tls-min") {
			p.MinTLS = &tls
		}
		if p == (stead.DomainPatch{}) {
			return usage{fmt.Errorf("nothing to change; see stead domains set --help")}
		}
		d, err := c.UpdateDomain(ctx, app, args[0], p)
		if err != nil {
			return err
		}
		return sh.print(d, func() {
			sh.say("%s: redirect to HTTPS %s, HSTS %d s, TLS from %s", d.Host, d.HTTPSRedirect, d.HSTS, orPlatform(d.MinTLS))
		})
	})
	return cmd
}

func orPlatform(v string) string {
	if v == "" {
		return "the platform's version"
	}
	return v
}
