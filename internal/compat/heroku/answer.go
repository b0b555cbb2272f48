package heroku

import (
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/steadpaas/stead"
)

// object is one resource in the making: its serializer decides the keys, the
// contract test holds them against the published schema.
type object map[string]any

// nothing is the answer without a body.
type nothing struct{}

// raw says that the handler wrote the answer itself.
type raw struct{}

// maxBody is how large a JSON request may be, in bytes.
const maxBody = 1 << 20

func itoa(n int) string { return strconv.Itoa(n) }

// stamp is a time as Heroku writes it: RFC 3339 in UTC, whole seconds.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func stampOrNull(t *time.Time) any {
	if t == nil || t.IsZero() {
		return nil
	}
	return stamp(*t)
}

// idOf makes the UUID (RFC 9562, section 5.5) of what has a name but no ID of
// its own, the same each time.
func idOf(parts ...string) string {
	sum := sha1.Sum([]byte("stead/heroku/" + strings.Join(parts, "/")))
	b := sum[:16]
	b[6], b[8] = b[6]&0x0f|0x50, b[8]&0x3f|0x80
	s := hex.EncodeToString(b)
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// each serializes a list.
func each[T any](all []T, f func(T) object) []object {
	out := make([]object, 0, len(all))
	for _, v := range all {
		out = append(out, f(v))
	}
	return out
}

// decode reads the request's JSON body; none is an empty one. Unknown fields
// are let pass, as Heroku does.
func (c *call) decode(to any) error {
	data, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, maxBody))
	if err != nil {
		return &stead.Error{Kind: stead.KindLimit, Msg: "the request's body is larger than 1 MiB", Hint: "send less", Err: err}
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return nil
	}
	if err := json.Unmarshal(data, to); err != nil {
		field := ""
		if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			field = t.Field
		}
		return stead.Invalid(field, "the request's body is not usable JSON: "+strings.TrimPrefix(err.Error(), "json: "), "compare it with the Platform API reference")
	}
	return nil
}

// created makes the answer 201.
func (c *call) created(v any) any {
	c.status = http.StatusCreated
	return v
}

// answer writes what a handler returned.
func (c *call) answer(v any) {
	switch v := v.(type) {
	case raw:
	case nothing:
		c.w.WriteHeader(http.StatusNoContent)
	case []object:
		page, err := c.page(v)
		if err != nil {
			c.fail(err)
			return
		}
		c.write(c.status, page)
	default:
		c.write(c.status, v)
	}
}

// write sends JSON. A read carries an ETag, and is not sent again to who has it.
func (c *call) write(status int, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		c.log.Error("answer not encoded", "error", err)
		status, data = http.StatusInternalServerError, []byte(`{"id":"internal_server_error","message":"the platform failed"}`)
	}
	h := c.w.Header()
	h.Set("Content-Type", "application/json;charset=utf-8")
	h.Set("Cache-Control", "private, no-cache")
	h.Set("Vary", "Accept-Encoding, Authorization")
	if c.r.Method == http.MethodGet && status < 300 {
		sum := sha1.Sum(data)
		tag := `"` + hex.EncodeToString(sum[:]) + `"`
		h.Set("ETag", tag)
		if strings.Contains(c.r.Header.Get("If-None-Match"), tag) {
			c.w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	h.Set("Content-Length", itoa(len(data)))
	c.w.WriteHeader(status)
	if c.r.Method != http.MethodHead {
		_, _ = c.w.Write(data) // the client is gone: nobody to tell
	}
}
