CREATE TABLE schedules (
  id TEXT PRIMARY KEY,
  app_id TEXT NOT NULL REFERENCES apps(id) ON DELETE CASCADE,
  cron TEXT NOT NULL,
  zone TEXT NOT NULL,
  command TEXT NOT NULL,
  size TEXT NOT NULL,
  declared BOOLEAN NOT NULL,
  paused BOOLEAN NOT NULL,
  next_at INTEGER,
  last_at INTEGER,
  last_task TEXT NOT NULL,
  reason TEXT NOT NULL,
  created_at INTEGER NOT NULL
);
CREATE INDEX schedules_app ON schedules (app_id);
CREATE INDEX schedules_next ON schedules (next_at);
