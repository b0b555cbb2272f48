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

func (sh *shell) buildInfoCommand() *cobra.Command {
	return &cobra.Command{Use: "info NUMBER", Short: "Show what a build was made of, by whom, and how long each stage took", Args: cobra.ExactArgs(1),
		RunE: sh.runApp(func(ctx context.Context, c *client.Client, app string, args []string) error {
			n, err := number(args[0])
			if err != nil {
				return err
			}
			b, err := c.Build(ctx, app, n)
			if err != nil {
				return err
			}
			return sh.print(b, func() { sh.showBuild(b) })
		})}
}

func (sh *shell) showBuild(b stead.Build) {
	release := ""
	if b.Release > 0 {
		release = "v" + strconv.Itoa(b.Release)
	}
	sh.fields("build", strconv.Itoa(b.Number), "state", string(b.State), "reason", safe(b.Reason), "by", safe(b.By), "source", string(b.Source.Kind),
		"commit", b.Source.Commit, "branch", safe(b.Source.Branch), "message", safe(b.Source.Message), "digest", b.Source.Digest,
		"pack", safe(b.Pack), "image", safe(b.Image.Ref), "size", mebibytes(b.Image.Size), "release", release,
		"queued", ago(b.CreatedAt), "waited", span(&b.CreatedAt, b.StartedAt), "took", span(b.StartedAt, b.FinishedAt))
	for _, s := range b.Stages {
		sh.fields("  "+safe(s.Name), fmt.Sprintf("%.1f s", s.Seconds))
	}
}

func mebibytes(n int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}

// span is the time between two moments; "" if one of them has not come.
func span(from, to *time.Time) string {
	if from == nil || to == nil {
		return ""
	}
	return to.Sub(*from).Round(100 * time.Millisecond).String()
}
