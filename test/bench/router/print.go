package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"time"
)

// rivals are what the last line compares with.
var rivals = []string{"nginx", "haproxy", "caddy", "traefik"}

func (b *bench) print(w io.Writer) {
	uptime, _ := os.ReadFile("/proc/loadavg")
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	fmt.Fprintf(w, "%s · Linux %s, load %.4s, %d rounds of %v; proxy on one core, load and app on another\n\n",
		time.Now().UTC().Format(time.DateOnly), strings.TrimSpace(string(kernel)), uptime, b.rounds, b.length)
	fmt.Fprintln(w, "| load | proxy | requests/s | per CPU second | p50 ms | p99 ms | p99.9 ms | Stead to it |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|")
	least := map[string]float64{}
	for _, r := range b.rows {
		ours := r.median("stead", func(s sample) float64 { return s.perCPU })
		for _, p := range b.one {
			get := func(f func(sample) float64) float64 { return r.median(p.name, f) }
			per := get(func(s sample) float64 { return s.perCPU })
			ratio := ours / per
			if old, ok := least[p.name]; !ok || ratio < old {
				least[p.name] = ratio
			}
			fmt.Fprintf(w, "| %s | %s | %.0f | %.0f | %.2f | %.2f | %.2f | %.2f |\n", r.name, p.name, get(func(s sample) float64 { return s.rate }), per,
				get(func(s sample) float64 { return ms(s.p50) }), get(func(s sample) float64 { return ms(s.p99) }), get(func(s sample) float64 { return ms(s.p2) }), ratio)
		}
	}
	fmt.Fprintln(w, "\n| proxy | KB per idle connection |\n|---|---|")
	for _, p := range b.one {
		fmt.Fprintf(w, "| %s | %.1f |\n", p.name, b.idle[p.name])
	}
	for _, name := range b.missing {
		fmt.Fprintf(w, "\n%s is not installed and was left out.\n", name)
	}
	fmt.Fprint(w, "\nNo proxy writes access lines, except stead+lines, whose lines are read; the ratios compare stead without.\nbench-router: min ratio")
	for _, name := range rivals {
		v, ok := least[name]
		if !ok || math.IsNaN(v) {
			fmt.Fprintf(w, " %s=-", name)
			continue
		}
		fmt.Fprintf(w, " %s=%.2f", name, v)
	}
	fmt.Fprintln(w)
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func (r *row) median(proxy string, f func(sample) float64) float64 {
	var v []float64
	for _, s := range r.answered[proxy] {
		v = append(v, f(s))
	}
	return median(v)
}
