package logs

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Dialer makes a drain's connections.
type Dialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// sendLimit bounds one delivery of a batch.
const sendLimit = 30 * time.Second

// NewSender returns the sender for a drain's URL: https and http get the lines
// as Heroku's logplex posts them, syslog and syslog+tls as RFC 5424 messages
// with octet counting (RFC 6587, section 3.4.1; RFC 5425). token names the
// drain to its receiver.
func NewSender(to *url.URL, token string, dial Dialer, client *http.Client) (Sender, error) {
	switch to.Scheme {
	case "http", "https":
		return &httpSender{to, token, client}, nil
	case "syslog", "syslog+tls":
		return &syslogSender{to: to, token: token, dial: dial}, nil
	}
	return nil, fmt.Errorf("no way to send lines to a %s URL", to.Scheme)
}

type httpSender struct {
	to     *url.URL
	token  string
	client *http.Client
}

// Send implements Sender by one POST of application/logplex-1: octet-counted
// frames, which by that format have no structured data (Heroku Dev Center,
// "Log Drains", HTTPS drains).
func (s *httpSender) Send(ctx context.Context, lines []Line) error {
	ctx, cancel := context.WithTimeout(ctx, sendLimit)
	defer cancel()
	var body bytes.Buffer
	for _, l := range lines {
		writeFrame(&body, l, "host", "")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.to.String(), &body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/logplex-1")
	req.Header.Set("Logplex-Msg-Count", strconv.Itoa(len(lines)))
	req.Header.Set("Logplex-Frame-Id", rand.Text())
	req.Header.Set("Logplex-Drain-Token", s.token)
	req.Header.Set("User-Agent", "Stead-Logplex/1")
	resp, err := s.client.Do(req)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err // the URL may hold a password
		}
		return err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection is used again
	return s.answer(resp)
}

func (s *httpSender) answer(resp *http.Response) error {
	switch c := resp.StatusCode; {
	case c < 300:
		return nil
	case c >= 500 || c == http.StatusTooManyRequests || c == http.StatusRequestTimeout:
		return errors.New("the receiver answered " + resp.Status)
	default:
		return &RefusedError{"the receiver answered " + resp.Status}
	}
}

// Close implements Sender.
func (s *httpSender) Close() error {
	s.client.CloseIdleConnections()
	return nil
}

type syslogSender struct {
	to    *url.URL
	token string
	dial  Dialer
	conn  net.Conn
}

// Send implements Sender. TCP does not tell what has arrived: what was on its
// way when a connection broke may be lost.
func (s *syslogSender) Send(ctx context.Context, lines []Line) error {
	ctx, cancel := context.WithTimeout(ctx, sendLimit)
	defer cancel()
	if s.conn == nil {
		if err := s.connect(ctx); err != nil {
			return err
		}
	}
	var b bytes.Buffer
	for _, l := range lines {
		writeFrame(&b, l, s.token, " -")
	}
	deadline, _ := ctx.Deadline()
	err := s.conn.SetDeadline(deadline)
	if err == nil {
		err = s.alive()
	}
	if err == nil {
		_, err = s.conn.Write(b.Bytes())
	}
	if err != nil {
		return errors.Join(err, s.Close())
	}
	return nil
}

// alive notices a receiver that has closed, which a write would not.
func (s *syslogSender) alive() error {
	if err := s.conn.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		return err
	}
	_, err := s.conn.Read(make([]byte, 1))
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() || err == nil {
		return nil
	}
	return err
}

func (s *syslogSender) connect(ctx context.Context) error {
	address, port := s.to.Hostname(), s.to.Port()
	if port == "" {
		port = map[string]string{"syslog": "514", "syslog+tls": "6514"}[s.to.Scheme]
	}
	conn, err := s.dial.DialContext(ctx, "tcp", net.JoinHostPort(address, port))
	if err != nil {
		return err
	}
	if s.to.Scheme == "syslog" {
		s.conn = conn
		return nil
	}
	secure := tls.Client(conn, &tls.Config{ServerName: address, MinVersion: tls.VersionTLS12})
	if err := secure.HandshakeContext(ctx); err != nil {
		return errors.Join(err, conn.Close())
	}
	s.conn = secure
	return nil
}

// Close implements Sender.
func (s *syslogSender) Close() error {
	if s.conn == nil {
		return nil
	}
	err := s.conn.Close()
	s.conn = nil
	return err
}

// writeFrame writes a line as an octet-counted syslog message.
func writeFrame(b *bytes.Buffer, l Line, host, structured string) {
	msg := fmt.Sprintf("<%d>1 %s %s %s %s -%s %s\n", priority(l), l.At.UTC().Format(timeFormat), host,
		field(l.Source, 48), field(l.Process, 128), structured, l.Text)
	b.WriteString(strconv.Itoa(len(msg)))
	b.WriteByte(' ')
	b.WriteString(msg)
}

// priority is facility × 8 + severity (RFC 5424, section 6.2.1), as logplex
// has it: apps on local7, the router on local3, the platform on syslog.
func priority(l Line) int {
	switch l.Source {
	case "app":
		return 23<<3 | 6
	case "router":
		return 19<<3 | 6
	}
	return 5<<3 | 5
}

// field makes a header field of printable ASCII (RFC 5424, section 6).
func field(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return '_'
		}
		return r
	}, s)
	if s == "" {
		return "-"
	}
	return s[:min(len(s), limit)]
}
