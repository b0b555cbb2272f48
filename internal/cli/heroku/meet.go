package heroku

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// rendezvousProtocol is what the platform upgrades a rendezvous to.
const rendezvousProtocol = "heroku-rendezvous"

// acceptAll meets the CLI, which opens a connection for each one-off dyno.
func (e *Endpoint) acceptAll(ctx context.Context) {
	for {
		conn, err := e.meet.Accept()
		if err != nil {
			return // closed
		}
		e.tasks.Go(func() {
			defer conn.Close()
			if err := e.join(ctx, conn); err != nil && ctx.Err() == nil {
				_, _ = fmt.Fprintf(conn, "rendezvous\r\n") // the first chunk is thrown away
				time.Sleep(50 * time.Millisecond)
				_, _ = fmt.Fprintf(conn, "%v\r\n", err)
			}
		})
	}
}

// join reads the secret that the CLI sends first, and joins the two ends.
func (e *Endpoint) join(ctx context.Context, conn net.Conn) error {
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	in := bufio.NewReaderSize(conn, 4096)
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	line, err := in.ReadSlice('\n')
	if err != nil {
		return errors.New("the rendezvous did not begin with a secret")
	}
	_ = conn.SetReadDeadline(time.Time{})
	far, out, err := e.upgrade(ctx, strings.TrimSpace(string(line)))
	if err != nil {
		return err
	}
	defer far.Close()
	stop2 := context.AfterFunc(ctx, func() { _ = far.Close() })
	defer stop2()
	done := make(chan struct{})
	go func() { // ends when either end is closed
		defer close(done)
		_, _ = io.Copy(far, in)
		_ = far.Close()
	}()
	_, _ = io.Copy(conn, out)
	_ = conn.Close()
	<-done
	return nil
}

// upgrade asks the platform for the other end.
func (e *Endpoint) upgrade(ctx context.Context, secret string) (net.Conn, *bufio.Reader, error) {
	conn, err := e.dial(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("the platform does not answer: %w", err)
	}
	u := *e.platform
	u.Path += prefix + "/rendezvous/" + url.PathEscape(secret)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", rendezvousProtocol)
	if err := req.Write(conn); err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, req)
	if err == nil && resp.StatusCode != http.StatusSwitchingProtocols {
		err = fmt.Errorf("the platform answered %s to the rendezvous", resp.Status)
	}
	if err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	return conn, r, nil
}

func (e *Endpoint) dial(ctx context.Context) (net.Conn, error) {
	host, port := e.platform.Hostname(), e.platform.Port()
	d := &net.Dialer{Timeout: 10 * time.Second}
	if e.platform.Scheme == "https" {
		if port == "" {
			port = "443"
		}
		return (&tls.Dialer{NetDialer: d, Config: &tls.Config{ServerName: host, NextProtos: []string{"http/1.1"}}}).DialContext(ctx, "tcp", net.JoinHostPort(host, port))
	}
	if port == "" {
		port = "80"
	}
	return d.DialContext(ctx, "tcp", net.JoinHostPort(host, port))
}
