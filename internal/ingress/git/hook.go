package git

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/steadpaas/stead"
)

// What the hook is told by its environment.
const (
	hookSocket = "STEAD_HOOK_SOCKET"
	hookKey    = "STEAD_HOOK_KEY"
)

// Limits of a hook's request, which names what a stranger pushed.
const (
	maxUpdates = 1000
	maxRequest = 1 << 20
)

// update is one ref that a push moves.
type update struct{ Old, New, Ref string }

// request is what the hook asks of the daemon.
type request struct {
	Key        string
	Updates    []update
	Objects    string // GIT_OBJECT_DIRECTORY: the quarantine
	Alternates string
	Resume     *resume // set when the daemon died while the hook listened
}

// resume is how far the hook had listened.
type resume struct {
	App     stead.ID
	Build   int
	Lines   int // of the build's output that are shown
	Release int // of the release's
}

// reply is one message of the daemon.
type reply struct {
	Text    string  `json:",omitempty"`
	Of      string  `json:",omitempty"` // "build", "release": what the text is a line of
	Resume  *resume `json:",omitempty"` // where to go on, should the daemon die
	Done    bool    `json:",omitempty"`
	Refused bool    `json:",omitempty"`
}

// hookPatience is how long a hook waits for a daemon that died.
const hookPatience = 60 * time.Second

// Hook is git's pre-receive hook: the hidden command "steadd git-hook". It
// returns the exit code; other than 0 refuses the push.
func Hook(ctx context.Context, stdin io.Reader, stdout io.Writer) int {
	req := request{Key: os.Getenv(hookKey), Objects: os.Getenv("GIT_OBJECT_DIRECTORY"), Alternates: os.Getenv("GIT_ALTERNATE_OBJECT_DIRECTORIES")}
	socket := os.Getenv(hookSocket)
	var err error
	if req.Updates, err = readUpdates(stdin); err != nil || socket == "" {
		fmt.Fprintln(stdout, " !     This push cannot be read:", err)
		return 1
	}
	for deadline := time.Now().Add(hookPatience); ; {
		done, refused, err := talk(ctx, socket, &req, stdout)
		switch {
		case done && refused:
			return 1
		case done:
			return 0
		case err == nil:
			deadline = time.Now().Add(hookPatience)
		case time.Now().After(deadline) || ctx.Err() != nil:
			fmt.Fprintln(stdout, " !     The platform went away. What it had begun goes on; see `stead releases`, and push again.")
			return 1
		}
		time.Sleep(500 * time.Millisecond) // the daemon is being started again
	}
}

func readUpdates(r io.Reader) ([]update, error) {
	var out []update
	sc := bufio.NewScanner(io.LimitReader(r, maxRequest))
	for sc.Scan() {
		f := strings.SplitN(sc.Text(), " ", 3)
		if len(f) != 3 {
			return nil, errors.New("a line is not \"old new ref\"")
		}
		if out = append(out, update{f[0], f[1], f[2]}); len(out) > maxUpdates {
			return nil, errors.New("it moves more than 1000 refs; push fewer at once")
		}
	}
	return out, sc.Err()
}

// talk has one conversation with the daemon. A nil error without done tells
// that the daemon was there and went away.
func talk(ctx context.Context, socket string, req *request, stdout io.Writer) (done, refused bool, err error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return false, false, err
	}
	defer conn.Close()
	if err := json.NewEncoder(conn).Encode(req); err != nil {
		return false, false, err
	}
	dec := json.NewDecoder(conn)
	for {
		var m reply
		if err := dec.Decode(&m); err != nil {
			return false, false, nil
		}
		if m.Resume != nil {
			req.Resume = m.Resume
		}
		switch {
		case m.Done:
			return true, m.Refused, nil
		case m.Of == "build" && req.Resume != nil:
			req.Resume.Lines++
		case m.Of == "release" && req.Resume != nil:
			req.Resume.Release++
		}
		if m.Resume == nil {
			fmt.Fprintln(stdout, m.Text)
		}
	}
}
