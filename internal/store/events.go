package store

import (
	"slices"
	"strconv"
	"strings"

	"github.com/steadpaas/stead"
)

// Event is an event with the space it belongs to, which decides who sees it,
// and its place in the order of commits.
type Event struct {
	stead.Event
	SpaceID stead.ID
	Seq     int64
}

const eventColumns = `seq, id, at, actor, verb, org_id, space_id, app_id, app, data, request_id`

func scanEvent(r row) (e Event, err error) {
	err = r.Scan(&e.Seq, &e.ID, stamp{&e.At}, &e.Actor, &e.Verb, &e.OrgID, &e.SpaceID, &e.AppID, &e.App, text{&e.Data}, &e.RequestID)
	return e, err
}

// InsertEvent adds an event behind all others. Updates take turns, so the
// numbers have no gaps and grow in the order of commits: a reader that goes by
// them misses nothing.
func (tx *Tx) InsertEvent(e Event) error {
	return tx.exec(`INSERT INTO events (`+eventColumns+`)
		VALUES ((SELECT COALESCE(MAX(seq), 0) + 1 FROM events), $1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		e.ID, micros(e.At), e.Actor, e.Verb, e.OrgID, e.SpaceID, e.AppID, e.App, text{e.Data}, e.RequestID)
}

// EventFilter says which events Events returns.
type EventFilter struct {
	After  int64 // only with a larger Seq
	App    stead.ID
	Verb   string // prefix
	Limit  int
	Newest bool // the newest of all that match, instead of the first after After

	Seen   bool       // restrict to what the following allow
	Orgs   []stead.ID // whole orgs
	Spaces []stead.ID
	Apps   []stead.ID
	Actor  string // its own doings
}

// Events returns matching events in the order they happened.
func (tx *Tx) Events(f EventFilter) ([]Event, error) {
	var q where
	q.and("seq > ", f.After)
	if f.App != "" {
		q.and("app_id = ", f.App)
	}
	if f.Verb != "" {
		q.and("substr(verb, 1, "+strconv.Itoa(len([]rune(f.Verb)))+") = ", f.Verb)
	}
	if f.Seen {
		var any where
		any.args = q.args
		any.or("org_id", f.Orgs)
		any.or("space_id", f.Spaces)
		any.or("app_id", f.Apps)
		any.or("actor", []stead.ID{stead.ID(f.Actor)})
		q.parts, q.args = append(q.parts, "("+strings.Join(any.parts, " OR ")+")"), any.args
	}
	order := "ASC"
	if f.Newest {
		order = "DESC"
	}
	out, err := many(tx, scanEvent, `SELECT `+eventColumns+` FROM events WHERE `+strings.Join(q.parts, " AND ")+
		` ORDER BY seq `+order+` LIMIT `+strconv.Itoa(f.Limit), q.args...)
	if f.Newest {
		slices.Reverse(out)
	}
	return out, err
}

// EventSeq returns the place of an event.
func (tx *Tx) EventSeq(id stead.ID) (int64, error) {
	e, err := one(tx, scanEvent, `SELECT `+eventColumns+` FROM events WHERE id = $1`, id)
	return e.Seq, err
}

// LastEvent returns the place of the newest event, 0 if there is none.
func (tx *Tx) LastEvent() (n int64, err error) {
	err = tx.tx.QueryRowContext(tx.ctx, `SELECT COALESCE(MAX(seq), 0) FROM events`).Scan(&n)
	return n, err
}

// where collects conditions with their arguments.
type where struct {
	parts []string
	args  []any
}

func (w *where) and(cond string, arg any) {
	w.args = append(w.args, arg)
	w.parts = append(w.parts, cond+"$"+strconv.Itoa(len(w.args)))
}

func (w *where) or(column string, ids []stead.ID) {
	if len(ids) == 0 {
		return
	}
	marks := make([]string, 0, len(ids))
	for _, id := range ids {
		w.args = append(w.args, id)
		marks = append(marks, "$"+strconv.Itoa(len(w.args)))
	}
	w.parts = append(w.parts, column+" IN ("+strings.Join(marks, ", ")+")")
}
