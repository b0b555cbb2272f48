package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/steadpaas/stead/client"
)

func (sh *shell) domainCommands() []*cobra.Command {
	return []*cobra.Command{sh.domainsCommand(), sh.routesCommand(), sh.pagesCommand()}
}

func (sh *shell) domainsCommand() *cobra.Command {
	group := &cobra.Command{Use: "domains", Short: "List the host names an app answers for", Args: cobra.NoArgs,
		RunE: sh.runApp(func(ctx context.Context, c *client.Client, app string, _ []string) error {
			domains, err := c.Domains(ctx, app)
			if err != nil {
				return err
			}
			rows := make([][]string, len(domains))
			for i, d := range domains {
				kind := "yours"
				if d.Platform {
					kind = "the platform's"
				}
				rows[i] = []string{d.Host, kind, string(d.Certificate), ago(d.CreatedAt)}
			}
			return sh.print(domains, func() { sh.table("No domains.", []string{"domain", "whose", "certificate", "added"}, rows) })
		})}
	add := &cobra.Command{Use: "add HOST", Short: "Have an app answer for a host name", Args: cobra.ExactArgs(1),
		RunE: sh.runApp(func(ctx context.Context, c *client.Client, app string, args []string) error {
			d, err := c.AddDomain(ctx, app, args[0])
			if err != nil {
				return err
			}
			if err := sh.awaitRouted(ctx, c, app); err != nil {
				return err
			}
			return sh.print(d, func() { sh.say("%s answers for %s; point its DNS record at this platform", app, d.Host) })
		})}
	remove := &cobra.Command{Use: "remove HOST", Short: "Give a host name up", Args: cobra.ExactArgs(1),
		RunE: sh.runApp(func(ctx context.Context, c *client.Client, app string, args []string) error {
			if err := c.RemoveDomain(ctx, app, args[0]); err != nil {
				return err
			}
			return sh.awaitRouted(ctx, c, app)
		})}
	group.AddCommand(add, sh.domainSetCommand(), remove)
	return group
}
