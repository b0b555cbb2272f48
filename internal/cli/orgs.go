package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/client"
)

func (sh *shell) orgsCommand() *cobra.Command {
	group := &cobra.Command{Use: "orgs", Short: "List the orgs you are in", Args: cobra.NoArgs,
		RunE: sh.run(func(ctx context.Context, c *client.Client, _ []string) error {
			orgs, err := c.Orgs(ctx)
			if err != nil {
				return err
			}
			rows := make([][]string, len(orgs))
			for i, o := range orgs {
				rows[i] = []string{o.Name, ago(o.CreatedAt), string(o.ID)}
			}
			return sh.print(orgs, func() {
				sh.table("You are in no org. Ask an administrator: stead members add YOU", []string{"org", "made", "id"}, rows)
			})
		})}
	create := &cobra.Command{Use: "create NAME", Short: "Make an org, a tenant, with its default space; for administrators", Args: cobra.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: sh.run(func(ctx context.Context, c *client.Client, args []string) error {
			o, err := c.CreateOrg(ctx, args[0])
			if err != nil {
				return err
			}
			return sh.print(o, func() { sh.say("Made the org %s; next: stead members add EMAIL --org %s", o.Name, o.Name) })
		})}
	group.AddCommand(create)
	return group
}

func (sh *shell) spacesCommand() *cobra.Command {
	var of, in string
	group := &cobra.Command{Use: "spaces", Short: "List the spaces you can see", Args: cobra.NoArgs,
		RunE: sh.run(func(ctx context.Context, c *client.Client, _ []string) error {
			spaces, err := c.Spaces(ctx, of)
			if err != nil {
				return err
			}
			rows := make([][]string, len(spaces))
			for i, s := range spaces {
				rows[i] = []string{s.Org + "/" + s.Name, ago(s.CreatedAt), string(s.ID)}
			}
			return sh.print(spaces, func() {
				sh.table("You can see no space. Ask an administrator: stead members add YOU", []string{"space", "made", "id"}, rows)
			})
		})}
	group.Flags().StringVar(&of, "org", "", "only those of this org")
	create := &cobra.Command{Use: "create NAME", Short: "Make a space in an org; for the org's admins", Args: cobra.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: sh.run(func(ctx context.Context, c *client.Client, args []string) error {
			s, err := c.CreateSpace(ctx, in, args[0])
			if err != nil {
				return err
			}
			return sh.print(s, func() {
				sh.say("Made the space %s/%s; an app in it: stead create --org %s --space %s", s.Org, s.Name, s.Org, s.Name)
			})
		})}
	create.Flags().StringVar(&in, "org", stead.DefaultName, "the org")
	sh.completeOrgFlag(group)
	sh.completeOrgFlag(create)
	group.AddCommand(create)
	return group
}

// seat is an org, or a space of it, in which one is a member.
type seat struct{ org, space string }

func (s seat) String() string {
	if s.space == "" {
		return "the org " + s.org
	}
	return "the space " + s.org + "/" + s.space
}

func (sh *shell) membersCommand() *cobra.Command {
	var at seat
	group := &cobra.Command{Use: "members", Short: "List who has a role in an org or a space", Args: cobra.NoArgs,
		Long: "List who has a role in an org, or with --space in one space of it. A role in the org holds in all its spaces.\n\n" +
			"  auditor     sees everything but config values\n  developer   also pushes, configures, scales, runs\n  admin       also manages members and spaces",
		RunE: sh.run(func(ctx context.Context, c *client.Client, _ []string) error {
			members, err := c.Members(ctx, at.org, at.space)
			if err != nil {
				return err
			}
			rows := make([][]string, len(members))
			for i, m := range members {
				rows[i] = []string{m.Email, string(m.Role)}
			}
			return sh.print(members, func() { sh.table("Nobody has a role in "+at.String()+".", []string{"member", "role"}, rows) })
		})}
	sh.seatFlags(group, &at)
	group.AddCommand(sh.addMemberCommand(), sh.removeMemberCommand())
	return group
}

func (sh *shell) addMemberCommand() *cobra.Command {
	var at seat
	var role string
	cmd := &cobra.Command{Use: "add EMAIL", Short: "Give a user a role, or another one", Args: cobra.ExactArgs(1),
		Example:           "  stead members add ann@example.com\n  stead members add bob@example.com --org sales --space tests --role auditor",
		ValidArgsFunction: sh.completeUsers,
		RunE: sh.run(func(ctx context.Context, c *client.Client, args []string) error {
			m, err := c.SetMember(ctx, at.org, at.space, args[0], stead.Role(role))
			if err != nil {
				return err
			}
			return sh.print(m, func() { sh.say("%s is %s in %s", m.Email, m.Role, at) })
		})}
	sh.seatFlags(cmd, &at)
	cmd.Flags().StringVar(&role, "role", string(stead.RoleDeveloper), "auditor, developer or admin")
	_ = cmd.RegisterFlagCompletionFunc("role", cobra.FixedCompletions(
		[]string{string(stead.RoleAuditor), string(stead.RoleDeveloper), string(stead.RoleAdmin)}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (sh *shell) removeMemberCommand() *cobra.Command {
	var at seat
	cmd := &cobra.Command{Use: "remove EMAIL", Short: "Take a user's role away", Args: cobra.ExactArgs(1),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			return sh.complete(args, func(c *client.Client) ([]string, error) {
				members, err := c.Members(cmd.Context(), at.org, at.space)
				return names(members, func(m stead.Member) string { return m.Email }), err
			})
		},
		RunE: sh.run(func(ctx context.Context, c *client.Client, args []string) error {
			if err := c.RemoveMember(ctx, at.org, at.space, args[0]); err != nil {
				return err
			}
			sh.say("%s has no role in %s any more", args[0], at)
			return nil
		})}
	sh.seatFlags(cmd, &at)
	return cmd
}

func (sh *shell) seatFlags(cmd *cobra.Command, at *seat) {
	cmd.Flags().StringVar(&at.org, "org", stead.DefaultName, "the org")
	cmd.Flags().StringVar(&at.space, "space", "", "a space of it; absent: the whole org")
	sh.completeOrgFlag(cmd)
	sh.completeSpaceFlag(cmd)
}

// completeOrgFlag completes the names of orgs.
func (sh *shell) completeOrgFlag(cmd *cobra.Command) {
	_ = cmd.RegisterFlagCompletionFunc("org", func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return sh.complete(nil, func(c *client.Client) ([]string, error) {
			orgs, err := c.Orgs(cmd.Context())
			return names(orgs, func(o stead.Org) string { return o.Name }), err
		})
	})
}

// completeSpaceFlag completes the names of the spaces of --org.
func (sh *shell) completeSpaceFlag(cmd *cobra.Command) {
	_ = cmd.RegisterFlagCompletionFunc("space", func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return sh.complete(nil, func(c *client.Client) ([]string, error) {
			spaces, err := c.Spaces(cmd.Context(), fmt.Sprint(cmd.Flag("org").Value))
			return names(spaces, func(s stead.Space) string { return s.Name }), err
		})
	})
}
