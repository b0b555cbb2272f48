package route

import "bytes"

// tokenTable holds the bytes of an HTTP token (RFC 9110, 5.6.2).
var tokenTable = func() (t [256]bool) {
	for c := byte('0'); c <= '9'; c++ {
		t[c] = true
	}
	for c := byte('a'); c <= 'z'; c++ {
		t[c], t[c-32] = true, true
	}
	for _, c := range []byte("!#$%&'*+-.^_`|~") {
		t[c] = true
	}
	return t
}()

// hostTable holds the bytes of a host: names, IPv4 and bracketed IPv6, a port.
var hostTable = func() (t [256]bool) {
	for c := byte('0'); c <= '9'; c++ {
		t[c] = true
	}
	for c := byte('a'); c <= 'z'; c++ {
		t[c], t[c-32] = true, true
	}
	for _, c := range []byte("-._:[]~") {
		t[c] = true
	}
	return t
}()

func lower(c byte) byte {
	if c-'A' < 26 {
		return c + 32
	}
	return c
}

// equalFold compares b with s, which is in lower case unless it has no letters.
func equalFold(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i := range b {
		if lower(b[i]) != lower(s[i]) {
			return false
		}
	}
	return true
}

// identify returns which known field a name is. Underscores count as dashes,
// because many servers cannot tell them apart.
func identify(name []byte, under bool) fieldID {
	n := len(name)
	if n < 2 || n > 19 {
		return fieldOther
	}
	var buf [20]byte
	for i, c := range name {
		if c = lower(c); c == '_' && under {
			c = '-'
		}
		buf[i] = c
	}
	switch string(buf[:n]) {
	case "host":
		return fieldHost
	case "connection":
		return fieldConnection
	case "content-length":
		return fieldContentLength
	case "transfer-encoding":
		return fieldTransferEncoding
	case "accept":
		return fieldAccept
	}
	switch buf[0] {
	case 'u', 'k', 'p', 't', 'e', 'v', 'x', 'f', 'h':
		for id := fieldUpgrade; int(id) < len(fieldNames); id++ {
			if fieldNames[id] == string(buf[:n]) {
				return id
			}
		}
	}
	return fieldOther
}

func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

func cutComma(v []byte) (tok, rest []byte) {
	i := bytes.IndexByte(v, ',')
	if i < 0 {
		return trim(v), nil
	}
	return trim(v[:i]), v[i+1:]
}

func parseLength(v []byte) (int64, bool) {
	if len(v) == 0 || len(v) > 18 {
		return 0, false
	}
	n := int64(0)
	for _, c := range v {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

func hexValue(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// validHost accepts a name or address with an optional port.
func validHost(h []byte) bool {
	if len(h) == 0 || len(h) > 261 {
		return false
	}
	for _, c := range h {
		if !hostTable[c] {
			return false
		}
	}
	name, port := splitPort(h)
	if len(name) == 0 || len(port) > 5 {
		return false
	}
	for _, c := range port {
		if c < '0' || c > '9' {
			return false
		}
	}
	if name[0] == '[' {
		return name[len(name)-1] == ']' && bytes.Count(name, []byte("[")) == 1 && bytes.Count(name, []byte("]")) == 1
	}
	return bytes.IndexAny(name, "[]:") < 0
}

func splitPort(h []byte) (name, port []byte) {
	i := bytes.LastIndexByte(h, ':')
	if i < 0 || bytes.IndexByte(h[i:], ']') >= 0 {
		return h, nil
	}
	return h[:i], h[i+1:]
}

func validTrailer(v []byte) bool {
	for len(v) > 0 {
		var tok []byte
		tok, v = cutComma(v)
		if equalFold(tok, "transfer-encoding") || equalFold(tok, "content-length") || equalFold(tok, "trailer") {
			return false
		}
		for _, c := range tok {
			if !tokenTable[c] {
				return false
			}
		}
	}
	return true
}

// validRequestID accepts what Heroku's router does: 20 to 200 safe characters.
func validRequestID(v []byte) bool {
	if len(v) < 20 || len(v) > 200 {
		return false
	}
	for _, c := range v {
		if hexValue(lower(c)) < 0 && (lower(c) < 'a' || lower(c) > 'z') && c != '-' && c != '_' && c != '.' && c != '+' && c != '=' && c != '/' {
			return false
		}
	}
	return true
}
