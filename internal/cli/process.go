package cli

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/client"
)

func (sh *shell) processCommands() []*cobra.Command {
	return []*cobra.Command{sh.psCommand(), sh.scaleCommand(), sh.processCommand(), sh.restartCommand(), sh.stopCommand()}
}

func (sh *shell) psCommand() *cobra.Command {
	return &cobra.Command{
		Use: "ps", Short: "Show an app's processes and instances", Args: cobra.NoArgs,
		RunE: sh.runApp(func(ctx context.Context, c *client.Client, app string, _ []string) error {
			processes, err := c.Processes(ctx, app)
			if err != nil {
				return err
			}
			instances, err := c.Instances(ctx, app)
			if err != nil {
				return err
			}
			type answer struct {
				Processes []stead.Process  `json:"processes"`
				Instances []stead.Instance `json:"instances"`
			}
			return sh.print(answer{processes, instances}, func() {
				for _, p := range processes {
					sh.printProcess(p, instances)
				}
				sh.printOthers(processes, instances)
			})
		}),
	}
}

func (sh *shell) printProcess(p stead.Process, instances []stead.Instance) {
	how := fmt.Sprintf("%d × %s", p.Quantity, p.Size)
	if p.Stopped {
		how += ", stopped"
	}
	if p.Asleep {
		how += ", asleep until a request comes"
	}
	command := ""
	if n := len(p.Command); n > 0 {
		command = ": " + p.Command[n-1]
	}
	fmt.Fprintf(sh.out, "%s (%s)%s\n", sh.paint(bold, p.Type), how, safe(command))
	for _, i := range instances {
		if i.Process == p.Type {
			sh.printInstance(i)
		}
	}
}

// printOthers shows instances of no listed process: one-off tasks.
func (sh *shell) printOthers(processes []stead.Process, instances []stead.Instance) {
	known := map[string]bool{}
	for _, p := range processes {
		known[p.Type] = true
	}
	for _, i := range instances {
		if !known[i.Process] {
			sh.printInstance(i)
		}
	}
}

func (sh *shell) printInstance(i stead.Instance) {
	colour := map[stead.InstanceState]string{stead.InstanceUp: green, stead.InstanceCrashed: red}[i.State]
	if colour == "" {
		colour = yellow
	}
	line := fmt.Sprintf("  %-12s %s  v%d  since %s", i.Name, sh.paint(colour, fmt.Sprintf("%-9s", i.State)), i.Release, ago(i.Since))
	if i.Restarts > 0 {
		line += fmt.Sprintf(", %d restarts", i.Restarts)
	}
	if i.Reason != "" {
		line += ": " + safe(i.Reason)
	}
	fmt.Fprintln(sh.out, line)
}

func (sh *shell) scaleCommand() *cobra.Command {
	var noWait bool
	cmd := &cobra.Command{
		Use: "scale [PROCESS=COUNT[:SIZE] ...]", Short: "Show or change how many instances run, and how large",
		Example: "  stead scale web=3 worker=2\n  stead scale web+1\n  stead scale worker=1:standard-2x",
		RunE: sh.runApp(func(ctx context.Context, c *client.Client, app string, args []string) error {
			if len(args) == 0 {
				return sh.showScale(ctx, c, app)
			}
			changes := make([]stead.Scale, len(args))
			for i, a := range args {
				var err error
				if changes[i], err = stead.ParseScale(a); err != nil {
					return err
				}
			}
			processes, err := c.Scale(ctx, app, changes)
			if err != nil {
				return err
			}
			for _, ch := range changes {
				if err := sh.settled(ctx, c, app, ch.Type, noWait); err != nil {
					return err
				}
			}
			return sh.print(processes, func() { sh.printScale(processes) })
		}),
	}
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "do not wait until the instances are up")
	return cmd
}

func (sh *shell) showScale(ctx context.Context, c *client.Client, app string) error {
	processes, err := c.Processes(ctx, app)
	if err != nil {
		return err
	}
	return sh.print(processes, func() { sh.printScale(processes) })
}

func (sh *shell) printScale(processes []stead.Process) {
	rows := make([][]string, len(processes))
	for i, p := range processes {
		rows[i] = []string{p.Type, strconv.Itoa(p.Quantity), p.Size}
	}
	sh.table("No processes yet: the first push finds them.", []string{"process", "quantity", "size"}, rows)
}

func (sh *shell) processCommand() *cobra.Command {
	var path, size string
	var boot, grace, surge int
	var idle time.Duration
	var noWait bool
	cmd := &cobra.Command{
		Use: "process TYPE", Short: "Change a process's size, health check, time limits or surge", Args: cobra.ExactArgs(1), ValidArgsFunction: sh.completeProcesses,
	}
	cmd.RunE = sh.runApp(func(ctx context.Context, c *client.Client, app string, args []string) error {
		var p stead.ProcessPatch
		f := cmd.Flags()
		if f.Changed("health-path") {
			p.Path = &path
		}
		if f.Changed("size") {
			p.Size = &size
		}
		if s := stead.Seconds(boot); f.Changed("boot-limit") {
			p.BootLimit = &s
		}
		if s := stead.Seconds(grace); f.Changed("stop-grace") {
			p.StopGrace = &s
		}
		if s := stead.Seconds(idle.Seconds()); f.Changed("idle-after") {
			p.IdleAfter = &s
		}
		if f.Changed("surge") {
			p.Surge = &surge
		}
		got, err := c.UpdateProcess(ctx, app, args[0], p)
		if err != nil {
			return err
		}
		if err := sh.settled(ctx, c, app, got.Type, noWait); err != nil {
			return err
		}
		return sh.print(got, func() {
			sh.fields("process", got.Type, "size", got.Size, "health", got.Health.Path, "boot limit", fmt.Sprint(got.Health.BootLimit.Duration()),
				"stop grace", fmt.Sprint(got.StopGrace.Duration()), "surge", fmt.Sprintf("%d %%", got.Surge), "idle after", idleAfter(got))
		})
	})
	cmd.Flags().StringVar(&path, "health-path", "", "GET on it must answer 200–399; empty: a TCP connect to $PORT")
	cmd.Flags().StringVar(&size, "size", "", "size of its instances")
	cmd.Flags().IntVar(&boot, "boot-limit", 60, "seconds to become healthy")
	cmd.Flags().IntVar(&grace, "stop-grace", 30, "seconds between SIGTERM and SIGKILL")
	cmd.Flags().DurationVar(&idle, "idle-after", 0, "stop after so long without a request, as in 15m; the next request starts it again; 0: never")
	cmd.Flags().IntVar(&surge, "surge", stead.DefaultSurge, "percent of the quantity that runs on top while instances are replaced; 100: all at once")
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "do not wait until the instances are replaced")
	return cmd
}

func idleAfter(p stead.Process) string {
	if p.IdleAfter == 0 {
		return "never"
	}
	return p.IdleAfter.Duration().String()
}

// settled waits for a change of a process ("": of all) to be carried out, if
// there is anything to wait for.
func (sh *shell) settled(ctx context.Context, c *client.Client, app, process string, noWait bool) error {
	if noWait {
		return nil
	}
	a, err := c.App(ctx, app)
	if err != nil || a.Release == 0 {
		return err
	}
	return sh.awaitSettled(ctx, c, app, process)
}

func (sh *shell) restartCommand() *cobra.Command {
	var noWait bool
	cmd := &cobra.Command{
		Use: "restart [PROCESS]", Short: "Replace an app's instances, or a process's, without losing a request; start what was stopped",
		Long: "Replace an app's instances, or those of one process, without losing a request. What was stopped is started.",
		Args: cobra.MaximumNArgs(1), ValidArgsFunction: sh.completeProcesses,
		RunE: sh.runApp(func(ctx context.Context, c *client.Client, app string, args []string) error {
			target := first(args)
			if err := c.Restart(ctx, app, target); err != nil {
				return err
			}
			if noWait {
				sh.say("Restarting %s; see: stead ps -a %s", orAll(target), app)
				return nil
			}
			if err := sh.settled(ctx, c, app, target, noWait); err != nil {
				return err
			}
			sh.say("Restarted %s", orAll(target))
			return nil
		}),
	}
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "do not wait until the new instances serve")
	return cmd
}

func (sh *shell) stopCommand() *cobra.Command {
	var noWait bool
	cmd := &cobra.Command{
		Use: "stop [PROCESS|TASK]", Short: "Stop an app, a process or a task; restart starts the first two again",
		Args: cobra.MaximumNArgs(1), ValidArgsFunction: sh.completeProcesses,
		RunE: sh.runApp(func(ctx context.Context, c *client.Client, app string, args []string) error {
			target := first(args)
			if taskName(target) {
				if err := c.StopTask(ctx, app, target); err != nil {
					return err
				}
				sh.say("Stopping %s", target)
				return nil
			}
			if err := c.Stop(ctx, app, target); err != nil {
				return err
			}
			if err := sh.settled(ctx, c, app, target, noWait); err != nil {
				return err
			}
			sh.say("Stopped %s", orAll(target))
			return nil
		}),
	}
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "do not wait until requests go elsewhere")
	return cmd
}

// completeProcesses completes the process types of the app.
func (sh *shell) completeProcesses(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	return sh.complete(args, func(c *client.Client) ([]string, error) {
		app, err := sh.appRef(cmd.Context())
		if err != nil {
			return nil, err
		}
		processes, err := c.Processes(cmd.Context(), app)
		return names(processes, func(p stead.Process) string { return p.Type }), err
	})
}

func first(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

func orAll(target string) string {
	if target == "" {
		return "all processes"
	}
	return target
}
