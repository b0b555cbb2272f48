package route

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/steadpaas/stead"
)

const maxTable = 256 << 20 // bytes of JSON

// control serves the control socket, mode 0600.
func (s *server) control(ctx context.Context) (net.Listener, error) {
	ln, err := listenUnix(s.cfg.Socket)
	if err != nil {
		return nil, err
	}
	give, err := listenUnix(s.cfg.Socket + ".next")
	if err != nil {
		ln.Close()
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /table", s.putTable)
	mux.HandleFunc("PUT /certificates", s.putCertificates)
	mux.HandleFunc("POST /drained", s.postDrained)
	mux.HandleFunc("GET /lines", s.getLines)
	mux.HandleFunc("GET /stats", func(w http.ResponseWriter, _ *http.Request) { json.NewEncoder(w).Encode(s.core.stats()) })
	mux.HandleFunc("GET /wanted", s.getWanted)
	mux.HandleFunc("GET /activity", func(w http.ResponseWriter, _ *http.Request) { json.NewEncoder(w).Encode(s.core.activity()) })
	srv := &http.Server{Handler: mux, BaseContext: func(net.Listener) context.Context { return ctx }}
	go srv.Serve(ln)
	go s.giveAway(give)
	context.AfterFunc(ctx, func() { srv.Close(); give.Close() })
	return ln, nil
}

// listenUnix binds the path anew, so that a successor replaces what was there.
func listenUnix(path string) (*net.UnixListener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make the control socket's directory: %w", err)
	}
	tmp := path + ".new"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("remove an old control socket: %w", err)
	}
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: tmp, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen for control: %w", err)
	}
	ln.SetUnlinkOnClose(false)
	if err = os.Chmod(tmp, 0o600); err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		ln.Close()
		return nil, fmt.Errorf("place the control socket: %w", err)
	}
	return ln, nil
}

func (s *server) putTable(w http.ResponseWriter, r *http.Request) {
	var t Table
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxTable)).Decode(&t); err != nil {
		writeError(w, stead.Invalid("table", "the table is not valid JSON: "+err.Error(), "send a route.Table"))
		return
	}
	if err := s.core.publish(&t); err != nil {
		writeError(w, err)
		return
	}
	if err := s.save(&t); err != nil {
		s.cfg.Log.Error("table not saved", "error", err)
		if err := s.state.Remove(tableFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
			// A restart would serve addresses of the old table that are given up.
			writeError(w, stead.Unavailable("the router can neither save its table nor remove the old one", "make room in its state directory", err))
			return
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *server) postDrained(w http.ResponseWriter, r *http.Request) {
	var in struct{ Instances []string }
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 16<<20)).Decode(&in); err != nil {
		writeError(w, stead.Invalid("instances", "not valid JSON", "send {\"instances\": […]}"))
		return
	}
	if s.core.drained(r.Context(), in.Instances) == nil {
		w.WriteHeader(http.StatusNoContent)
	}
}

// getLines streams lines, in batches, until the reader goes.
func (s *server) getLines(w http.ResponseWriter, r *http.Request) {
	rc := http.NewResponseController(w)
	w.WriteHeader(http.StatusOK)
	rc.Flush()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var b []byte
	for {
		if b = s.core.lines.take(b[:0], 1024); len(b) > 0 {
			if _, err := w.Write(b); err != nil || rc.Flush() != nil {
				return
			}
			continue
		}
		select {
		case <-r.Context().Done():
			return
		case <-s.core.lines.wake:
		}
		select { // let a batch gather
		case <-r.Context().Done():
			return
		case <-tick.C:
		}
	}
}

type wireError struct {
	Kind, Msg, Hint, Field string
}

func writeError(w http.ResponseWriter, err error) {
	e := wireError{Kind: stead.KindOf(err).String(), Msg: err.Error()}
	if se, ok := errors.AsType[*stead.Error](err); ok {
		e.Msg, e.Hint, e.Field = se.Msg, se.Hint, se.Field
	}
	w.WriteHeader(http.StatusUnprocessableEntity)
	json.NewEncoder(w).Encode(e)
}

// savedTable is a table on disk. It holds for one boot of the machine: none of
// its instances outlives that, and their addresses are given anew after it.
type savedTable struct {
	*Table
	Boot string `json:"boot"`
}

const bootFile = "/proc/sys/kernel/random/boot_id"

// bootID tells the boots of the machine apart; "" where nothing does.
func bootID() string {
	b, _ := os.ReadFile(bootFile)
	return string(bytes.TrimSpace(b))
}

// save writes the table so that a crash leaves the old or the new one.
func (s *server) save(t *Table) error {
	b, err := json.Marshal(savedTable{t, bootID()})
	if err != nil {
		return err
	}
	return s.replace(tableFile, b)
}

// replace writes a file of the state directory, mode 0600, whole or not at all.
func (s *server) replace(name string, b []byte) error {
	tmp := "new-" + rand.Text()
	f, err := s.state.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer s.state.Remove(tmp)
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = s.state.Rename(tmp, name)
	}
	return err
}

// load serves the saved table, if there is one.
func (k *core) load(path string) error {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var t savedTable
	if err := json.Unmarshal(b, &t); err != nil {
		return err
	}
	if t.Table == nil || t.Boot != bootID() {
		return errors.New("it is of an earlier boot of the machine")
	}
	return k.publish(t.Table)
}
