package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/steadpaas/stead/internal/route"
)

// proxy is one of the contestants, running with one table of routes.
type proxy struct {
	name        string
	plain, safe string // addresses
	cmd         *exec.Cmd
	stop        context.CancelFunc
}

// site is what every proxy is told to serve.
type site struct {
	dir     string // for its files
	backend string
	hosts   []string
	cert    string // PEM of certificate and key in one file
	lines   bool   // Stead: write access lines and read them
}

// maker starts a kind of proxy: make returns the command that serves site on the
// two addresses.
type maker struct {
	name string
	bin  string
	make func(p *proxy, s site) ([]string, error)
}

// makers are all contestants; others are further builds of steadd, "name=path,…",
// to compare a change with what was before.
func makers(others string) []maker {
	all := []maker{
		{"stead", "bin/steadd", makeStead("bin/steadd")},
		{"stead+lines", "bin/steadd", makeStead("bin/steadd")},
		{"nginx", "nginx", makeNginx},
		{"haproxy", "haproxy", makeHaproxy},
		{"caddy", "caddy", makeCaddy},
		{"traefik", "bin/traefik", makeTraefik},
	}
	for pair := range strings.SplitSeq(others, ",") {
		if name, path, ok := strings.Cut(pair, "="); ok {
			all = append(all, maker{"stead-" + name, path, makeStead(path)})
		}
	}
	return all
}

func freeAddr() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer ln.Close()
	return ln.Addr().String(), nil
}

// start runs a proxy on its core and waits until it serves the last host.
func start(name, core string, build func(*proxy, site) ([]string, error), s site) (*proxy, error) {
	p := &proxy{name: name}
	var err error
	if p.plain, err = freeAddr(); err != nil {
		return nil, err
	}
	if p.safe, err = freeAddr(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return nil, err
	}
	argv, err := build(p, s)
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(s.dir, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p.cmd = exec.Command("taskset", append([]string{"-c", core}, argv...)...)
	p.cmd.Env = append(os.Environ(), "HOME="+s.dir, "XDG_DATA_HOME="+s.dir, "XDG_CONFIG_HOME="+s.dir)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	if strings.HasPrefix(name, "stead") {
		err = p.publish(s)
	}
	if err == nil {
		err = p.ready(s.hosts[len(s.hosts)-1])
	}
	if err != nil {
		p.end()
		text, _ := os.ReadFile(log.Name())
		return nil, fmt.Errorf("%s: %w\n%.2000s", name, err, text)
	}
	return p, nil
}

// end stops the proxy and waits for it.
func (p *proxy) end() {
	if p.stop != nil {
		p.stop()
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.AfterFunc(3*time.Second, func() { _ = p.cmd.Process.Kill() })
	_ = p.cmd.Wait()
	timer.Stop()
}

func (p *proxy) ready(host string) (err error) {
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		var c net.Conn
		if c, err = net.Dial("tcp", p.plain); err != nil {
			continue
		}
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		_, _ = c.Write([]byte(plainRequest(host, "/1k")))
		b := make([]byte, 12)
		_, err = c.Read(b)
		c.Close()
		if err == nil && string(b) == "HTTP/1.1 200" {
			return nil
		}
	}
	return errors.Join(errors.New("does not serve"), err)
}

func makeStead(bin string) func(*proxy, site) ([]string, error) {
	return func(p *proxy, s site) ([]string, error) {
		return []string{bin, "router", "--data", s.dir, "--http", p.plain, "--https", p.safe, "--domain", "bench.test"}, nil
	}
}

// publish gives Stead's router its table, and reads its lines if there are any.
func (p *proxy) publish(s site) error {
	client := route.Dial(filepath.Join(s.dir, "run", "router.sock"))
	t := &route.Table{Version: 1}
	for i, h := range s.hosts {
		r := route.Rule{Host: h, Path: "/", Released: true, Quantity: 1, Backends: []route.Backend{{Instance: fmt.Sprint("i", i%10), Name: "web.1", Address: s.backend}}}
		if s.lines {
			r.LogStream = "app/bench"
		}
		t.Routes = append(t.Routes, r)
	}
	ctx, stop := context.WithCancel(context.Background())
	p.stop = stop
	var err error
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if err = client.Publish(ctx, t); err == nil {
			break
		}
	}
	if err == nil {
		err = client.Certify(ctx, certificates(s))
	}
	if err == nil && s.lines {
		go func() {
			for range client.Lines(ctx) {
			}
		}()
	}
	return err
}

// certificates is the run's certificate as the router wants it.
func certificates(s site) *route.Certificates {
	both, _ := os.ReadFile(s.cert)
	_, key := pem.Decode(both)
	chain := strings.TrimSuffix(string(both), string(key))
	return &route.Certificates{Digest: "bench", Pairs: []route.Pair{{Names: []string{"*.bench.test"}, Chain: chain, Key: string(key), Default: true}}}
}

func write(s site, name, text string) (string, error) {
	path := filepath.Join(s.dir, name)
	return path, os.WriteFile(path, []byte(text), 0o600)
}

// makeNginx: keep-alive to the app, one worker, no access log, buffers that hold an answer of 20 KB.
func makeNginx(p *proxy, s site) ([]string, error) {
	var hosts strings.Builder
	for _, h := range s.hosts {
		fmt.Fprintf(&hosts, "%s app;\n", h)
	}
	text := fmt.Sprintf(`daemon off; worker_processes 1; worker_rlimit_nofile 20000; pid %[1]s/pid; error_log stderr error; user root;
events { worker_connections 16000; }
http {
  access_log off; keepalive_requests 100000000; keepalive_timeout 300s; tcp_nodelay on; server_tokens off;
  client_body_temp_path %[1]s/t1; proxy_temp_path %[1]s/t2; fastcgi_temp_path %[1]s/t3; uwsgi_temp_path %[1]s/t4; scgi_temp_path %[1]s/t5;
  map_hash_max_size 65536; map_hash_bucket_size 128;
  map $http_host $app {
%[2]s}
  upstream app { server %[3]s; keepalive 256; keepalive_requests 100000000; }
  server {
    listen %[4]s reuseport backlog=4096; listen %[5]s ssl http2 backlog=4096;
    ssl_certificate %[6]s; ssl_certificate_key %[6]s; ssl_protocols TLSv1.2 TLSv1.3; ssl_session_cache shared:s:10m; ssl_buffer_size 16k;
    http2_max_concurrent_streams 250;
    location / {
      proxy_pass http://$app; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Port $server_port;
      proxy_set_header X-Request-Id $request_id; proxy_buffers 8 32k; proxy_buffer_size 32k; proxy_busy_buffers_size 64k;
    }
  }
}
`, s.dir, hosts.String(), s.backend, p.plain, p.safe, s.cert)
	path, err := write(s, "nginx.conf", text)
	return []string{"nginx", "-c", path, "-p", s.dir}, err
}

// makeHaproxy: one thread, connections to the app always reused, hosts from a map file.
func makeHaproxy(p *proxy, s site) ([]string, error) {
	hosts, err := write(s, "hosts.map", strings.Join(s.hosts, " app\n")+" app\n")
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf(`global
  nbthread 1
  maxconn 8000
  tune.bufsize 32768
defaults
  mode http
  timeout connect 5s
  timeout client 300s
  timeout server 55s
  timeout http-keep-alive 300s
  http-reuse always
  option forwardfor
frontend in
  bind %s
  bind %s ssl crt %s alpn h2,http/1.1
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Forwarded-Port %%[dst_port]
  http-request set-header X-Request-Id %%[uuid()]
  use_backend %%[req.hdr(host),lower,map(%s)]
backend app
  server a %s pool-max-conn 256
`, p.plain, p.safe, s.cert, hosts, s.backend)
	path, err := write(s, "haproxy.cfg", text)
	return []string{"haproxy", "-db", "-f", path}, err
}

// makeCaddy: one matcher for all hosts, which it looks up by bisection; no access log is its default.
func makeCaddy(p *proxy, s site) ([]string, error) {
	text := fmt.Sprintf(`{
  admin off
  auto_https off
  servers {
    protocols h1 h2
  }
}
(app) {
  bind 127.0.0.1
  @app host %s
  reverse_proxy @app %s {
    header_up X-Request-Id {http.request.uuid}
    transport http {
      keepalive_idle_conns_per_host 256
      compression off
    }
  }
}
http://:%s {
  import app
}
https://:%s {
  import app
  tls %s %s
}
`, strings.Join(s.hosts, " "), s.backend, port(p.plain), port(p.safe), s.cert, s.cert)
	path, err := write(s, "Caddyfile", text)
	return []string{"caddy", "run", "--adapter", "caddyfile", "--config", path}, err
}

func port(addr string) string {
	_, p, _ := net.SplitHostPort(addr)
	return p
}

// makeTraefik: its fast proxy for HTTP/1.1, no access log, a router for each host, as its documentation has it.
func makeTraefik(p *proxy, s site) ([]string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "http:\n  services:\n    app: {loadBalancer: {passHostHeader: true, servers: [{url: \"http://%s\"}], serversTransport: keep}}\n", s.backend)
	b.WriteString("  serversTransports:\n    keep: {maxIdleConnsPerHost: 256}\n  routers:\n")
	for i, h := range s.hosts {
		fmt.Fprintf(&b, "    p%d: {rule: \"Host(`%s`)\", service: app, entryPoints: [plain]}\n    s%d: {rule: \"Host(`%s`)\", service: app, entryPoints: [safe], tls: {}}\n", i, h, i, h)
	}
	fmt.Fprintf(&b, "tls:\n  stores: {default: {defaultCertificate: {certFile: %[1]s, keyFile: %[1]s}}}\n", s.cert)
	routes, err := write(s, "routes.yml", b.String())
	if err != nil {
		return nil, err
	}
	path, err := write(s, "traefik.yml", fmt.Sprintf(`global: {checkNewVersion: false, sendAnonymousUsage: false}
log: {level: ERROR}
experimental: {fastProxy: {}}
entryPoints:
  plain: {address: %q, transport: {keepAliveMaxRequests: 0, respondingTimeouts: {idleTimeout: 300}}}
  safe: {address: %q}
providers: {file: {filename: %s, watch: false}}
`, p.plain, p.safe, routes))
	return []string{"bin/traefik", "--configFile=" + path}, err
}

// certificate writes a P-256 certificate for the run, with its key, and returns the path.
func certificate(dir string) (string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	t := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bench.test"}, DNSNames: []string{"bench.test", "*.bench.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return "", err
	}
	k, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", err
	}
	both := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: k})...)
	path := filepath.Join(dir, "cert.pem")
	return path, os.WriteFile(path, both, 0o600)
}
