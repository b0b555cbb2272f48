package route

import (
	"errors"
	"strconv"
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// errH2 is of a head that HTTP/2 forbids: its stream is reset.
var errH2 = errors.New("malformed head of HTTP/2")

// h2Text writes a decoded head as HTTP/1.1. It refuses what HTTP/2 forbids, and what
// would be read differently once it is text; the rest is the parser's to judge.
type h2Text struct {
	method, path, authority, scheme string
	fields                          []byte // as lines
	cookies                         []byte // joined
	host                            string // of a Host field
	length                          int64  // Content-Length; -1: none
	ended                           bool   // no body follows
	regular                         bool   // a field that is none of the pseudo ones has come
	bad, large, head                bool
	count, size                     int
}

func (t *h2Text) reset(ended bool) {
	*t = h2Text{fields: t.fields[:0], cookies: t.cookies[:0], length: -1, ended: ended}
}

// add takes the next field.
func (t *h2Text) add(f hpack.HeaderField) {
	t.count++
	if t.size += int(f.Size()); t.size > maxHead || t.count > maxFields {
		t.large = true
		return
	}
	if strings.HasPrefix(f.Name, ":") {
		t.pseudo(f)
		return
	}
	t.regular = true
	if t.bad = t.bad || !h2Name(f.Name) || !h2Value(f.Value); t.bad {
		return
	}
	switch f.Name {
	case "connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade", "http2-settings":
		t.bad = true
	case "te":
		t.bad = f.Value != "trailers"
		t.line(f.Name, f.Value)
	case "host":
		t.bad = t.host != "" && t.host != f.Value || f.Value == ""
		t.host = f.Value
	case "content-length":
		n, ok := parseLength([]byte(f.Value))
		t.bad = t.length >= 0 || !ok || t.ended && n > 0
		t.length = n
	case "cookie":
		if len(t.cookies) > 0 {
			t.cookies = append(t.cookies, "; "...)
		}
		t.cookies = append(t.cookies, f.Value...)
	default:
		t.line(f.Name, f.Value)
	}
}

func (t *h2Text) line(name, value string) {
	t.fields = append(append(append(append(t.fields, name...), ": "...), value...), "\r\n"...)
}

func (t *h2Text) pseudo(f hpack.HeaderField) {
	var to *string
	switch f.Name {
	case ":method":
		to = &t.method
	case ":path":
		to = &t.path
	case ":authority":
		to = &t.authority
	case ":scheme":
		to = &t.scheme
	}
	if to == nil || *to != "" || f.Value == "" || t.regular || !h2Value(f.Value) || strings.ContainsAny(f.Value, " \t") {
		t.bad = true
		return
	}
	*to = f.Value
}

// request returns the head as text. errH2: the stream is to be reset; another
// error is to be answered.
func (t *h2Text) request() ([]byte, error) {
	if t.large {
		return nil, errHeadSize
	}
	if t.method == "CONNECT" {
		return nil, errMethod
	}
	if t.bad || t.method == "" || t.path == "" || t.scheme != "http" && t.scheme != "https" {
		return nil, errH2
	}
	if t.path[0] != '/' && t.path != "*" {
		return nil, errH2
	}
	if t.authority != "" && t.host != "" && !strings.EqualFold(t.authority, t.host) {
		return nil, errH2
	}
	if t.head = t.method == "HEAD"; t.authority == "" {
		t.authority = t.host
	}
	o := make([]byte, 0, len(t.fields)+len(t.cookies)+len(t.path)+len(t.authority)+96)
	o = append(append(append(append(o, t.method...), ' '), t.path...), " HTTP/1.1\r\nHost: "...)
	o = append(append(append(o, t.authority...), "\r\n"...), t.fields...)
	if len(t.cookies) > 0 {
		o = append(append(append(o, "cookie: "...), t.cookies...), "\r\n"...)
	}
	switch {
	case t.length >= 0:
		o = append(strconv.AppendInt(append(o, "Content-Length: "...), t.length, 10), "\r\n"...)
	case !t.ended:
		o = append(o, "Transfer-Encoding: chunked\r\n"...)
	}
	return append(o, "\r\n"...), nil
}

// trailers returns the lines of trailers; a field that frames, routes or
// authenticates cannot be one.
func (t *h2Text) trailers() ([]byte, bool) {
	ok := !t.bad && !t.large && t.host == "" && t.length < 0 && len(t.cookies) == 0 &&
		t.method == "" && t.path == "" && t.authority == "" && t.scheme == "" && len(t.fields) < maxTrailers
	return append([]byte(nil), t.fields...), ok
}

// h2Name accepts a field name: a token without capitals.
func h2Name(s string) bool {
	for i := range len(s) {
		if !tokenTable[s[i]] || s[i]-'A' < 26 {
			return false
		}
	}
	return s != ""
}

// h2Value accepts a field value: no control characters, no blanks around it.
func h2Value(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' && s[i] != '\t' || s[i] == 0x7f {
			return false
		}
	}
	return s == "" || s[0] != ' ' && s[0] != '\t' && s[len(s)-1] != ' ' && s[len(s)-1] != '\t'
}

// appendAnswerFrames adds the head of an answer as HEADERS and, if it is long,
// CONTINUATION frames.
func appendAnswerFrames(o []byte, id uint32, a *head, last bool) []byte {
	at := len(o)
	o = appendFrame(o, 0, http2.FrameHeaders, 0, id)
	if i := h2Status(a.status); i > 0 {
		o = append(o, 0x80|i)
	} else {
		o = append(appendH2Name(o, ":status"), 3, byte('0'+a.status/100), byte('0'+a.status/10%10), byte('0'+a.status%10))
	}
	for i := range a.fields {
		f := &a.fields[i]
		switch f.id {
		case fieldConnection, fieldTransferEncoding, fieldKeepAlive, fieldProxyConnection, fieldUpgrade, fieldHTTP2Settings:
			continue
		}
		o = appendH2Field(o, f.name, f.value)
	}
	return endHeaders(o, at, id, last)
}

func appendTrailerFrames(o []byte, id uint32, lines []byte) []byte {
	at := len(o)
	o = appendFrame(o, 0, http2.FrameHeaders, 0, id)
	for len(lines) > 2 {
		var line []byte
		line, lines = cutLine(lines)
		for i, c := range line {
			if c != ':' {
				continue
			}
			if id := identify(line[:i], false); id == fieldOther || id == fieldAccept {
				o = appendH2Field(o, line[:i], trim(line[i+1:]))
			}
			break
		}
	}
	return endHeaders(o, at, id, true)
}

// endHeaders fills the frame's header at o[at:] in, cutting a long block up.
func endHeaders(o []byte, at int, id uint32, last bool) []byte {
	flags := http2.Flags(0)
	if last {
		flags = http2.FlagHeadersEndStream
	}
	block := o[at+9:]
	if len(block) <= h2Frame {
		appendFrame(o[:at], len(block), http2.FrameHeaders, flags|http2.FlagHeadersEndHeaders, id)
		return o
	}
	rest := append([]byte(nil), block[h2Frame:]...)
	appendFrame(o[:at], h2Frame, http2.FrameHeaders, flags, id)
	for o = o[:at+9+h2Frame]; len(rest) > 0; {
		n, end := min(len(rest), h2Frame), http2.Flags(0)
		if n == len(rest) {
			end = http2.FlagContinuationEndHeaders
		}
		o = append(appendFrame(o, n, http2.FrameContinuation, end, id), rest[:n]...)
		rest = rest[n:]
	}
	return o
}

// h2Status is the index of a status in the static table of HPACK (RFC 7541, A); 0: none.
func h2Status(status int) byte {
	switch status {
	case 200:
		return 8
	case 204:
		return 9
	case 206:
		return 10
	case 304:
		return 11
	case 400:
		return 12
	case 404:
		return 13
	case 500:
		return 14
	}
	return 0
}

// appendH2Field adds a field that enters no table: nothing of one answer is
// left in the state of the connection.
func appendH2Field(o, name, value []byte) []byte {
	o = appendH2Name(o, name)
	return append(appendH2Int(o, 0, 7, len(value)), value...)
}

func appendH2Name[T string | []byte](o []byte, name T) []byte {
	if i := h2Static(name); i > 0 {
		return appendH2Int(o, 0, 4, i)
	}
	o = appendH2Int(append(o, 0), 0, 7, len(name))
	for i := range len(name) {
		o = append(o, lower(name[i]))
	}
	return o
}

// appendH2Int is an integer with a prefix of that many bits (RFC 7541, 5.1).
func appendH2Int(o []byte, high byte, bits, n int) []byte {
	limit := 1<<bits - 1
	if n < limit {
		return append(o, high|byte(n))
	}
	o = append(o, high|byte(limit))
	for n -= limit; n >= 128; n >>= 7 {
		o = append(o, byte(n&127|128))
	}
	return append(o, byte(n))
}

// h2Static is the index of a frequent name in HPACK's static table; 0: spell it.
func h2Static[T string | []byte](name T) int {
	switch len(name) {
	case 3, 4, 6, 7, 8, 10, 12, 13, 14, 16:
	default:
		return 0
	}
	var buf [16]byte
	for i := range len(name) {
		buf[i] = lower(name[i])
	}
	switch string(buf[:len(name)]) {
	case ":status":
		return 8
	case "age":
		return 21
	case "cache-control":
		return 24
	case "content-encoding":
		return 26
	case "content-length":
		return 28
	case "content-type":
		return 31
	case "date":
		return 33
	case "etag":
		return 34
	case "expires":
		return 36
	case "location":
		return 46
	case "server":
		return 54
	case "set-cookie":
		return 55
	case "vary":
		return 59
	case "via":
		return 60
	case "last-modified":
		return 44
	}
	return 0
}
