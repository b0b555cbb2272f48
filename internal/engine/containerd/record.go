package containerd

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/steadpaas/stead/internal/engine"
)

// record is a workload as kept on disk: its Env only sealed.
type record struct {
	Workload engine.Workload
	Sealed   []byte `json:",omitempty"` // Workload.Env
	Deleted  bool   // asked for, not finished
}

func sealFor(id string) []byte { return []byte("workload " + id) }

// seal returns the record as it may lie on disk.
func (c Config) seal(r record) (record, error) {
	env := r.Workload.Env
	r.Workload.Env = nil
	if len(env) == 0 || c.Sealer == nil && len(r.Sealed) > 0 {
		return r, nil
	}
	if c.Sealer == nil {
		return r, errors.New("no key to seal the environment with")
	}
	plain, err := json.Marshal(env)
	if err != nil {
		return r, err
	}
	r.Sealed, err = c.Sealer.Seal(plain, sealFor(r.Workload.ID))
	return r, err
}

// unseal is the reverse. Without a Sealer the Env stays sealed: enough to
// remove the workload.
func (c Config) unseal(r record) (record, error) {
	if len(r.Sealed) == 0 || c.Sealer == nil {
		return r, nil
	}
	plain, err := c.Sealer.Open(r.Sealed, sealFor(r.Workload.ID))
	if err != nil {
		return r, fmt.Errorf("environment of workload %s: %w", r.Workload.ID, err)
	}
	return r, json.Unmarshal(plain, &r.Workload.Env)
}

// memory is what an instance must know after this process died.
type memory struct {
	Container string         // its container now, made or about to be; empty: none
	Starts    int            // containers made so far; numbers them
	Failures  int            // crashes in a row, for the back-off
	State     engine.State   // as told last
	Cause     engine.Cause   `json:",omitempty"`
	Reason    string         `json:",omitempty"`
	ExitCode  *int           `json:",omitempty"`
	Address   netip.AddrPort // of the container
	Since     time.Time      // when State began
	Retry     time.Time      // next start, when crashed
}

// dirName shortens an ID of any length to what fits names of containers,
// directories and control groups.
func dirName(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:10])
}

func (c Config) workloadDir(id string) string { return c.path("workloads", dirName(id)) }

func (c Config) saveRecord(r record) error {
	dir := c.workloadDir(r.Workload.ID)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	sealed, err := c.seal(r)
	if err != nil {
		return err
	}
	return writeJSON(filepath.Join(dir, "workload.json"), sealed, true)
}

func (c Config) saveMemory(workload string, index int, m memory, durable bool) error {
	return writeJSON(filepath.Join(c.workloadDir(workload), strconv.Itoa(index)+".json"), m, durable)
}

func (c Config) dropMemory(workload string, index int) error {
	err := os.Remove(filepath.Join(c.workloadDir(workload), strconv.Itoa(index)+".json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// load reads all records and memories. What a power loss left half written is
// passed over: its owner says it again, and the sweep removes the rest.
func (c Config) load() (map[string]record, map[string]map[int]memory, error) {
	records, memories := map[string]record{}, map[string]map[int]memory{}
	dirs, err := os.ReadDir(c.path("workloads"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("read workloads: %w", err)
	}
	for _, d := range dirs {
		dir := c.path("workloads", d.Name())
		var r record
		if readJSON(filepath.Join(dir, "workload.json"), &r) != nil || dirName(r.Workload.ID) != d.Name() {
			_ = os.RemoveAll(dir)
			continue
		}
		plain := len(r.Sealed) == 0 && len(r.Workload.Env) > 0 // written before there was a seal
		if r, err = c.unseal(r); err != nil {
			return nil, nil, err
		}
		if plain && c.Sealer != nil {
			if err := c.saveRecord(r); err != nil {
				return nil, nil, err
			}
		}
		records[r.Workload.ID] = r
		memories[r.Workload.ID] = loadMemories(dir)
	}
	return records, memories, nil
}

func loadMemories(dir string) map[int]memory {
	out := map[int]memory{}
	files, _ := filepath.Glob(filepath.Join(dir, "[0-9]*.json"))
	for _, f := range files {
		index, err := strconv.Atoi(strings.TrimSuffix(filepath.Base(f), ".json"))
		var m memory
		if err == nil && readJSON(f, &m) == nil {
			out[index] = m
		}
	}
	return out
}

func readJSON(file string, v any) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, v)
}

func writeJSON(file string, v any, durable bool) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return writeFile(file, data, durable)
}

// writeFile replaces a file in one step; durable: also over a power loss.
func writeFile(file string, data []byte, durable bool) error {
	f, err := os.OpenFile(file+".tmp", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil && durable {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return os.Rename(file+".tmp", file)
}
