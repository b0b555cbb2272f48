// Package logs keeps the lines that apps and the platform write: it appends
// them to segments on disk within a budget, and gives them back, the last ones
// and those still to come.
//
// Lines live in streams. A stream is named for its owner: "app/<id>",
// "build/<id>", "release/<id>".
package logs

import (
	"context"
	"iter"
	"time"

	"github.com/steadpaas/stead"
)

// Line is one line of output, of at most MaxLine bytes.
type Line struct {
	At      time.Time `json:"at"`
	Source  string    `json:"source"`           // "app", "stead", "router", "api", "build"
	Process string    `json:"process"`          // "web.2", "router", "build.4"
	Stream  string    `json:"stream,omitempty"` // "stderr", or "" for stdout
	Text    string    `json:"text"`             // no newline, valid UTF-8
	Pos     int64     `json:"-"`                // position behind the line in its origin, so that a reader can go on there; 0: none
	Origin  string    `json:"-"`                // what Pos counts in: an instance
	Seq     int64     `json:"-"`                // its number in the stream, from 1; given by Tail
}

// MaxLine is the longest line, in bytes; longer ones are cut into several.
const MaxLine = 10_000

// AppStream names the stream of an app.
func AppStream(id stead.ID) string { return "app/" + string(id) }

// BuildStream names the stream of a build.
func BuildStream(id stead.ID) string { return "build/" + string(id) }

// ReleaseStream names the stream of a release: its release phase and rollout.
func ReleaseStream(id stead.ID) string { return "release/" + string(id) }

// Query says which lines of a stream Tail gives.
type Query struct {
	Num     int    // how many of the last lines; 0: none, negative: all that are kept
	Follow  bool   // go on with new lines until the context ends or the stream is sealed
	Source  string // only this source, or these, separated by commas
	Process string // only "web.2", or all of "web"
	After   int64  // only lines behind the one of this Seq, instead of the last Num; 0: by Num
}

// Appender is what writers of lines need.
type Appender interface {
	// Append adds lines, in order, and returns when a crash of this process can
	// no longer lose them. It never blocks for long: over budget, the oldest
	// segments go.
	Append(ctx context.Context, stream string, lines ...Line) error
	// Pos returns the largest Pos appended to the stream from the origin.
	Pos(stream, origin string) int64
	// Seal says that no more lines will come; followers end after the last.
	Seal(stream string) error
}

// Tailer is what readers of lines need.
type Tailer interface {
	Tail(ctx context.Context, stream string, q Query) iter.Seq2[Line, error]
}
