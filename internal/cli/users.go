package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/client"
)

func (sh *shell) usersCommand() *cobra.Command {
	group := &cobra.Command{Use: "users", Short: "List the platform's users", Args: cobra.NoArgs,
		RunE: sh.run(func(ctx context.Context, c *client.Client, _ []string) error {
			users, err := c.Users(ctx)
			if err != nil {
				return err
			}
			rows := make([][]string, len(users))
			for i, u := range users {
				kind := ""
				if u.Admin {
					kind = "administrator"
				}
				rows[i] = []string{u.Email, safe(u.Name), kind, ago(u.CreatedAt)}
			}
			return sh.print(users, func() { sh.table("No users.", []string{"user", "name", "kind", "made"}, rows) })
		})}
	group.AddCommand(sh.createUserCommand(), sh.removeUserCommand())
	return group
}

func (sh *shell) createUserCommand() *cobra.Command {
	var n stead.NewUser
	var fromStdin bool
	cmd := &cobra.Command{
		Use: "create EMAIL", Short: "Make a user; for administrators of the platform", Args: cobra.ExactArgs(1),
		Long: "Make a user. A password is asked for on a terminal, or read with --password-stdin; with none, the account works by\n" +
			"tokens and SSH keys until stead passwd EMAIL gives it one. Members of an org see its apps: stead members add EMAIL",
		Example:           "  stead users create ann@example.com --name 'Ann Lee'\n  stead members add ann@example.com",
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: sh.run(func(ctx context.Context, c *client.Client, args []string) (err error) {
			n.Email = args[0]
			if fromStdin || tty(sh.in) {
				if n.Password, err = sh.newPassword(fromStdin); err != nil {
					return err
				}
			}
			u, err := c.CreateUser(ctx, n)
			if err != nil {
				return err
			}
			return sh.print(u, func() { sh.say("Made %s; next: stead members add %s", u.Email, u.Email) })
		}),
	}
	cmd.Flags().StringVar(&n.Name, "name", "", "the person's name")
	cmd.Flags().BoolVar(&n.Admin, "admin", false, "an operator, who may do everything everywhere")
	cmd.Flags().BoolVar(&fromStdin, "password-stdin", false, "read the password from standard input")
	return cmd
}

func (sh *shell) removeUserCommand() *cobra.Command {
	var confirm string
	cmd := &cobra.Command{
		Use: "remove EMAIL", Short: "Remove a user with all tokens, keys and memberships; for administrators", Args: cobra.ExactArgs(1),
		ValidArgsFunction: sh.completeUsers,
		RunE: sh.run(func(ctx context.Context, c *client.Client, args []string) (err error) {
			if confirm == "" && tty(sh.in) {
				fmt.Fprintf(sh.err, "This ends every login, token and key of %s.\nType the address to confirm: ", args[0])
				if confirm, err = firstLine(sh.in); err != nil {
					return err
				}
			}
			if confirm != args[0] {
				return usage{fmt.Errorf("%s was not removed: confirm with --confirm %s", args[0], args[0])}
			}
			if err := c.DeleteUser(ctx, args[0]); err != nil {
				return err
			}
			sh.say("Removed %s", args[0])
			return nil
		}),
	}
	cmd.Flags().StringVar(&confirm, "confirm", "", "the user's address")
	return cmd
}

func (sh *shell) passwdCommand() *cobra.Command {
	var fromStdin bool
	cmd := &cobra.Command{
		Use: "passwd [EMAIL]", Short: "Change your password, or as an administrator another user's", Args: cobra.MaximumNArgs(1),
		Long:              "Change your password, or as an administrator another user's. It ends the user's other logins; tokens made with\nstead tokens create go on.",
		ValidArgsFunction: sh.completeUsers,
		RunE: sh.run(func(ctx context.Context, c *client.Client, args []string) error {
			who := first(args)
			if who == "" {
				me, err := c.Me(ctx)
				if err != nil {
					return err
				}
				who = me.Email
			}
			if !fromStdin && !tty(sh.in) {
				return usage{fmt.Errorf("there is no terminal to ask on: use --password-stdin")}
			}
			password, err := sh.newPassword(fromStdin)
			if err != nil {
				return err
			}
			if err := c.SetPassword(ctx, who, password); err != nil {
				return err
			}
			sh.say("The password of %s is changed, and its other logins are ended", who)
			return nil
		}),
	}
	cmd.Flags().BoolVar(&fromStdin, "password-stdin", false, "read the new password from standard input")
	return cmd
}

// newPassword reads a password, on a terminal twice: what is typed is not seen.
func (sh *shell) newPassword(fromStdin bool) (string, error) {
	if fromStdin {
		return firstLine(sh.in)
	}
	one, err := sh.password("New password: ", true)
	if err != nil {
		return "", err
	}
	two, err := sh.password("Once more: ", true)
	if err == nil && one != two {
		err = usage{fmt.Errorf("the two passwords differ; nothing was changed")}
	}
	return one, err
}

// completeUsers completes the addresses of users, which administrators see.
func (sh *shell) completeUsers(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	return sh.complete(args, func(c *client.Client) ([]string, error) {
		users, err := c.Users(cmd.Context())
		return names(users, func(u stead.User) string { return u.Email }), err
	})
}

// complete gives what list returns for the only argument, and nothing when the
// platform does not tell.
func (sh *shell) complete(args []string, list func(*client.Client) ([]string, error)) ([]string, cobra.ShellCompDirective) {
	c, err := sh.client()
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	out, err := list(c)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

func names[T any](all []T, name func(T) string) []string {
	out := make([]string, len(all))
	for i, v := range all {
		out[i] = name(v)
	}
	return out
}
