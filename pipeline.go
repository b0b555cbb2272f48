package stead

import (
	"slices"
	"time"
)

// PipelineStage is where an app stands in a pipeline.
type PipelineStage string

// The stages, in the order that images pass through them. Test holds apps that
// only run tests; nothing is promoted from or to it by itself.
const (
	StageTest        PipelineStage = "test"
	StageReview      PipelineStage = "review"
	StageDevelopment PipelineStage = "development"
	StageStaging     PipelineStage = "staging"
	StageProduction  PipelineStage = "production"
)

// PipelineStages lists the stages in their order.
func PipelineStages() []PipelineStage {
	return []PipelineStage{StageTest, StageReview, StageDevelopment, StageStaging, StageProduction}
}

// CheckPipelineStage refuses what is no stage.
func CheckPipelineStage(field string, s PipelineStage) error {
	if !slices.Contains(PipelineStages(), s) {
		return Invalid(field, "there is no stage "+quote(string(s)), "use test, review, development, staging or production")
	}
	return nil
}

// Next returns the stage that a promotion from s goes to; empty if there is none.
func (s PipelineStage) Next() PipelineStage {
	switch s {
	case StageReview, StageDevelopment:
		return StageStaging
	case StageStaging:
		return StageProduction
	}
	return ""
}

// Pipeline is the way of an image through apps of one org: promoted from stage
// to stage, it stays the same, byte for byte, while each app keeps its config.
type Pipeline struct {
	ID        ID            `json:"id"`
	OrgID     ID            `json:"org_id"`
	Org       string        `json:"org"`
	Name      string        `json:"name"` // unique in its org
	Apps      []PipelineApp `json:"apps"` // those that one can see, by stage and name
	CreatedAt time.Time     `json:"created_at"`
	UpdatedAt time.Time     `json:"updated_at"`
}

// PipelineApp is an app in a pipeline. An app is in one pipeline at most.
type PipelineApp struct {
	AppID   ID            `json:"app_id"`
	App     string        `json:"app"`
	Space   string        `json:"space"`
	Stage   PipelineStage `json:"stage"`
	Release int           `json:"release"`          // the version that serves; 0: none yet
	Digest  string        `json:"digest,omitempty"` // of its image
	Commit  string        `json:"commit,omitempty"` // that it was built from, if known
	AddedAt time.Time     `json:"added_at"`
}

// Promotion is one copy of an app's image to other apps of its pipeline.
type Promotion struct {
	ID         ID                `json:"id"`
	PipelineID ID                `json:"pipeline_id"`
	AppID      ID                `json:"app_id"` // where the image comes from
	App        string            `json:"app"`
	Release    int               `json:"release"` // that it served there
	Targets    []PromotionTarget `json:"targets"`
	By         string            `json:"by"`
	CreatedAt  time.Time         `json:"created_at"`
}

// PromotionTarget is the release that a promotion made in an app.
type PromotionTarget struct {
	AppID   ID           `json:"app_id"`
	App     string       `json:"app"`
	Release int          `json:"release"`
	State   ReleaseState `json:"state"`
	Reason  string       `json:"reason,omitempty"` // why it failed
}

// NewPromotion is the wish for a promotion.
type NewPromotion struct {
	From string   `json:"from"`         // the app whose image is copied
	To   []string `json:"to,omitempty"` // apps of the pipeline; empty: all of the next stage
}
