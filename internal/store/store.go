// Package store keeps the platform's state in SQL: SQLite, embedded, or
// PostgreSQL when several control planes share one. The SQL text is one; a
// dialect says the little that differs.
package store

// Store is an open database.
type Store struct{}
