CREATE TABLE drains (
  id TEXT PRIMARY KEY,
  app_id TEXT NOT NULL REFERENCES apps(id) ON DELETE CASCADE,
  url BLOB NOT NULL,
  shown TEXT NOT NULL,
  token TEXT NOT NULL,
  after INTEGER NOT NULL,
  delivered INTEGER NOT NULL,
  dropped INTEGER NOT NULL,
  error TEXT NOT NULL,
  at INTEGER,
  created_at INTEGER NOT NULL
);
CREATE INDEX drains_app ON drains (app_id);
