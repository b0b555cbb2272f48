// Package cli is the stead command: a file per group of commands, over the
// public client and nothing else.
//
// Standard output is data, standard error is talk. Exit codes: 0 done, 1
// failed, 2 wrong usage, 3 not found, 4 not allowed, 5 the platform does not
// answer; run and exec pass on the code of what they ran.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/client"
)

// Version is set by the linker.
var Version = "dev"

// shell is what a command works with: its streams, its flags, who is logged in.
type shell struct {
	in       io.Reader
	out, err io.Writer
	getenv   func(string) string
	dir      string // where the command runs
	app      string // -a
	api      string // --api
	format   string // -o
}

// exitCode carries the code of a command that ran in an instance.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("the command ended with exit code %d", int(e)) }

// usage marks an error as wrong usage.
type usage struct{ error }

// Main runs the command line and returns its exit code.
func Main(args []string, in io.Reader, out, errw io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	dir, err := os.Getwd()
	if err != nil {
		dir = "."
	}
	sh := &shell{in: in, out: out, err: errw, getenv: os.Getenv, dir: dir}
	root := sh.root()
	root.SetArgs(args)
	return sh.explain(root.ExecuteContext(ctx))
}

func (sh *shell) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "stead",
		Short:         "Push an app, get a URL",
		Long:          "stead deploys and runs apps on your company's own servers.\n\nStart with: stead login, stead create, git push stead main",
		Version:       Version,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetIn(sh.in)
	root.SetOut(sh.out)
	root.SetErr(sh.err)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usage{fmt.Errorf("%w; see %s --help", err, c.CommandPath())}
	})
	f := root.PersistentFlags()
	f.StringVarP(&sh.app, "app", "a", "", "the app; else $STEAD_APP, else the git remote of this folder")
	f.StringVar(&sh.api, "api", "", "the platform's URL; else $STEAD_URL, else the one last logged in to")
	f.StringVarP(&sh.format, "output", "o", "", "json: print the data as JSON")
	_ = root.RegisterFlagCompletionFunc("app", sh.completeApps)
	_ = root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"json"}, cobra.ShellCompDirectiveNoFileComp))
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		if sh.format != "" && sh.format != "json" {
			return usage{fmt.Errorf("there is no output format %q; use -o json", sh.format)}
		}
		return nil
	}
	for _, group := range [][]*cobra.Command{sh.peopleCommands(), sh.appCommands(), sh.configCommands(), sh.processCommands(),
		sh.deployCommands(), sh.pipelineCommands(), sh.logCommands(), sh.runCommands(), sh.domainCommands(), sh.certCommands(), sh.gitCommands(), sh.platformCommands()} {
		root.AddCommand(group...)
	}
	root.AddCommand(append(sh.herokuCommands(), sh.accessCommands()...)...)
	for _, c := range root.Commands() {
		markUsage(c)
	}
	return root
}

// markUsage has a command, and those below it, tell wrong arguments as wrong
// usage.
func markUsage(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return &stead.Error{Kind: stead.KindInvalid, Msg: cmd.CommandPath() + ": " + err.Error(), Hint: cmd.UseLine() + "; " + cmd.CommandPath() + " --help tells more"}
			}
			return nil
		}
	}
	for _, sub := range c.Commands() {
		markUsage(sub)
	}
}

// explain prints an error for a person and returns the exit code for it.
func (sh *shell) explain(err error) int {
	if err == nil {
		return 0
	}
	if code, ok := errors.AsType[exitCode](err); ok {
		return int(code)
	}
	if errors.Is(err, context.Canceled) {
		return 130
	}
	var se *stead.Error
	if errors.As(err, &se) {
		fmt.Fprintf(sh.err, "%s %s\n", sh.paint(red, "Error:"), safeLines(se.Msg))
		if se.Hint != "" {
			fmt.Fprintf(sh.err, "  try: %s\n", safeLines(se.Hint))
		}
		return kindExit(se.Kind)
	}
	fmt.Fprintf(sh.err, "%s %s\n", sh.paint(red, "Error:"), safeLines(err.Error()))
	if _, ok := errors.AsType[usage](err); ok || strings.HasPrefix(err.Error(), "unknown command") {
		return 2
	}
	return 1
}

// kindExit maps kinds of error to exit codes.
func kindExit(k stead.Kind) int {
	switch k {
	case stead.KindInvalid:
		return 2
	case stead.KindNotFound:
		return 3
	case stead.KindForbidden, stead.KindUnauthenticated:
		return 4
	case stead.KindUnavailable:
		return 5
	}
	return 1
}

// client returns the client of the platform that the user is logged in to.
func (sh *shell) client() (*client.Client, error) {
	l, err := sh.login()
	if err != nil {
		return nil, err
	}
	return client.New(l.URL, l.Token, client.WithUserAgent("stead/"+Version)), nil
}

// tty reports whether w is a terminal.
func tty(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// run makes a cobra function of one that wants the client.
func (sh *shell) run(f func(ctx context.Context, c *client.Client, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, err := sh.client()
		if err != nil {
			return err
		}
		return f(cmd.Context(), c, args)
	}
}

// runApp makes a cobra function of one that wants the client and the app.
func (sh *shell) runApp(f func(ctx context.Context, c *client.Client, app string, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		app, err := sh.appRef(cmd.Context()) // first: the git remote may name the platform, too
		if err != nil {
			return err
		}
		c, err := sh.client()
		if err != nil {
			return err
		}
		return f(cmd.Context(), c, app, args)
	}
}
