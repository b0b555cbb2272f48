package route

import (
	"bytes"
)

// The largest head, in bytes, and number of its fields.
const (
	maxHead   = 32 << 10
	maxFields = 200
)

// refusal is why a message is not passed on: a status and a sentence.
type refusal struct {
	status int
	why    string
}

func (r *refusal) Error() string { return r.why }

func bad(why string) *refusal { return &refusal{400, why} }

var (
	errHeadSize   = &refusal{431, "the head of the request is larger than 32 KiB or has more than 200 fields"}
	errBareLF     = bad("a line ends with a bare line feed")
	errBareCR     = bad("a line contains a bare carriage return")
	errLine       = bad("the request line is malformed")
	errVersion    = &refusal{505, "only HTTP/1.1, HTTP/1.0 and HTTP/2 are spoken here"}
	errName       = bad("a field name is malformed")
	errFold       = bad("a field continues on a second line")
	errValue      = bad("a field value contains a control character")
	errLength     = bad("Content-Length is not one plain number")
	errLengths    = bad("Content-Length is given twice")
	errBoth       = bad("both Content-Length and Transfer-Encoding are given")
	errCoding     = &refusal{501, "Transfer-Encoding is not exactly chunked"}
	errHost       = bad("the Host field is missing, repeated or malformed")
	errTrailer    = bad("the Trailer field names a field that cannot be a trailer")
	errUnderscore = bad("a field name imitates a framing field with underscores")
	errMethod     = &refusal{405, "CONNECT is not for routers of this kind"}
)

// field is one header field; name and value lie in the head's buffer.
type field struct {
	name, value []byte
	id          fieldID
}

// fieldID names the fields that the router understands.
type fieldID uint8

const (
	fieldOther fieldID = iota
	fieldHost
	fieldConnection
	fieldContentLength
	fieldTransferEncoding
	fieldUpgrade
	fieldKeepAlive
	fieldProxyConnection
	fieldProxyAuthorization
	fieldProxyAuthenticate
	fieldTE
	fieldTrailer
	fieldExpect
	fieldVia
	fieldRequestID
	fieldForwardedFor
	fieldForwardedProto
	fieldForwardedPort
	fieldForwardedHost
	fieldRequestStart
	fieldForwarded
	fieldHTTP2Settings
	fieldAccept
	fieldRealIP
)

var fieldNames = [...]string{"", "host", "connection", "content-length", "transfer-encoding", "upgrade",
	"keep-alive", "proxy-connection", "proxy-authorization", "proxy-authenticate", "te", "trailer", "expect",
	"via", "x-request-id", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-port", "x-forwarded-host",
	"x-request-start", "forwarded", "http2-settings", "accept", "x-real-ip"}

// head is a parsed head of a request or an answer. Its slices lie in the
// buffer it was parsed from.
type head struct {
	method, target []byte
	path           []byte // of target, without the query
	host           []byte // as sent, with port
	status         int
	minor          int // of HTTP/1.x
	fields         []field

	length  int64 // of the body; -1: not given
	chunked bool
	close   bool // Connection: close
	keep    bool // Connection: keep-alive
	upgrade bool // Connection: upgrade with an Upgrade field
	expect  bool // Expect: 100-continue
	named   bool // Connection names other fields
	hosts   int
	lengths int
	codings int
}

// headEnd returns the length of the head at the start of b, the empty line
// included; 0 if it is not complete yet. from is where the last call stopped.
func headEnd(b []byte, from int) (end, next int, err error) {
	for {
		i := bytes.IndexByte(b[from:], '\n')
		if i < 0 {
			return 0, from, nil
		}
		i += from
		if i == 0 || b[i-1] != '\r' {
			return 0, 0, errBareLF
		}
		if i == 1 || b[i-2] == '\n' {
			return i + 1, 0, nil
		}
		from = i + 1
	}
}

func (h *head) reset() {
	*h = head{fields: h.fields[:0], length: -1}
}

// parseRequest parses b, a complete head as headEnd found it.
func (h *head) parseRequest(b []byte) error {
	h.reset()
	line, rest := cutLine(b)
	if err := h.parseRequestLine(line); err != nil {
		return err
	}
	if err := h.parseFields(rest); err != nil {
		return err
	}
	return h.checkRequest()
}

func cutLine(b []byte) (line, rest []byte) {
	i := bytes.IndexByte(b, '\n')
	return b[:i-1], b[i+1:]
}

func (h *head) parseRequestLine(line []byte) error {
	i := bytes.IndexByte(line, ' ')
	if i <= 0 || i > 32 {
		return errLine
	}
	h.method, line = line[:i], line[i+1:]
	i = bytes.IndexByte(line, ' ')
	if i <= 0 {
		return errLine
	}
	h.target = line[:i]
	var err error
	if h.minor, err = parseVersion(line[i+1:]); err != nil {
		return err
	}
	for _, c := range h.method {
		if !tokenTable[c] {
			return errLine
		}
	}
	return h.parseTarget()
}

func parseVersion(v []byte) (int, error) {
	if len(v) != 8 || string(v[:5]) != "HTTP/" || v[6] != '.' {
		return 0, errLine
	}
	if v[5] != '1' || v[7] != '0' && v[7] != '1' {
		return 0, errVersion
	}
	return int(v[7] - '0'), nil
}

func (h *head) parseTarget() error {
	t := h.target
	for _, c := range t {
		if c <= ' ' || c == 0x7f || c == '#' {
			return errLine
		}
	}
	if string(h.method) == "CONNECT" {
		return errMethod
	}
	if string(t) == "*" {
		if string(h.method) != "OPTIONS" {
			return errLine
		}
		h.path = t
		return nil
	}
	if t[0] != '/' {
		return h.parseAbsolute()
	}
	return h.setPath(t)
}

// parseAbsolute reads http://host/path; its host must be the Host field's.
func (h *head) parseAbsolute() error {
	t := h.target
	switch {
	case len(t) > 7 && equalFold(t[:7], "http://"):
		t = t[7:]
	case len(t) > 8 && equalFold(t[:8], "https://"):
		t = t[8:]
	default:
		return errLine
	}
	i := bytes.IndexByte(t, '/')
	if i <= 0 || !validHost(t[:i]) {
		return errLine
	}
	h.host = t[:i]
	h.target = t[i:]
	return h.setPath(h.target)
}

func (h *head) setPath(t []byte) error {
	if i := bytes.IndexByte(t, '?'); i >= 0 {
		t = t[:i]
	}
	for i := 0; i < len(t); i++ {
		if t[i] == '%' && (i+2 >= len(t) || hexValue(t[i+1]) < 0 || hexValue(t[i+2]) < 0) {
			return errLine
		}
	}
	h.path = t
	return nil
}

func (h *head) parseFields(b []byte) error {
	for len(b) > 2 {
		var line []byte
		line, b = cutLine(b)
		if len(h.fields) == maxFields {
			return errHeadSize
		}
		if err := h.parseField(line); err != nil {
			return err
		}
	}
	return nil
}

func (h *head) parseField(line []byte) error {
	if line[0] == ' ' || line[0] == '\t' {
		return errFold
	}
	i, under := 0, false
	for ; i < len(line) && line[i] != ':'; i++ {
		if !tokenTable[line[i]] {
			return errName
		}
		under = under || line[i] == '_'
	}
	if i == 0 || i == len(line) {
		return errName
	}
	v := trim(line[i+1:])
	for _, c := range v {
		if c < ' ' && c != '\t' || c == 0x7f {
			if c == '\r' {
				return errBareCR
			}
			return errValue
		}
	}
	f := field{name: line[:i], value: v}
	f.id = identify(f.name, under)
	h.fields = append(h.fields, f)
	if under {
		if f.id == fieldContentLength || f.id == fieldTransferEncoding || f.id == fieldHost {
			return errUnderscore
		}
		return nil
	}
	return h.understand(f)
}

// understand takes note of a field that decides about framing or the connection.
func (h *head) understand(f field) error {
	switch f.id {
	case fieldHost:
		h.hosts++
	case fieldContentLength:
		if h.lengths++; h.lengths > 1 {
			return errLengths
		}
		n, ok := parseLength(f.value)
		if !ok {
			return errLength
		}
		h.length = n
	case fieldTransferEncoding:
		if h.codings++; h.codings > 1 || !equalFold(f.value, "chunked") {
			return errCoding
		}
		h.chunked = true
	case fieldConnection:
		h.connection(f.value)
	case fieldExpect:
		h.expect = equalFold(f.value, "100-continue")
	}
	return nil
}

func (h *head) connection(v []byte) {
	for len(v) > 0 {
		var tok []byte
		tok, v = cutComma(v)
		switch {
		case len(tok) == 0:
		case equalFold(tok, "close"):
			h.close = true
		case equalFold(tok, "keep-alive"):
			h.keep = true
		case equalFold(tok, "upgrade"):
			h.upgrade = true
		default:
			h.named = true
		}
	}
}

// checkFraming refuses a message whose end two readers could see differently.
func (h *head) checkFraming() error {
	if h.chunked && h.lengths > 0 {
		return errBoth
	}
	if h.chunked && h.minor == 0 {
		return errCoding
	}
	return nil
}

func (h *head) checkRequest() error {
	if err := h.checkFraming(); err != nil {
		return err
	}
	if h.hosts > 1 || h.hosts == 0 && h.minor == 1 {
		return errHost
	}
	upgrades := 0
	for i := range h.fields {
		f := &h.fields[i]
		switch f.id {
		case fieldHost:
			if !validHost(f.value) || h.host != nil && !equalFold(f.value, string(h.host)) {
				return errHost
			}
			h.host = f.value
		case fieldTrailer:
			if !validTrailer(f.value) {
				return errTrailer
			}
		case fieldUpgrade:
			if upgrades++; equalFold(f.value, "h2c") || bytes.IndexByte(f.value, ',') >= 0 {
				upgrades = 100
			}
		}
	}
	h.upgrade = h.upgrade && upgrades == 1 && h.minor == 1 && !h.chunked && h.length <= 0
	return nil
}

// parseAnswer parses the head of a backend's answer.
func (h *head) parseAnswer(b []byte) error {
	h.reset()
	line, rest := cutLine(b)
	if len(line) < 12 || len(line) > 12 && line[12] != ' ' || line[8] != ' ' {
		return errLine
	}
	var err error
	if h.minor, err = parseVersion(line[:8]); err != nil {
		return err
	}
	for _, c := range line[9:12] {
		if c < '0' || c > '9' {
			return errLine
		}
		h.status = h.status*10 + int(c-'0')
	}
	for _, c := range line[12:] {
		if c < ' ' && c != '\t' || c == 0x7f {
			return errLine
		}
	}
	h.target = line[9:] // status and reason
	if h.status < 100 || h.status > 599 {
		return errLine
	}
	if err := h.parseFields(rest); err != nil {
		return err
	}
	return h.checkFraming()
}

// nominated reports whether the Connection field names the field.
func (h *head) nominated(name []byte) bool {
	if !h.named {
		return false
	}
	for i := range h.fields {
		if h.fields[i].id != fieldConnection {
			continue
		}
		for v := h.fields[i].value; len(v) > 0; {
			var tok []byte
			if tok, v = cutComma(v); bytes.EqualFold(tok, name) {
				return true
			}
		}
	}
	return false
}

// get returns the value of the first field of that kind.
func (h *head) get(id fieldID) []byte {
	for i := range h.fields {
		if h.fields[i].id == id {
			return h.fields[i].value
		}
	}
	return nil
}
