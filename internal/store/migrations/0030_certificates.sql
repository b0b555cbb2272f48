ALTER TABLE domains ADD COLUMN auto_tls BOOLEAN NOT NULL DEFAULT TRUE;
ALTER TABLE domains ADD COLUMN https_redirect TEXT NOT NULL DEFAULT 'auto';
ALTER TABLE domains ADD COLUMN hsts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE domains ADD COLUMN min_tls TEXT NOT NULL DEFAULT '';
CREATE TABLE certificates (
  id TEXT PRIMARY KEY,
  app_id TEXT REFERENCES apps(id) ON DELETE CASCADE,
  host TEXT NOT NULL,
  names TEXT NOT NULL,
  source TEXT NOT NULL,
  state TEXT NOT NULL,
  issuer TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  not_before INTEGER,
  not_after INTEGER,
  reason TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  next_at INTEGER,
  chain TEXT NOT NULL,
  private_key BLOB,
  staple BLOB,
  staple_at INTEGER,
  holder TEXT NOT NULL,
  claimed_until INTEGER,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
);
CREATE INDEX certificates_app ON certificates (app_id);
CREATE TABLE acme_challenges (
  host TEXT NOT NULL,
  token TEXT NOT NULL,
  answer TEXT NOT NULL,
  chain TEXT NOT NULL,
  private_key TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (host, token)
);
CREATE TABLE platform_secrets (
  id TEXT PRIMARY KEY,
  value BLOB NOT NULL
);
