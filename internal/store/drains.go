package store

import "github.com/steadpaas/stead"

// Drain is a drain with what only the platform knows of it.
type Drain struct {
	stead.Drain
	Sealed []byte // the whole URL, as a sealed stead.Config
	After  int64  // the log's line behind which to go on; -1: at its end
}

const drainColumns = `id, app_id, url, shown, token, after, delivered, dropped, error, at, created_at`

func scanDrain(r row) (d Drain, err error) {
	err = r.Scan(&d.ID, &d.AppID, &d.Sealed, &d.URL, &d.Token, &d.After, &d.Delivered, &d.Dropped, &d.Error, stamp{&d.At}, stamp{&d.CreatedAt})
	return d, err
}

// InsertDrain adds a drain.
func (tx *Tx) InsertDrain(d Drain) error {
	return tx.exec(`INSERT INTO drains (`+drainColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		d.ID, d.AppID, d.Sealed, d.URL, d.Token, d.After, d.Delivered, d.Dropped, d.Error, microsOrNull(d.At), micros(d.CreatedAt))
}

// Drains returns the drains of an app, the oldest first.
func (tx *Tx) Drains(app stead.ID) ([]Drain, error) {
	return many(tx, scanDrain, `SELECT `+drainColumns+` FROM drains WHERE app_id = $1 ORDER BY created_at, id`, app)
}

// AllDrains returns the drains of all apps that are not being destroyed.
func (tx *Tx) AllDrains() ([]Drain, error) {
	return many(tx, scanDrain, `SELECT `+drainColumns+` FROM drains WHERE app_id IN (SELECT id FROM apps WHERE destroyed_at IS NULL) ORDER BY id`)
}

// SaveDrain writes how a drain does: positions and figures.
func (tx *Tx) SaveDrain(d Drain) error {
	return tx.must(`UPDATE drains SET after = $2, delivered = $3, dropped = $4, error = $5, at = $6 WHERE id = $1`,
		d.ID, d.After, d.Delivered, d.Dropped, d.Error, microsOrNull(d.At))
}

// Drain returns a drain.
func (tx *Tx) Drain(id stead.ID) (Drain, error) {
	return one(tx, scanDrain, `SELECT `+drainColumns+` FROM drains WHERE id = $1`, id)
}

// DeleteDrain removes a drain of an app.
func (tx *Tx) DeleteDrain(app, id stead.ID) error {
	return tx.must(`DELETE FROM drains WHERE app_id = $1 AND id = $2`, app, id)
}
