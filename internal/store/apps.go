package store

import (
	"errors"
	"time"

	"github.com/steadpaas/stead"
)

// App is an app with what only the platform knows of it.
type App struct {
	stead.App
	Host        string   // its platform domain
	LiveID      stead.ID // the release that serves; empty: none
	Config      []byte   // sealed JSON of a stead.Config; nil: empty
	Builds      int      // last number given, and so on
	Releases    int
	Tasks       int
	Wanted      int // number of the last change of what shall run or be routed
	RoutedAt    int // the change that the router was last seen to serve by
	SettledAt   int // the change that was last seen carried out
	DestroyedAt *time.Time
}

const appQuery = `SELECT a.id, a.name, a.space_id, s.name, s.org_id, o.name, a.region, a.host, a.maintenance,
	a.live_id, a.live_version, a.config, a.builds, a.releases, a.tasks, a.wanted, a.routed, a.settled, a.created_at, a.updated_at, a.destroyed_at
	FROM apps a JOIN spaces s ON s.id = a.space_id JOIN orgs o ON o.id = s.org_id `

func scanApp(r row) (a App, err error) {
	err = r.Scan(&a.ID, &a.Name, &a.SpaceID, &a.Space, &a.OrgID, &a.Org, &a.Region, &a.Host, &a.Maintenance,
		&a.LiveID, &a.Release, &a.Config, &a.Builds, &a.Releases, &a.Tasks, &a.Wanted, &a.RoutedAt, &a.SettledAt,
		stamp{&a.CreatedAt}, stamp{&a.UpdatedAt}, stamp{&a.DestroyedAt})
	return a, err
}

// InsertApp adds an app; ErrDuplicate if the space has one of that name.
func (tx *Tx) InsertApp(a App) error {
	return tx.insert(`INSERT INTO apps (id, space_id, name, region, host, maintenance, live_id, live_version,
		config, builds, releases, tasks, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, '', 0, $7, 0, 0, 0, $8, $9)`,
		a.ID, a.SpaceID, a.Name, a.Region, a.Host, a.Maintenance, a.Config, micros(a.CreatedAt), micros(a.UpdatedAt))
}

// SaveApp writes what may change of an app, but how far it is carried out.
func (tx *Tx) SaveApp(a App) error {
	return tx.must(`UPDATE apps SET name = $2, host = $3, maintenance = $4, live_id = $5, live_version = $6,
		config = $7, builds = $8, releases = $9, tasks = $10, updated_at = $11, destroyed_at = $12 WHERE id = $1`,
		a.ID, a.Name, a.Host, a.Maintenance, a.LiveID, a.Release,
		a.Config, a.Builds, a.Releases, a.Tasks, micros(a.UpdatedAt), microsOrNull(a.DestroyedAt))
}

// AppWanted counts a change of what shall run or be routed.
func (tx *Tx) AppWanted(id stead.ID) error {
	return tx.must(`UPDATE apps SET wanted = wanted + 1 WHERE id = $1`, id)
}

// SaveAppDone records the changes that the router serves by and that are
// carried out.
func (tx *Tx) SaveAppDone(id stead.ID, routed, settled int) error {
	return tx.exec(`UPDATE apps SET routed = $2, settled = $3 WHERE id = $1`, id, routed, settled)
}

// AppByID returns an app, also one that is being destroyed.
func (tx *Tx) AppByID(id stead.ID) (App, error) {
	return one(tx, scanApp, appQuery+`WHERE a.id = $1`, id)
}

// AppsNamed returns the apps of that name in all spaces, or in those of the
// names given, destroyed ones left out.
func (tx *Tx) AppsNamed(org, space, name string) ([]App, error) {
	return many(tx, scanApp, appQuery+`WHERE a.name = $1 AND ($2 = '' OR s.name = $2) AND ($3 = '' OR o.name = $3)
		AND a.destroyed_at IS NULL ORDER BY o.name, s.name`, name, space, org)
}

// Apps returns all apps, also those that are being destroyed, by name.
func (tx *Tx) Apps() ([]App, error) {
	return many(tx, scanApp, appQuery+`ORDER BY a.name, o.name, s.name`)
}

// CountApps counts the apps of a space.
func (tx *Tx) CountApps(space stead.ID) (n int, err error) {
	err = tx.tx.QueryRowContext(tx.ctx, `SELECT COUNT(*) FROM apps WHERE space_id = $1`, space).Scan(&n)
	return n, err
}

// DeleteApp removes an app with everything that belongs to it but its events.
func (tx *Tx) DeleteApp(id stead.ID) error { return tx.must(`DELETE FROM apps WHERE id = $1`, id) }

const processColumns = `type, quantity, size, health_path, boot_limit, stop_grace, stopped, epoch, surge, idle_after, asleep, updated_at`

func scanProcess(r row) (p stead.Process, err error) {
	err = r.Scan(&p.Type, &p.Quantity, &p.Size, &p.Health.Path, &p.Health.BootLimit, &p.StopGrace, &p.Stopped, &p.Epoch, &p.Surge, &p.IdleAfter, &p.Asleep, stamp{&p.UpdatedAt})
	return p, err
}

// InsertProcess adds a process; ErrDuplicate if the app has one of that type.
func (tx *Tx) InsertProcess(app stead.ID, p stead.Process) error {
	return tx.insert(`INSERT INTO processes (app_id, `+processColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
		app, p.Type, p.Quantity, p.Size, p.Health.Path, p.Health.BootLimit, p.StopGrace, p.Stopped, p.Epoch, p.Surge, p.IdleAfter, p.Asleep, microsOrNull(p.UpdatedAt))
}

// SaveProcess writes all of a process but its command, which is the release's.
func (tx *Tx) SaveProcess(app stead.ID, p stead.Process) error {
	return tx.must(`UPDATE processes SET quantity = $3, size = $4, health_path = $5, boot_limit = $6, stop_grace = $7, stopped = $8, epoch = $9,
		surge = $10, idle_after = $11, asleep = $12, updated_at = $13
		WHERE app_id = $1 AND type = $2`,
		app, p.Type, p.Quantity, p.Size, p.Health.Path, p.Health.BootLimit, p.StopGrace, p.Stopped, p.Epoch, p.Surge, p.IdleAfter, p.Asleep, microsOrNull(p.UpdatedAt))
}

// Processes returns the processes of an app, web first.
func (tx *Tx) Processes(app stead.ID) ([]stead.Process, error) {
	return many(tx, scanProcess, `SELECT `+processColumns+` FROM processes WHERE app_id = $1
		ORDER BY CASE WHEN type = 'web' THEN 0 ELSE 1 END, type`, app)
}

// Idler is a process that stops when it is idle.
type Idler struct {
	App     stead.ID
	Process stead.Process
}

func scanIdler(r row) (i Idler, err error) {
	err = r.Scan(&i.App, &i.Process.Type, &i.Process.IdleAfter, &i.Process.Asleep)
	return i, err
}

// Idlers returns the processes that may stop by themselves, of apps whose
// release serves and that are not in the middle of another one.
func (tx *Tx) Idlers() ([]Idler, error) {
	return many(tx, scanIdler, `SELECT p.app_id, p.type, p.idle_after, p.asleep FROM processes p JOIN apps a ON a.id = p.app_id
		WHERE p.idle_after > 0 AND NOT p.stopped AND p.quantity > 0 AND a.live_id <> '' AND a.destroyed_at IS NULL
		AND NOT EXISTS (SELECT 1 FROM releases r WHERE r.app_id = a.id AND r.state IN ('pending', 'releasing', 'rolling')) ORDER BY p.app_id, p.type`)
}

// SetAsleep marks the processes of an app that may stop by themselves, and
// reports whether any of them was not so before.
func (tx *Tx) SetAsleep(app stead.ID, asleep bool) (changed bool, err error) {
	err = tx.must(`UPDATE processes SET asleep = $2 WHERE app_id = $1 AND idle_after > 0 AND asleep <> $2`, app, asleep)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

const domainColumns = `id, app_id, host, platform, created_at, auto_tls, https_redirect, hsts, min_tls`

func scanDomain(r row) (d stead.Domain, err error) {
	err = r.Scan(&d.ID, &d.AppID, &d.Host, &d.Platform, stamp{&d.CreatedAt}, &d.AutoTLS, &d.HTTPSRedirect, &d.HSTS, &d.MinTLS)
	return d, err
}

// InsertDomain adds a domain; ErrDuplicate if any app has it.
func (tx *Tx) InsertDomain(d stead.Domain) error {
	return tx.insert(`INSERT INTO domains (`+domainColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`, d.ID, d.AppID, d.Host, d.Platform, micros(d.CreatedAt),
		d.AutoTLS, d.HTTPSRedirect, int(d.HSTS), d.MinTLS)
}

// Domains returns the domains of an app, the platform's first.
func (tx *Tx) Domains(app stead.ID) ([]stead.Domain, error) {
	return many(tx, scanDomain, `SELECT `+domainColumns+` FROM domains WHERE app_id = $1 ORDER BY platform DESC, host`, app)
}

// DomainByHost returns the domain of whatever app has the host.
func (tx *Tx) DomainByHost(host string) (stead.Domain, error) {
	return one(tx, scanDomain, `SELECT `+domainColumns+` FROM domains WHERE host = $1`, host)
}

// DeleteDomain removes a domain with its routes.
func (tx *Tx) DeleteDomain(id stead.ID) error {
	return tx.must(`DELETE FROM domains WHERE id = $1`, id)
}

// DeleteDomains removes all domains of an app, with its routes.
func (tx *Tx) DeleteDomains(app stead.ID) error {
	return tx.exec(`DELETE FROM domains WHERE app_id = $1`, app)
}

// DomainsBelow returns the domains, of all apps, that end in "."+parent.
func (tx *Tx) DomainsBelow(parent string) ([]stead.Domain, error) {
	suffix := "." + parent
	return many(tx, scanDomain, `SELECT `+domainColumns+` FROM domains
		WHERE length(host) > $1 AND substr(host, length(host) - $1 + 1) = $2 ORDER BY host`, len(suffix), suffix)
}
