package cli

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/client"
)

func (sh *shell) pagesCommand() *cobra.Command {
	group := &cobra.Command{Use: "pages", Short: "Show which pages of its own an app has for maintenance and errors", Args: cobra.NoArgs,
		RunE: sh.runApp(func(ctx context.Context, c *client.Client, app string, _ []string) error {
			p, err := c.Pages(ctx, app)
			if err != nil {
				return err
			}
			rows := [][]string{}
			for name, page := range map[string]string{"maintenance": p.Maintenance, "error": p.Error} {
				if page != "" {
					rows = append(rows, []string{name, fmt.Sprint(len(page), " bytes")})
				}
			}
			return sh.print(p, func() { sh.table("The router's own pages are shown.", []string{"page", "size"}, rows) })
		})}
	set := &cobra.Command{Use: "set maintenance|error FILE", Short: "Show a page of your own (HTML, at most 64 KiB; - reads standard input)",
		Long: "Show a page of your own while the app is in maintenance, or when the router answers in its place. {{code}} and\n{{request_id}} in it are filled in.",
		Args: cobra.ExactArgs(2),
		RunE: sh.runApp(func(ctx context.Context, c *client.Client, app string, args []string) error {
			content, err := sh.readPage(args[1])
			if err != nil {
				return err
			}
			return sh.changePage(ctx, c, app, args[0], content)
		})}
	remove := &cobra.Command{Use: "remove maintenance|error", Short: "Show the router's own page again", Args: cobra.ExactArgs(1),
		RunE: sh.runApp(func(ctx context.Context, c *client.Client, app string, args []string) error {
			return sh.changePage(ctx, c, app, args[0], "")
		})}
	group.AddCommand(set, remove)
	return group
}

func (sh *shell) changePage(ctx context.Context, c *client.Client, app, name, content string) error {
	p, err := c.Pages(ctx, app)
	if err != nil {
		return err
	}
	switch name {
	case "maintenance":
		p.Maintenance = content
	case "error":
		p.Error = content
	default:
		return usage{fmt.Errorf("there is no page %q: write maintenance or error", name)}
	}
	if err := c.SetPages(ctx, app, p); err != nil {
		return err
	}
	return sh.awaitRouted(ctx, c, app)
}

func (sh *shell) readPage(file string) (string, error) {
	r := sh.in
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return "", err
		}
		defer f.Close()
		r = f
	}
	b, err := io.ReadAll(io.LimitReader(r, stead.MaxPage+1))
	return string(b), err
}
