package store

import (
	"time"

	"github.com/steadpaas/stead"
)

// Build is a build with the claim on it.
type Build struct {
	stead.Build
	Holder   string    // who builds; empty: nobody yet
	Until    time.Time // when the claim runs out
	Attempts int       // how often it was claimed
}

const buildQuery = `SELECT b.id, b.app_id, a.name, b.number, b.state, b.reason, b.source, b.pack, b.image, b.release_version, b.stages,
	b.made_by, b.created_at, b.started_at, b.finished_at, b.holder, b.claimed_until, b.attempts
	FROM builds b JOIN apps a ON a.id = b.app_id `

func scanBuild(r row) (b Build, err error) {
	err = r.Scan(&b.ID, &b.AppID, &b.App, &b.Number, &b.State, &b.Reason, text{&b.Source}, &b.Pack, text{&b.Image}, &b.Release, text{&b.Stages},
		&b.By, stamp{&b.CreatedAt}, stamp{&b.StartedAt}, stamp{&b.FinishedAt}, &b.Holder, stamp{&b.Until}, &b.Attempts)
	return b, err
}

// InsertBuild adds a build.
func (tx *Tx) InsertBuild(b Build) error {
	return tx.insert(`INSERT INTO builds (id, app_id, number, state, reason, source, pack, image, release_version, stages, made_by,
		created_at, started_at, finished_at, holder, claimed_until, attempts)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)`,
		b.ID, b.AppID, b.Number, b.State, b.Reason, text{b.Source}, b.Pack, text{b.Image}, b.Release, text{b.Stages}, b.By,
		micros(b.CreatedAt), microsOrNull(b.StartedAt), microsOrNull(b.FinishedAt), b.Holder, micros(b.Until), b.Attempts)
}

// SaveBuild writes what may change of a build, all of it.
func (tx *Tx) SaveBuild(b Build) error {
	return tx.must(`UPDATE builds SET state = $2, reason = $3, pack = $4, image = $5, release_version = $6, stages = $7,
		started_at = $8, finished_at = $9, holder = $10, claimed_until = $11, attempts = $12 WHERE id = $1`,
		b.ID, b.State, b.Reason, b.Pack, text{b.Image}, b.Release, text{b.Stages},
		microsOrNull(b.StartedAt), microsOrNull(b.FinishedAt), b.Holder, micros(b.Until), b.Attempts)
}

// BuildByID returns a build.
func (tx *Tx) BuildByID(id stead.ID) (Build, error) {
	return one(tx, scanBuild, buildQuery+`WHERE b.id = $1`, id)
}

// Build returns an app's build of that number.
func (tx *Tx) Build(app stead.ID, number int) (Build, error) {
	return one(tx, scanBuild, buildQuery+`WHERE b.app_id = $1 AND b.number = $2`, app, number)
}

// Builds returns the newest builds of an app, newest first.
func (tx *Tx) Builds(app stead.ID, limit int) ([]Build, error) {
	return many(tx, scanBuild, buildQuery+`WHERE b.app_id = $1 ORDER BY b.number DESC LIMIT $2`, app, limit)
}

// OpenBuilds returns the builds of an app that are queued or running.
func (tx *Tx) OpenBuilds(app stead.ID) ([]Build, error) {
	return many(tx, scanBuild, buildQuery+`WHERE b.app_id = $1 AND b.state IN ('queued', 'running') ORDER BY b.number`, app)
}

// NextBuild returns the build that may be claimed next: the first unfinished
// one of its app, queued, or running under a claim that ran out; of an org with
// the fewest builds running, the oldest.
func (tx *Tx) NextBuild(now time.Time) (Build, error) {
	return one(tx, scanBuild, buildQuery+`WHERE (b.state = 'queued' OR b.state = 'running' AND b.claimed_until < $1)
		AND a.destroyed_at IS NULL AND NOT EXISTS (SELECT 1 FROM builds e WHERE e.app_id = b.app_id
			AND e.number < b.number AND e.state IN ('queued', 'running'))
		ORDER BY (SELECT COUNT(*) FROM builds r JOIN apps ra ON ra.id = r.app_id JOIN spaces rs ON rs.id = ra.space_id
			WHERE r.state = 'running' AND r.claimed_until >= $1
				AND rs.org_id = (SELECT o.org_id FROM spaces o WHERE o.id = a.space_id)), b.id LIMIT 1`, micros(now))
}

// Release is a release with its sealed config.
type Release struct {
	stead.Release
	Config []byte // as App.Config, at the time the release was made
}

const releaseQuery = `SELECT r.id, r.app_id, a.name, r.version, r.state, r.reason, r.description, r.image, r.config, r.config_keys,
	r.build_id, r.made_by, r.created_at, r.live_at FROM releases r JOIN apps a ON a.id = r.app_id `

func scanRelease(r row) (v Release, err error) {
	err = r.Scan(&v.ID, &v.AppID, &v.App, &v.Version, &v.State, &v.Reason, &v.Description, text{&v.Image}, &v.Config, text{&v.ConfigKeys},
		&v.BuildID, &v.By, stamp{&v.CreatedAt}, stamp{&v.LiveAt})
	return v, err
}

// InsertRelease adds a release.
func (tx *Tx) InsertRelease(r Release) error {
	return tx.insert(`INSERT INTO releases (id, app_id, version, state, reason, description, image, config, config_keys,
		build_id, made_by, created_at, live_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
		r.ID, r.AppID, r.Version, r.State, r.Reason, r.Description, text{r.Image}, r.Config, text{r.ConfigKeys},
		r.BuildID, r.By, micros(r.CreatedAt), microsOrNull(r.LiveAt))
}

// SaveReleaseState writes the state of a release; nothing else of it changes.
func (tx *Tx) SaveReleaseState(r Release) error {
	return tx.must(`UPDATE releases SET state = $2, reason = $3, live_at = $4 WHERE id = $1`, r.ID, r.State, r.Reason, microsOrNull(r.LiveAt))
}

// ReleaseByID returns a release.
func (tx *Tx) ReleaseByID(id stead.ID) (Release, error) {
	return one(tx, scanRelease, releaseQuery+`WHERE r.id = $1`, id)
}

// Release returns an app's release of that version.
func (tx *Tx) Release(app stead.ID, version int) (Release, error) {
	return one(tx, scanRelease, releaseQuery+`WHERE r.app_id = $1 AND r.version = $2`, app, version)
}

// Releases returns the newest releases of an app, newest first.
func (tx *Tx) Releases(app stead.ID, limit int) ([]Release, error) {
	return many(tx, scanRelease, releaseQuery+`WHERE r.app_id = $1 ORDER BY r.version DESC LIMIT $2`, app, limit)
}

// OpenReleases returns the releases of an app that have neither come up nor
// been given up, oldest first.
func (tx *Tx) OpenReleases(app stead.ID) ([]Release, error) {
	return many(tx, scanRelease, releaseQuery+`WHERE r.app_id = $1 AND r.state IN ('pending', 'releasing', 'rolling') ORDER BY r.version`, app)
}

// FormerRelease returns the newest release of an app before a version that once
// was live.
func (tx *Tx) FormerRelease(app stead.ID, before int) (Release, error) {
	return one(tx, scanRelease, releaseQuery+`WHERE r.app_id = $1 AND r.version < $2 AND r.live_at IS NOT NULL
		ORDER BY r.version DESC LIMIT 1`, app, before)
}

// AllOpenReleases returns the releases of all apps that are live or on the way.
func (tx *Tx) AllOpenReleases() ([]Release, error) {
	return many(tx, scanRelease, releaseQuery+`WHERE r.state IN ('pending', 'releasing', 'rolling', 'live') ORDER BY r.app_id, r.version`)
}

// KeptReleases returns the last n releases of each app, and those that are
// live, on the way, or that an unfinished task runs.
func (tx *Tx) KeptReleases(n int) ([]Release, error) {
	return many(tx, scanRelease, releaseQuery+`WHERE r.version > a.releases - $1 OR r.state IN ('pending', 'releasing', 'rolling', 'live')
		OR r.id IN (SELECT release_id FROM tasks WHERE state IN ('pending', 'running')) ORDER BY r.app_id, r.version`, n)
}
