package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/client"
)

var taskGrammar = regexp.MustCompile(`^(run|release)\.\d+$`)

func taskName(s string) bool { return taskGrammar.MatchString(s) }

func (sh *shell) runCommands() []*cobra.Command {
	return []*cobra.Command{sh.runCommand(), sh.execCommand(), sh.tasksCommand(), sh.schedulesCommand()}
}

func (sh *shell) runCommand() *cobra.Command {
	var n stead.NewTask
	var detach, noTTY bool
	var env []string
	cmd := &cobra.Command{
		Use: "run -- COMMAND [ARG ...]", Short: "Run a one-off command with the app's image and config", Args: cobra.MinimumNArgs(1),
		Example: "  stead run -- ./manage.py migrate\n  echo 'select 1' | stead run -- psql\n  stead run --detach -- ./nightly",
		RunE: sh.runApp(func(ctx context.Context, c *client.Client, app string, args []string) error {
			n.Command = command(args)
			n.Attached = !detach
			n.TTY = !detach && !noTTY && tty(sh.in) && tty(sh.out)
			var err error
			if n.Env, err = environment(env, n.TTY, sh.getenv); err != nil {
				return err
			}
			t, err := c.Run(ctx, app, n)
			if err != nil {
				return err
			}
			if detach {
				return sh.print(t, func() {
					sh.say("%s runs; its output: stead logs --ps %s -a %s", t.Name, t.Name, app)
					fmt.Fprintln(sh.out, t.Name)
				})
			}
			if tty(sh.err) {
				sh.say("Running %s on %s as %s", strings.Join(args, " "), app, t.Name)
			}
			return sh.attached(ctx, n.TTY, func(ctx context.Context, s client.Streams) (int, error) { return c.Attach(ctx, app, t.Name, s) })
		}),
	}
	f := cmd.Flags()
	f.BoolVarP(&detach, "detach", "d", false, "run in the background; output goes to the log")
	f.BoolVar(&noTTY, "no-tty", false, "no terminal even when there is one")
	f.StringVar(&n.Size, "size", "", "size of the instance")
	f.StringArrayVarP(&env, "env", "e", nil, "KEY=VALUE on top of the config")
	f.SetInterspersed(false)
	return cmd
}

func (sh *shell) execCommand() *cobra.Command {
	var noTTY bool
	cmd := &cobra.Command{
		Use: "exec [INSTANCE] -- COMMAND [ARG ...]", Short: "Run a command inside a running instance", Args: cobra.MinimumNArgs(1),
		Example: "  stead exec -- sh\n  stead exec worker.1 -- ps aux",
	}
	cmd.RunE = sh.runApp(func(ctx context.Context, c *client.Client, app string, args []string) error {
		instance := ""
		if cmd.ArgsLenAtDash() == len(args) {
			return usage{fmt.Errorf("there is no command after --; see %s --help", cmd.CommandPath())}
		}
		if cmd.ArgsLenAtDash() == 1 {
			instance, args = args[0], args[1:]
		}
		e := stead.ExecCommand{Args: command(args), TTY: !noTTY && tty(sh.in) && tty(sh.out)}
		var err error
		if e.Env, err = environment(nil, e.TTY, sh.getenv); err != nil {
			return err
		}
		return sh.attached(ctx, e.TTY, func(ctx context.Context, s client.Streams) (int, error) { return c.Exec(ctx, app, instance, e, s) })
	})
	cmd.Flags().BoolVar(&noTTY, "no-tty", false, "no terminal even when there is one")
	return cmd
}

// command is the arguments as they are; a single one with spaces is a line for
// the image's own shell, as people write it: stead run "ls -l | wc".
func command(args []string) stead.Command {
	if len(args) == 1 && strings.ContainsAny(args[0], " |&;<>$") {
		return stead.Shell(args[0])
	}
	return args
}

func environment(pairs []string, terminal bool, getenv func(string) string) (stead.Config, error) {
	env := stead.Config{}
	if t := getenv("TERM"); terminal && t != "" {
		env["TERM"] = t
	}
	for _, p := range pairs {
		k, v, ok := strings.Cut(p, "=")
		if !ok {
			return nil, usage{fmt.Errorf("%q is not KEY=VALUE", p)}
		}
		env[k] = v
	}
	return env, nil
}

// attached connects the terminal or the pipes to a command, and turns its exit
// code into ours.
func (sh *shell) attached(ctx context.Context, terminal bool, connect func(context.Context, client.Streams) (int, error)) error {
	s := client.Streams{Stdin: sh.in, Stdout: sh.out, Stderr: sh.err}
	if f, ok := sh.in.(*os.File); ok && !terminal && tty(f) {
		s.Stdin = nil // a terminal without a TTY on the other side: nothing to send
	}
	if terminal {
		fd := int(sh.in.(*os.File).Fd())
		old, err := term.MakeRaw(fd)
		if err != nil {
			return fmt.Errorf("set the terminal: %w", err)
		}
		defer func() { _ = term.Restore(fd, old) }()
		windows, stop := windowSizes(sh.out)
		defer stop()
		s.Resize = windows
	}
	code, err := connect(ctx, s)
	if err != nil {
		return err
	}
	if code != 0 {
		return exitCode(code)
	}
	return nil
}

// windowSizes sends the terminal's size now and whenever it changes.
func windowSizes(out io.Writer) (<-chan client.Window, func()) {
	sizes := make(chan client.Window, 1)
	changed := make(chan os.Signal, 1)
	done := make(chan struct{})
	signal.Notify(changed, sigwinch)
	send := func() {
		f, ok := out.(*os.File)
		if !ok {
			return
		}
		if w, h, err := term.GetSize(int(f.Fd())); err == nil {
			select {
			case sizes <- client.Window{Cols: uint16(w), Rows: uint16(h)}:
			case <-done:
			}
		}
	}
	go func() {
		for send(); ; send() {
			select {
			case <-changed:
			case <-done:
				return
			}
		}
	}()
	return sizes, func() { signal.Stop(changed); close(done) }
}

func (sh *shell) tasksCommand() *cobra.Command {
	return &cobra.Command{
		Use: "tasks", Short: "List one-off tasks, newest first", Args: cobra.NoArgs,
		RunE: sh.runApp(func(ctx context.Context, c *client.Client, app string, _ []string) error {
			tasks, err := c.Tasks(ctx, app)
			if err != nil {
				return err
			}
			rows := make([][]string, len(tasks))
			for i, t := range tasks {
				code := ""
				if t.ExitCode != nil {
					code = fmt.Sprint(*t.ExitCode)
				}
				rows[i] = []string{t.Name, string(t.State), code, safe(strings.Join(t.Command, " ")), t.By, ago(t.CreatedAt)}
			}
			return sh.print(tasks, func() {
				sh.table("No tasks yet. Try: stead run -- sh", []string{"task", "state", "exit", "command", "by", "when"}, rows)
			})
		}),
	}
}
