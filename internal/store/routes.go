package store

import "github.com/steadpaas/stead"

const routeQuery = `SELECT r.id, r.app_id, a.name, r.host, r.path, r.process, r.strip_prefix, r.policy, r.passwords
	FROM routes r JOIN apps a ON a.id = r.app_id `

func scanRoute(r row) (t stead.Route, err error) {
	err = r.Scan(&t.ID, &t.AppID, &t.App, &t.Host, &t.Path, &t.Process, &t.StripPrefix, text{&t.Policy}, text{&t.Passwords})
	if len(t.Passwords) == 0 {
		t.Passwords = nil
	}
	return t, err
}

// InsertRoute adds a route; ErrDuplicate if host and path have one.
func (tx *Tx) InsertRoute(r stead.Route) error {
	return tx.insert(`INSERT INTO routes (id, app_id, host, path, process, strip_prefix, policy, passwords) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		r.ID, r.AppID, r.Host, r.Path, r.Process, r.StripPrefix, text{r.Policy}, text{r.Passwords})
}

// SaveRoute writes what may change of a route.
func (tx *Tx) SaveRoute(r stead.Route) error {
	return tx.must(`UPDATE routes SET process = $3, strip_prefix = $4, policy = $5, passwords = $6 WHERE app_id = $1 AND id = $2`,
		r.AppID, r.ID, r.Process, r.StripPrefix, text{r.Policy}, text{r.Passwords})
}

// Routes returns the routes of an app by host and path.
func (tx *Tx) Routes(app stead.ID) ([]stead.Route, error) {
	return many(tx, scanRoute, routeQuery+`WHERE r.app_id = $1 ORDER BY r.host, r.path`, app)
}

// DeleteRoute removes a route of an app.
func (tx *Tx) DeleteRoute(app, id stead.ID) error {
	return tx.must(`DELETE FROM routes WHERE app_id = $1 AND id = $2`, app, id)
}

// Pages returns an app's own pages.
func (tx *Tx) Pages(app stead.ID) (p stead.Pages, err error) {
	type page struct{ name, content string }
	all, err := many(tx, func(r row) (x page, err error) { return x, r.Scan(&x.name, &x.content) },
		`SELECT name, content FROM pages WHERE app_id = $1`, app)
	for _, x := range all {
		switch x.name {
		case "maintenance":
			p.Maintenance = x.content
		case "error":
			p.Error = x.content
		}
	}
	return p, err
}

// SavePages replaces an app's own pages.
func (tx *Tx) SavePages(app stead.ID, p stead.Pages) error {
	if err := tx.exec(`DELETE FROM pages WHERE app_id = $1`, app); err != nil {
		return err
	}
	for name, content := range map[string]string{"maintenance": p.Maintenance, "error": p.Error} {
		if content == "" {
			continue
		}
		if err := tx.insert(`INSERT INTO pages (app_id, name, content) VALUES ($1, $2, $3)`, app, name, content); err != nil {
			return err
		}
	}
	return nil
}
