package route

import "errors"

var errChunk = errors.New("malformed chunked body")

const maxTrailers = 8 << 10 // bytes

// chunkReader finds the end of a chunked body in the bytes fed to it:
//
//	size ─→ [ext] ─→ CR LF ─→ data ─→ CR LF ─→ size …
//	size 0 ─→ CR LF ─→ trailer lines ─→ empty line: done
//
// What it accepts is passed on as it is.
type chunkReader struct {
	state    chunkState
	left     uint64
	digits   int
	line     int   // bytes of the line so far
	colon    int   // of a trailer line: where its colon is; 0: none yet
	excess   int64 // bytes that are no data, less an allowance for each chunk
	total    int   // bytes of trailers
	size     int64 // bytes of data so far
	data     []byte
	keep     bool // collect data
	tail     bool // collect trailers, as lines
	trailers []byte
}

type chunkState uint8

const (
	chunkSize chunkState = iota
	chunkExt
	chunkSizeLF
	chunkData
	chunkDataCR
	chunkDataLF
	chunkTrailer
	chunkTrailerLF
	chunkDone
)

func (r *chunkReader) reset() { *r = chunkReader{data: r.data[:0], keep: r.keep} }

func (r *chunkReader) done() bool { return r.state == chunkDone }

// feed returns how many bytes of b belong to the body.
func (r *chunkReader) feed(b []byte) (int, error) {
	i := 0
	for i < len(b) && r.state != chunkDone {
		if r.state == chunkData {
			n := int(min(uint64(len(b)-i), r.left))
			if r.keep {
				r.data = append(r.data, b[i:i+n]...)
			}
			i += n
			r.size += int64(n)
			if r.left -= uint64(n); r.left == 0 {
				r.state = chunkDataCR
			}
			continue
		}
		if !r.step(b[i]) {
			return i, errChunk
		}
		i++
	}
	return i, nil
}

func (r *chunkReader) step(c byte) bool {
	switch r.state {
	case chunkSize:
		return r.stepSize(c)
	case chunkExt:
		if r.line++; c == '\r' {
			r.state = chunkSizeLF
			return true
		}
		return r.line <= 256 && (c >= ' ' && c < 0x7f || c == '\t')
	case chunkSizeLF:
		return c == '\n' && r.begin()
	case chunkDataCR:
		r.state = chunkDataLF
		return c == '\r'
	case chunkDataLF:
		r.state, r.digits, r.line = chunkSize, 0, 0
		return c == '\n'
	case chunkTrailer:
		return r.stepTrailer(c)
	case chunkTrailerLF:
		return c == '\n' && r.endTrailer()
	}
	return false
}

func (r *chunkReader) stepSize(c byte) bool {
	r.line++
	if v := hexValue(c); v >= 0 {
		r.left = r.left<<4 | uint64(v)
		r.digits++
		return r.digits <= 15
	}
	switch c {
	case '\r':
		r.state = chunkSizeLF
	case ';':
		r.state = chunkExt
	default:
		return false
	}
	return r.digits > 0
}

// begin starts a chunk's data, or the trailers behind the last.
func (r *chunkReader) begin() bool {
	r.excess = max(r.excess+int64(r.line)+2-16-2*int64(min(r.left, 1<<40)), 0)
	if r.state, r.line = chunkData, 0; r.left == 0 {
		r.state = chunkTrailer
	}
	return r.excess <= 8<<10
}

func (r *chunkReader) stepTrailer(c byte) bool {
	if r.total++; r.total > maxTrailers {
		return false
	}
	if c == '\r' {
		r.state = chunkTrailerLF
		return true
	}
	if r.line++; r.tail {
		r.trailers = append(r.trailers, c)
	}
	if r.colon == 0 {
		if c == ':' {
			r.colon = r.line
			return r.line > 1
		}
		return tokenTable[c]
	}
	return c >= ' ' && c != 0x7f || c == '\t'
}

func (r *chunkReader) endTrailer() bool {
	if r.line == 0 {
		r.state = chunkDone
		return true
	}
	if r.tail {
		r.trailers = append(r.trailers, "\r\n"...)
	}
	ok := r.colon > 0
	r.state, r.line, r.colon = chunkTrailer, 0, 0
	return ok
}
