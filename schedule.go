package stead

import "time"

// Schedule runs a task of an app at times.
type Schedule struct {
	ID        ID         `json:"id"`
	AppID     ID         `json:"app_id"`
	Cron      string     `json:"cron"`             // five fields (crontab(5)), or @hourly, @daily, @weekly, @monthly, @yearly
	Zone      string     `json:"zone"`             // in which the fields are meant, as in Europe/Berlin; "UTC"
	Command   Command    `json:"command"`          // with the image and config of the release that serves then
	Size      string     `json:"size,omitempty"`   // empty: the web process's
	Declared  bool       `json:"declared"`         // by a file of the source, which the next push may change
	Paused    bool       `json:"paused"`           // runs nothing
	NextAt    *time.Time `json:"next_at"`          // when it runs next; null while paused
	LastAt    *time.Time `json:"last_at"`          // when its time came last
	LastTask  string     `json:"last_task"`        // that it started then
	Reason    string     `json:"reason,omitempty"` // why it started none
	CreatedAt time.Time  `json:"created_at"`
}

// NewSchedule is the wish for a schedule. Zone "" is UTC.
type NewSchedule struct {
	Cron    string  `json:"cron"`
	Zone    string  `json:"zone,omitempty"`
	Command Command `json:"command"`
	Size    string  `json:"size,omitempty"`
}

// SchedulePatch changes what is not nil.
type SchedulePatch struct {
	Cron    *string `json:"cron,omitempty"`
	Zone    *string `json:"zone,omitempty"`
	Command Command `json:"command,omitempty"`
	Size    *string `json:"size,omitempty"`
	Paused  *bool   `json:"paused,omitempty"`
}
