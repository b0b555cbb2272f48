package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/client"
	"github.com/steadpaas/stead/internal/build/ignore"
	"github.com/steadpaas/stead/internal/build/source"
)

func (sh *shell) explainCommand() *cobra.Command {
	return &cobra.Command{
		Use: "explain-source [FOLDER]", Short: "Tell what a folder would be built as, and what its files ask for", Args: cobra.MaximumNArgs(1),
		Long: "Send a folder (this one by default) to the platform and print what it finds: what it would be built as, which file\nsays what, what comes of it, and what is not honoured and why. Nothing is built, and nothing is kept.",
		RunE: sh.run(func(ctx context.Context, c *client.Client, args []string) error {
			x, err := sh.explainFolder(ctx, c, args)
			if err != nil {
				return err
			}
			return sh.print(x, func() { sh.showExplanation(x) })
		})}
}

func (sh *shell) initCommand() *cobra.Command {
	var write bool
	cmd := &cobra.Command{
		Use: "init [FOLDER]", Short: "Show what would be built, and a stead.toml to change it", Args: cobra.MaximumNArgs(1),
		Long: "Nothing is needed to push an app. This shows what the platform would make of a folder, as the stead.toml that says the\nsame, on standard output. With --write it is put into the folder, to change what is not right.",
		RunE: sh.run(func(ctx context.Context, c *client.Client, args []string) error {
			x, err := sh.explainFolder(ctx, c, args)
			if err != nil {
				return err
			}
			if !write {
				return sh.print(x, func() { fmt.Fprint(sh.out, steadTOML(x)) })
			}
			return sh.writeDescriptor(x, args)
		})}
	cmd.Flags().BoolVar(&write, "write", false, "write stead.toml into the folder, if it has none")
	return cmd
}

func (sh *shell) writeDescriptor(x stead.Explanation, args []string) error {
	dir := sh.dir
	if len(args) > 0 {
		dir = args[0]
	}
	f, err := os.OpenFile(filepath.Join(dir, "stead.toml"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, os.ErrExist) {
		return stead.Precondition("the folder has a stead.toml already", "edit it; stead explain-source tells what comes of it")
	}
	if err != nil {
		return err
	}
	if _, err := io.WriteString(f, steadTOML(x)); err != nil {
		return errors.Join(err, f.Close())
	}
	sh.say("Wrote %s", f.Name())
	return f.Close()
}

func (sh *shell) explainFolder(ctx context.Context, c *client.Client, args []string) (stead.Explanation, error) {
	dir := sh.dir
	if len(args) > 0 {
		dir = args[0]
	}
	return packed(ctx, dir, func(r io.Reader) (stead.Explanation, error) { return c.Explain(ctx, r) })
}

// packed gives a folder's archive to send, without what is to be ignored.
func packed[T any](ctx context.Context, dir string, send func(io.Reader) (T, error)) (out T, err error) {
	rules, err := ignore.Load(dir)
	if err != nil {
		return out, err
	}
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() { // ends with r
		err := source.Pack(ctx, w, dir, rules)
		_ = w.CloseWithError(err)
		done <- err
	}()
	out, err = send(r)
	_ = r.CloseWithError(io.ErrClosedPipe)
	if perr := <-done; perr != nil && !errors.Is(perr, io.ErrClosedPipe) {
		return out, perr // why the upload broke off
	}
	return out, err
}

func (sh *shell) showExplanation(x stead.Explanation) {
	if x.Problem != "" {
		fmt.Fprintf(sh.out, "%s %s\n", sh.paint(red, "Cannot be built:"), safe(x.Problem))
	} else {
		fmt.Fprintf(sh.out, "Built as %s: %s\n", safe(x.Pack), safe(x.Summary))
	}
	for _, t := range slices.Sorted(maps.Keys(x.Processes)) {
		fmt.Fprintf(sh.out, "  %-10s %s\n", safe(t), safe(commandLine(x.Processes[t])))
	}
	for _, n := range x.Notes {
		fmt.Fprintf(sh.out, "  note: %s\n", safe(n))
	}
	for _, honoured := range []bool{true, false} {
		title := "\nTaken from files:"
		if !honoured {
			title = "\nNot honoured:"
		}
		for _, f := range x.Findings {
			if f.Honoured != honoured {
				continue
			}
			if title != "" {
				fmt.Fprintln(sh.out, title)
				title = ""
			}
			fmt.Fprintf(sh.out, "  %s: %s\n      %s\n", safe(f.File), safe(f.Says), safe(f.Means))
		}
	}
}

func commandLine(c stead.Command) string {
	switch {
	case c == nil:
		return "(the image's own command)"
	case len(c) == 3 && c[0] == "/bin/sh":
		return c[2]
	}
	return strings.Join(c, " ")
}

// steadTOML writes what was found as a stead.toml; what is not set stands in
// comments.
func steadTOML(x stead.Explanation) string {
	var b strings.Builder
	b.WriteString("# What Stead would make of this folder. Nothing of it is needed: keep only what you want to change.\n")
	if x.Problem != "" {
		b.WriteString("# As it is, it cannot be built: " + safe(x.Problem) + "\n")
	} else {
		b.WriteString("# Built as " + x.Pack + ": " + safe(x.Summary) + "\n")
	}
	b.WriteString("\n[build]\n")
	w := x.Wishes.Build
	line(&b, w.Dockerfile != "", "dockerfile", quoted(w.Dockerfile, "Dockerfile"))
	line(&b, w.Target != "", "target", quoted(w.Target, "final"))
	line(&b, len(w.Packages) > 0, "packages", tomlList(w.Packages, "imagemagick"))
	line(&b, len(w.Before) > 0, "before", tomlList(w.Before, "make assets"))
	line(&b, len(w.After) > 0, "after", tomlList(w.After, "./bin/check"))
	table(&b, "build.env", w.Env, "NODE_OPTIONS", "--max-old-space-size=512")
	table(&b, "build.args", w.Args, "MODE", "release")
	table(&b, "build.versions", w.Versions, "nodejs", "22")
	for _, t := range slices.Sorted(maps.Keys(x.Processes)) {
		steadProcess(&b, t, x.Processes[t], x.Wishes.Processes[t])
	}
	b.WriteString("\n# [config]\n# GREETING = \"hello\"   # defaults; stead config set goes before them\n")
	return b.String()
}

func steadProcess(b *strings.Builder, t string, c stead.Command, w stead.ProcessWish) {
	fmt.Fprintf(b, "\n[processes.%s]\n", t)
	line(b, c != nil, "command", quoted(commandLine(c), "./server"))
	if t == stead.ProcessRelease {
		return
	}
	q := 0
	if w.Quantity != nil {
		q = *w.Quantity
	} else if t == stead.ProcessWeb {
		q = 1
	}
	line(b, w.Quantity != nil, "quantity", fmt.Sprint(q))
	line(b, w.Size != "", "size", quoted(w.Size, stead.DefaultSize))
	line(b, w.Path != "", "health", quoted(w.Path, "/healthz"))
	line(b, w.BootLimit > 0, "boot_limit", fmt.Sprint(int(cmp.Or(w.BootLimit, 60))))
}

// line writes a setting, as a comment if it is not set.
func line(b *strings.Builder, set bool, name, value string) {
	if !set {
		b.WriteString("# ")
	}
	b.WriteString(name + " = " + value + "\n")
}

func table(b *strings.Builder, name string, values map[string]string, exampleName, example string) {
	if len(values) == 0 {
		fmt.Fprintf(b, "# [%s]\n# %s = %s\n", name, exampleName, quoted(example, ""))
		return
	}
	fmt.Fprintf(b, "[%s]\n", name)
	for _, k := range slices.Sorted(maps.Keys(values)) {
		line(b, true, k, quoted(values[k], ""))
	}
}

// quoted is a basic string of TOML, whose escapes JSON's are.
func quoted(s, example string) string {
	if s == "" {
		s = example
	}
	return tomlString(s)
}

func tomlList(values []string, example string) string {
	if len(values) == 0 {
		values = []string{example}
	}
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = tomlString(v)
	}
	return "[" + strings.Join(out, ", ") + "]"
}

func tomlString(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
