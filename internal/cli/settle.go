package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/client"
)

// How long a command waits for its change to be carried out, which goes on
// afterwards all the same.
const (
	routeLimit  = 30 * time.Second
	settleLimit = 10 * time.Minute
)

// awaitRouted waits until the router serves by every change of the app.
func (sh *shell) awaitRouted(ctx context.Context, c *client.Client, app string) error {
	a, err := c.AwaitApp(ctx, app, "routed", routeLimit)
	if err == nil && !a.Routed {
		err = stead.Unavailable("the change is accepted, but the router does not serve by it yet", "stead status says which part is not well; the change is made when it is", nil)
	}
	return err
}

// awaitSettled waits until the change of the processes ("": all) is carried
// out, and fails with the reason if it cannot be.
func (sh *shell) awaitSettled(ctx context.Context, c *client.Client, app, process string) error {
	limited, cancel := context.WithTimeout(ctx, settleLimit)
	defer cancel()
	for shown := ""; ; {
		a, err := c.AwaitApp(limited, app, "settled", time.Second)
		if err == nil && a.Settled {
			break
		}
		if limited.Err() != nil {
			return lateSettle(ctx, shown)
		}
		if err != nil {
			return err
		}
		missing, err := sh.missing(ctx, c, app, process)
		if limited.Err() != nil {
			return lateSettle(ctx, shown)
		}
		if err != nil {
			return err
		}
		if tty(sh.err) && missing != shown && missing != "" {
			sh.say("%s", safe(missing))
		}
		shown = missing
	}
	missing, err := sh.missing(ctx, c, app, process)
	if err == nil && missing != "" {
		err = stead.Precondition(missing, "what serves goes on, and the platform tries again by itself; see stead logs and stead ps")
	}
	return err
}

// lateSettle is the error of a wait that ended early: the user's doing, or ours.
func lateSettle(ctx context.Context, missing string) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	if missing == "" {
		missing = "its former instances still serve"
	}
	return stead.Precondition("the change is not carried out yet: "+missing, "it is still being worked on; see stead ps")
}

// missing says what of the process ("": of any) is not as asked, or "".
func (sh *shell) missing(ctx context.Context, c *client.Client, app, process string) (string, error) {
	processes, err := c.Processes(ctx, app)
	if err != nil {
		return "", err
	}
	instances, err := c.Instances(ctx, app)
	if err != nil {
		return "", err
	}
	for _, p := range processes {
		if process != "" && p.Type != process || p.Stopped {
			continue
		}
		if m := missingOf(p, instances); m != "" {
			return m, nil
		}
	}
	return "", nil
}

func missingOf(p stead.Process, instances []stead.Instance) string {
	up, why := 0, ""
	for _, i := range instances {
		switch {
		case i.Process != p.Type:
		case i.State == stead.InstanceUp:
			up++
		case i.State == stead.InstanceCrashed:
			why = i.Name + " is crashed"
			if i.Reason != "" {
				why = i.Name + ": " + i.Reason
			}
		}
	}
	if up < p.Quantity {
		if why != "" {
			why = "; " + why
		}
		return fmt.Sprintf("%s: %d of %d up%s", p.Type, up, p.Quantity, why)
	}
	return why
}
