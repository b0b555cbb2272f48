package store

import (
	"time"

	"github.com/steadpaas/stead"
)

const scheduleColumns = `id, app_id, cron, zone, command, size, declared, paused, next_at, last_at, last_task, reason, created_at`

func scanSchedule(r row) (s stead.Schedule, err error) {
	err = r.Scan(&s.ID, &s.AppID, &s.Cron, &s.Zone, text{&s.Command}, &s.Size, &s.Declared, &s.Paused,
		stamp{&s.NextAt}, stamp{&s.LastAt}, &s.LastTask, &s.Reason, stamp{&s.CreatedAt})
	return s, err
}

// InsertSchedule adds a schedule.
func (tx *Tx) InsertSchedule(s stead.Schedule) error {
	return tx.exec(`INSERT INTO schedules (`+scheduleColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
		s.ID, s.AppID, s.Cron, s.Zone, text{s.Command}, s.Size, s.Declared, s.Paused, microsOrNull(s.NextAt), microsOrNull(s.LastAt),
		s.LastTask, s.Reason, micros(s.CreatedAt))
}

// SaveSchedule writes what may change of a schedule, all of it.
func (tx *Tx) SaveSchedule(s stead.Schedule) error {
	return tx.must(`UPDATE schedules SET cron = $2, zone = $3, command = $4, size = $5, paused = $6, next_at = $7, last_at = $8,
		last_task = $9, reason = $10 WHERE id = $1`,
		s.ID, s.Cron, s.Zone, text{s.Command}, s.Size, s.Paused, microsOrNull(s.NextAt), microsOrNull(s.LastAt), s.LastTask, s.Reason)
}

// Schedules returns the schedules of an app, the oldest first.
func (tx *Tx) Schedules(app stead.ID) ([]stead.Schedule, error) {
	return many(tx, scanSchedule, `SELECT `+scheduleColumns+` FROM schedules WHERE app_id = $1 ORDER BY created_at, id`, app)
}

// Schedule returns a schedule of an app.
func (tx *Tx) Schedule(app, id stead.ID) (stead.Schedule, error) {
	return one(tx, scanSchedule, `SELECT `+scheduleColumns+` FROM schedules WHERE app_id = $1 AND id = $2`, app, id)
}

// SchedulesDue returns the schedules, of apps that are not being destroyed,
// whose time has come.
func (tx *Tx) SchedulesDue(now time.Time) ([]stead.Schedule, error) {
	return many(tx, scanSchedule, `SELECT `+scheduleColumns+` FROM schedules WHERE next_at <= $1
		AND app_id IN (SELECT id FROM apps WHERE destroyed_at IS NULL) ORDER BY next_at, id`, micros(now))
}

// NextSchedule returns when the next schedule's time comes; nil: never.
func (tx *Tx) NextSchedule() (next *time.Time, err error) {
	err = tx.tx.QueryRowContext(tx.ctx, `SELECT MIN(next_at) FROM schedules
		WHERE app_id IN (SELECT id FROM apps WHERE destroyed_at IS NULL)`).Scan(stamp{&next})
	return next, err
}

// DeleteSchedule removes a schedule of an app.
func (tx *Tx) DeleteSchedule(app, id stead.ID) error {
	return tx.must(`DELETE FROM schedules WHERE app_id = $1 AND id = $2`, app, id)
}
