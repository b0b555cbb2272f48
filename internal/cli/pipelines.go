package cli

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/client"
)

func (sh *shell) pipelineCommands() []*cobra.Command {
	var org string
	group := &cobra.Command{Use: "pipelines", Short: "List pipelines: apps that an image passes through, from stage to stage", Args: cobra.NoArgs,
		RunE: sh.run(func(ctx context.Context, c *client.Client, _ []string) error {
			all, err := c.Pipelines(ctx, org)
			if err != nil {
				return err
			}
			rows := make([][]string, len(all))
			for i, p := range all {
				rows[i] = []string{p.Name, p.Org, fmt.Sprint(len(p.Apps)), ago(p.CreatedAt)}
			}
			return sh.print(all, func() {
				sh.table("No pipelines. Try: stead pipelines create NAME", []string{"pipeline", "org", "apps", "made"}, rows)
			})
		})}
	group.Flags().StringVar(&org, "org", "", "only of this org")
	group.AddCommand(sh.pipelinesCreate(), sh.pipelinesInfo(), sh.pipelinesAdd(), sh.pipelinesRemove(), sh.pipelinesRename(),
		sh.pipelinesDestroy(), sh.pipelinesPromote(), sh.pipelinesPromotions())
	return []*cobra.Command{group}
}

func (sh *shell) pipelinesCreate() *cobra.Command {
	var org string
	cmd := &cobra.Command{Use: "create NAME", Short: "Make a pipeline", Args: cobra.ExactArgs(1),
		RunE: sh.run(func(ctx context.Context, c *client.Client, args []string) error {
			p, err := c.CreatePipeline(ctx, org, args[0])
			if err != nil {
				return err
			}
			return sh.print(p, func() {
				sh.say("Made the pipeline %s; add apps: stead pipelines add %s --stage staging -a APP", p.Name, p.Name)
			})
		})}
	cmd.Flags().StringVar(&org, "org", "", "the org; else the default one")
	return cmd
}

func (sh *shell) pipelinesInfo() *cobra.Command {
	return &cobra.Command{Use: "info PIPELINE", Short: "Show what each app of a pipeline runs", Args: cobra.ExactArgs(1),
		RunE: sh.run(func(ctx context.Context, c *client.Client, args []string) error {
			p, err := c.Pipeline(ctx, args[0])
			if err != nil {
				return err
			}
			return sh.print(p, func() { sh.pipeline(p) })
		})}
}

// pipeline writes what each app runs, and whether that is what stands before it.
func (sh *shell) pipeline(p stead.Pipeline) {
	rows := make([][]string, len(p.Apps))
	for i, a := range p.Apps {
		rows[i] = []string{string(a.Stage), a.App, release(a.Release), a.Commit[:min(7, len(a.Commit))], behind(p, a)}
	}
	sh.table("No apps. Try: stead pipelines add "+p.Name+" --stage staging -a APP", []string{"stage", "app", "release", "commit", ""}, rows)
}

// behind says whether an app runs the image of an app at the stage before its own.
func behind(p stead.Pipeline, a stead.PipelineApp) string {
	before := slices.DeleteFunc(slices.Clone(p.Apps), func(b stead.PipelineApp) bool { return b.Stage.Next() != a.Stage || b.Digest == "" })
	switch {
	case len(before) == 0:
		return ""
	case slices.ContainsFunc(before, func(b stead.PipelineApp) bool { return b.Digest == a.Digest }):
		return "same image as " + string(before[0].Stage)
	}
	return "another image than " + string(before[0].Stage)
}

func (sh *shell) pipelinesAdd() *cobra.Command {
	var stage string
	cmd := &cobra.Command{Use: "add PIPELINE", Short: "Put an app (-a) at a stage of a pipeline", Args: cobra.ExactArgs(1),
		RunE: sh.runApp(func(ctx context.Context, c *client.Client, app string, args []string) error {
			p, err := c.SetPipelineApp(ctx, args[0], app, stead.PipelineStage(stage))
			if err != nil {
				return err
			}
			return sh.print(p, func() { sh.say("%s is at the stage %s of %s", app, stage, p.Name) })
		})}
	cmd.Flags().StringVar(&stage, "stage", "", "test, review, development, staging or production")
	_ = cmd.MarkFlagRequired("stage")
	_ = cmd.RegisterFlagCompletionFunc("stage", cobra.FixedCompletions(stages(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func stages() (out []string) {
	for _, s := range stead.PipelineStages() {
		out = append(out, string(s))
	}
	return out
}

func (sh *shell) pipelinesRemove() *cobra.Command {
	return &cobra.Command{Use: "remove PIPELINE", Short: "Take an app (-a) out of a pipeline; the app stays", Args: cobra.ExactArgs(1),
		RunE: sh.runApp(func(ctx context.Context, c *client.Client, app string, args []string) error {
			return c.RemovePipelineApp(ctx, args[0], app)
		})}
}

func (sh *shell) pipelinesRename() *cobra.Command {
	return &cobra.Command{Use: "rename PIPELINE NAME", Short: "Give a pipeline another name", Args: cobra.ExactArgs(2),
		RunE: sh.run(func(ctx context.Context, c *client.Client, args []string) error {
			p, err := c.RenamePipeline(ctx, args[0], args[1])
			if err != nil {
				return err
			}
			return sh.print(p, func() { sh.say("The pipeline is now %s", p.Name) })
		})}
}

func (sh *shell) pipelinesDestroy() *cobra.Command {
	var confirm string
	cmd := &cobra.Command{Use: "destroy PIPELINE", Short: "Remove a pipeline; its apps stay", Args: cobra.ExactArgs(1),
		RunE: sh.run(func(ctx context.Context, c *client.Client, args []string) error {
			if err := sh.confirmed(confirm, args[0], "This removes the pipeline "+args[0]+" and the record of its promotions; its apps stay."); err != nil {
				return err
			}
			return c.DestroyPipeline(ctx, args[0])
		})}
	cmd.Flags().StringVar(&confirm, "confirm", "", "the pipeline's name, to destroy it without being asked")
	return cmd
}

func (sh *shell) pipelinesPromote() *cobra.Command {
	var to []string
	var noWait bool
	cmd := &cobra.Command{Use: "promote PIPELINE", Short: "Release the image of an app (-a) in the apps of the next stage", Args: cobra.ExactArgs(1),
		Long: "Release the image that serves in an app (-a) in the apps of the next stage, or in those named with --to.\nThe image is copied byte for byte; each app keeps its own config.",
		RunE: sh.runApp(func(ctx context.Context, c *client.Client, app string, args []string) error {
			p, err := c.Promote(ctx, args[0], stead.NewPromotion{From: app, To: to})
			if err != nil {
				return err
			}
			if sh.format == "json" && noWait {
				return sh.print(p, nil)
			}
			for _, t := range p.Targets {
				sh.say("%s v%d → %s v%d", p.App, p.Release, t.App, t.Release)
				if err := sh.followRelease(ctx, c, string(t.AppID), stead.Release{Version: t.Release}, noWait); err != nil {
					return err
				}
			}
			return nil
		})}
	cmd.Flags().StringSliceVar(&to, "to", nil, "the apps to promote to, comma-separated")
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "do not wait until the releases are live")
	return cmd
}

func (sh *shell) pipelinesPromotions() *cobra.Command {
	return &cobra.Command{Use: "promotions PIPELINE", Short: "List promotions, newest first", Args: cobra.ExactArgs(1),
		RunE: sh.run(func(ctx context.Context, c *client.Client, args []string) error {
			all, err := c.Promotions(ctx, args[0])
			if err != nil {
				return err
			}
			var rows [][]string
			for _, p := range all {
				for _, t := range p.Targets {
					rows = append(rows, []string{p.App + " " + release(p.Release), t.App + " " + release(t.Release), string(t.State), p.By, ago(p.CreatedAt)})
				}
			}
			return sh.print(all, func() { sh.table("No promotions yet.", []string{"from", "to", "state", "by", "when"}, rows) })
		})}
}
