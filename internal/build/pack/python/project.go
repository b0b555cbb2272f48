package python

import (
	"io/fs"
	"regexp"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build/pack/plan"
)

// project is what matters of a pyproject.toml: PEP 621, and Poetry's older way.
type project struct {
	Project struct {
		Dependencies []string `toml:"dependencies"`
		Python       string   `toml:"requires-python"`
	} `toml:"project"`
	Tool struct {
		Poetry struct {
			Dependencies map[string]any `toml:"dependencies"`
		} `toml:"poetry"`
	} `toml:"tool"`
}

func readPyproject(tree fs.FS) (*project, error) {
	data, _, err := plan.ReadFile(tree, "pyproject.toml")
	if err != nil {
		return nil, err
	}
	p := &project{}
	if err := toml.Unmarshal(data, p); err != nil {
		return nil, &stead.Error{Kind: stead.KindInvalid, Field: "pyproject.toml", Msg: "pyproject.toml cannot be parsed: " + plan.Plain(err.Error()),
			Hint: "check its TOML"}
	}
	return p, nil
}

// requirements are the project's, in pip's grammar.
func (p *project) requirements() ([]string, error) {
	out := p.Project.Dependencies
	for _, name := range sortedKeys(p.Tool.Poetry.Dependencies) {
		if name == "python" {
			continue
		}
		line, err := poetryRequirement(name, p.Tool.Poetry.Dependencies[name])
		if err != nil {
			return nil, err
		}
		if line != "" {
			out = append(out, line)
		}
	}
	if len(out) > maxRequirements {
		return nil, stead.Invalid("pyproject.toml", "pyproject.toml lists more than 2000 packages", "list only what the app needs")
	}
	for _, d := range out {
		if normal(d) == "" || strings.ContainsAny(d, "\x00\n") || len(d) > 1000 {
			return nil, stead.Invalid("pyproject.toml", "pyproject.toml lists "+plan.Plain(d)+", which is not a requirement", "write for example \"flask>=3\"")
		}
	}
	return out, nil
}

// python is the version that the project is for.
func (p *project) python() string {
	if p.Project.Python != "" {
		return p.Project.Python
	}
	v, _ := p.Tool.Poetry.Dependencies["python"].(string)
	return tilde.ReplaceAllString(v, "~$1.0") // Poetry's ~3.9 is 3.9.x
}

var tilde = regexp.MustCompile(`~\s*([0-9]+\.[0-9]+)$`)

// poetryRequirement is one line of Poetry's table; "" for one that is optional.
func poetryRequirement(name string, value any) (string, error) {
	wrong := func(why string) error {
		return stead.Invalid("pyproject.toml", "pyproject.toml asks for "+plan.Plain(name)+" in a way that is not understood: "+why,
			"run \"poetry export -o requirements.txt\" and push it too")
	}
	version, extras, marker := "", "", ""
	switch v := value.(type) {
	case string:
		version = v
	case map[string]any:
		if v["optional"] == true {
			return "", nil
		}
		if v["git"] != nil || v["path"] != nil || v["url"] != nil {
			return normal(name), nil // where from, the lock file says
		}
		version, _ = v["version"].(string)
		marker, _ = v["markers"].(string)
		if list, ok := v["extras"].([]any); ok {
			for _, e := range list {
				s, _ := e.(string)
				extras += "," + s
			}
		}
	default:
		return "", wrong("several conditions")
	}
	if extras = strings.TrimPrefix(extras, ","); extras != "" && !extrasGrammar.MatchString(extras) {
		return "", wrong("extras")
	}
	spec, ok := pep440(version)
	if !ok || marker != "" && !markerGrammar.MatchString(marker) {
		return "", wrong("its version or marker")
	}
	line := normal(name)
	if extras != "" {
		line += "[" + extras + "]"
	}
	line += spec
	if marker != "" {
		line += " ; " + marker
	}
	return line, nil
}

var constraintGrammar = regexp.MustCompile(`^(\^|~=|~|>=|<=|==|!=|>|<|=)?\s*v?([0-9]{1,6}(?:\.(?:[0-9]{1,6}|\*)){0,3}(?:[a-z][0-9a-z.]{0,15})?)$`)

// pep440 turns Poetry's carets and tildes into comparators.
func pep440(version string) (string, bool) {
	if version = strings.TrimSpace(version); version == "" || version == "*" {
		return "", true
	}
	var out []string
	for _, part := range strings.Split(version, ",") {
		m := constraintGrammar.FindStringSubmatch(strings.TrimSpace(part))
		if m == nil {
			return "", false
		}
		switch m[1] {
		case "", "=":
			out = append(out, "=="+m[2])
		case "^", "~":
			out = append(out, ">="+m[2], "<"+above(m[1], m[2]))
		default:
			out = append(out, m[1]+m[2])
		}
	}
	return strings.Join(out, ","), true
}

// above is the first version that a caret or tilde leaves out.
func above(operator, version string) string {
	parts := strings.Split(version, ".")
	n := min(1, len(parts)-1) // ~1.2.3 is 1.2.x, ~1 is 1.x
	if operator == "^" {      // the first part that is not zero may not change
		for n = 0; n < len(parts)-1 && parts[n] == "0"; n++ {
		}
	}
	next, _ := strconv.Atoi(leadingNumber(parts[n]))
	return strings.Join(append(parts[:n:n], strconv.Itoa(next+1)), ".")
}

func leadingNumber(s string) string {
	for i, r := range s {
		if r < '0' || r > '9' {
			return s[:i]
		}
	}
	return s
}
