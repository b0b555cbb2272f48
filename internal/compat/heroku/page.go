package heroku

import (
	"cmp"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/steadpaas/stead"
)

// Heroku pages lists by ranges of a property
// (https://devcenter.heroku.com/articles/platform-api-reference#ranges):
//
//	Range: version 3..; max=10, order=desc
//
// answers 206 with Next-Range while there is more.
const (
	defaultPage = 200
	maxPage     = 1000
)

// window is a parsed Range header.
type window struct {
	by        string
	from, to  string
	exclusive bool // from is not in it
	desc      bool
	max       int
}

var rangeGrammar = regexp.MustCompile(`^\s*([a-z_]+)(?:\s+(\])?([^.\s;]*(?:\.[^.\s;]+)*)\.\.(\[?)([^\s;]*))?\s*(?:;(.*))?$`)

func parseRange(s string) (window, error) {
	w := window{max: defaultPage}
	if s == "" {
		return w, nil
	}
	m := rangeGrammar.FindStringSubmatch(s)
	if m == nil {
		return w, badRange(s)
	}
	w.by, w.exclusive, w.from, w.to = m[1], m[2] != "", m[3], m[5]
	for part := range strings.FieldsFuncSeq(m[6], func(r rune) bool { return r == ',' || r == ';' }) {
		k, v, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch {
		case k == "order" && (v == "asc" || v == "desc"):
			w.desc = v == "desc"
		case k == "max":
			n, err := strconv.Atoi(v)
			if err != nil || n < 1 || n > maxPage {
				return w, badRange(s)
			}
			w.max = n
		case k != "":
			return w, badRange(s)
		}
	}
	return w, nil
}

func badRange(s string) error {
	return stead.Invalid("Range", fmt.Sprintf("the Range header %.80q is not usable", s), "write it like `version ..; max=10, order=desc`, max at most 1000")
}

// page returns the part of a list that the request asks for, and says in the
// headers which it is.
func (c *call) page(all []object) ([]object, error) {
	w, err := parseRange(c.r.Header.Get("Range"))
	if err != nil || c.r.Method != http.MethodGet {
		return all, err
	}
	c.w.Header().Set("Accept-Ranges", acceptRanges(all))
	if w.by != "" {
		if all, err = w.arrange(all); err != nil {
			return nil, err
		}
	}
	by := cmp.Or(w.by, "id")
	if len(all) == 0 {
		return all, nil
	}
	out := all[:min(w.max, len(all))]
	first, last := key(out[0], by), key(out[len(out)-1], by)
	c.w.Header().Set("Content-Range", by+" "+first+".."+last)
	if len(out) < len(all) {
		next := fmt.Sprintf("%s ]%s..; max=%d", by, last, w.max)
		if w.by != "" && w.desc {
			next += ", order=desc"
		}
		c.w.Header().Set("Next-Range", next)
		c.status = http.StatusPartialContent
	}
	return out, nil
}

// arrange sorts by the property and cuts to the range.
func (w window) arrange(all []object) ([]object, error) {
	out := make([]object, 0, len(all))
	for _, o := range all {
		if _, ok := o[w.by]; !ok {
			return nil, stead.Invalid("Range", "the list cannot be ranged by "+w.by, "use one of "+acceptRanges(all))
		}
		out = append(out, o)
	}
	slices.SortStableFunc(out, func(a, b object) int {
		n := compareKeys(key(a, w.by), key(b, w.by))
		if w.desc {
			n = -n
		}
		return n
	})
	return slices.DeleteFunc(out, func(o object) bool { return !w.has(key(o, w.by)) }), nil
}

func (w window) has(k string) bool {
	dir := 1
	if w.desc {
		dir = -1
	}
	if w.from != "" {
		if n := dir * compareKeys(k, w.from); n < 0 || n == 0 && w.exclusive {
			return false
		}
	}
	return w.to == "" || dir*compareKeys(k, w.to) <= 0
}

// key is the text of a property.
func key(o object, by string) string {
	switch v := o[by].(type) {
	case nil:
		return ""
	case string:
		return v
	default:
		return fmt.Sprint(v)
	}
}

// compareKeys compares numbers as numbers.
func compareKeys(a, b string) int {
	x, err1 := strconv.Atoi(a)
	y, err2 := strconv.Atoi(b)
	if err1 == nil && err2 == nil {
		return cmp.Compare(x, y)
	}
	return cmp.Compare(a, b)
}

func acceptRanges(all []object) string {
	have := []string{"id"}
	for _, p := range []string{"name", "version", "updated_at"} {
		if len(all) > 0 && all[0][p] != nil {
			have = append(have, p)
		}
	}
	return strings.Join(have, ", ")
}
