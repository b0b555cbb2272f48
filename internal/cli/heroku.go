package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/cli/heroku"
)

func (sh *shell) herokuCommands() []*cobra.Command {
	run := &cobra.Command{
		Use: "heroku [ARG ...]", Short: "Run the official Heroku CLI against this platform", DisableFlagParsing: true,
		Long: "Runs the heroku program that is installed (npm install -g heroku; or the one that $STEAD_HEROKU names),\n" +
			"unmodified, against the platform that you are logged in to. It connects to no other host, and never\n" +
			"holds your token. See docs/from-heroku.md.",
		Example: "  stead heroku apps\n  stead heroku create shop && git push heroku main\n  stead heroku logs --tail -a shop",
		RunE:    func(cmd *cobra.Command, args []string) error { return sh.heroku(cmd.Context(), args) },
	}
	endpoint := &cobra.Command{
		Use: "heroku-endpoint", Hidden: true, Args: cobra.NoArgs, Short: "Open the endpoint of the Heroku CLI's plugin until standard input ends",
		RunE: func(cmd *cobra.Command, _ []string) error { return sh.herokuEndpoint(cmd.Context()) },
	}
	return []*cobra.Command{run, endpoint}
}

// heroku runs the Heroku CLI and returns when it ends, with its exit code.
func (sh *shell) heroku(ctx context.Context, args []string) error {
	program, err := sh.herokuProgram()
	if err != nil {
		return err
	}
	h, err := sh.openHeroku(ctx, slices.ContainsFunc(args[:min(len(args), 1)], loginCommand), !slices.Contains(args, "git:clone"))
	if err != nil {
		return err
	}
	defer h.close()
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = sh.dir, sh.in, sh.out, sh.err
	cmd.Env = h.Environ(h.base(), h.files, h.login)
	if err := runForeground(ctx, cmd); err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			return errors.Join(exitCode(exit.ExitCode()), h.after(ctx, args, false))
		}
		return fmt.Errorf("run %s: %w", program, err)
	}
	return h.after(ctx, args, true)
}

// runForeground runs a program that gets the terminal's signals itself; ours
// are passed on.
func runForeground(ctx context.Context, cmd *exec.Cmd) error {
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt) // the terminal tells the program, too
	defer signal.Stop(interrupts)
	if err := cmd.Start(); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Signal(syscall.SIGTERM) })
	defer stop()
	return cmd.Wait()
}

func loginCommand(arg string) bool { return arg == "login" || arg == "auth:login" }

func (sh *shell) herokuProgram() (string, error) {
	if p := sh.getenv("STEAD_HEROKU"); p != "" {
		return p, nil
	}
	p, err := exec.LookPath("heroku")
	if err != nil {
		return "", &stead.Error{Kind: stead.KindPrecondition, Msg: "the heroku program is not installed", Hint: "npm install -g heroku; or set STEAD_HEROKU to where it is"}
	}
	return p, nil
}

// herokuRun is one run of the Heroku CLI.
type herokuRun struct {
	*heroku.Endpoint
	sh    *shell
	at    login
	files *heroku.Files
	login bool
}

// openHeroku opens what a run needs. asWritten has git show the remotes as the
// CLI wrote them.
func (sh *shell) openHeroku(ctx context.Context, logsIn, asWritten bool) (*herokuRun, error) {
	at, err := sh.login()
	if logsIn && stead.KindOf(err) == stead.KindUnauthenticated {
		at.URL, err = sh.loginURL()
	}
	if err != nil {
		return nil, err
	}
	h := &herokuRun{sh: sh, at: at, login: logsIn}
	if h.Endpoint, err = heroku.Open(ctx, at.URL, at.Token); err != nil {
		return nil, err
	}
	remotes := ""
	if asWritten {
		remotes = "https://" + h.GitHost() + "/"
	}
	if h.files, err = heroku.WriteFiles(sh.getenv, remotes); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

func (h *herokuRun) close() {
	_ = h.Endpoint.Close()
	_ = h.files.Remove() // in the system's folder for such things
}

// base is the user's environment, as the CLI is to see it.
func (h *herokuRun) base() []string {
	env := os.Environ()
	if a := h.sh.getenv("STEAD_APP"); a != "" && h.sh.getenv("HEROKU_APP") == "" {
		env = append(env, "HEROKU_APP="+a)
	}
	return env
}

// after keeps a login that was made, forgets one that was ended, and tells git
// what the remotes of this folder stand for.
func (h *herokuRun) after(ctx context.Context, args []string, ok bool) error {
	if t := h.Token(); t != h.at.Token {
		if err := h.sh.keepLogin(ctx, h.at.URL, t); err != nil {
			return err
		}
	}
	if ok && len(args) > 0 && (args[0] == "logout" || args[0] == "auth:logout") {
		if err := h.sh.forgetLogin(h.at.URL); err != nil {
			return err
		}
	}
	return h.sh.mapHerokuRemotes(ctx, h.at.URL)
}

// mapHerokuRemotes has git push to the platform what names it as the Heroku CLI
// does: https://heroku.HOST/APP.git stands for PLATFORM/git/APP.git.
func (sh *shell) mapHerokuRemotes(ctx context.Context, platform string) error {
	u, err := url.Parse(platform)
	if err != nil || !sh.inRepository(ctx) {
		return nil // there is nothing to map
	}
	name := "https://" + heroku.GitHost(u) + "/"
	remotes, err := sh.git(ctx, "remote", "-v")
	if err != nil || !strings.Contains(remotes, name) && !strings.Contains(remotes, platform+gitPrefix) {
		return err
	}
	if _, err := sh.git(ctx, "config", "--replace-all", "url."+platform+gitPrefix+".insteadOf", name); err != nil {
		return err
	}
	return sh.gitHelper(ctx, platform)
}

// herokuEndpoint serves the plugin: it prints the variables as JSON and serves
// until standard input ends, which is when the CLI does.
func (sh *shell) herokuEndpoint(ctx context.Context) error {
	h, err := sh.openHeroku(ctx, true, true)
	if err != nil {
		return err
	}
	defer h.close()
	env := h.Env(h.files, false)
	env["STEAD_GUARD"] = h.files.Guard
	if err := json.NewEncoder(sh.out).Encode(env); err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, sh.in)
	return h.after(ctx, nil, false)
}
