CREATE TABLE users (
  id TEXT PRIMARY KEY,
  email TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  admin BOOLEAN NOT NULL,
  password TEXT NOT NULL,
  created_at INTEGER NOT NULL
);
CREATE TABLE tokens (
  id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  scope TEXT NOT NULL,
  login BOOLEAN NOT NULL,
  hash TEXT NOT NULL UNIQUE,
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  used_at INTEGER
);
CREATE INDEX tokens_user ON tokens (user_id);
CREATE TABLE ssh_keys (
  id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  fingerprint TEXT NOT NULL UNIQUE,
  public_key TEXT NOT NULL,
  created_at INTEGER NOT NULL
);
CREATE INDEX ssh_keys_user ON ssh_keys (user_id);
CREATE TABLE orgs (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  created_at INTEGER NOT NULL
);
CREATE TABLE spaces (
  id TEXT PRIMARY KEY,
  org_id TEXT NOT NULL REFERENCES orgs(id),
  name TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  UNIQUE (org_id, name)
);
CREATE TABLE members (
  user_id TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE,
  org_id TEXT NOT NULL REFERENCES orgs(id),
  space_id TEXT NOT NULL,
  role TEXT NOT NULL,
  PRIMARY KEY (user_id, org_id, space_id)
);
CREATE INDEX members_org ON members (org_id, space_id);
CREATE TABLE regions (
  name TEXT PRIMARY KEY,
  created_at INTEGER NOT NULL
);
CREATE TABLE apps (
  id TEXT PRIMARY KEY,
  space_id TEXT NOT NULL REFERENCES spaces(id),
  name TEXT NOT NULL,
  region TEXT NOT NULL,
  host TEXT NOT NULL,
  maintenance BOOLEAN NOT NULL,
  epoch INTEGER NOT NULL,
  live_id TEXT NOT NULL,
  live_version INTEGER NOT NULL,
  live_epoch INTEGER NOT NULL,
  config BLOB,
  builds INTEGER NOT NULL,
  releases INTEGER NOT NULL,
  tasks INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  destroyed_at INTEGER,
  UNIQUE (space_id, name)
);
CREATE INDEX apps_name ON apps (name);
CREATE TABLE processes (
  app_id TEXT NOT NULL REFERENCES apps(id) ON DELETE CASCADE,
  type TEXT NOT NULL,
  quantity INTEGER NOT NULL,
  size TEXT NOT NULL,
  health_path TEXT NOT NULL,
  boot_limit INTEGER NOT NULL,
  stop_grace INTEGER NOT NULL,
  stopped BOOLEAN NOT NULL,
  updated_at INTEGER,
  PRIMARY KEY (app_id, type)
);
CREATE TABLE domains (
  id TEXT PRIMARY KEY,
  app_id TEXT NOT NULL REFERENCES apps(id) ON DELETE CASCADE,
  host TEXT NOT NULL UNIQUE,
  platform BOOLEAN NOT NULL,
  created_at INTEGER NOT NULL
);
CREATE INDEX domains_app ON domains (app_id);
CREATE TABLE routes (
  id TEXT PRIMARY KEY,
  app_id TEXT NOT NULL REFERENCES apps(id) ON DELETE CASCADE,
  host TEXT NOT NULL REFERENCES domains(host) ON DELETE CASCADE,
  path TEXT NOT NULL,
  process TEXT NOT NULL,
  strip_prefix BOOLEAN NOT NULL,
  UNIQUE (host, path)
);
CREATE INDEX routes_app ON routes (app_id);
CREATE TABLE builds (
  id TEXT PRIMARY KEY,
  app_id TEXT NOT NULL REFERENCES apps(id) ON DELETE CASCADE,
  number INTEGER NOT NULL,
  state TEXT NOT NULL,
  reason TEXT NOT NULL,
  source TEXT NOT NULL,
  pack TEXT NOT NULL,
  image TEXT NOT NULL,
  release_version INTEGER NOT NULL,
  stages TEXT NOT NULL,
  made_by TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  started_at INTEGER,
  finished_at INTEGER,
  holder TEXT NOT NULL,
  claimed_until INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  UNIQUE (app_id, number)
);
CREATE INDEX builds_state ON builds (state);
CREATE TABLE releases (
  id TEXT PRIMARY KEY,
  app_id TEXT NOT NULL REFERENCES apps(id) ON DELETE CASCADE,
  version INTEGER NOT NULL,
  state TEXT NOT NULL,
  reason TEXT NOT NULL,
  description TEXT NOT NULL,
  image TEXT NOT NULL,
  config BLOB,
  config_keys TEXT NOT NULL,
  build_id TEXT NOT NULL,
  made_by TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  live_at INTEGER,
  UNIQUE (app_id, version)
);
CREATE INDEX releases_state ON releases (state);
CREATE TABLE tasks (
  id TEXT PRIMARY KEY,
  app_id TEXT NOT NULL REFERENCES apps(id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  release_id TEXT NOT NULL,
  release_version INTEGER NOT NULL,
  command TEXT NOT NULL,
  attached BOOLEAN NOT NULL,
  tty BOOLEAN NOT NULL,
  env BLOB,
  size TEXT NOT NULL,
  state TEXT NOT NULL,
  exit_code INTEGER,
  reason TEXT NOT NULL,
  made_by TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  finished_at INTEGER,
  UNIQUE (app_id, name)
);
CREATE INDEX tasks_state ON tasks (state);
CREATE TABLE instances (
  app_id TEXT NOT NULL REFERENCES apps(id) ON DELETE CASCADE,
  ref TEXT NOT NULL,
  name TEXT NOT NULL,
  process TEXT NOT NULL,
  release_version INTEGER NOT NULL,
  state TEXT NOT NULL,
  reason TEXT NOT NULL,
  exit_code INTEGER,
  restarts INTEGER NOT NULL,
  size TEXT NOT NULL,
  region TEXT NOT NULL,
  node TEXT NOT NULL,
  since INTEGER NOT NULL,
  PRIMARY KEY (app_id, ref)
);
CREATE TABLE events (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  at INTEGER NOT NULL,
  actor TEXT NOT NULL,
  verb TEXT NOT NULL,
  org_id TEXT NOT NULL,
  space_id TEXT NOT NULL,
  app_id TEXT NOT NULL,
  app TEXT NOT NULL,
  data TEXT NOT NULL,
  request_id TEXT NOT NULL
);
CREATE INDEX events_app ON events (app_id, seq);
