package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/client"
)

func (sh *shell) routesCommand() *cobra.Command {
	group := &cobra.Command{Use: "routes", Short: "List which requests go to which process, and how", Args: cobra.NoArgs,
		Long: "List the routes of an app. A route sends the requests for a host, below a path, to a process; its policy can\n" +
			"split them between processes, limit them, ask for a password, or send them elsewhere.",
		RunE: sh.runApp(func(ctx context.Context, c *client.Client, app string, _ []string) error {
			routes, err := c.Routes(ctx, app)
			if err != nil {
				return err
			}
			rows := make([][]string, len(routes))
			for i, r := range routes {
				rows[i] = []string{r.Host + r.Path, destinations(r), strings.Join(policyWords(r), ", "), string(r.ID)}
			}
			return sh.print(routes, func() { sh.table("No routes.", []string{"requests for", "go to", "policy", "id"}, rows) })
		})}
	group.AddCommand(sh.addRouteCommand(), sh.setRouteCommand(), sh.removeRouteCommand())
	return group
}

func (sh *shell) addRouteCommand() *cobra.Command {
	var n stead.NewRoute
	var flags policyFlags
	cmd := &cobra.Command{Use: "add HOST[/PATH]", Short: "Send the requests for a host, below a path, to a process", Args: cobra.ExactArgs(1)}
	cmd.RunE = sh.runApp(func(ctx context.Context, c *client.Client, app string, args []string) error {
		host, path, ok := strings.Cut(args[0], "/")
		if n.Host = host; ok && n.Path == "/" {
			n.Path = "/" + path
		}
		if err := sh.applyPolicy(cmd, &flags, &n.Policy); err != nil {
			return err
		}
		r, err := c.AddRoute(ctx, app, n)
		if err != nil {
			return err
		}
		return sh.routeSaid(ctx, c, app, r)
	})
	cmd.Flags().StringVar(&n.Path, "path", "/", "the path's prefix")
	cmd.Flags().StringVar(&n.Process, "process", stead.ProcessWeb, "the process")
	cmd.Flags().BoolVar(&n.StripPrefix, "strip-prefix", false, "take the prefix off before the app sees the request")
	flags.add(cmd)
	return cmd
}

func (sh *shell) setRouteCommand() *cobra.Command {
	var process string
	var strip bool
	var flags policyFlags
	cmd := &cobra.Command{Use: "set ROUTE", Short: "Change where a route's requests go, and how; ROUTE is HOST[/PATH] or an id", Args: cobra.ExactArgs(1),
		Example: `  stead routes set www.example.com --to web=90,canary=10 --pin canary='header X-Canary=yes'
  stead routes set www.example.com/admin --allow 192.0.2.0/24 --basic-auth ann
  stead routes set old.example.com --redirect 'https://www.example.com{path}' --redirect-status 301
  stead routes set api.example.com --rate 100/60 --concurrency 20 --queue 50
  stead routes set www.example.com --allow '' --rate ''        (an empty value takes a setting back)`}
	cmd.RunE = sh.runApp(func(ctx context.Context, c *client.Client, app string, args []string) error {
		r, err := findRoute(ctx, c, app, args[0])
		if err != nil {
			return err
		}
		if err := sh.applyPolicy(cmd, &flags, &r.Policy); err != nil {
			return err
		}
		patch := stead.RoutePatch{Policy: &r.Policy}
		if cmd.Flags().Changed("process") {
			patch.Process = &process
		}
		if cmd.Flags().Changed("strip-prefix") {
			patch.StripPrefix = &strip
		}
		if r, err = c.UpdateRoute(ctx, app, r.ID, patch); err != nil {
			return err
		}
		return sh.routeSaid(ctx, c, app, r)
	})
	cmd.Flags().StringVar(&process, "process", stead.ProcessWeb, "the process")
	cmd.Flags().BoolVar(&strip, "strip-prefix", false, "take the prefix off before the app sees the request")
	flags.add(cmd)
	return cmd
}

func (sh *shell) removeRouteCommand() *cobra.Command {
	return &cobra.Command{Use: "remove ROUTE", Short: "Remove a route; ROUTE is HOST[/PATH] or an id", Args: cobra.ExactArgs(1),
		RunE: sh.runApp(func(ctx context.Context, c *client.Client, app string, args []string) error {
			r, err := findRoute(ctx, c, app, args[0])
			if err != nil {
				return err
			}
			if err := c.RemoveRoute(ctx, app, r.ID); err != nil {
				return err
			}
			return sh.awaitRouted(ctx, c, app)
		})}
}

// routeSaid shows a route that was changed, once requests follow it.
func (sh *shell) routeSaid(ctx context.Context, c *client.Client, app string, r stead.Route) error {
	if err := sh.awaitRouted(ctx, c, app); err != nil {
		return err
	}
	if err := sh.settled(ctx, c, app, "", false); err != nil { // a process may have to bind a port now
		return err
	}
	return sh.print(r, func() {
		sh.say("%s%s goes to %s", r.Host, r.Path, destinations(r))
		for _, w := range policyWords(r) {
			sh.say("  %s", w)
		}
	})
}

// findRoute returns the route of that ID, or of that host and path.
func findRoute(ctx context.Context, c *client.Client, app, ref string) (stead.Route, error) {
	routes, err := c.Routes(ctx, app)
	if err != nil {
		return stead.Route{}, err
	}
	host, path, _ := strings.Cut(strings.ToLower(ref), "/")
	if _, p, ok := strings.Cut(ref, "/"); ok {
		path = strings.TrimSuffix(p, "/")
	}
	for _, r := range routes {
		if string(r.ID) == ref || r.Host == host && r.Path == "/"+path {
			return r, nil
		}
	}
	return stead.Route{}, stead.NotFound("route", ref)
}

// destinations says where a route's requests go.
func destinations(r stead.Route) string {
	if r.Policy.Redirect != nil {
		return r.Policy.Redirect.URL
	}
	if len(r.Policy.Destinations) == 0 {
		return r.Process
	}
	out := make([]string, len(r.Policy.Destinations))
	for i, d := range r.Policy.Destinations {
		if out[i] = fmt.Sprintf("%s=%d", d.Process, d.Weight); d.Pin != "" {
			out[i] += " (" + d.Pin + ")"
		}
	}
	return strings.Join(out, " ")
}

// policyWords says in words what a route does with requests.
func policyWords(r stead.Route) (out []string) {
	p := &r.Policy
	add := func(given bool, format string, args ...any) {
		if given {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	add(r.StripPrefix, "prefix stripped")
	add(p.Sticky, "sticky")
	add(len(p.Allow) > 0, "only from %s", strings.Join(p.Allow, " "))
	add(len(p.Deny) > 0, "not from %s", strings.Join(p.Deny, " "))
	add(len(p.BasicAuth) > 0, "%d with a password", len(p.BasicAuth))
	if p.Rate != nil {
		add(true, "%d requests in %d s", p.Rate.Requests, max(p.Rate.Per, 1))
	}
	add(p.FirstByte > 0, "first byte in %d s", p.FirstByte)
	add(p.Idle > 0, "idle for %d s", p.Idle)
	add(p.MaxBody > 0, "bodies to %d bytes", p.MaxBody)
	add(p.MaxHead > 0, "heads to %d bytes", p.MaxHead)
	add(p.Concurrency > 0, "%d at once on an instance, %d wait", p.Concurrency, p.Queue)
	add(p.LogEvery > 1, "one line in %d", p.LogEvery)
	return out
}
