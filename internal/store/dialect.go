package store

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/steadpaas/stead"
)

// dialect is what differs between the databases.
type dialect interface {
	name() string
	open(ctx context.Context) (read, write *sql.DB, err error)
	viewOptions() *sql.TxOptions
	begin(tx *Tx) error     // first in each Update
	ddl(text string) string // translates a migration, written for SQLite
	again(err error) bool   // whether the transaction may succeed when tried again
	duplicate(e error) bool // whether it is about a row that is there already
}

func parseDSN(dsn string) (dialect, error) {
	if path, ok := strings.CutPrefix(dsn, "sqlite:"); ok && path != "" {
		return sqliteDialect{path}, nil
	}
	if strings.HasPrefix(dsn, "postgres://") || strings.HasPrefix(dsn, "postgresql://") {
		return postgresDialect{dsn}, nil
	}
	return nil, stead.Invalid("database", "the database setting names no known database", "write sqlite:/path/to/file or postgres://user@host/database")
}

type sqliteDialect struct{ path string }

func (sqliteDialect) name() string { return "sqlite" }

// open uses one connection for writing, so that writers queue here and not in
// SQLite's busy loop. The file is for our user only: it holds password hashes.
func (d sqliteDialect) open(ctx context.Context) (read, write *sql.DB, err error) {
	path, err := filepath.Abs(d.path)
	if err != nil {
		return nil, nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, nil, err
	}
	if err := f.Close(); err != nil {
		return nil, nil, err
	}
	if write, err = sql.Open("sqlite", sqliteURI(path, "&_txlock=immediate")); err != nil {
		return nil, nil, err
	}
	write.SetMaxOpenConns(1)
	if read, err = sql.Open("sqlite", sqliteURI(path, "&_pragma=query_only(1)")); err != nil {
		return nil, nil, errors.Join(err, write.Close())
	}
	read.SetMaxOpenConns(8)
	read.SetMaxIdleConns(8)
	if err := write.PingContext(ctx); err != nil { // makes the file a WAL one before anybody reads
		return nil, nil, errors.Join(err, read.Close(), write.Close())
	}
	return read, write, nil
}

func sqlitePath(path string) string { return (&url.URL{Path: path}).EscapedPath() }

func sqliteURI(path, more string) string {
	return "file:" + sqlitePath(path) +
		"?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)" + more
}

func (sqliteDialect) viewOptions() *sql.TxOptions { return nil }
func (sqliteDialect) begin(*Tx) error             { return nil }
func (sqliteDialect) ddl(text string) string      { return text }

func (sqliteDialect) again(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && (e.Code()&0xff == lib.SQLITE_BUSY || e.Code()&0xff == lib.SQLITE_LOCKED)
}

func (sqliteDialect) duplicate(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && (e.Code() == lib.SQLITE_CONSTRAINT_UNIQUE || e.Code() == lib.SQLITE_CONSTRAINT_PRIMARYKEY)
}

type postgresDialect struct{ dsn string }

func (postgresDialect) name() string { return "postgres" }

func (d postgresDialect) open(ctx context.Context) (read, write *sql.DB, err error) {
	db, err := sql.Open("pgx", d.dsn)
	if err != nil {
		return nil, nil, err
	}
	db.SetMaxOpenConns(16)
	db.SetMaxIdleConns(8)
	db.SetConnMaxIdleTime(5 * time.Minute)
	if err := db.PingContext(ctx); err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return db, db, nil
}

func (postgresDialect) viewOptions() *sql.TxOptions {
	return &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
}

// begin makes writers take turns. The transaction is READ COMMITTED, so what it
// reads after it got the lock is what the one before it committed.
func (postgresDialect) begin(tx *Tx) error {
	return tx.exec(`SELECT pg_advisory_xact_lock(hashtextextended('stead:' || current_schema(), 0))`)
}

func (postgresDialect) ddl(text string) string {
	return strings.NewReplacer(" BLOB", " BYTEA", " INTEGER", " BIGINT").Replace(text)
}

func (postgresDialect) again(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (e.Code == "40001" || e.Code == "40P01") || pgconn.SafeToRetry(err)
}

func (postgresDialect) duplicate(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && e.Code == "23505"
}
