package store

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/steadpaas/stead"
)

// Snapshot copies the SQLite database of the dsn to a new file, as it was at
// one moment, while others go on writing. It upgrades nothing. Of PostgreSQL it
// makes no copy: pg_dump does.
func Snapshot(ctx context.Context, dsn, file string) error {
	d, err := parseDSN(dsn)
	if err != nil {
		return err
	}
	lite, ok := d.(sqliteDialect)
	if !ok {
		return stead.Precondition("the state is in PostgreSQL, of which Stead makes no copy", "copy it with pg_dump")
	}
	db, err := sql.Open("sqlite", "file:"+sqlitePath(lite.path)+"?mode=ro&_pragma=busy_timeout(10000)")
	if err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, `VACUUM INTO $1`, file); err != nil {
		return fmt.Errorf("copy database: %w", err)
	}
	return nil
}
