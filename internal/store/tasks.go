package store

import "github.com/steadpaas/stead"

// Task is a task with what only the platform knows of it. Its Env is not set:
// it is sealed.
type Task struct {
	stead.Task
	ReleaseID stead.ID
	SealedEnv []byte // sealed JSON of a stead.Config; nil: empty
}

const taskQuery = `SELECT t.id, t.app_id, a.name, t.name, t.release_id, t.release_version, t.command, t.attached, t.tty, t.env, t.size,
	t.state, t.exit_code, t.reason, t.made_by, t.created_at, t.finished_at FROM tasks t JOIN apps a ON a.id = t.app_id `

func scanTask(r row) (t Task, err error) {
	err = r.Scan(&t.ID, &t.AppID, &t.App, &t.Name, &t.ReleaseID, &t.Release, text{&t.Command}, &t.Attached, &t.TTY, &t.SealedEnv, &t.Size,
		&t.State, &t.ExitCode, &t.Reason, &t.By, stamp{&t.CreatedAt}, stamp{&t.FinishedAt})
	return t, err
}

// InsertTask adds a task; ErrDuplicate if the app has one of that name.
func (tx *Tx) InsertTask(t Task) error {
	return tx.insert(`INSERT INTO tasks (id, app_id, name, release_id, release_version, command, attached, tty, env, size,
		state, exit_code, reason, made_by, created_at, finished_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`,
		t.ID, t.AppID, t.Name, t.ReleaseID, t.Release, text{t.Command}, t.Attached, t.TTY, t.SealedEnv, t.Size,
		t.State, t.ExitCode, t.Reason, t.By, micros(t.CreatedAt), microsOrNull(t.FinishedAt))
}

// SaveTask writes the state of a task and its end.
func (tx *Tx) SaveTask(t Task) error {
	return tx.must(`UPDATE tasks SET state = $2, exit_code = $3, reason = $4, finished_at = $5 WHERE id = $1`,
		t.ID, t.State, t.ExitCode, t.Reason, microsOrNull(t.FinishedAt))
}

// TaskByID returns a task.
func (tx *Tx) TaskByID(id stead.ID) (Task, error) {
	return one(tx, scanTask, taskQuery+`WHERE t.id = $1`, id)
}

// Task returns an app's task of that name.
func (tx *Tx) Task(app stead.ID, name string) (Task, error) {
	return one(tx, scanTask, taskQuery+`WHERE t.app_id = $1 AND t.name = $2`, app, name)
}

// Tasks returns the newest tasks of an app, newest first.
func (tx *Tx) Tasks(app stead.ID, limit int) ([]Task, error) {
	return many(tx, scanTask, taskQuery+`WHERE t.app_id = $1 ORDER BY t.id DESC LIMIT $2`, app, limit)
}

// OpenTasks returns the unfinished tasks of all apps, oldest first.
func (tx *Tx) OpenTasks() ([]Task, error) {
	return many(tx, scanTask, taskQuery+`WHERE t.state IN ('pending', 'running') ORDER BY t.id`)
}

const instanceColumns = `app_id, ref, name, process, release_version, state, reason, exit_code, restarts, size, region, node, since`

func scanInstance(r row) (i stead.Instance, err error) {
	err = r.Scan(&i.AppID, &i.Ref, &i.Name, &i.Process, &i.Release, &i.State, &i.Reason, &i.ExitCode, &i.Restarts, &i.Size, &i.Region, &i.Node, stamp{&i.Since})
	return i, err
}

// Instances returns the instances of an app as last seen.
func (tx *Tx) Instances(app stead.ID) ([]stead.Instance, error) {
	return many(tx, scanInstance, `SELECT `+instanceColumns+` FROM instances WHERE app_id = $1 ORDER BY ref`, app)
}

// SaveInstance adds an instance, or replaces what is known of it.
func (tx *Tx) SaveInstance(i stead.Instance) error {
	return tx.exec(`INSERT INTO instances (`+instanceColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
		ON CONFLICT (app_id, ref) DO UPDATE SET name = excluded.name, process = excluded.process, release_version = excluded.release_version,
		state = excluded.state, reason = excluded.reason, exit_code = excluded.exit_code, restarts = excluded.restarts, size = excluded.size,
		region = excluded.region, node = excluded.node, since = excluded.since`,
		i.AppID, i.Ref, i.Name, i.Process, i.Release, i.State, i.Reason, i.ExitCode, i.Restarts, i.Size, i.Region, i.Node, micros(i.Since))
}

// DeleteInstance forgets an instance.
func (tx *Tx) DeleteInstance(app stead.ID, ref string) error {
	return tx.exec(`DELETE FROM instances WHERE app_id = $1 AND ref = $2`, app, ref)
}
