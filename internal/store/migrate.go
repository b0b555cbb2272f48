package store

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/steadpaas/stead"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// migration is one numbered step of the schema, never changed once released.
type migration struct {
	version int
	name    string
	text    string
}

// migrations returns the embedded steps in order: migrations/0001_name.sql, …
func migrations() []migration {
	names, err := fs.Glob(migrationFiles, "migrations/*.sql")
	if err != nil {
		panic(err) // the pattern is constant
	}
	slices.Sort(names)
	out := make([]migration, 0, len(names))
	for _, n := range names {
		text, err := migrationFiles.ReadFile(n)
		number, _, _ := strings.Cut(strings.TrimPrefix(n, "migrations/"), "_")
		v, err2 := strconv.Atoi(number)
		if err != nil || err2 != nil {
			panic("bad embedded migration " + n)
		}
		out = append(out, migration{v, n, string(text)})
	}
	return out
}

// migrate brings the schema to the newest step, each in a transaction of its
// own. Several control planes may do so at once: Updates take turns.
func (s *Store) migrate(ctx context.Context, steps []migration) error {
	err := s.Update(ctx, func(tx *Tx) error {
		return tx.exec(`CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)`)
	})
	if err != nil {
		return fmt.Errorf("create table schema_version: %w", err)
	}
	newest := steps[len(steps)-1].version
	for _, m := range steps {
		err := s.Update(ctx, func(tx *Tx) error { return s.step(tx, m, newest) })
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) step(tx *Tx, m migration, newest int) error {
	var have, done int
	err := tx.tx.QueryRowContext(tx.ctx, `SELECT COALESCE(MAX(version), 0), COUNT(CASE WHEN version = $1 THEN 1 END) FROM schema_version`, m.version).Scan(&have, &done)
	if err != nil {
		return fmt.Errorf("read schema version: %w", err)
	}
	if have > newest {
		return stead.Precondition(
			fmt.Sprintf("the database has schema %d, made by a newer release of Stead; this one knows schema %d", have, newest),
			"start the newer release, or restore a backup made before the upgrade")
	}
	if done > 0 {
		return nil
	}
	for _, statement := range strings.Split(s.dialect.ddl(m.text), ";\n") {
		if strings.TrimSpace(statement) == "" {
			continue
		}
		if err := tx.exec(statement); err != nil {
			return fmt.Errorf("migrate to %s: %w", m.name, err)
		}
	}
	return tx.exec(`INSERT INTO schema_version (version) VALUES ($1)`, m.version)
}
