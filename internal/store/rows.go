package store

import (
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// row is what a scan function reads: *sql.Row or *sql.Rows.
type row interface{ Scan(dest ...any) error }

func (tx *Tx) exec(query string, args ...any) error {
	_, err := tx.tx.ExecContext(tx.ctx, query, args...)
	return err
}

// must is exec for one certain row: none is ErrNotFound.
func (tx *Tx) must(query string, args ...any) error {
	res, err := tx.tx.ExecContext(tx.ctx, query, args...)
	if err != nil {
		return err
	}
	n, err := res.RowsAffected()
	if err == nil && n == 0 {
		return ErrNotFound
	}
	return err
}

// insert is exec that tells a duplicate from other failures without failing
// the transaction, which PostgreSQL would do on a violated constraint. The
// query must end in ON CONFLICT DO NOTHING.
func (tx *Tx) insert(query string, args ...any) error {
	if err := tx.must(query+" ON CONFLICT DO NOTHING", args...); !errors.Is(err, ErrNotFound) {
		return err
	}
	return ErrDuplicate
}

func one[T any](tx *Tx, scan func(row) (T, error), query string, args ...any) (T, error) {
	v, err := scan(tx.tx.QueryRowContext(tx.ctx, query, args...))
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	return v, err
}

func many[T any](tx *Tx, scan func(row) (T, error), query string, args ...any) ([]T, error) {
	rows, err := tx.tx.QueryContext(tx.ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := []T{}
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

func scanString[T ~string](r row) (T, error) {
	var s T
	err := r.Scan(&s)
	return s, err
}

// stamp stores a time as microseconds since 1970, in UTC; both databases keep
// those alike. It is for a field of type time.Time or *time.Time.
type stamp struct{ to any }

// Scan implements sql.Scanner.
func (s stamp) Scan(v any) error {
	micros, ok := v.(int64)
	switch to := s.to.(type) {
	case *time.Time:
		*to = time.UnixMicro(micros).UTC()
	case **time.Time:
		*to = nil
		if ok {
			t := time.UnixMicro(micros).UTC()
			*to = &t
		}
	}
	if !ok && v != nil {
		return fmt.Errorf("a time is stored as %T", v)
	}
	return nil
}

func micros(t time.Time) int64 { return t.UnixMicro() }

func microsOrNull(t *time.Time) any {
	if t == nil {
		return nil
	}
	return t.UnixMicro()
}

// text stores a value as JSON.
type text struct{ v any }

// Scan implements sql.Scanner; v must be a pointer.
func (t text) Scan(v any) error {
	switch s := v.(type) {
	case string:
		return json.Unmarshal([]byte(s), t.v)
	case []byte:
		return json.Unmarshal(s, t.v)
	}
	return fmt.Errorf("JSON is stored as %T", v)
}

// Value implements driver.Valuer.
func (t text) Value() (driver.Value, error) {
	b, err := json.Marshal(t.v)
	return string(b), err
}
