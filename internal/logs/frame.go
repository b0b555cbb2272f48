package logs

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"time"
)

// A segment is a file: magic, then frames. A frame is
//
//	length uint32 | crc32c(payload) uint32 | payload | length uint32
//
// little-endian; the length is the payload's, and stands at both ends so that a
// segment can be walked backwards. The payload's first byte is its kind.
const (
	magic     = "stdlog1\n"
	frameHead = 8
	frameTail = 4
	maxFrame  = 2 << 20 // a table of positions is the largest
)

// The kinds of frame.
const (
	kindLine      = 1
	kindPositions = 2 // the largest Pos of each origin; the first frame of every segment
	kindSeal      = 3
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	errShort   = errors.New("frame goes on behind the data")
	errDamaged = errors.New("frame is damaged")
)

// beginFrame reserves the head of a frame; endFrame completes the frame that
// began at start.
func beginFrame(b []byte, kind byte) []byte {
	return append(b, 0, 0, 0, 0, 0, 0, 0, 0, kind)
}

func endFrame(b []byte, start int) []byte {
	payload := b[start+frameHead:]
	binary.LittleEndian.PutUint32(b[start:], uint32(len(payload)))
	binary.LittleEndian.PutUint32(b[start+4:], crc32.Checksum(payload, castagnoli))
	return binary.LittleEndian.AppendUint32(b, uint32(len(payload)))
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendLine(b []byte, l Line) []byte {
	start := len(b)
	b = beginFrame(b, kindLine)
	b = binary.AppendVarint(b, l.At.UnixNano())
	b = binary.AppendVarint(b, l.Pos)
	for _, s := range [...]string{l.Source, l.Process, l.Stream, l.Origin, l.Text} {
		b = appendString(b, s)
	}
	return endFrame(b, start)
}

func appendPositions(b []byte, ps []originPos) []byte {
	start := len(b)
	b = binary.AppendUvarint(beginFrame(b, kindPositions), uint64(len(ps)))
	for _, p := range ps {
		b = binary.AppendVarint(appendString(b, p.origin), p.pos)
	}
	return endFrame(b, start)
}

func appendSeal(b []byte) []byte { return endFrame(beginFrame(b, kindSeal), len(b)) }

// readFrame returns the payload of the first frame of b and how many bytes the
// frame takes. errShort: b ends before the frame does.
func readFrame(b []byte) (payload []byte, size int, err error) {
	if len(b) < frameHead {
		return nil, 0, errShort
	}
	n := int(binary.LittleEndian.Uint32(b))
	if n < 1 || n > maxFrame {
		return nil, 0, errDamaged
	}
	size = frameHead + n + frameTail
	if len(b) < size {
		return nil, size, errShort
	}
	payload = b[frameHead : frameHead+n]
	if crc32.Checksum(payload, castagnoli) != binary.LittleEndian.Uint32(b[4:]) ||
		binary.LittleEndian.Uint32(b[frameHead+n:]) != uint32(n) {
		return nil, 0, errDamaged
	}
	return payload, size, nil
}

// fields reads the values of a payload one after the other; bad is set by the
// first that is not there.
type fields struct {
	b   []byte
	bad bool
}

func (f *fields) varint() int64 {
	v, n := binary.Varint(f.b)
	if n <= 0 {
		f.b, f.bad = nil, true
		return 0
	}
	f.b = f.b[n:]
	return v
}

func (f *fields) uvarint() uint64 {
	v, n := binary.Uvarint(f.b)
	if n <= 0 {
		f.b, f.bad = nil, true
		return 0
	}
	f.b = f.b[n:]
	return v
}

func (f *fields) bytes() []byte {
	n := f.uvarint()
	if n > uint64(len(f.b)) {
		f.b, f.bad = nil, true
		return nil
	}
	s := f.b[:n]
	f.b = f.b[n:]
	return s
}

// rawLine is a line whose strings still lie in the read buffer.
type rawLine struct {
	at, pos                               int64
	source, process, stream, origin, text []byte
}

func decodeLine(payload []byte) (rawLine, error) {
	f := fields{b: payload[1:]}
	r := rawLine{at: f.varint(), pos: f.varint()}
	r.source, r.process, r.stream, r.origin, r.text = f.bytes(), f.bytes(), f.bytes(), f.bytes(), f.bytes()
	if f.bad {
		return rawLine{}, errDamaged
	}
	return r, nil
}

func (r rawLine) line() Line {
	return Line{At: time.Unix(0, r.at).UTC(), Pos: r.pos, Source: string(r.source), Process: string(r.process),
		Stream: string(r.stream), Origin: string(r.origin), Text: string(r.text)}
}

func decodePositions(payload []byte) ([]originPos, error) {
	f := fields{b: payload[1:]}
	n := f.uvarint()
	if n > uint64(len(f.b)) {
		return nil, errDamaged
	}
	ps := make([]originPos, 0, n)
	for range n {
		ps = append(ps, originPos{origin: string(f.bytes()), pos: f.varint()})
	}
	if f.bad {
		return nil, errDamaged
	}
	return ps, nil
}
