package secret

import (
	"fmt"
	"log/slog"
)

// Redacted is a string that hides itself wherever values are printed: fmt,
// log/slog, JSON values (not as the key of a map). Convert it to a string to use it.
type Redacted string

const hidden = "[redacted]"

// Format implements fmt.Formatter, for every verb.
func (Redacted) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(hidden)) }

// String implements fmt.Stringer.
func (Redacted) String() string { return hidden }

// LogValue implements slog.LogValuer.
func (Redacted) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText implements encoding.TextMarshaler, which encoding/json uses too.
func (Redacted) MarshalText() ([]byte, error) { return []byte(hidden), nil }
