package store

import "github.com/steadpaas/stead"

const collaboratorQuery = `SELECT c.app_id, c.user_id, u.email, c.role, c.created_at FROM collaborators c JOIN users u ON u.id = c.user_id `

func scanCollaborator(r row) (c stead.Collaborator, err error) {
	err = r.Scan(&c.AppID, &c.UserID, &c.Email, &c.Role, stamp{&c.CreatedAt})
	return c, err
}

// SetCollaborator adds a collaborator or changes the role of one.
func (tx *Tx) SetCollaborator(c stead.Collaborator) error {
	return tx.exec(`INSERT INTO collaborators (app_id, user_id, role, created_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (app_id, user_id) DO UPDATE SET role = excluded.role`, c.AppID, c.UserID, c.Role, micros(c.CreatedAt))
}

// Collaborators returns the collaborators of an app, by e-mail.
func (tx *Tx) Collaborators(app stead.ID) ([]stead.Collaborator, error) {
	return many(tx, scanCollaborator, collaboratorQuery+`WHERE c.app_id = $1 ORDER BY u.email`, app)
}

// Collaborations returns the apps that a user is a collaborator of.
func (tx *Tx) Collaborations(user stead.ID) ([]stead.Collaborator, error) {
	return many(tx, scanCollaborator, collaboratorQuery+`WHERE c.user_id = $1`, user)
}

// DeleteCollaborator removes a collaborator.
func (tx *Tx) DeleteCollaborator(app, user stead.ID) error {
	return tx.must(`DELETE FROM collaborators WHERE app_id = $1 AND user_id = $2`, app, user)
}

// DeleteCollaborators removes all collaborators of an app.
func (tx *Tx) DeleteCollaborators(app stead.ID) error {
	return tx.exec(`DELETE FROM collaborators WHERE app_id = $1`, app)
}

// MoveApp puts an app into another space; ErrDuplicate if that has one of its name.
func (tx *Tx) MoveApp(app, space stead.ID) error {
	err := tx.must(`UPDATE apps SET space_id = $2 WHERE id = $1 AND NOT EXISTS
		(SELECT 1 FROM apps o WHERE o.space_id = $2 AND o.id <> $1 AND o.name = (SELECT name FROM apps WHERE id = $1))`, app, space)
	if err == ErrNotFound {
		return ErrDuplicate
	}
	return err
}

// SetUserName changes the name of a user.
func (tx *Tx) SetUserName(id stead.ID, name string) error {
	return tx.must(`UPDATE users SET name = $2 WHERE id = $1`, id, name)
}

// SetTokenName changes what a token says it is for.
func (tx *Tx) SetTokenName(user, id stead.ID, name string) error {
	return tx.must(`UPDATE tokens SET name = $3 WHERE user_id = $1 AND id = $2`, user, id, name)
}
