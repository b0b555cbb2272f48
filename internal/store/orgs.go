package store

import (
	"time"

	"github.com/steadpaas/stead"
)

func scanOrg(r row) (o stead.Org, err error) {
	err = r.Scan(&o.ID, &o.Name, stamp{&o.CreatedAt})
	return o, err
}

// InsertOrg adds an org; ErrDuplicate if the name is taken.
func (tx *Tx) InsertOrg(o stead.Org) error {
	return tx.insert(`INSERT INTO orgs (id, name, created_at) VALUES ($1, $2, $3)`, o.ID, o.Name, micros(o.CreatedAt))
}

// Orgs returns all orgs by name.
func (tx *Tx) Orgs() ([]stead.Org, error) {
	return many(tx, scanOrg, `SELECT id, name, created_at FROM orgs ORDER BY name`)
}

// Org returns the org with the ID or name.
func (tx *Tx) Org(ref string) (stead.Org, error) {
	return one(tx, scanOrg, `SELECT id, name, created_at FROM orgs WHERE id = $1 OR name = $1`, ref)
}

const spaceQuery = `SELECT s.id, s.org_id, o.name, s.name, s.created_at FROM spaces s JOIN orgs o ON o.id = s.org_id `

func scanSpace(r row) (s stead.Space, err error) {
	err = r.Scan(&s.ID, &s.OrgID, &s.Org, &s.Name, stamp{&s.CreatedAt})
	return s, err
}

// InsertSpace adds a space; ErrDuplicate if the org has one of that name.
func (tx *Tx) InsertSpace(s stead.Space) error {
	return tx.insert(`INSERT INTO spaces (id, org_id, name, created_at) VALUES ($1, $2, $3, $4)`, s.ID, s.OrgID, s.Name, micros(s.CreatedAt))
}

// Spaces returns all spaces by org and name.
func (tx *Tx) Spaces() ([]stead.Space, error) {
	return many(tx, scanSpace, spaceQuery+`ORDER BY o.name, s.name`)
}

// Space returns the space of the org with the ID or name.
func (tx *Tx) Space(org stead.ID, ref string) (stead.Space, error) {
	return one(tx, scanSpace, spaceQuery+`WHERE s.org_id = $1 AND (s.id = $2 OR s.name = $2)`, org, ref)
}

// SpaceByID returns a space.
func (tx *Tx) SpaceByID(id stead.ID) (stead.Space, error) {
	return one(tx, scanSpace, spaceQuery+`WHERE s.id = $1`, id)
}

const memberQuery = `SELECT m.user_id, u.email, m.org_id, m.space_id, m.role FROM members m JOIN users u ON u.id = m.user_id `

func scanMember(r row) (m stead.Member, err error) {
	err = r.Scan(&m.UserID, &m.Email, &m.OrgID, &m.SpaceID, &m.Role)
	return m, err
}

// SetMember adds a member or changes the role of one.
func (tx *Tx) SetMember(m stead.Member) error {
	return tx.exec(`INSERT INTO members (user_id, org_id, space_id, role) VALUES ($1, $2, $3, $4)
		ON CONFLICT (user_id, org_id, space_id) DO UPDATE SET role = excluded.role`, m.UserID, m.OrgID, m.SpaceID, m.Role)
}

// DeleteMember removes a member.
func (tx *Tx) DeleteMember(user, org, space stead.ID) error {
	return tx.must(`DELETE FROM members WHERE user_id = $1 AND org_id = $2 AND space_id = $3`, user, org, space)
}

// Members returns the members of an org (space empty) or of one space.
func (tx *Tx) Members(org, space stead.ID) ([]stead.Member, error) {
	return many(tx, scanMember, memberQuery+`WHERE m.org_id = $1 AND m.space_id = $2 ORDER BY u.email`, org, space)
}

// Memberships returns what a user is a member of.
func (tx *Tx) Memberships(user stead.ID) ([]stead.Member, error) {
	return many(tx, scanMember, memberQuery+`WHERE m.user_id = $1`, user)
}

// InsertRegion adds a region, if it is not there.
func (tx *Tx) InsertRegion(name string, at time.Time) error {
	return tx.exec(`INSERT INTO regions (name, created_at) VALUES ($1, $2) ON CONFLICT DO NOTHING`, name, micros(at))
}

// Regions returns the names of the regions.
func (tx *Tx) Regions() ([]string, error) {
	return many(tx, scanString[string], `SELECT name FROM regions ORDER BY name`)
}
