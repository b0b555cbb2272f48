// Package java builds Maven and Gradle projects, by their wrappers or Debian's
// own tools, and takes ready jars and wars as they are. An image holds a small
// runtime made of Debian's OpenJDK by jlink, and what the build made; a war gets
// Jetty or Tomcat.
package java

import (
	_ "embed"
	"io/fs"
	"strings"

	"github.com/moby/buildkit/client/llb"
	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build"
	"github.com/steadpaas/stead/internal/build/pack/plan"
)

//go:embed build.sh
var buildScript string

//go:embed runtime.sh
var runtimeScript string

//go:embed tomcat.xml
var tomcatXML []byte

// Pack is the pack "java".
type Pack struct{}

// Name implements plan.Pack.
func (Pack) Name() string { return "java" }

// Marks implements plan.Pack.
func (Pack) Marks() []string {
	return []string{"pom.xml", "build.gradle", "build.gradle.kts", "*.jar", "*.war"}
}

// Detect implements plan.Pack.
func (Pack) Detect(tree fs.FS) (*plan.Detected, error) {
	a, err := look(tree)
	if err != nil || a == nil {
		return nil, err
	}
	return &plan.Detected{Pack: "java", Summary: a.summary(), Notes: a.notes, LLB: a.plan,
		Processes: map[string]stead.Command{"web": {"/bin/sh", starter}}}, nil
}

// starter is what the build writes to start what it found: which of the files
// that it makes is the program is not known before.
const starter = "/app/.start"

func (a *app) summary() string {
	s := "Java " + a.line.Version
	if a.asked.From != "" {
		s += " (" + a.asked.From + ")"
	}
	switch {
	case a.tool == "":
		s += ", " + plan.Plain(a.file)
	case a.wrapper:
		s += ", " + a.tool + " by its wrapper"
	default:
		s += ", " + a.tool
	}
	if a.server != "" {
		s += ", war served by " + map[string]string{"jetty": "Jetty 9", "tomcat": "Tomcat 10"}[a.server]
	}
	return s
}

func (a *app) plan(in plan.Inputs) (plan.Output, error) {
	title, packages := "OpenJDK "+a.line.Version, []string{"openjdk-" + a.line.Version + "-jdk-headless"}
	if a.tool != "" && !a.wrapper {
		title, packages = title+" and "+a.tool, append(packages, strings.ToLower(a.tool))
	}
	jdk := in.Install(in.Build, a.line.Suite, title, packages...)
	libraries := []string{"libstdc++6", "zlib1g", "libfontconfig1", "libfreetype6", "libharfbuzz0b", "liblcms2-2", "libjpeg62-turbo", "fonts-dejavu-core"}
	if a.line.Suite != plan.Bookworm { // the runtime wants the C library that it was linked with
		libraries = append(libraries, "libc6")
	}
	st := in.Install(in.Run, a.line.Suite, "libraries of OpenJDK "+a.line.Version, libraries...)
	st = plan.Copy(st, runtime(jdk), "/", "/opt/java", "copy Java "+a.line.Version)
	if a.server != "" {
		st = plan.Copy(st, a.webServer(in, jdk), "/", "/opt/"+a.server, "copy "+a.server)
	}
	st = plan.CopyApp(st, in.Source, "/", "/app", "copy the app's files", ".git", "**/*.java", "**/*.kt", "**/*.groovy", "**/*.scala", "target", "**/build", ".gradle", "mvnw*", "gradlew*", "gradle", ".mvn")
	st = plan.CopyApp(st, a.made(in, jdk), "/", "/app", "copy what was built")
	return plan.Output{State: st, Config: plan.Image([]string{"/opt/java/bin"}, "JAVA_HOME=/opt/java", "JAVA_OPTS=-XX:MaxRAMPercentage=70", "LANG=C.UTF-8")}, nil
}

// runtime is Java with the modules that server programs use. It is made once
// for a version.
func runtime(jdk llb.State) llb.State {
	run := jdk.Run(plan.Tool("make a small Java runtime (jlink)", "", "/bin/sh", "-c", runtimeScript, "jlink"))
	return run.AddMount("/out", llb.Scratch())
}

// webServer is Debian's server, with the files that its package links to.
func (a *app) webServer(in plan.Inputs, jdk llb.State) llb.State {
	pkg := map[string]string{"jetty": "jetty9", "tomcat": "tomcat10-user"}[a.server]
	st := in.Install(jdk, a.line.Suite, pkg, pkg)
	const take = `set -e; cp -rL "/usr/share/$1/." /out/ 2>/dev/null || true; test -e "/out/$2"; rm -rf /out/webapps /out/logs /out/work /out/doc`
	name, witness := "jetty9", "start.jar"
	if a.server == "tomcat" {
		name, witness = "tomcat10", "bin/bootstrap.jar"
	}
	out := st.Run(plan.Tool("take "+name+" as it is", "", "/bin/sh", "-c", take, "take", name, witness)).AddMount("/out", llb.Scratch())
	if a.server == "tomcat" {
		out = out.File(llb.Mkfile("/server.xml", 0o644, tomcatXML), llb.WithCustomName("configure Tomcat"))
	}
	return out
}

// made is what the build makes of the source, in the places where the tools
// put it, and the starter.
func (a *app) made(in plan.Inputs, jdk llb.State) llb.State {
	opts := []llb.RunOption{in.Step(a.title(), "", "/bin/bash", "-c", buildScript, "build"), llb.Dir("/src"), in.Work("/src"), in.Cache("java", "/cache"),
		plan.Env("TOOL", strings.ToLower(a.tool)), plan.Env("TASKS", a.tasks), plan.Env("SERVER", a.server), plan.Env("READY", a.file),
		plan.Env("LANG", "C.UTF-8"), plan.Env("GRADLE_USER_HOME", "/cache/gradle"), plan.Env("MAVEN_SETTINGS", plan.MavenSettings), plan.Env("GRADLE_INIT", plan.GradleInit),
		in.Mirrored(build.MirrorMaven)}
	if a.procfile {
		opts = append(opts, plan.Env("STARTED", "1"))
	}
	if a.wrapper {
		opts = append(opts, plan.Env("WRAPPER", "1"), plan.Env("GRADLE_DISTRIBUTIONS", in.Mirror(build.MirrorGradle, "")))
		if in.Mirrors[build.MirrorMaven] != "" {
			opts = append(opts, plan.Env("MVNW_REPOURL", strings.TrimRight(in.Mirrors.Bare(build.MirrorMaven), "/")))
		}
	}
	return plan.Made(jdk.Run(plan.Options(opts...)), "/out")
}

func (a *app) title() string {
	switch a.tool {
	case "Maven":
		return "mvn " + a.tasks
	case "Gradle":
		return "gradle " + a.tasks
	}
	return "look into " + plan.Plain(a.file)
}
