package java

import (
	"io/fs"
	"regexp"
	"strings"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build/pack/plan"
)

// lines are the Javas of Debian's suites, the default first.
var lines = []plan.Line{{Version: "17", Suite: plan.Bookworm}, {Version: "21", Suite: plan.Trixie}, {Version: "25", Suite: plan.Trixie}}

// app is a detected app.
type app struct {
	line     plan.Line
	asked    plan.Asked
	tool     string // "Maven", "Gradle"; "" for a ready file
	wrapper  bool
	tasks    string
	file     string // the ready jar or war
	server   string // "jetty", "tomcat" for a war that is no program itself; "" for none
	procfile bool   // the Procfile says what the web process is
	notes    []string
}

// look returns nil when the tree is not Java.
func look(tree fs.FS) (*app, error) {
	a := &app{}
	file := plan.First(tree, "pom.xml", "build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts")
	text := ""
	switch {
	case file == "pom.xml":
		a.tool, a.wrapper, a.tasks = "Maven", plan.Has(tree, "mvnw"), "package"
	case file != "":
		a.tool, a.wrapper = "Gradle", plan.Has(tree, "gradlew") && plan.Has(tree, "gradle/wrapper/gradle-wrapper.properties")
	default:
		found, err := ready(tree)
		if err != nil || found == "" {
			return nil, err
		}
		a.file = found
	}
	if file != "" {
		data, _, err := plan.ReadFile(tree, file)
		if err != nil {
			return nil, err
		}
		text = string(data)
	}
	if a.tool == "Gradle" {
		a.tasks = gradleTasks(text)
	}
	a.findServer(text)
	procfile, _, err := plan.ReadFile(tree, "Procfile")
	if err != nil {
		return nil, err
	}
	a.procfile = regexp.MustCompile(`(?m)^web\s*:`).Match(procfile)
	return a, a.version(tree, file, text)
}

var nameGrammar = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}\.(jar|war)$`)

// ready finds a jar or war at the root.
func ready(tree fs.FS) (string, error) {
	jars, _ := fs.Glob(tree, "*.jar")
	wars, _ := fs.Glob(tree, "*.war")
	var found []string
	for _, f := range append(jars, wars...) {
		if nameGrammar.MatchString(f) && plan.Has(tree, f) {
			found = append(found, f)
		}
	}
	if len(found) > 1 && !plan.Has(tree, "Procfile") {
		return "", stead.Invalid("Procfile", "there are several jars and wars, and nothing says which one serves the web",
			"add a Procfile, such as \"web: java $JAVA_OPTS -jar "+found[0]+"\"")
	}
	if len(found) == 0 {
		return "", nil
	}
	return found[0], nil
}

// gradleTasks tells what to run: the task "stage" that projects for Heroku
// have, else what the plugins make.
func gradleTasks(text string) string {
	switch {
	case regexp.MustCompile(`(?m)^\s*(task\s+stage\b|tasks\.(register|create)\(\s*["']stage["'])`).MatchString(text):
		return "stage"
	case strings.Contains(text, "org.springframework.boot"):
		return "bootJar"
	case regexp.MustCompile(`(?m)(apply\s+plugin:\s*|id\s*\(?\s*)["']application["']|^\s*application\s*$`).MatchString(text):
		return "installDist"
	}
	return "assemble"
}

var warProject = regexp.MustCompile(`<packaging>\s*war\s*</packaging>|(apply\s+plugin:\s*|id\s*\(?\s*)["']war["']`)

// findServer chooses the server of a war: Tomcat 10 speaks jakarta.servlet,
// Jetty 9 what was before it. Spring Boot's wars are programs themselves.
func (a *app) findServer(text string) {
	if !warProject.MatchString(text) && !strings.HasSuffix(a.file, ".war") || strings.Contains(text, "spring-boot") {
		return
	}
	a.server = "jetty"
	if strings.Contains(text, "jakarta.servlet") || strings.Contains(text, "jakarta.jakartaee") || strings.Contains(text, "jakarta.platform") {
		a.server = "tomcat"
	}
}

var (
	systemProperty = regexp.MustCompile(`(?m)^\s*java\.runtime\.version\s*[=:]\s*(\S+)`)
	sdkman         = regexp.MustCompile(`(?m)^\s*java\s*=\s*(\S+)`)
	leastVersions  = []*regexp.Regexp{
		regexp.MustCompile(`<(?:java\.version|maven\.compiler\.release|maven\.compiler\.target|release)>\s*(?:1\.)?([0-9]{1,2})\s*<`),
		regexp.MustCompile(`JavaLanguageVersion\.of\(\s*["']?([0-9]{1,2})`),
		regexp.MustCompile(`jvmToolchain\(\s*([0-9]{1,2})`),
		regexp.MustCompile(`(?:source|target)Compatibility\s*=\s*["']?(?:JavaVersion\.VERSION_)?(?:1[._])?([0-9]{1,2})\b`),
	}
	digits = regexp.MustCompile(`^(?:1\.)?([0-9]{1,2})(?:[._+-].*)?$`)
)

// version reads system.properties, .java-version, .sdkmanrc or .tool-versions,
// which name the version that runs; else what the project compiles for, which
// is a least one.
func (a *app) version(tree fs.FS, file, text string) (err error) {
	for name, grammar := range map[string]*regexp.Regexp{"system.properties": systemProperty, ".sdkmanrc": sdkman} {
		data, _, err := plan.ReadFile(tree, name)
		if err != nil {
			return err
		}
		if m := grammar.FindSubmatch(data); m != nil && a.asked.From != "system.properties" {
			a.asked = plan.Asked{Version: string(m[1]), From: name}
		}
	}
	if a.asked.Version == "" {
		if a.asked, err = plan.AskedIn(tree, []string{".java-version"}, []string{"java"}); err != nil {
			return err
		}
	}
	for _, vendor := range []string{"openjdk", "temurin", "zulu", "corretto", "adoptopenjdk", "oracle", "heroku", "java", "-"} {
		a.asked.Version = strings.TrimPrefix(a.asked.Version, vendor)
	}
	if m := digits.FindStringSubmatch(a.asked.Version); m != nil {
		a.asked.Version = m[1]
	}
	if a.asked.Version == "" {
		a.least(file, text)
		return err
	}
	a.line, err = plan.Choose("Java", lines, a.asked)
	return err
}

// least chooses the default, or the first that is as new as the project wants.
func (a *app) least(file, text string) {
	a.line = lines[0]
	for _, grammar := range leastVersions {
		if m := grammar.FindStringSubmatch(text); m != nil {
			for _, l := range lines {
				if plan.Satisfies(l.Version, ">="+m[1]) {
					a.line, a.asked = l, plan.Asked{Version: m[1], From: file}
					return
				}
			}
		}
	}
}
