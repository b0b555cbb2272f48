package descriptor

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/steadpaas/stead"
)

// doc is a table of a document. What nobody takes from it is told by done.
type doc struct {
	r    *reader
	file string
	at   string // where it is: "formation.web."
	m    map[string]any
	used map[string]bool
}

// says is how a key is quoted in findings.
func (d *doc) says(key string) string {
	if s, ok := d.m[key].(string); ok && len(s) < 60 && !secretish.MatchString(d.at+key) {
		return d.at + key + ": " + s
	}
	return d.at + key
}

var secretish = regexp.MustCompile(`(?i)env|secret|password|token|key|config|args`)

func (d *doc) has(key string) bool {
	_, ok := d.m[key]
	return ok
}

// text takes a scalar; "" if it is not there.
func (d *doc) text(key string) string {
	v, ok := d.m[key]
	if !ok {
		return ""
	}
	d.used[key] = true
	switch v := v.(type) {
	case string:
		return v
	case nil:
		return ""
	}
	d.r.refuse(d.file, d.at+key, "it should be one value")
	return ""
}

// whole takes a number from 0 to max.
func (d *doc) whole(key string, max int) (int, bool) {
	s := d.text(key)
	if s == "" {
		return 0, false
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > max {
		d.r.refuse(d.file, d.says(key), "it should be a whole number from 0 to "+strconv.Itoa(max))
		return 0, false
	}
	return n, true
}

// table takes a table; an empty one if it is not there.
func (d *doc) table(key string) *doc {
	sub := &doc{r: d.r, file: d.file, at: d.at + key + ".", used: map[string]bool{}}
	v, ok := d.m[key]
	if !ok {
		return sub
	}
	d.used[key] = true
	if sub.m, ok = v.(map[string]any); !ok && v != nil {
		d.r.refuse(d.file, d.at+key, "it should be a table of names and values")
	}
	return sub
}

// list takes a list; a single value is a list of one.
func (d *doc) list(key string) []any {
	v, ok := d.m[key]
	if !ok {
		return nil
	}
	d.used[key] = true
	switch v := v.(type) {
	case []any:
		return v
	case nil:
		return nil
	}
	return []any{v}
}

// texts takes a list of scalars.
func (d *doc) texts(key string) (out []string) {
	for _, v := range d.list(key) {
		if s, ok := v.(string); ok {
			out = append(out, s)
		} else {
			d.r.refuse(d.file, d.at+key, "an entry should be one value")
		}
	}
	return out
}

// tables takes a list of tables.
func (d *doc) tables(key string) (out []*doc) {
	for i, v := range d.list(key) {
		m, ok := v.(map[string]any)
		if !ok {
			d.r.refuse(d.file, d.at+key, "an entry should be a table of names and values")
			continue
		}
		out = append(out, &doc{r: d.r, file: d.file, at: d.at + key + "[" + strconv.Itoa(i) + "].", m: m, used: map[string]bool{}})
	}
	return out
}

// command takes a command: a line for the shell, or a list of arguments.
func (d *doc) command(key string) stead.Command {
	v, ok := d.m[key]
	if !ok {
		return nil
	}
	d.used[key] = true
	switch v := v.(type) {
	case string:
		if strings.TrimSpace(v) != "" && !strings.ContainsRune(v, 0) && len(v) <= maxValue {
			return stead.Shell(strings.TrimSpace(v))
		}
	case []any:
		var c stead.Command
		for _, a := range v {
			s, ok := a.(string)
			if !ok || strings.ContainsRune(s, 0) || len(s) > maxValue || len(c) >= 100 {
				d.r.refuse(d.file, d.at+key, "the command cannot be used")
				return nil
			}
			c = append(c, s)
		}
		if len(c) > 0 {
			return c
		}
	case nil:
		return nil
	}
	d.r.refuse(d.file, d.at+key, "the command cannot be used")
	return nil
}

// keys returns the names in order.
func (d *doc) keys() []string { return slices.Sorted(maps.Keys(d.m)) }

// people marks what is for people and has no effect anywhere.
func (d *doc) people(keys ...string) {
	for _, k := range keys {
		if d.has(k) && !d.used[k] {
			d.used[k] = true
			d.r.say(d.file, d.says(k), "for people; it changes nothing")
		}
	}
}

// refuse notes that a key is not honoured.
func (d *doc) refuse(key, why string) {
	if d.has(key) && !d.used[key] {
		d.used[key] = true
		d.r.refuse(d.file, d.says(key), why)
	}
}

// refuseAll is refuse for several keys, each with its reason.
func (d *doc) refuseAll(why map[string]string) {
	for _, k := range d.keys() {
		if w, ok := why[k]; ok {
			d.refuse(k, w)
		}
	}
}

// done tells what was not taken.
func (d *doc) done() {
	for _, k := range d.keys() {
		if !d.used[k] {
			d.r.refuse(d.file, d.says(k), "Stead knows nothing of that name here")
		}
	}
}

var memoryGrammar = regexp.MustCompile(`(?i)^([0-9]{1,7})(\.[0-9]{1,3})?\s*(k|m|g|t)?i?b?$`)

// memory reads "512M", "1GB", "0.5g"; 0: it cannot be read. A number alone is
// in the unit given.
func memory(s string, unit int64) int64 {
	m := memoryGrammar.FindStringSubmatch(strings.TrimSpace(s))
	if m == nil {
		return 0
	}
	f, err := strconv.ParseFloat(m[1]+m[2], 64)
	if err != nil {
		return 0
	}
	switch strings.ToLower(m[3]) {
	case "k":
		unit = 1 << 10
	case "m":
		unit = 1 << 20
	case "g":
		unit = 1 << 30
	case "t":
		unit = 1 << 40
	}
	return int64(f * float64(unit))
}

// seconds reads "90", "90s", "2m", "1m30s", up to an hour; 0: it cannot be read.
func seconds(s string) stead.Seconds {
	total, digits := 0, ""
	for _, c := range s {
		switch {
		case c >= '0' && c <= '9' && len(digits) < 5:
			digits += string(c)
		case c == 's' || c == 'm' || c == 'h':
			n, err := strconv.Atoi(digits)
			if err != nil {
				return 0
			}
			total += n * map[rune]int{'s': 1, 'm': 60, 'h': 3600}[c]
			digits = ""
		default:
			return 0
		}
	}
	if digits != "" {
		n, err := strconv.Atoi(digits)
		if err != nil {
			return 0
		}
		total += n
	}
	if total > 3600 {
		return 0
	}
	return stead.Seconds(total)
}

// quantity takes a number of instances.
func (d *doc) quantity(key string) *int {
	if n, ok := d.whole(key, stead.MaxQuantity); ok {
		return &n
	}
	return nil
}

// healthPath takes the path of a health check.
func (d *doc) healthPath(key string) string {
	p := d.text(key)
	if p == "" {
		return ""
	}
	if stead.CheckPath(key, p) != nil {
		d.r.refuse(d.file, d.says(key), "it is not a path")
		return ""
	}
	return p
}
