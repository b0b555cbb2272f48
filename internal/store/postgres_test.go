package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// server is the PostgreSQL that the tests of this package share: the one that
// STEAD_TEST_POSTGRES names, or a private one that TestMain stops.
type server struct {
	once sync.Once
	dsn  string // up to and without "?"
	why  string // why there is none
	stop func() error
}

var shared server //nolint:gochecknoglobals // one for all tests of the binary

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.stop != nil {
		if err := shared.stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stop PostgreSQL:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// postgres returns the DSN of a schema of its own.
func postgres(t *testing.T) string {
	t.Helper()
	shared.once.Do(func() { shared.start(t) })
	if shared.dsn == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal(shared.why)
		}
		t.Skip(shared.why)
	}
	db, err := sql.Open("pgx", shared.dsn)
	check(t, err)
	var b [6]byte
	_, _ = rand.Read(b[:])
	schema := "test_" + hex.EncodeToString(b[:])
	_, err = db.ExecContext(t.Context(), "CREATE SCHEMA "+schema)
	check(t, err)
	t.Cleanup(func() {
		_, err := db.ExecContext(context.Background(), "DROP SCHEMA "+schema+" CASCADE")
		check(t, errors.Join(err, db.Close()))
	})
	return shared.dsn + "&search_path=" + schema
}

func (s *server) start(t *testing.T) {
	if dsn := os.Getenv("STEAD_TEST_POSTGRES"); dsn != "" {
		s.dsn = dsn + "?sslmode=disable"
		if bytes.ContainsRune([]byte(dsn), '?') {
			s.dsn = dsn
		}
		return
	}
	bins, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(bins) == 0 {
		s.why = "PostgreSQL is not installed: apt-get install postgresql, or set STEAD_TEST_POSTGRES"
		return
	}
	slices.Sort(bins)
	cred, why := unprivileged()
	if s.why = why; why != "" {
		return
	}
	if err := s.run(filepath.Dir(bins[len(bins)-1]), cred); err != nil {
		t.Fatalf("start PostgreSQL: %v", err)
	}
}

// unprivileged returns as whom to run PostgreSQL, which refuses root; nil is us.
func unprivileged() (*syscall.Credential, string) {
	if os.Geteuid() != 0 {
		return nil, ""
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 == nil && err2 == nil {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, ""
		}
	}
	return nil, "PostgreSQL refuses to run as root, and there is no user postgres or nobody"
}

func (s *server) run(bin string, cred *syscall.Credential) error {
	dir, err := os.MkdirTemp("/tmp", "stpg")
	if err != nil {
		return err
	}
	if cred != nil {
		if err := os.Chown(dir, int(cred.Uid), int(cred.Gid)); err != nil {
			return err
		}
	}
	data := filepath.Join(dir, "data")
	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", data, "-U", "stead", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")
	initdb.Dir, initdb.SysProcAttr = dir, &syscall.SysProcAttr{Credential: cred}
	if out, err := initdb.CombinedOutput(); err != nil {
		return errors.Join(fmt.Errorf("initdb: %w: %s", err, out), os.RemoveAll(dir))
	}
	port, err := freePort()
	if err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	var log bytes.Buffer
	cmd := exec.Command(filepath.Join(bin, "postgres"), "-D", data, "-h", "127.0.0.1", "-p", port, "-k", dir, "-F")
	cmd.Dir, cmd.Stderr = dir, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: cred, Pdeathsig: syscall.SIGQUIT}
	if err := cmd.Start(); err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	s.stop = func() error {
		_ = cmd.Process.Signal(syscall.SIGINT) // fast shutdown
		return errors.Join(cmd.Wait(), os.RemoveAll(dir))
	}
	dsn := "postgres://stead@127.0.0.1:" + port + "/postgres?sslmode=disable"
	if err := ready(dsn); err != nil {
		return fmt.Errorf("%w: %s", errors.Join(err, s.stop()), log.String())
	}
	s.dsn = dsn
	return nil
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

func ready(dsn string) error {
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if err = db.PingContext(ctx); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}
