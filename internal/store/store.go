// Package store keeps the platform's state in SQL: SQLite, embedded, or
// PostgreSQL when several control planes share one. The SQL text is one; a
// dialect says the little that differs.
//
// Both serialize writers: SQLite by its nature, PostgreSQL by a lock that each
// Update takes first. So a use-case may read, decide and write without thinking
// about others, and events are numbered in the order they were committed.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/steadpaas/stead"
)

// Store is an open database. It is safe for concurrent use.
type Store struct {
	dialect dialect
	read    *sql.DB
	write   *sql.DB
}

// ErrNotFound says that no row matched. Use-cases turn it into words.
var ErrNotFound = errors.New("no such row")

// ErrDuplicate says that a row of that name is there already.
var ErrDuplicate = errors.New("duplicate row")

// Open opens the database that dsn names, creates or upgrades its tables, and
// refuses one that a newer release of Stead has upgraded already. dsn is
// "sqlite:/path/to/file" or "postgres://user@host/database?…".
func Open(ctx context.Context, dsn string) (*Store, error) {
	d, err := parseDSN(dsn)
	if err != nil {
		return nil, err
	}
	s := &Store{dialect: d}
	if s.read, s.write, err = d.open(ctx); err != nil {
		return nil, stead.Unavailable("the database could not be opened", "check the setting of the database, and that it runs", err)
	}
	if err := s.migrate(ctx, migrations()); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close waits for transactions to end and closes the database.
func (s *Store) Close() error {
	if s.read == s.write {
		return s.write.Close()
	}
	return errors.Join(s.read.Close(), s.write.Close())
}

// Name returns the dialect's name, "sqlite" or "postgres".
func (s *Store) Name() string { return s.dialect.name() }

// Ping reports whether the database answers.
func (s *Store) Ping(ctx context.Context) error { return s.read.PingContext(ctx) }

// Tx is one transaction: everything in it happens, or nothing. It must not be
// used after the function it was given to returns.
type Tx struct {
	ctx context.Context
	tx  *sql.Tx
}

// View runs fn on a snapshot, which it cannot change.
func (s *Store) View(ctx context.Context, fn func(*Tx) error) error {
	return s.retry(ctx, func() error { return s.run(ctx, s.read, s.dialect.viewOptions(), fn) })
}

// Update runs fn in a transaction that no other Update overlaps, and commits it
// durably if fn returns nil. When the database asks for it, fn runs again; it
// must have no effects outside the transaction that are wrong to repeat.
func (s *Store) Update(ctx context.Context, fn func(*Tx) error) error {
	return s.retry(ctx, func() error {
		return s.run(ctx, s.write, nil, func(tx *Tx) error {
			if err := s.dialect.begin(tx); err != nil {
				return err
			}
			return fn(tx)
		})
	})
}

func (s *Store) run(ctx context.Context, db *sql.DB, o *sql.TxOptions, fn func(*Tx) error) error {
	t, err := db.BeginTx(ctx, o)
	if err != nil {
		return fmt.Errorf("begin transaction: %w", err)
	}
	defer func() { _ = t.Rollback() }() // after Commit it does nothing
	if err := fn(&Tx{ctx, t}); err != nil {
		return err
	}
	if err := t.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// attempts is how often a transaction is tried when the database asks for it.
const attempts = 8

func (s *Store) retry(ctx context.Context, fn func() error) error {
	wait := 2 * time.Millisecond
	for n := 1; ; n++ {
		err := fn()
		if err == nil || n == attempts || !s.dialect.again(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(wait/2 + rand.N(wait)):
			wait *= 2
		}
	}
}
