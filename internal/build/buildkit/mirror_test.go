package buildkit

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build"
)

// mirror serves files by path, as mirrors of package registries do, and notes
// what was asked for. "@" in a file of text stands for its own address.
type mirror struct {
	files map[string][]byte

	mu    sync.Mutex
	asked []string
}

func (m *mirror) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	m.asked = append(m.asked, r.URL.Path)
	m.mu.Unlock()
	data, ok := m.files[strings.TrimSuffix(r.URL.Path, "/")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	if name := path.Base(r.URL.Path); !slices.Contains([]string{".whl", ".gem", ".zip", ".crate", ".jar", ".gz"}, path.Ext(name)) {
		data = bytes.ReplaceAll(data, []byte("@"), []byte("http://"+r.Host+"/mirror"))
	}
	if strings.HasPrefix(r.URL.Path, "/pypi") && path.Ext(r.URL.Path) != ".whl" {
		w.Header().Set("Content-Type", "text/html")
	}
	_, _ = w.Write(data)
}

func (m *mirror) served(prefix string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.ContainsFunc(m.asked, func(p string) bool { return strings.HasPrefix(p, prefix) })
}

func sumOf(data []byte) string {
	h := sha256.Sum256(data)
	return hex.EncodeToString(h[:])
}

func zipped(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range sorted(files) {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, files[name]); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func tarred(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range sorted(files) {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(files[name])), Typeflag: tar.TypeReg, ModTime: time.Unix(1_700_000_000, 0)}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, files[name]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipped(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func sorted(m map[string]string) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// packages are one package for each ecosystem, made here.
func packages(t *testing.T) (m *mirror, wheelSum string) {
	m = &mirror{files: map[string][]byte{}}
	wheel := zipped(t, map[string]string{"greeting.py": "TEXT = 'Hello by the mirror'\n",
		"greeting-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n",
		"greeting-1.0.dist-info/WHEEL":    "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n", "greeting-1.0.dist-info/RECORD": ""})
	m.files["/pypi/greeting"] = []byte(`<a href="greeting-1.0-py3-none-any.whl">greeting-1.0-py3-none-any.whl</a>`)
	m.files["/pypi/greeting/greeting-1.0-py3-none-any.whl"] = wheel

	gem := tarred(t, map[string]string{
		"metadata.gz": string(gzipped(t, []byte("--- !ruby/object:Gem::Specification\nname: greeting\nversion: !ruby/object:Gem::Version\n  version: '1.0'\nplatform: ruby\nauthors: [test]\n"+
			"summary: test\nrequire_paths: [lib]\nfiles: [lib/greeting.rb]\ndependencies: []\nspecification_version: 4\nrubygems_version: 3.0.0\n"))),
		"data.tar.gz": string(gzipped(t, tarred(t, map[string]string{"lib/greeting.rb": "GREETING = 'Hello by the mirror'\n"})))})
	info := "---\n1.0 |checksum:" + sumOf(gem) + "\n"
	m.files["/gems/versions"] = []byte("created_at: 2024-01-01T00:00:00Z\n---\ngreeting 1.0 " + fmt.Sprintf("%x", md5.Sum([]byte(info))) + "\n")
	m.files["/gems/info/greeting"] = []byte(info)
	m.files["/gems/gems/greeting-1.0.gem"] = gem

	m.files["/packagist/packages.json"] = []byte(`{"packages": {"test/greeting": {"1.0.0": {"name": "test/greeting", "version": "1.0.0", "dist": {"type": "zip", "url": "@/packagist/greeting.zip"}, "autoload": {"files": ["greeting.php"]}}}}}`)
	m.files["/packagist/greeting.zip"] = zipped(t, map[string]string{"greeting.php": "<?php const GREETING = 'Hello by the mirror';\n"})

	crate := gzipped(t, tarred(t, map[string]string{"greeting-1.0.0/Cargo.toml": "[package]\nname = \"greeting\"\nversion = \"1.0.0\"\nedition = \"2021\"\n",
		"greeting-1.0.0/src/lib.rs": "pub const TEXT: &str = \"Hello by the mirror\";\n"}))
	m.files["/crates/config.json"] = []byte(`{"dl": "@/crates/dl/{crate}-{version}.crate"}`)
	m.files["/crates/gr/ee/greeting"] = []byte(`{"name":"greeting","vers":"1.0.0","deps":[],"cksum":"` + sumOf(crate) + `","features":{},"yanked":false}` + "\n")
	m.files["/crates/dl/greeting-1.0.0.crate"] = crate

	m.files["/maven/test/greeting/1.0/greeting-1.0.pom"] = []byte(`<project><modelVersion>4.0.0</modelVersion><groupId>test</groupId><artifactId>greeting</artifactId><version>1.0</version></project>`)
	m.files["/maven/test/greeting/1.0/greeting-1.0.jar"] = zipped(t, map[string]string{"greeting.txt": "Hello by the mirror"})
	return m, sumOf(wheel)
}

const server = `import os, greeting
from http.server import *
class H(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write((greeting.TEXT + "\n").encode())
HTTPServer(("", int(os.environ["PORT"])), H).serve_forever()
`

const javaServer = `import com.sun.net.httpserver.HttpServer;
public class Main {
  public static void main(String[] a) throws Exception {
    HttpServer s = HttpServer.create(new java.net.InetSocketAddress(Integer.parseInt(System.getenv("PORT"))), 0);
    byte[] body = Main.class.getResourceAsStream("/greeting.txt").readAllBytes();
    s.createContext("/", x -> { x.sendResponseHeaders(200, body.length); x.getResponseBody().write(body); x.close(); });
    s.start();
  }
}
`

// mirrored are apps that need the package, by the mirror's name.
func mirrored(wheelSum string) map[string]map[string]string {
	return map[string]map[string]string{
		build.MirrorPyPI: {"app.py": server, "pyproject.toml": "[project]\nname='x'\nversion='1'\ndependencies=['greeting']\n",
			"uv.lock": "version = 1\n[[package]]\nname = 'greeting'\nversion = '1.0'\nsource = { registry = 'https://pypi.example/simple' }\nwheels = [{ url = 'x', hash = 'sha256:" + wheelSum + "' }]\n"},
		build.MirrorRubyGems: {"Gemfile": "source 'https://rubygems.org'\ngem 'greeting'\n", "Gemfile.lock": "GEM\n  remote: https://rubygems.org/\n  specs:\n    greeting (1.0)\n\nPLATFORMS\n  ruby\n  x86_64-linux\n\nDEPENDENCIES\n  greeting\n",
			"config.ru": "require 'bundler/setup'\nrequire 'greeting'\nrun ->(_) { [200, {}, [GREETING]] }\n"},
		build.MirrorPackagist: {"composer.json": `{"require": {"test/greeting": "^1.0"}}`, "public/index.php": "<?php require __DIR__ . '/../vendor/autoload.php'; echo GREETING;\n"},
		build.MirrorCrates: {"Cargo.toml": "[package]\nname = \"hello\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[dependencies]\ngreeting = \"1\"\n",
			"src/main.rs": `use std::io::Write;
fn main() {
    let l = std::net::TcpListener::bind(format!("0.0.0.0:{}", std::env::var("PORT").unwrap())).unwrap();
    for s in l.incoming() {
        let mut s = s.unwrap();
        let mut b = [0; 1000];
        let _ = std::io::Read::read(&mut s, &mut b);
        let _ = write!(s, "HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n{}", greeting::TEXT.len(), greeting::TEXT);
    }
}
`},
		build.MirrorMaven: {"build.gradle": "apply plugin: 'application'\nmainClassName = 'Main'\nrepositories { mavenCentral() }\ndependencies { compile 'test:greeting:1.0' }\n",
			"settings.gradle": "rootProject.name='x'\n", "src/main/java/Main.java": javaServer},
		build.MirrorDotNet: {"hello.csproj": `<Project Sdk="Microsoft.NET.Sdk.Web"><PropertyGroup><TargetFramework>net8.0</TargetFramework></PropertyGroup></Project>`},
	}
}

// dotnetStandIn is no .NET: it takes the arguments that the SDK and the runtime
// are called with, so that what is fetched, run and put into the image is seen.
const dotnetStandIn = `#!/bin/sh
set -e
case $1 in
restore) test -f "$2" -o "$2" = --configfile ;;
publish) while [ $# -gt 0 ]; do if [ "$1" = --output ]; then mkdir -p "$2"; echo 'Hello by the mirror' > "$2/hello.dll"; fi; shift; done ;;
hello.dll) exec perl -MIO::Socket::INET -e '$s=IO::Socket::INET->new(LocalPort=>$ARGV[0],Listen=>5,ReuseAddr=>1) or die;
  while($c=$s->accept){while(($l=<$c>)&&$l=~/\S/){} open F,"hello.dll"; print $c "HTTP/1.0 200 OK\r\n\r\n",<F>; close $c}' "${3##*:}" ;;
esac
`

// withMirror is a machine whose builds fetch from the mirror.
func withMirror(t *testing.T, files *mirror) *machine {
	t.Helper()
	for _, name := range []string{"Sdk/8.0.416/dotnet-sdk-8.0.416", "aspnetcore/Runtime/8.0.22/aspnetcore-runtime-8.0.22"} {
		files.files["/dotnet/"+name+"-linux-x64.tar.gz"] = gzipped(t, tarred(t, map[string]string{"./dotnet": dotnetStandIn}))
	}
	return openWithMirror(t, files, func(c *Config) {
		at := "http://" + c.Registry.Host + "/mirror/"
		c.Mirrors = build.Mirrors{build.MirrorPyPI: at + "pypi", build.MirrorRubyGems: at + "gems", build.MirrorPackagist: at + "packagist",
			build.MirrorCrates: "sparse+" + at + "crates", build.MirrorMaven: at + "maven", build.MirrorDotNet: at + "dotnet"}
	})
}

// testMirrors wants each language to fetch from the operator's mirror, and from
// nowhere else: the package is only there.
func testMirrors(t *testing.T, m *machine, files *mirror, wheelSum string) {
	for name, tree := range mirrored(wheelSum) {
		t.Run(name, func(t *testing.T) {
			res, err := m.buildTree(t, tree)
			if err != nil {
				t.Fatal(err)
			}
			if said := requested(t, m, res); !strings.Contains(said, "answer: Hello by the mirror") {
				t.Error("the app has not got the package")
			}
		})
	}
	for _, prefix := range []string{"/pypi/greeting/greeting-1.0", "/gems/gems/", "/packagist/greeting.zip", "/crates/dl/", "/maven/test/greeting/1.0/greeting-1.0.jar", "/dotnet/Sdk", "/dotnet/aspnetcore"} {
		if !files.served(prefix) {
			t.Errorf("nobody asked the mirror for %s", prefix)
		}
	}
	_, err := m.buildTree(t, mirrored(strings.Repeat("0", 64))[build.MirrorPyPI])
	if err == nil || !strings.Contains(err.Error(), "pip install") {
		t.Errorf("a package with another hash than the locked one was installed: %v", err)
	}
}

func (m *machine) buildTree(t *testing.T, tree map[string]string) (build.Result, error) {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, tree)
	req, _ := request(t, stead.NewID(time.Now()), nil)
	req.Archive = tarball(t, dir)
	return m.Build(t.Context(), req)
}
