package cli

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/client"
)

func (sh *shell) schedulesCommand() *cobra.Command {
	group := &cobra.Command{Use: "schedules", Short: "List the tasks that an app runs at times", Args: cobra.NoArgs,
		RunE: sh.runApp(func(ctx context.Context, c *client.Client, app string, _ []string) error {
			all, err := c.Schedules(ctx, app)
			if err != nil {
				return err
			}
			rows := make([][]string, len(all))
			for i, s := range all {
				rows[i] = []string{s.Cron, s.Zone, safe(strings.Join(s.Command, " ")), next(s), last(s), string(s.ID)}
			}
			return sh.print(all, func() {
				sh.table("No schedules. Try: stead schedules add '0 4 * * *' -- ./nightly", []string{"cron", "zone", "command", "next", "last", "id"}, rows)
			})
		})}
	group.AddCommand(sh.schedulesAdd(), sh.schedulesPause("pause", "Let a schedule's times pass without a task", true),
		sh.schedulesPause("resume", "End a schedule's pause", false), sh.schedulesRemove())
	return group
}

func next(s stead.Schedule) string {
	if s.NextAt == nil {
		return "paused"
	}
	loc, err := time.LoadLocation(s.Zone)
	if err != nil {
		loc = time.UTC
	}
	return s.NextAt.In(loc).Format("2006-01-02 15:04 MST")
}

func last(s stead.Schedule) string {
	switch {
	case s.LastAt == nil:
		return ""
	case s.Reason != "":
		return "skipped " + ago(*s.LastAt) + ": " + safe(s.Reason)
	}
	return s.LastTask + ", " + ago(*s.LastAt)
}

func (sh *shell) schedulesAdd() *cobra.Command {
	var n stead.NewSchedule
	cmd := &cobra.Command{Use: "add CRON -- COMMAND [ARG ...]", Short: "Run a task at times, with the image and config of the release that serves then", Args: cobra.MinimumNArgs(2),
		Example: "  stead schedules add '*/10 * * * *' -- ./fetch\n  stead schedules add '0 4 * * mon' --zone Europe/Berlin -- bin/rails reports:weekly",
		RunE: sh.runApp(func(ctx context.Context, c *client.Client, app string, args []string) error {
			n.Cron, n.Command = args[0], command(args[1:])
			s, err := c.AddSchedule(ctx, app, n)
			if err != nil {
				return err
			}
			return sh.print(s, func() { sh.say("%s runs it next at %s", app, next(s)) })
		})}
	cmd.Flags().StringVar(&n.Zone, "zone", "", "time zone of the fields, as in Europe/Berlin; else UTC")
	cmd.Flags().StringVar(&n.Size, "size", "", "size of the instance")
	return cmd
}

func (sh *shell) schedulesPause(verb, short string, paused bool) *cobra.Command {
	return &cobra.Command{Use: verb + " ID", Short: short, Args: cobra.ExactArgs(1),
		RunE: sh.runApp(func(ctx context.Context, c *client.Client, app string, args []string) error {
			s, err := c.UpdateSchedule(ctx, app, stead.ID(args[0]), stead.SchedulePatch{Paused: &paused})
			if err != nil {
				return err
			}
			return sh.print(s, func() { sh.say("Next: %s", next(s)) })
		})}
}

func (sh *shell) schedulesRemove() *cobra.Command {
	return &cobra.Command{Use: "remove ID", Short: "End a schedule", Args: cobra.ExactArgs(1),
		RunE: sh.runApp(func(ctx context.Context, c *client.Client, app string, args []string) error {
			return c.RemoveSchedule(ctx, app, stead.ID(args[0]))
		})}
}
