package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"sort"
	"strings"

	"github.com/spf13/cobra"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/client"
)

func (sh *shell) logCommands() []*cobra.Command {
	var q stead.LogQuery
	logs := &cobra.Command{
		Use: "logs", Short: "Show an app's log", Args: cobra.NoArgs,
		RunE: sh.runApp(func(ctx context.Context, c *client.Client, app string, _ []string) error {
			if err := checkSource(q.Source); err != nil {
				return err
			}
			some := false
			err := sh.printLines(func(yield func(stead.Line, error) bool) {
				for l, err := range c.Logs(ctx, app, q) {
					some = true
					if !yield(l, err) {
						return
					}
				}
			})
			if err == nil && !some {
				sh.say("No lines. stead ps -a %s shows what runs.", app)
			}
			return err
		}),
	}
	f := logs.Flags()
	f.BoolVarP(&q.Follow, "tail", "t", false, "go on with new lines")
	f.IntVarP(&q.Num, "num", "n", 100, "how many of the last lines; -1: all that are kept")
	f.StringVarP(&q.Process, "ps", "p", "", "only web.1, or all of web")
	f.StringVarP(&q.Source, "source", "s", "", "only app, stead, router, api or build")
	return []*cobra.Command{logs, sh.drainsCommand(), sh.eventsCommand()}
}

// checkSource refuses a source that no line has.
func checkSource(s string) error {
	known := []string{"app", "stead", "router", "api", "build"}
	for part := range strings.SplitSeq(s, ",") {
		if part != "" && !slices.Contains(known, part) {
			return stead.Invalid("source", fmt.Sprintf("there is no source %q", part), "use one of "+strings.Join(known, ", "))
		}
	}
	return nil
}

// printLines prints lines of output, one JSON object a line with -o json.
func (sh *shell) printLines(lines iter.Seq2[stead.Line, error]) error {
	e := json.NewEncoder(sh.out)
	e.SetEscapeHTML(false)
	for l, err := range lines {
		if err != nil {
			return err
		}
		if sh.format != "json" {
			sh.line(l)
		} else if err := e.Encode(l); err != nil {
			return err
		}
	}
	return nil
}

func (sh *shell) eventsCommand() *cobra.Command {
	var q stead.EventQuery
	cmd := &cobra.Command{
		Use: "events", Short: "Show who did what, when", Args: cobra.NoArgs,
		RunE: sh.run(func(ctx context.Context, c *client.Client, _ []string) error {
			q.App = sh.app
			e := json.NewEncoder(sh.out)
			for ev, err := range c.Events(ctx, q) {
				if err != nil {
					return err
				}
				if sh.format == "json" {
					if err := e.Encode(ev); err != nil {
						return err
					}
					continue
				}
				fmt.Fprintf(sh.out, "%s  %-24s %-16s %-16s %s\n", ev.At.Local().Format("2006-01-02 15:04:05"), ev.Actor, ev.Verb, ev.App, safe(details(ev.Data)))
			}
			return nil
		}),
	}
	f := cmd.Flags()
	f.BoolVarP(&q.Follow, "tail", "t", false, "go on with new events")
	f.IntVarP(&q.Limit, "num", "n", 50, "how many of the last events")
	f.StringVar(&q.Verb, "verb", "", "only verbs that start with this, as app. or release.live")
	return cmd
}

func details(data map[string]any) string {
	out := make([]string, 0, len(data))
	for k, v := range data {
		if v != nil {
			out = append(out, fmt.Sprintf("%s=%v", k, v))
		}
	}
	sort.Strings(out)
	return strings.Join(out, " ")
}
