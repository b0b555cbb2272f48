package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// tally counts answers and how long they took.
type tally struct {
	mu     sync.Mutex
	took   []time.Duration
	failed map[string]int
}

func (t *tally) add(d time.Duration) {
	t.mu.Lock()
	t.took = append(t.took, d)
	t.mu.Unlock()
}

func (t *tally) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.failed == nil {
		t.failed = map[string]int{}
	}
	t.failed[err.Error()]++
}

// take empties the tally.
func (t *tally) take() (took []time.Duration, failed map[string]int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	took, failed = t.took, t.failed
	t.took, t.failed = make([]time.Duration, 0, len(took)), nil
	return took, failed
}

// quantile of sorted durations.
func quantile(took []time.Duration, q float64) time.Duration {
	if len(took) == 0 {
		return 0
	}
	return took[min(int(float64(len(took))*q), len(took)-1)]
}

func median[T int | float64 | time.Duration](v []T) T {
	var zero T
	if len(v) == 0 {
		return zero
	}
	s := slices.Clone(v)
	slices.Sort(s)
	return s[len(s)/2]
}

// family is the process and its children.
func family(pid int) []int {
	all := []int{pid}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, f := range stats {
		if fields := statFields(f); len(fields) > 2 && fields[1] == strconv.Itoa(pid) {
			if child, err := strconv.Atoi(filepath.Base(filepath.Dir(f))); err == nil {
				all = append(all, child)
			}
		}
	}
	return all
}

// statFields are the fields of a stat file from the state on.
func statFields(file string) []string {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return strings.Fields(rest)
}

const tick = 10 * time.Millisecond // USER_HZ is 100 on every Linux that Go runs on

// cpu is what the processes used so far.
func cpu(pids []int) (d time.Duration) {
	for _, p := range pids {
		if f := statFields(fmt.Sprintf("/proc/%d/stat", p)); len(f) > 12 {
			user, _ := strconv.Atoi(f[11])
			system, _ := strconv.Atoi(f[12])
			d += time.Duration(user+system) * tick
		}
	}
	return d
}

// resident is what the processes hold in memory, in bytes.
func resident(pids []int) (n int) {
	for _, p := range pids {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p))
		if f := strings.Fields(string(b)); err == nil && len(f) > 1 {
			pages, _ := strconv.Atoi(f[1])
			n += pages * os.Getpagesize()
		}
	}
	return n
}
