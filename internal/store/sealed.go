package store

import "github.com/steadpaas/stead"

// Sealed is one sealed value, with where it is kept and whose it is.
type Sealed struct {
	Table string // "apps", "releases", "tasks", "drains", "certificates" or "platform_secrets"
	ID    stead.ID
	App   stead.ID // whose it is: an app's, or what has no app its own ID
	Value []byte
}

func scanSealed(r row) (s Sealed, err error) {
	err = r.Scan(&s.Table, &s.ID, &s.App, &s.Value)
	return s, err
}

const sealedQuery = `SELECT t, id, app_id, value FROM (
	SELECT 'apps' AS t, id, id AS app_id, config AS value FROM apps
	UNION ALL SELECT 'releases', id, app_id, config FROM releases
	UNION ALL SELECT 'drains', id, app_id, url FROM drains
	UNION ALL SELECT 'certificates', id, id, private_key FROM certificates
	UNION ALL SELECT 'platform_secrets', id, id, value FROM platform_secrets
	UNION ALL SELECT 'tasks', id, app_id, env FROM tasks) AS sealed
	WHERE value IS NOT NULL AND (t > $1 OR t = $1 AND id > $2) ORDER BY t, id LIMIT $3`

// SealedAfter returns sealed values in a fixed order, after one of them.
func (tx *Tx) SealedAfter(last Sealed, limit int) ([]Sealed, error) {
	return many(tx, scanSealed, sealedQuery, last.Table, last.ID, limit)
}

// SaveSealed replaces a sealed value by another form of the same.
func (tx *Tx) SaveSealed(s Sealed) error {
	query := map[string]string{
		"apps":     `UPDATE apps SET config = $2 WHERE id = $1`,
		"releases": `UPDATE releases SET config = $2 WHERE id = $1`,
		"drains":   `UPDATE drains SET url = $2 WHERE id = $1`,
		"tasks":    `UPDATE tasks SET env = $2 WHERE id = $1`,

		"certificates":     `UPDATE certificates SET private_key = $2 WHERE id = $1`,
		"platform_secrets": `UPDATE platform_secrets SET value = $2 WHERE id = $1`,
	}[s.Table]
	return tx.must(query, s.ID, s.Value)
}
