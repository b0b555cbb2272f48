package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/logs"
	"github.com/steadpaas/stead/internal/route"
)

func (c Config) routerSocket() string { return c.path("run", "router.sock") }

// router runs the data plane until ctx ends.
func router(ctx context.Context, c Config, log *slog.Logger) error {
	cfg := route.Config{HTTP: c.HTTP, HTTPS: c.HTTPS, Socket: c.routerSocket(), StateDir: c.path("router"), Log: log}
	if c.HTTPS == "off" {
		cfg.HTTPS = ""
	}
	keys, err := c.routerKeys()
	if err != nil {
		return err
	}
	cfg.Sealer = keys
	if cfg.User, err = c.routerIdentity(); err != nil {
		return err
	}
	return route.Serve(ctx, cfg)
}

// pumpLines brings the router's access lines to the apps' logs. While the
// control plane is away, the router keeps the last ones.
func (h *house) pumpLines(ctx context.Context) error {
	for ctx.Err() == nil {
		for l, err := range h.router.Lines(ctx) {
			if err != nil {
				h.log.Debug("access lines broke off", "err", err)
				break
			}
			if l.Stream == "" {
				continue
			}
			line := logs.Line{At: l.At, Source: "router", Process: "router", Text: l.Text}
			if err := h.logs.Append(ctx, l.Stream, line); err != nil {
				h.log.Warn("access line lost", "stream", l.Stream, "err", err)
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(500 * time.Millisecond):
		}
	}
	return nil
}

// checks registers what Status looks at.
func (h *house) checks() {
	h.p.AddCheck("router", func(ctx context.Context) (string, error) {
		st, err := h.router.Stats(ctx)
		if err != nil {
			return "", stead.Unavailable("the router does not answer; apps may still be served", "see "+h.c.path("run", nameRouter+".log"), err)
		}
		return fmt.Sprintf("table %d", st.Version), nil
	})
	if b, ok := h.m.builder.(interface{ Ready(context.Context) error }); ok {
		h.p.AddCheck("builder", func(ctx context.Context) (string, error) {
			ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
			defer cancel()
			return "ready", b.Ready(ctx)
		})
	}
	for region, e := range h.m.engines {
		if r, ok := e.(interface{ Ready(context.Context) error }); ok {
			h.p.AddCheck("engine "+region, func(ctx context.Context) (string, error) { return "ready", r.Ready(ctx) })
		}
	}
	if len(h.m.engines) == 0 {
		return
	}
	h.p.AddCheck("disk", func(context.Context) (string, error) { return diskCheck(h.c.Data) })
}
