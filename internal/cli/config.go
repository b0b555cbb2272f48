package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/client"
)

func (sh *shell) configCommands() []*cobra.Command {
	group := &cobra.Command{Use: "config", Short: "Show an app's config", Args: cobra.NoArgs,
		RunE: sh.runApp(func(ctx context.Context, c *client.Client, app string, _ []string) error {
			cfg, err := c.Config(ctx, app)
			if err != nil {
				return err
			}
			return sh.print(cfg, func() {
				for _, k := range slices.Sorted(maps.Keys(cfg)) {
					fmt.Fprintf(sh.out, "%s=%s\n", k, safe(cfg[k]))
				}
			})
		})}
	get := &cobra.Command{Use: "get KEY", Short: "Print one value", Args: cobra.ExactArgs(1),
		RunE: sh.runApp(func(ctx context.Context, c *client.Client, app string, args []string) error {
			cfg, err := c.Config(ctx, app)
			if err != nil {
				return err
			}
			v, ok := cfg[args[0]]
			if !ok {
				return &stead.Error{Kind: stead.KindNotFound, Msg: fmt.Sprintf("%s has no config key %q", app, args[0]), Hint: "stead config shows the keys there are"}
			}
			return sh.print(map[string]string{args[0]: v}, func() { fmt.Fprintln(sh.out, v) })
		})}
	var noWait bool
	set := &cobra.Command{Use: "set KEY=VALUE ...", Short: "Set values; makes one release", Args: cobra.MinimumNArgs(1),
		RunE: sh.runApp(func(ctx context.Context, c *client.Client, app string, args []string) error {
			change := map[string]*string{}
			for _, a := range args {
				k, v, ok := strings.Cut(a, "=")
				if !ok {
					return stead.Invalid("config", fmt.Sprintf("%q is not KEY=VALUE", a), fmt.Sprintf("write %s=value, or remove it: stead config unset %s", a, a))
				}
				change[k] = &v
			}
			return sh.changeConfig(ctx, c, app, change, noWait)
		})}
	unset := &cobra.Command{Use: "unset KEY ...", Short: "Remove values; makes one release", Args: cobra.MinimumNArgs(1),
		RunE: sh.runApp(func(ctx context.Context, c *client.Client, app string, args []string) error {
			cfg, err := c.Config(ctx, app)
			if err != nil {
				return err
			}
			change := map[string]*string{}
			for _, k := range args {
				if _, ok := cfg[k]; !ok {
					return &stead.Error{Kind: stead.KindNotFound, Msg: fmt.Sprintf("%s has no config key %q; nothing was changed", app, k), Hint: "stead config shows the keys there are"}
				}
				change[k] = nil
			}
			return sh.changeConfig(ctx, c, app, change, noWait)
		})}
	for _, cmd := range []*cobra.Command{set, unset} {
		cmd.Flags().BoolVar(&noWait, "no-wait", false, "do not wait until the release is live")
	}
	group.AddCommand(get, set, unset)
	return []*cobra.Command{group}
}

func (sh *shell) changeConfig(ctx context.Context, c *client.Client, app string, change map[string]*string, noWait bool) error {
	_, rel, err := c.SetConfig(ctx, app, change)
	if err != nil {
		return err
	}
	keys := strings.Join(slices.Sorted(maps.Keys(change)), ", ")
	if rel.Version == 0 {
		sh.say("Config %s is set; the first push will use it", keys)
		return sh.print(rel, func() {})
	}
	return sh.followRelease(ctx, c, app, rel, noWait)
}
