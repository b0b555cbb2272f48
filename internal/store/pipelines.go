package store

import "github.com/steadpaas/stead"

const pipelineQuery = `SELECT p.id, p.org_id, o.name, p.name, p.created_at, p.updated_at FROM pipelines p JOIN orgs o ON o.id = p.org_id `

func scanPipeline(r row) (p stead.Pipeline, err error) {
	err = r.Scan(&p.ID, &p.OrgID, &p.Org, &p.Name, stamp{&p.CreatedAt}, stamp{&p.UpdatedAt})
	return p, err
}

// InsertPipeline adds a pipeline; ErrDuplicate if the org has one of that name.
func (tx *Tx) InsertPipeline(p stead.Pipeline) error {
	return tx.insert(`INSERT INTO pipelines (id, org_id, name, created_at, updated_at) VALUES ($1, $2, $3, $4, $5)`,
		p.ID, p.OrgID, p.Name, micros(p.CreatedAt), micros(p.UpdatedAt))
}

// SavePipeline writes a pipeline's name.
func (tx *Tx) SavePipeline(p stead.Pipeline) error {
	return tx.must(`UPDATE pipelines SET name = $2, updated_at = $3 WHERE id = $1`, p.ID, p.Name, micros(p.UpdatedAt))
}

// Pipelines returns all pipelines by name, without their apps.
func (tx *Tx) Pipelines() ([]stead.Pipeline, error) {
	return many(tx, scanPipeline, pipelineQuery+`ORDER BY p.name, o.name`)
}

// DeletePipeline removes a pipeline. Its apps stay.
func (tx *Tx) DeletePipeline(id stead.ID) error {
	return tx.must(`DELETE FROM pipelines WHERE id = $1`, id)
}

// Coupling ties an app to a pipeline.
type Coupling struct {
	PipelineID stead.ID
	stead.PipelineApp
}

const couplingQuery = `SELECT pipeline_id, app_id, stage, added_at FROM pipeline_apps `

func scanCoupling(r row) (c Coupling, err error) {
	err = r.Scan(&c.PipelineID, &c.AppID, &c.Stage, stamp{&c.AddedAt})
	return c, err
}

// Couplings returns which apps are in a pipeline.
func (tx *Tx) Couplings(pipeline stead.ID) ([]Coupling, error) {
	return many(tx, scanCoupling, couplingQuery+`WHERE pipeline_id = $1 ORDER BY app_id`, pipeline)
}

// CouplingOf returns the pipeline that an app is in.
func (tx *Tx) CouplingOf(app stead.ID) (Coupling, error) {
	return one(tx, scanCoupling, couplingQuery+`WHERE app_id = $1`, app)
}

// SetCoupling puts an app at a stage of a pipeline, and out of any other.
func (tx *Tx) SetCoupling(c Coupling) error {
	return tx.exec(`INSERT INTO pipeline_apps (app_id, pipeline_id, stage, added_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (app_id) DO UPDATE SET pipeline_id = excluded.pipeline_id, stage = excluded.stage`,
		c.AppID, c.PipelineID, c.Stage, micros(c.AddedAt))
}

// DeleteCoupling takes an app out of a pipeline.
func (tx *Tx) DeleteCoupling(pipeline, app stead.ID) error {
	return tx.must(`DELETE FROM pipeline_apps WHERE pipeline_id = $1 AND app_id = $2`, pipeline, app)
}

const promotionColumns = `id, pipeline_id, app_id, app, release_version, targets, made_by, created_at`

func scanPromotion(r row) (p stead.Promotion, err error) {
	err = r.Scan(&p.ID, &p.PipelineID, &p.AppID, &p.App, &p.Release, text{&p.Targets}, &p.By, stamp{&p.CreatedAt})
	return p, err
}

// InsertPromotion adds a promotion.
func (tx *Tx) InsertPromotion(p stead.Promotion) error {
	return tx.exec(`INSERT INTO promotions (`+promotionColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		p.ID, p.PipelineID, p.AppID, p.App, p.Release, text{p.Targets}, p.By, micros(p.CreatedAt))
}

// Promotions returns the newest promotions of a pipeline, newest first.
func (tx *Tx) Promotions(pipeline stead.ID, limit int) ([]stead.Promotion, error) {
	return many(tx, scanPromotion, `SELECT `+promotionColumns+` FROM promotions WHERE pipeline_id = $1
		ORDER BY created_at DESC, id DESC LIMIT $2`, pipeline, limit)
}

// Promotion returns a promotion of whatever pipeline.
func (tx *Tx) Promotion(id stead.ID) (stead.Promotion, error) {
	return one(tx, scanPromotion, `SELECT `+promotionColumns+` FROM promotions WHERE id = $1`, id)
}
