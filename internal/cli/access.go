package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/client"
)

func (sh *shell) accessCommands() []*cobra.Command {
	return []*cobra.Command{sh.accessCommand(), sh.transferCommand()}
}

func (sh *shell) accessCommand() *cobra.Command {
	group := &cobra.Command{Use: "access", Short: "List who has a role in the app itself", Args: cobra.NoArgs,
		Long: "List who has a role in the app itself, beside the members of its space and org (stead members).",
		RunE: sh.runApp(func(ctx context.Context, c *client.Client, app string, _ []string) error {
			all, err := c.Collaborators(ctx, app)
			if err != nil {
				return err
			}
			rows := make([][]string, len(all))
			for i, v := range all {
				rows[i] = []string{v.Email, string(v.Role)}
			}
			return sh.print(all, func() { sh.table("Nobody has a role in the app alone.", []string{"collaborator", "role"}, rows) })
		})}
	group.AddCommand(sh.addAccessCommand(), sh.removeAccessCommand())
	return group
}

func (sh *shell) addAccessCommand() *cobra.Command {
	var role string
	cmd := &cobra.Command{Use: "add EMAIL", Short: "Give a user a role in the app, or another one", Args: cobra.ExactArgs(1),
		Example: "  stead access add ann@example.com\n  stead access add bob@example.com --role auditor",
		RunE: sh.runApp(func(ctx context.Context, c *client.Client, app string, args []string) error {
			v, err := c.SetCollaborator(ctx, app, args[0], stead.Role(role))
			if err != nil {
				return err
			}
			return sh.print(v, func() { sh.say("%s is %s in %s", v.Email, v.Role, app) })
		})}
	cmd.Flags().StringVar(&role, "role", string(stead.RoleDeveloper), "auditor, developer or admin")
	return cmd
}

func (sh *shell) removeAccessCommand() *cobra.Command {
	return &cobra.Command{Use: "remove EMAIL", Short: "Take a user's role in the app away", Args: cobra.ExactArgs(1),
		RunE: sh.runApp(func(ctx context.Context, c *client.Client, app string, args []string) error {
			if err := c.RemoveCollaborator(ctx, app, args[0]); err != nil {
				return err
			}
			sh.say("%s has no role in %s alone any more", args[0], app)
			return nil
		})}
}

func (sh *shell) transferCommand() *cobra.Command {
	return &cobra.Command{Use: "transfer ORG[/SPACE]", Short: "Move the app to another org or space", Args: cobra.ExactArgs(1),
		Example: "  stead transfer sales\n  stead transfer sales/tests -a shop",
		RunE: sh.runApp(func(ctx context.Context, c *client.Client, app string, args []string) error {
			org, space, _ := strings.Cut(args[0], "/")
			a, err := c.MoveApp(ctx, app, org, space)
			if err != nil {
				return err
			}
			return sh.print(a, func() { sh.say("%s is in %s/%s now", a.Name, a.Org, a.Space) })
		})}
}
