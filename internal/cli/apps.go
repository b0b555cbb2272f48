package cli

import (
	"context"
	"fmt"
	"os/exec"
	"runtime"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/client"
)

func (sh *shell) appCommands() []*cobra.Command {
	return []*cobra.Command{sh.createCommand(), sh.appsCommand(), sh.infoCommand(), sh.renameCommand(),
		sh.maintenanceCommand(), sh.destroyCommand(), sh.openCommand()}
}

func (sh *shell) createCommand() *cobra.Command {
	var n stead.NewApp
	var noRemote, ssh bool
	cmd := &cobra.Command{
		Use: "create [NAME]", Short: "Create an app, and its git remote in this folder", Args: cobra.MaximumNArgs(1),
		RunE: sh.run(func(ctx context.Context, c *client.Client, args []string) error {
			if len(args) > 0 {
				n.Name = args[0]
			}
			a, err := c.CreateApp(ctx, n)
			if err != nil {
				return err
			}
			sh.say("Created %s", sh.paint(bold, a.Name))
			if !noRemote && sh.inRepository(ctx) {
				if err := sh.addRemote(ctx, c, a, ssh); err != nil {
					return err
				}
			}
			return sh.print(a, func() { fmt.Fprintln(sh.out, a.URL) })
		}),
	}
	cmd.Flags().StringVar(&n.Space, "space", "", "the space it lives in")
	cmd.Flags().StringVar(&n.Org, "org", "", "the org of that space")
	cmd.Flags().StringVar(&n.Region, "region", "", "where it runs")
	cmd.Flags().BoolVar(&noRemote, "no-remote", false, "leave this folder's git remotes alone")
	cmd.Flags().BoolVar(&ssh, "ssh", false, "push over SSH with your key")
	sh.completeOrgFlag(cmd)
	sh.completeSpaceFlag(cmd)
	return cmd
}

func (sh *shell) appsCommand() *cobra.Command {
	var org, space string
	cmd := &cobra.Command{
		Use: "apps", Short: "List the apps you can see", Args: cobra.NoArgs,
		RunE: sh.run(func(ctx context.Context, c *client.Client, _ []string) error {
			apps, err := c.Apps(ctx, org, space)
			if err != nil {
				return err
			}
			rows := make([][]string, len(apps))
			for i, a := range apps {
				rows[i] = []string{place(a) + a.Name, release(a.Release), a.URL, ago(a.UpdatedAt)}
			}
			return sh.print(apps, func() { sh.table("No apps yet. Try: stead create", []string{"app", "release", "url", "changed"}, rows) })
		}),
	}
	cmd.Flags().StringVar(&space, "space", "", "only those of this space")
	cmd.Flags().StringVar(&org, "org", "", "only those of this org")
	sh.completeOrgFlag(cmd)
	sh.completeSpaceFlag(cmd)
	return cmd
}

// place shows org and space where they are not the default ones.
func place(a stead.App) string {
	switch {
	case a.Org != stead.DefaultName && a.Org != "":
		return a.Org + "/" + a.Space + "/"
	case a.Space != stead.DefaultName && a.Space != "":
		return a.Space + "/"
	}
	return ""
}

func release(v int) string {
	if v == 0 {
		return "-"
	}
	return "v" + strconv.Itoa(v)
}

func (sh *shell) infoCommand() *cobra.Command {
	return &cobra.Command{
		Use: "info", Short: "Show an app", Args: cobra.NoArgs,
		RunE: sh.runApp(func(ctx context.Context, c *client.Client, app string, _ []string) error {
			a, err := c.App(ctx, app)
			if err != nil {
				return err
			}
			maintenance := ""
			if a.Maintenance {
				maintenance = "on: requests are answered with 503"
			}
			return sh.print(a, func() {
				sh.fields("app", place(a)+a.Name, "url", a.URL, "release", release(a.Release), "maintenance", maintenance,
					"git", gitURL(c.URL(), a.GitURL), "git over SSH", sshURL(c.URL(), a.SSHURL), "region", a.Region, "created", ago(a.CreatedAt), "id", string(a.ID))
			})
		}),
	}
}

func (sh *shell) renameCommand() *cobra.Command {
	return &cobra.Command{
		Use: "rename NAME", Short: "Give an app another name and URL", Args: cobra.ExactArgs(1),
		RunE: sh.runApp(func(ctx context.Context, c *client.Client, app string, args []string) error {
			a, err := c.UpdateApp(ctx, app, stead.AppPatch{Name: &args[0]})
			if err != nil {
				return err
			}
			if to, err := sh.git(ctx, "remote", "get-url", "--", remoteName); err == nil && appOfRemote(to) == app {
				if err := sh.addRemote(ctx, c, a, strings.HasPrefix(to, "ssh://")); err != nil {
					return err
				}
			}
			if err := sh.awaitRouted(ctx, c, string(a.ID)); err != nil {
				return err
			}
			return sh.print(a, func() { fmt.Fprintln(sh.out, a.URL) })
		}),
	}
}

func (sh *shell) maintenanceCommand() *cobra.Command {
	return &cobra.Command{
		Use: "maintenance on|off", Short: "Answer every request with a maintenance page, or stop doing so",
		Args: cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs), ValidArgs: []string{"on", "off"},
		RunE: sh.runApp(func(ctx context.Context, c *client.Client, app string, args []string) error {
			on := args[0] == "on"
			a, err := c.UpdateApp(ctx, app, stead.AppPatch{Maintenance: &on})
			if err != nil {
				return err
			}
			if err := sh.awaitRouted(ctx, c, string(a.ID)); err != nil {
				return err
			}
			return sh.print(a, func() { sh.say("Maintenance of %s is %s", a.Name, args[0]) })
		}),
	}
}

func (sh *shell) destroyCommand() *cobra.Command {
	var confirm string
	cmd := &cobra.Command{
		Use: "destroy", Short: "Destroy an app with all its releases, config and logs", Args: cobra.NoArgs,
		RunE: sh.runApp(func(ctx context.Context, c *client.Client, app string, _ []string) error {
			a, err := c.App(ctx, app)
			if err != nil {
				return err
			}
			if err := sh.confirmed(confirm, a.Name, "This destroys "+a.Name+", its releases, config and logs, for ever."); err != nil {
				return err
			}
			if err := c.DestroyApp(ctx, string(a.ID)); err != nil {
				return err
			}
			sh.say("Destroyed %s", a.Name)
			return nil
		}),
	}
	cmd.Flags().StringVar(&confirm, "confirm", "", "the app's name")
	return cmd
}

func (sh *shell) openCommand() *cobra.Command {
	var print bool
	cmd := &cobra.Command{
		Use: "open", Short: "Open an app in the browser", Args: cobra.NoArgs,
		RunE: sh.runApp(func(ctx context.Context, c *client.Client, app string, _ []string) error {
			a, err := c.App(ctx, app)
			if err != nil {
				return err
			}
			program := map[string]string{"darwin": "open", "windows": "explorer"}[runtime.GOOS]
			if program == "" {
				program = "xdg-open"
			}
			if _, err := exec.LookPath(program); err != nil || print || !tty(sh.out) {
				fmt.Fprintln(sh.out, a.URL)
				return nil
			}
			return exec.CommandContext(ctx, program, a.URL).Run()
		}),
	}
	cmd.Flags().BoolVar(&print, "print", false, "only print the URL")
	return cmd
}

// confirmed fails unless the name of what is to be destroyed was given, by
// --confirm or, asked for on a terminal, by hand.
func (sh *shell) confirmed(given, name, warning string) (err error) {
	if given == "" && tty(sh.in) {
		fmt.Fprintf(sh.err, "%s\nType its name to confirm: ", warning)
		if given, err = firstLine(sh.in); err != nil {
			return err
		}
	}
	if given != name {
		return usage{fmt.Errorf("%s was not destroyed: confirm with --confirm %s", name, name)}
	}
	return nil
}
