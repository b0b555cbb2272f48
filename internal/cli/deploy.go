package cli

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/client"
)

func (sh *shell) deployCommands() []*cobra.Command {
	return []*cobra.Command{sh.pushCommand(), sh.buildsCommand(), sh.releasesCommand(), sh.rollbackCommand(), sh.explainCommand(), sh.initCommand()}
}

func (sh *shell) pushCommand() *cobra.Command {
	var image string
	var noWait bool
	cmd := &cobra.Command{
		Use: "push [FOLDER]", Short: "Upload a folder, build it and release it", Args: cobra.MaximumNArgs(1),
		Long: "Upload the files of a folder (this one by default), build them and release what comes out.\nFiles that .gitignore or .steadignore name stay here. Nothing has to be committed.",
		RunE: sh.runApp(func(ctx context.Context, c *client.Client, app string, args []string) error {
			src := stead.Source{Kind: stead.SourceImage, Image: image}
			if image == "" {
				dir := sh.dir
				if len(args) > 0 {
					dir = args[0]
				}
				var err error
				if src, err = sh.upload(ctx, c, app, dir); err != nil {
					return err
				}
			}
			b, err := c.Push(ctx, app, src)
			if err != nil {
				return err
			}
			return sh.followBuild(ctx, c, app, b, noWait)
		}),
	}
	cmd.Flags().StringVar(&image, "image", "", "release this image instead of building")
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "return when the build is queued")
	return cmd
}

func (sh *shell) upload(ctx context.Context, c *client.Client, app, dir string) (stead.Source, error) {
	sh.say("Uploading %s", dir)
	return packed(ctx, dir, func(r io.Reader) (stead.Source, error) { return c.UploadSource(ctx, app, r) })
}

// settle is how long after its output a build or release may take to be done.
const settle = 10 * time.Second

// settled looks again until done says that it is, for a little while: the end of
// the output may be seen before the end of the thing itself.
func settled[T any](ctx context.Context, what string, get func() (T, error), done func(T) bool) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, settle)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		v, err := get()
		if err != nil || done(v) {
			return v, err
		}
		select {
		case <-ctx.Done():
			return v, stead.Unavailable("the output of "+what+" ended before it was done", "it goes on; see stead builds and stead releases", nil)
		case <-tick.C:
		}
	}
}

// followBuild shows a build until its release is live, and fails if either does.
func (sh *shell) followBuild(ctx context.Context, c *client.Client, app string, b stead.Build, noWait bool) error {
	if noWait {
		return sh.print(b, func() { sh.say("Build %d is queued; see: stead builds output %d -a %s", b.Number, b.Number, app) })
	}
	for l, err := range c.BuildOutput(ctx, app, b.Number, true) {
		if err != nil {
			return err
		}
		sh.say("%s", safe(l.Text))
	}
	number := b.Number
	b, err := settled(ctx, fmt.Sprintf("build %d", number), func() (stead.Build, error) { return c.Build(ctx, app, number) },
		func(b stead.Build) bool { return b.State.Done() })
	if err != nil {
		return err
	}
	if b.State != stead.BuildSucceeded {
		return &stead.Error{Kind: stead.KindPrecondition, Msg: fmt.Sprintf("build %d %s: %s", b.Number, b.State, b.Reason),
			Hint: "what was serving before still serves; change the source and push again"}
	}
	rel, err := c.Release(ctx, app, b.Release)
	if err != nil {
		return err
	}
	return sh.followRelease(ctx, c, app, rel, false)
}

// followRelease shows a release coming up, and fails if it does not.
func (sh *shell) followRelease(ctx context.Context, c *client.Client, app string, rel stead.Release, noWait bool) error {
	if noWait {
		return sh.print(rel, func() {
			sh.say("v%d is on its way; see: stead releases output v%d -a %s", rel.Version, rel.Version, app)
		})
	}
	for l, err := range c.ReleaseOutput(ctx, app, rel.Version, true) {
		if err != nil {
			return err
		}
		sh.say("%s", safe(l.Text))
	}
	version := rel.Version
	rel, err := settled(ctx, release(version), func() (stead.Release, error) { return c.Release(ctx, app, version) },
		func(r stead.Release) bool { return r.State.Done() })
	switch {
	case err != nil:
		return err
	case rel.State == stead.ReleaseSuperseded && rel.LiveAt == nil:
		return stead.Precondition(release(version)+" was replaced by a newer release before it came up", "see stead releases -a "+app)
	case rel.State == stead.ReleaseFailed:
		return &stead.Error{Kind: stead.KindPrecondition, Msg: fmt.Sprintf("v%d did not come up: %s", rel.Version, rel.Reason),
			Hint: "what was serving before still serves; see stead logs -a " + app}
	}
	a, err := c.App(ctx, app)
	if err != nil {
		return err
	}
	return sh.print(rel, func() {
		sh.say("%s v%d is %s", sh.paint(green, a.Name), rel.Version, rel.State)
		fmt.Fprintln(sh.out, a.URL)
	})
}

func (sh *shell) buildsCommand() *cobra.Command {
	var num int
	group := &cobra.Command{Use: "builds", Short: "List builds, newest first", Args: cobra.NoArgs,
		RunE: sh.runApp(func(ctx context.Context, c *client.Client, app string, _ []string) error {
			builds, err := c.Builds(ctx, app, num)
			if err != nil {
				return err
			}
			rows := make([][]string, len(builds))
			for i, b := range builds {
				commit := b.Source.Commit
				rows[i] = []string{strconv.Itoa(b.Number), string(b.State), release(b.Release), b.Pack, commit[:min(7, len(commit))], b.By, ago(b.CreatedAt)}
			}
			return sh.print(builds, func() {
				sh.table("No builds yet. Try: git push stead main", []string{"build", "state", "release", "pack", "commit", "by", "when"}, rows)
			})
		})}
	group.Flags().IntVarP(&num, "num", "n", 15, "how many")
	var follow bool
	output := &cobra.Command{Use: "output NUMBER", Short: "Print what a build said", Args: cobra.ExactArgs(1),
		RunE: sh.runApp(func(ctx context.Context, c *client.Client, app string, args []string) error {
			n, err := number(args[0])
			if err != nil {
				return err
			}
			return sh.printLines(c.BuildOutput(ctx, app, n, follow))
		})}
	output.Flags().BoolVarP(&follow, "tail", "t", false, "go on until the build is done")
	cancel := &cobra.Command{Use: "cancel NUMBER", Short: "End a build that waits or runs", Args: cobra.ExactArgs(1),
		RunE: sh.runApp(func(ctx context.Context, c *client.Client, app string, args []string) error {
			n, err := number(args[0])
			if err != nil {
				return err
			}
			b, err := c.CancelBuild(ctx, app, n)
			if err != nil {
				return err
			}
			return sh.print(b, func() { sh.say("Build %d is %s", b.Number, b.State) })
		})}
	group.AddCommand(output, cancel, sh.buildInfoCommand())
	return group
}

// number reads "7" or "v7".
func number(s string) (int, error) {
	n, err := strconv.Atoi(strings.TrimPrefix(s, "v"))
	if err != nil || n < 0 {
		return 0, usage{fmt.Errorf("%q is not a number such as 7 or v7", s)}
	}
	return n, nil
}

func (sh *shell) releasesCommand() *cobra.Command {
	var num int
	group := &cobra.Command{Use: "releases", Short: "List releases, newest first", Args: cobra.NoArgs,
		RunE: sh.runApp(func(ctx context.Context, c *client.Client, app string, _ []string) error {
			releases, err := c.Releases(ctx, app, num)
			if err != nil {
				return err
			}
			rows := make([][]string, len(releases))
			for i, r := range releases {
				reason, _, _ := strings.Cut(r.Reason, "\n")
				rows[i] = []string{release(r.Version), string(r.State), safe(r.Description), r.By, ago(r.CreatedAt), safe(reason)}
			}
			return sh.print(releases, func() {
				sh.table("No releases yet. Try: git push stead main", []string{"release", "state", "what", "by", "when", ""}, rows)
			})
		})}
	group.Flags().IntVarP(&num, "num", "n", 15, "how many")
	var follow bool
	output := &cobra.Command{Use: "output VERSION", Short: "Print how a release came up", Args: cobra.ExactArgs(1),
		RunE: sh.runApp(func(ctx context.Context, c *client.Client, app string, args []string) error {
			n, err := number(args[0])
			if err != nil {
				return err
			}
			return sh.printLines(c.ReleaseOutput(ctx, app, n, follow))
		})}
	output.Flags().BoolVarP(&follow, "tail", "t", false, "go on until it is live or failed")
	group.AddCommand(output)
	return group
}

func (sh *shell) rollbackCommand() *cobra.Command {
	var noWait bool
	cmd := &cobra.Command{Use: "rollback [VERSION]", Short: "Release an earlier version again (the one before, by default)", Args: cobra.MaximumNArgs(1),
		RunE: sh.runApp(func(ctx context.Context, c *client.Client, app string, args []string) error {
			n := 0
			if len(args) > 0 {
				var err error
				if n, err = number(args[0]); err != nil {
					return err
				}
			}
			rel, err := c.Rollback(ctx, app, n)
			if err != nil {
				return err
			}
			sh.say("%s as v%d", rel.Description, rel.Version)
			return sh.followRelease(ctx, c, app, rel, noWait)
		})}
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "do not wait until the release is live")
	return cmd
}
