package api

import (
	"strconv"

	"github.com/steadpaas/stead"
)

// PageQuery is the part of an input that chooses a page.
type PageQuery struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	Cursor string `query:"cursor" maxLength:"20" doc:"The next of the page before."`
}

// page cuts a page out of all, which is numbered and newest first. Its cursor
// is the number of its last, so that a page stays the same while new ones come.
func page[T any](all []T, q PageQuery, number func(T) int) (list[T], error) {
	out := list[T]{Items: []T{}}
	before := 0
	if q.Cursor != "" {
		n, err := strconv.Atoi(q.Cursor)
		if err != nil || n < 1 {
			return out, stead.Invalid("cursor", "the cursor is not one of this list", "use the next of the page before")
		}
		before = n
	}
	for _, v := range all {
		if before > 0 && number(v) >= before {
			continue
		}
		if len(out.Items) == q.Limit {
			out.Next = strconv.Itoa(number(out.Items[q.Limit-1]))
			break
		}
		out.Items = append(out.Items, v)
	}
	return out, nil
}
