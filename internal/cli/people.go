package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/client"
)

func (sh *shell) peopleCommands() []*cobra.Command {
	return []*cobra.Command{sh.loginCommand(), sh.logoutCommand(), sh.whoamiCommand(), sh.passwdCommand(), sh.keysCommand(), sh.tokensCommand(),
		sh.usersCommand(), sh.orgsCommand(), sh.spacesCommand(), sh.membersCommand()}
}

func (sh *shell) loginCommand() *cobra.Command {
	var email, token string
	var tokenStdin, passwordStdin bool
	cmd := &cobra.Command{
		Use: "login", Short: "Log in to a platform", Args: cobra.NoArgs,
		Example: "  stead login --api https://stead.example.com\n  echo $TOKEN | stead login --api http://127.0.0.1:7800 --token-stdin",
		RunE: func(cmd *cobra.Command, _ []string) error {
			at, err := sh.loginURL()
			if err != nil {
				return err
			}
			switch {
			case tokenStdin:
				if token, err = firstLine(sh.in); err != nil {
					return err
				}
			case token == "":
				if token, err = sh.passwordLogin(cmd.Context(), at, email, passwordStdin); err != nil {
					return err
				}
			}
			return sh.keepLogin(cmd.Context(), at, token)
		},
	}
	cmd.Flags().StringVar(&email, "email", "", "your e-mail address")
	cmd.Flags().StringVar(&token, "token", "", "a token; better --token-stdin, which other users of this machine cannot see")
	cmd.Flags().BoolVar(&tokenStdin, "token-stdin", false, "read a token from standard input")
	cmd.Flags().BoolVar(&passwordStdin, "password-stdin", false, "read the password from standard input (with --email)")
	return cmd
}

// loginURL is --api, $STEAD_URL or the platform last logged in to.
func (sh *shell) loginURL() (string, error) {
	if u := sh.apiFlag(); u != "" {
		return cleanURL(u)
	}
	l, err := sh.readLogins()
	if err != nil {
		return "", err
	}
	if l.Current == "" {
		return "", usage{fmt.Errorf("which platform? add --api https://stead.example.com, or set STEAD_URL")}
	}
	return l.Current, nil
}

func (sh *shell) passwordLogin(ctx context.Context, at, email string, fromStdin bool) (string, error) {
	ask := tty(sh.in) && !fromStdin
	if email == "" && ask {
		fmt.Fprint(sh.err, "E-mail: ")
		var err error
		if email, err = firstLine(sh.in); err != nil {
			return "", err
		}
	}
	if email == "" || !ask && !fromStdin {
		return "", usage{fmt.Errorf("there is no terminal to ask on: use --token-stdin, or --email with --password-stdin")}
	}
	password, err := sh.password("Password: ", ask)
	if err != nil {
		return "", err
	}
	host, _ := os.Hostname()
	t, err := client.New(at, "", client.WithUserAgent("stead/"+Version)).Login(ctx, email, password, "login on "+host)
	return t.Secret, err
}

func (sh *shell) password(prompt string, ask bool) (string, error) {
	if !ask {
		return firstLine(sh.in)
	}
	fmt.Fprint(sh.err, prompt)
	p, err := term.ReadPassword(int(sh.in.(*os.File).Fd()))
	fmt.Fprintln(sh.err)
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	return string(p), nil
}

func firstLine(r io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(r, 64<<10)).ReadString('\n')
	if line = strings.TrimSpace(line); line == "" {
		return "", usage{fmt.Errorf("nothing was given on standard input: %v", err)}
	}
	return line, nil
}

// keepLogin tries the token before it replaces an older one.
func (sh *shell) keepLogin(ctx context.Context, at, token string) error {
	me, err := client.New(at, token, client.WithUserAgent("stead/"+Version)).Me(ctx)
	if err != nil {
		return err
	}
	l, err := sh.readLogins()
	if err != nil {
		return err
	}
	l.Current = at
	l.Logins[at] = login{URL: at, Email: me.Email, Token: token}
	if err := sh.writeLogins(l); err != nil {
		return err
	}
	sh.say("Logged in to %s as %s", at, me.Email)
	return nil
}

func (sh *shell) logoutCommand() *cobra.Command {
	return &cobra.Command{
		Use: "logout", Short: "Forget the login to a platform", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			at, err := sh.loginURL()
			if err != nil {
				return err
			}
			return sh.forgetLogin(at)
		},
	}
}

func (sh *shell) forgetLogin(at string) error {
	l, err := sh.readLogins()
	if err != nil {
		return err
	}
	delete(l.Logins, at)
	if l.Current == at {
		l.Current = ""
	}
	sh.say("Logged out of %s", at)
	return sh.writeLogins(l)
}

func (sh *shell) whoamiCommand() *cobra.Command {
	return &cobra.Command{
		Use: "whoami", Short: "Show who you are to the platform", Args: cobra.NoArgs,
		RunE: sh.run(func(ctx context.Context, c *client.Client, _ []string) error {
			me, err := c.Me(ctx)
			if err != nil {
				return err
			}
			return sh.print(me, func() { fmt.Fprintln(sh.out, me.Email) })
		}),
	}
}

func (sh *shell) keysCommand() *cobra.Command {
	group := &cobra.Command{Use: "keys", Short: "List the SSH keys you push and run with", Args: cobra.NoArgs,
		RunE: sh.run(func(ctx context.Context, c *client.Client, _ []string) error {
			keys, err := c.SSHKeys(ctx)
			if err != nil {
				return err
			}
			rows := make([][]string, len(keys))
			for i, k := range keys {
				rows[i] = []string{safe(k.Name), k.Fingerprint, ago(k.CreatedAt)}
			}
			return sh.print(keys, func() { sh.table("No keys yet. Try: stead keys add", []string{"name", "fingerprint", "added"}, rows) })
		})}
	add := &cobra.Command{Use: "add [FILE]", Short: "Add a public key (~/.ssh/id_ed25519.pub by default)", Args: cobra.MaximumNArgs(1),
		RunE: sh.run(func(ctx context.Context, c *client.Client, args []string) error {
			home, _ := os.UserHomeDir()
			file := filepath.Join(home, ".ssh", "id_ed25519.pub")
			if len(args) > 0 {
				file = args[0]
			}
			data, err := os.ReadFile(file)
			if err != nil {
				return stead.Invalid("key", "the key cannot be read: "+err.Error(), "name the public key's file, or make one with ssh-keygen -t ed25519")
			}
			k, err := c.AddSSHKey(ctx, strings.TrimSpace(string(data)))
			if err != nil {
				return err
			}
			return sh.print(k, func() { sh.say("Added %s", k.Fingerprint) })
		})}
	remove := &cobra.Command{Use: "remove KEY", Short: "Remove a key by name or fingerprint", Args: cobra.ExactArgs(1),
		RunE: sh.run(func(ctx context.Context, c *client.Client, args []string) error { return c.RemoveSSHKey(ctx, args[0]) })}
	group.AddCommand(add, remove)
	return group
}

func (sh *shell) tokensCommand() *cobra.Command {
	group := &cobra.Command{Use: "tokens", Short: "List your tokens", Args: cobra.NoArgs,
		RunE: sh.run(func(ctx context.Context, c *client.Client, _ []string) error {
			tokens, err := c.Tokens(ctx)
			if err != nil {
				return err
			}
			rows := make([][]string, len(tokens))
			for i, t := range tokens {
				until := "never"
				if t.ExpiresAt != nil {
					until = t.ExpiresAt.Local().Format(time.DateOnly)
				}
				rows[i] = []string{string(t.ID), safe(t.Name), string(t.Scope), ago(t.CreatedAt), until}
			}
			return sh.print(tokens, func() { sh.table("No tokens.", []string{"id", "name", "scope", "made", "expires"}, rows) })
		})}
	var scope string
	var ttl time.Duration
	create := &cobra.Command{Use: "create NAME", Short: "Make a token and print it once", Args: cobra.ExactArgs(1),
		RunE: sh.run(func(ctx context.Context, c *client.Client, args []string) error {
			t, err := c.CreateToken(ctx, stead.NewToken{Name: args[0], Scope: stead.Scope(scope), TTL: stead.Seconds(ttl / time.Second)})
			if err != nil {
				return err
			}
			return sh.print(t, func() { fmt.Fprintln(sh.out, t.Secret) })
		})}
	create.Flags().StringVar(&scope, "scope", string(stead.ScopeWrite), "read, write or all")
	create.Flags().DurationVar(&ttl, "ttl", 0, "how long it holds, as 720h; 0: for ever")
	revoke := &cobra.Command{Use: "revoke ID", Short: "End a token", Args: cobra.ExactArgs(1),
		RunE: sh.run(func(ctx context.Context, c *client.Client, args []string) error {
			return c.RevokeToken(ctx, stead.ID(args[0]))
		})}
	group.AddCommand(create, revoke)
	return group
}
