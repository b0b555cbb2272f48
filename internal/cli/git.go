package cli

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/client"
)

// remoteName is the git remote that create makes and that names the app.
const remoteName = "stead"

func (sh *shell) gitCommands() []*cobra.Command {
	group := &cobra.Command{Use: "git", Short: "The git remote of an app, and its credentials", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	var ssh bool
	remote := &cobra.Command{
		Use: "remote", Short: "Add the git remote \"stead\" of an app to this folder's repository", Args: cobra.NoArgs,
		RunE: sh.run(func(ctx context.Context, c *client.Client, _ []string) error {
			ref := sh.app
			if ref == "" {
				ref = sh.getenv("STEAD_APP")
			}
			if ref == "" {
				return usage{fmt.Errorf("which app? add -a NAME")}
			}
			a, err := c.App(ctx, ref)
			if err != nil {
				return err
			}
			return sh.addRemote(ctx, c, a, ssh)
		}),
	}
	remote.Flags().BoolVar(&ssh, "ssh", false, "push over SSH with your key (stead keys add)")
	credential := &cobra.Command{
		Use: "credential OPERATION", Hidden: true, Args: cobra.ExactArgs(1),
		Short: "Answer git's credential helper protocol (gitcredentials(7))",
		RunE:  func(_ *cobra.Command, args []string) error { return sh.credential(args[0]) },
	}
	group.AddCommand(remote, credential)
	return []*cobra.Command{group}
}

// git runs the git program in the current folder.
func (sh *shell) git(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = sh.dir
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		if strings.Contains(errs.String(), "not a git repository") {
			return "", stead.Precondition("this folder is in no git repository", "go to the app's folder, or make it one: git init")
		}
		return "", fmt.Errorf("git %s: %s", args[0], strings.TrimSpace(errs.String()+" "+err.Error()))
	}
	return strings.TrimSpace(out.String()), nil
}

func (sh *shell) inRepository(ctx context.Context) bool {
	_, err := sh.git(ctx, "rev-parse", "--git-dir")
	return err == nil
}

// addRemote sets the remote, and has git ask this program for the token.
func (sh *shell) addRemote(ctx context.Context, c *client.Client, a stead.App, ssh bool) error {
	to := gitURL(c.URL(), a.GitURL)
	if ssh {
		to = sshURL(c.URL(), a.SSHURL)
	}
	verb := "add"
	if _, err := sh.git(ctx, "remote", "get-url", "--", remoteName); err == nil {
		verb = "set-url"
	}
	if _, err := sh.git(ctx, "remote", verb, "--", remoteName, to); err != nil {
		return err
	}
	if !ssh {
		if err := sh.gitHelper(ctx, c.URL()); err != nil {
			return err
		}
	}
	sh.say("Remote %s is %s", sh.paint(bold, remoteName), to)
	return nil
}

// gitHelper has git, in this folder's repository, ask this program for the token
// of a platform.
func (sh *shell) gitHelper(ctx context.Context, platform string) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	helper := "!'" + strings.ReplaceAll(self, "'", `'\''`) + "' git credential"
	_, err = sh.git(ctx, "config", "credential."+platform+".helper", helper)
	return err
}

// gitURL is the app's repository at the address that the user reaches the
// platform by, which may be another than the platform knows of itself.
func gitURL(platform, repository string) string {
	u, err := url.Parse(repository)
	if err != nil {
		return repository
	}
	_, ref, ok := strings.Cut(u.EscapedPath(), gitPrefix)
	if !ok {
		return repository
	}
	return platform + gitPrefix + ref
}

// sshURL is the same for SSH: a platform that listens on every address knows
// itself by the loopback one, which is of no use elsewhere.
func sshURL(platform, repository string) string {
	u, err := url.Parse(repository)
	p, perr := url.Parse(platform)
	if err != nil || perr != nil {
		return repository
	}
	if ip := net.ParseIP(u.Hostname()); ip == nil || !ip.IsLoopback() {
		return repository
	}
	u.Host = net.JoinHostPort(p.Hostname(), cmp.Or(u.Port(), "22"))
	return u.String()
}

// credential answers git's question for a password with the token, for the
// platforms that the user is logged in to and no other host.
func (sh *shell) credential(operation string) error {
	if operation != "get" {
		return nil
	}
	asked := map[string]string{}
	for in := bufio.NewScanner(sh.in); in.Scan(); {
		if k, v, ok := strings.Cut(in.Text(), "="); ok {
			asked[k] = v
		}
	}
	all, err := sh.readLogins()
	if err != nil {
		return err
	}
	if l, err := sh.login(); err == nil {
		all.Logins[l.URL] = l
	}
	for _, l := range all.Logins {
		if u, err := url.Parse(l.URL); err == nil && u.Scheme == asked["protocol"] && u.Host == asked["host"] {
			fmt.Fprintf(sh.out, "username=stead\npassword=%s\n", l.Token)
			return nil
		}
	}
	return nil
}

// appRef finds the app that a command is about: -a, $STEAD_APP, or the git
// remote of the current folder.
func (sh *shell) appRef(ctx context.Context) (string, error) {
	if sh.app != "" {
		return sh.app, nil
	}
	if a := sh.getenv("STEAD_APP"); a != "" {
		return a, nil
	}
	if to, err := sh.git(ctx, "remote", "get-url", "--", remoteName); err == nil {
		if a := appOfRemote(to); a != "" {
			return a, sh.useRemote(to)
		}
	}
	return "", usage{fmt.Errorf("which app? add -a NAME, set STEAD_APP, or run this in a folder whose git remote %q is an app's", remoteName)}
}

// useRemote turns to the platform of the git remote, if the user is logged in
// to it and asked for no other: of two platforms' apps of one name, the one
// meant is the one that the folder is pushed to.
func (sh *shell) useRemote(remote string) error {
	if sh.apiFlag() != "" {
		return nil
	}
	l, err := sh.readLogins()
	if err != nil {
		return err
	}
	for at := range l.Logins {
		if strings.HasPrefix(remote, at+gitPrefix) {
			sh.api = at
		}
	}
	return nil
}

// gitPrefix is where a platform serves repositories over HTTP.
const gitPrefix = "/git/"

// appOfRemote reads the app out of a remote's URL: what follows /git/ (HTTP) or
// the host (SSH), without ".git".
func appOfRemote(remote string) string {
	u, err := url.Parse(remote)
	if err != nil || u.Host == "" {
		return ""
	}
	p, ok := strings.CutSuffix(u.Path, ".git")
	if ok && u.Scheme != "ssh" {
		_, p, ok = strings.Cut(p, gitPrefix)
	}
	if !ok {
		return ""
	}
	return strings.Trim(p, "/")
}

// completeApps completes names of apps, with org and space where they are not
// the default ones.
func (sh *shell) completeApps(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	return sh.complete(nil, func(c *client.Client) ([]string, error) {
		apps, err := c.Apps(cmd.Context(), "", "")
		return names(apps, func(a stead.App) string { return place(a) + a.Name }), err
	})
}
