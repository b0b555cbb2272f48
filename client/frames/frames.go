// Package frames is the protocol that carries a command's streams over one
// connection, after an HTTP/1.1 Upgrade to "stead-streams".
//
// A frame is one byte of kind, four bytes of payload length (big endian) and
// the payload, of at most MaxPayload bytes. Both sides may send at any time;
// the server's last frame is Exit or Error.
package frames

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"sync"
)

// Protocol is the value of the Upgrade header.
const Protocol = "stead-streams"

// MaxPayload is the longest payload of a frame, in bytes.
const MaxPayload = 64 << 10

// Kind tells what a frame carries.
type Kind byte

// The kinds. A kind that a reader does not know is an error.
const (
	Stdin    Kind = 1 // client: input
	StdinEOF Kind = 2 // client: no more input; no payload
	Stdout   Kind = 3 // server: output
	Stderr   Kind = 4 // server: output
	Resize   Kind = 5 // client: columns and rows, two bytes each
	Exit     Kind = 6 // server: the command's exit code, four bytes; the end
	Error    Kind = 7 // server: a problem as JSON; the end
	Ping     Kind = 8 // either: shows that the connection lives; no payload
)

const header = 5

// Writer writes frames. It is safe for concurrent use.
type Writer struct {
	mu  sync.Mutex
	w   io.Writer
	buf []byte
}

// NewWriter returns a writer on w, one Write a frame.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// Write sends the payload as one frame, or as several if it is longer than
// MaxPayload.
func (w *Writer) Write(k Kind, payload []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		n := min(len(payload), MaxPayload)
		w.buf = append(w.buf[:0], byte(k))
		w.buf = binary.BigEndian.AppendUint32(w.buf, uint32(n))
		w.buf = append(w.buf, payload[:n]...)
		if _, err := w.w.Write(w.buf); err != nil {
			return fmt.Errorf("write frame: %w", err)
		}
		if payload = payload[n:]; len(payload) == 0 {
			return nil
		}
	}
}

// WriteExit sends the exit code.
func (w *Writer) WriteExit(code int) error {
	return w.Write(Exit, binary.BigEndian.AppendUint32(nil, uint32(int32(code))))
}

// WriteResize sends a window size, in characters.
func (w *Writer) WriteResize(cols, rows uint16) error {
	return w.Write(Resize, binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, cols), rows))
}

// Stream returns an io.Writer whose writes become frames of the kind.
func (w *Writer) Stream(k Kind) io.Writer { return stream{w, k} }

type stream struct {
	w *Writer
	k Kind
}

func (s stream) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if err := s.w.Write(s.k, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Reader reads frames. It is not safe for concurrent use.
type Reader struct {
	r   *bufio.Reader
	buf []byte
}

// NewReader returns a reader of r. It may read ahead.
func NewReader(r io.Reader) *Reader {
	if b, ok := r.(*bufio.Reader); ok {
		return &Reader{r: b}
	}
	return &Reader{r: bufio.NewReaderSize(r, 16<<10)}
}

// Read returns the next frame. The payload is valid until the next call. It
// returns io.EOF at a clean end between frames, io.ErrUnexpectedEOF inside
// one, and an error for what is not a frame of this protocol.
func (r *Reader) Read() (Kind, []byte, error) {
	var h [header]byte
	if _, err := io.ReadFull(r.r, h[:]); err != nil {
		return 0, nil, err
	}
	k, n := Kind(h[0]), binary.BigEndian.Uint32(h[1:])
	if err := check(k, n); err != nil {
		return 0, nil, err
	}
	if cap(r.buf) < int(n) {
		r.buf = make([]byte, n)
	}
	p := r.buf[:n]
	if _, err := io.ReadFull(r.r, p); err != nil {
		return 0, nil, io.ErrUnexpectedEOF
	}
	return k, p, nil
}

func check(k Kind, n uint32) error {
	switch {
	case k < Stdin || k > Ping:
		return fmt.Errorf("unknown frame kind %d", k)
	case n > MaxPayload:
		return fmt.Errorf("frame of %d bytes is longer than %d", n, MaxPayload)
	case k == Resize && n != 4, k == Exit && n != 4, (k == StdinEOF || k == Ping) && n != 0:
		return fmt.Errorf("frame of kind %d has %d bytes", k, n)
	}
	return nil
}

// ParseExit returns the exit code of an Exit frame's payload.
func ParseExit(p []byte) int { return int(int32(binary.BigEndian.Uint32(p))) }

// ParseResize returns the window of a Resize frame's payload.
func ParseResize(p []byte) (cols, rows uint16) {
	return binary.BigEndian.Uint16(p), binary.BigEndian.Uint16(p[2:])
}
