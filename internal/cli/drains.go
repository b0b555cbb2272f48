package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/client"
)

func (sh *shell) drainsCommand() *cobra.Command {
	group := &cobra.Command{Use: "drains", Short: "List where an app's log lines are sent", Args: cobra.NoArgs,
		RunE: sh.runApp(func(ctx context.Context, c *client.Client, app string, _ []string) error {
			all, err := c.Drains(ctx, app)
			if err != nil {
				return err
			}
			rows := make([][]string, len(all))
			for i, d := range all {
				state := "well"
				if d.Error != "" {
					state = d.Error
				} else if d.At == nil {
					state = "nothing sent yet"
				}
				rows[i] = []string{d.URL, fmt.Sprint(d.Delivered), fmt.Sprint(d.Dropped), safe(state), string(d.ID)}
			}
			return sh.print(all, func() {
				sh.table("No drains. Try: stead drains add syslog+tls://logs.example.com:6514", []string{"to", "delivered", "dropped", "state", "id"}, rows)
			})
		})}
	add := &cobra.Command{Use: "add URL", Short: "Send an app's log lines to a URL: https, http, syslog or syslog+tls", Args: cobra.ExactArgs(1),
		RunE: sh.runApp(func(ctx context.Context, c *client.Client, app string, args []string) error {
			d, err := c.AddDrain(ctx, app, stead.NewDrain{URL: args[0]})
			if err != nil {
				return err
			}
			return sh.print(d, func() { sh.say("Lines of %s go to %s", app, d.URL) })
		})}
	remove := &cobra.Command{Use: "remove ID-OR-URL", Short: "End a drain", Args: cobra.ExactArgs(1),
		RunE: sh.runApp(func(ctx context.Context, c *client.Client, app string, args []string) error {
			return c.RemoveDrain(ctx, app, args[0])
		})}
	group.AddCommand(add, remove)
	return group
}
