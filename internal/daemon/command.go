package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build/buildkit"
	"github.com/steadpaas/stead/internal/engine/containerd"
	"github.com/steadpaas/stead/internal/ingress/git"
)

// Version is set by the linker.
var Version = "dev"

// Main runs steadd and returns its exit code.
func Main(args []string, out, errw io.Writer) int {
	if code, hidden := helper(args); hidden {
		return code
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := command(out, errw)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil || errors.Is(err, context.Canceled) {
		return 0
	}
	var se *stead.Error
	if errors.As(err, &se) {
		fmt.Fprintln(errw, "Error:", se.Error())
		if se.Hint != "" {
			fmt.Fprintln(errw, "  try:", se.Hint)
		}
		return 1
	}
	fmt.Fprintln(errw, "Error:", err)
	return 1
}

// helper runs what steadd re-executes itself for. These come before anything
// else: some of them enter namespaces.
func helper(args []string) (code int, hidden bool) {
	if len(args) == 0 {
		return 0, false
	}
	switch args[0] {
	case "hold":
		containerd.Hold()
		return 0, true
	case "sandbox":
		if err := buildkit.EnterMain(args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1, true
		}
		return 0, true
	case "git-hook":
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		return git.Hook(ctx, os.Stdin, os.Stdout), true
	}
	return 0, false
}

func command(out, errw io.Writer) *cobra.Command {
	c := Defaults()
	var file string
	root := &cobra.Command{
		Use: "steadd", Short: "The Stead platform: git push to a live URL on your own machines", Version: Version,
		SilenceErrors: true, SilenceUsage: true,
	}
	root.SetOut(out)
	root.SetErr(errw)
	flags := root.PersistentFlags()
	flags.StringVar(&file, "settings", "/etc/stead/steadd.conf", "file of settings, NAME=value a line")
	flagged := Defaults()
	for _, s := range flagged.settings() {
		f := flags.VarPF(s.Value, s.Name, "", s.Usage+" ($"+variable(s.Name)+")")
		if s.Value.Type() == "bool" {
			f.NoOptDefVal = "true"
		}
	}
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		if err := c.load(file, os.Getenv); err != nil {
			return err
		}
		from := flagged.settings()
		for i, s := range c.settings() {
			if flags.Changed(s.Name) {
				if err := s.Value.Set(from[i].Value.String()); err != nil {
					return err
				}
			}
		}
		return c.Check()
	}
	with := func(f func(context.Context, Config, io.Writer) error) func(*cobra.Command, []string) error {
		return func(cmd *cobra.Command, _ []string) error { return f(cmd.Context(), c, errw) }
	}
	root.AddCommand(
		&cobra.Command{Use: "serve", Short: "Run the control plane in the foreground", Args: cobra.NoArgs,
			RunE: with(func(ctx context.Context, c Config, w io.Writer) error { return serve(ctx, c, logger(c, w)) })},
		&cobra.Command{Use: "router", Short: "Run the data plane in the foreground", Args: cobra.NoArgs,
			RunE: with(func(ctx context.Context, c Config, w io.Writer) error { return router(ctx, c, logger(c, w)) })},
		superviseCommand(&c, errw),
		&cobra.Command{Use: "upgrade", Short: "Replace the platform's processes by ones of this program and these settings; no request is lost", Args: cobra.NoArgs, RunE: with(upgrade)},
		&cobra.Command{Use: "start", Short: "Start the platform in the background and wait until it is ready", Args: cobra.NoArgs, RunE: with(start)},
		&cobra.Command{Use: "stop", Short: "Stop the platform and its apps; their data stays", Args: cobra.NoArgs, RunE: with(stop)},
		purgeCommand(&c, errw), tokenCommand(&c, out), backupCommand(&c, out), restoreCommand(&c, errw), rotateCommand(&c, errw))
	return root
}

func superviseCommand(c *Config, errw io.Writer) *cobra.Command {
	var renew bool
	cmd := &cobra.Command{Use: "supervise", Short: "Keep control plane and data plane running, in the foreground", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return superviseAll(cmd.Context(), *c, renew, logger(*c, errw))
		}}
	cmd.Flags().BoolVar(&renew, "renew", false, "replace what runs already, also if its program has not changed")
	return cmd
}

func purgeCommand(c *Config, errw io.Writer) *cobra.Command {
	var yes, cache bool
	cmd := &cobra.Command{Use: "purge", Short: "Stop the platform and remove all of it: apps, images, database, logs", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !yes {
				return stead.Invalid("yes", "this removes everything in "+c.Data, "add --yes if that is what you want")
			}
			if err := purge(cmd.Context(), *c, errw); err != nil || !cache {
				return err
			}
			return c.removeCache(errw)
		}}
	cmd.Flags().BoolVar(&yes, "yes", false, "really remove everything")
	cmd.Flags().BoolVar(&cache, "cache", false, "also the base images, unless another platform runs on this machine")
	return cmd
}

func backupCommand(c *Config, out io.Writer) *cobra.Command {
	var without bool
	cmd := &cobra.Command{Use: "backup FILE", Short: "Write the platform's state to a file, also while it runs (-: to standard output)", Args: cobra.ExactArgs(1),
		Long: "Write the platform's state to a file, also while it runs: the database as it is at one moment, the master keys, what was\npushed with git, and the images. Logs are not in it. Whoever has the file can read every config value: encrypt it.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return backup(cmd.Context(), *c, args[0], !without, out)
		}}
	cmd.Flags().BoolVar(&without, "without-images", false, "a small file; each app has to be pushed again")
	return cmd
}

func restoreCommand(c *Config, errw io.Writer) *cobra.Command {
	return &cobra.Command{Use: "restore FILE", Short: "Make an empty data directory anew from a backup (-: from standard input)", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return restore(cmd.Context(), *c, args[0], cmd.InOrStdin(), errw)
		}}
}

func rotateCommand(c *Config, errw io.Writer) *cobra.Command {
	return &cobra.Command{Use: "rotate-keys", Short: "Add a new master key and seal everything under it, also while the platform runs", Args: cobra.NoArgs,
		Long: "Add a new master key and seal everything under it. Interrupted, it goes on at the next call. The older keys stay in the\nfile: backups made before need them.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			n, err := rotateKeys(cmd.Context(), *c)
			if err == nil {
				fmt.Fprintf(errw, "sealed %d values under a new master key; back %s up\n", n, c.path("keys"))
			}
			return err
		}}
}

func tokenCommand(c *Config, out io.Writer) *cobra.Command {
	return &cobra.Command{Use: "token EMAIL", Short: "Print a new token of an administrator, who is made if there is none", Args: cobra.ExactArgs(1),
		Long: "Print a new token of an administrator. Whoever may read the data directory may do this: it is how the first\nadministrator is made, and how one who lost every credential gets back in.",
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := adminToken(cmd.Context(), *c, args[0])
			if err != nil {
				return err
			}
			fmt.Fprintln(out, t)
			return nil
		}}
}

func logger(c Config, w io.Writer) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		level = slog.LevelInfo
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level}))
}
