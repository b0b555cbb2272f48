// Package dotnet publishes .NET projects with Microsoft's SDK, which comes from
// its own public place or the operator's mirror of it: Debian has none.
package dotnet

import (
	"io/fs"
	"strings"

	"github.com/moby/buildkit/client/llb"
	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build"
	"github.com/steadpaas/stead/internal/build/pack/plan"
)

// Pack is the pack "dotnet".
type Pack struct{}

// Name implements plan.Pack.
func (Pack) Name() string { return "dotnet" }

// Marks implements plan.Pack.
func (Pack) Marks() []string { return []string{"*.csproj", "*.fsproj", "*.vbproj", "*.sln"} }

const public = "https://builds.dotnet.microsoft.com/dotnet"

// Detect implements plan.Pack.
func (Pack) Detect(tree fs.FS) (*plan.Detected, error) {
	a, err := look(tree)
	if err != nil || a == nil {
		return nil, err
	}
	command := `exec dotnet "` + a.assembly + `.dll"`
	if a.web {
		command += ` --urls "http://0.0.0.0:$PORT"`
	}
	return &plan.Detected{Pack: "dotnet", Summary: a.summary(), Processes: map[string]stead.Command{"web": stead.Shell(command)}, Notes: a.notes, LLB: a.plan}, nil
}

func (a *app) summary() string {
	return ".NET " + a.line.framework + " (" + a.from + "), project " + plan.Plain(a.project)
}

// publish restores and publishes. The SDK writes beside the sources, and its
// caches are the app's.
const publish = `set -e
set -- "$PROJECT"
if [ -r "$CONFIG" ]; then dotnet restore --configfile "$CONFIG" "$@"; else dotnet restore "$@"; fi
dotnet publish "$@" --configuration Release --no-restore --output /out --nologo -p:ContinuousIntegrationBuild=true -p:UseAppHost=false`

func (a *app) plan(in plan.Inputs) (plan.Output, error) {
	arch, ok := map[string]string{"amd64": "x64", "arm64": "arm64"}[in.Platform.Architecture]
	if !ok {
		return plan.Output{}, stead.Invalid("source", "the .NET pack does not know the architecture "+plan.Plain(in.Platform.Architecture), "use a Dockerfile")
	}
	from := in.Mirror(build.MirrorDotNet, public)
	sdk := in.Fetch(plan.Archive{Title: ".NET SDK " + a.line.sdk, URL: from + "/Sdk/" + a.line.sdk + "/dotnet-sdk-" + a.line.sdk + "-linux-" + arch + ".tar.gz", Prefix: "./"})
	runtime := in.Fetch(plan.Archive{Title: "ASP.NET Core " + a.line.runtime,
		URL: from + "/aspnetcore/Runtime/" + a.line.runtime + "/aspnetcore-runtime-" + a.line.runtime + "-linux-" + arch + ".tar.gz", Prefix: "./"})
	tool := in.Install(in.Build, plan.Bookworm, "libraries of .NET", "libicu72")
	run := tool.Run(plan.Options(in.Step("dotnet publish", "/opt/dotnet", "/bin/sh", "-c", publish, "dotnet"), llb.Dir("/src"), in.Work("/src"),
		llb.AddMount("/opt/dotnet", sdk, llb.Readonly), in.Cache("nuget", "/cache"), plan.Env("NUGET_PACKAGES", "/cache/packages"),
		plan.Env("DOTNET_ROOT", "/opt/dotnet"), plan.Env("DOTNET_CLI_HOME", "/tmp"), plan.Env("DOTNET_NOLOGO", "1"), plan.Env("DOTNET_CLI_TELEMETRY_OPTOUT", "1"),
		plan.Env("DOTNET_SKIP_FIRST_TIME_EXPERIENCE", "1"), plan.Env("PROJECT", a.project), plan.Env("CONFIG", plan.NuGetConfig), in.Mirrored(build.MirrorNuGet)))
	st := in.Install(in.Run, plan.Bookworm, "libraries of .NET", "libicu72", "libstdc++6")
	st = plan.Copy(st, runtime, "/", "/opt/dotnet", "copy ASP.NET Core "+a.line.runtime)
	st = plan.CopyApp(st, plan.Made(run, "/out"), "/", "/app", "copy the app")
	return plan.Output{State: st, Config: plan.Image([]string{"/opt/dotnet"}, "DOTNET_ROOT=/opt/dotnet", "DOTNET_RUNNING_IN_CONTAINER=true",
		"ASPNETCORE_ENVIRONMENT=Production", "ASPNETCORE_FORWARDEDHEADERS_ENABLED=true", "DOTNET_CLI_TELEMETRY_OPTOUT=1")}, nil
}

// release is a line of .NET with the newest releases of it that this version of Stead knows.
type release struct{ framework, sdk, runtime string }

var releases = []release{{"8.0", "8.0.416", "8.0.22"}, {"9.0", "9.0.308", "9.0.11"}, {"10.0", "10.0.100", "10.0.0"}, {"6.0", "6.0.428", "6.0.36"}}

func choose(asked plan.Asked, sdk string) (release, error) {
	var known []string
	for _, r := range releases {
		known = append(known, r.framework)
		if r.framework == asked.Version {
			if sdk != "" {
				r.sdk = sdk
			}
			return r, nil
		}
	}
	return release{}, stead.Invalid(asked.From, plan.Plain(asked.From)+" is for .NET "+plan.Plain(asked.Version)+", which is not to be had here",
		"the versions are "+strings.Join(known, ", ")+"; or use a Dockerfile")
}
