CREATE TABLE pipelines (
  id TEXT PRIMARY KEY,
  org_id TEXT NOT NULL REFERENCES orgs(id),
  name TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  UNIQUE (org_id, name)
);
CREATE TABLE pipeline_apps (
  app_id TEXT PRIMARY KEY REFERENCES apps(id) ON DELETE CASCADE,
  pipeline_id TEXT NOT NULL REFERENCES pipelines(id) ON DELETE CASCADE,
  stage TEXT NOT NULL,
  added_at INTEGER NOT NULL
);
CREATE INDEX pipeline_apps_pipeline ON pipeline_apps (pipeline_id);
CREATE TABLE promotions (
  id TEXT PRIMARY KEY,
  pipeline_id TEXT NOT NULL REFERENCES pipelines(id) ON DELETE CASCADE,
  app_id TEXT NOT NULL,
  app TEXT NOT NULL,
  release_version INTEGER NOT NULL,
  targets TEXT NOT NULL,
  made_by TEXT NOT NULL,
  created_at INTEGER NOT NULL
);
CREATE INDEX promotions_pipeline ON promotions (pipeline_id, created_at);
