package plan

import (
	"github.com/moby/buildkit/client/llb"
)

// Debian's suites, by the names of their releases. The base images are of the
// first; runtimes come from both, so that apps get the version that they were
// written for. Suites before it are past their support, and their packages do
// not go together with its own.
const (
	Bookworm = "bookworm" // 12
	Trixie   = "trixie"   // 13
)

// installScript installs packages. $1 is the suite; the rest are the packages.
// A suite other than the base's own is preferred for what is installed, and
// for nothing else that is there. The mirror is the one that the base image
// was made from, unless $APT_MIRROR says another. Nothing is left behind that
// differs from one run to the next.
const installScript = `set -e
suite=$1; shift
own=$(. /etc/os-release; echo "$VERSION_CODENAME")
list=/tmp/stead.list; set -- "$suite" "$@"; opts=
key='[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]'
uri=$APT_MIRROR
[ -n "$uri" ] || uri=$(grep -hoE 'https?://[^ ]+/debian/? ' /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | head -n 1 | tr -d ' ')
[ -n "$uri" ] || uri=http://deb.debian.org/debian
add() {
  printf 'deb %s %s %s main\n' "$key" "$uri" "$1" "$key" "$uri" "$1-updates" >> $list
  case ${uri%/} in */debian) echo "deb $key ${uri%/}-security $1-security main" >> $list ;; esac
}
if [ -n "$APT_MIRROR" ]; then
  add "$own"
  opts="-o Dir::Etc::sourcelist=$list -o Dir::Etc::sourceparts=-"
fi
if [ "$suite" != "$own" ]; then
  [ -n "$APT_MIRROR" ] || list=/etc/apt/sources.list.d/stead-$suite.list
  add "$suite"
fi
shift
mkdir -p /usr/share/man/man1 # some packages link into it
opts="$opts -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-unsafe-io"
if ! { apt-get $opts -q update && DEBIAN_FRONTEND=noninteractive apt-get $opts -q -y --no-install-recommends -t "/^$suite(|-security|-updates)\$/" install "$@"; } > /tmp/apt.log 2>&1; then
  grep -E '^(E|Err|dpkg|W):? ' /tmp/apt.log || tail -n 20 /tmp/apt.log
  exit 100
fi
grep -E '^Need to get|^Get:.*Packages' /tmp/apt.log | tail -n 1
rm -rf /tmp/apt.log /usr/share/man/man1 /tmp/stead.list /etc/apt/sources.list.d/stead-* /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/*.log /var/cache/debconf/*-old /var/cache/ldconfig/aux-cache /var/lib/dpkg/*-old /etc/*-`

// Install adds packages of a Debian suite to a base image. It depends on
// nothing of the app's, and so is made once for all apps.
func (in Inputs) Install(base llb.State, suite, title string, packages ...string) llb.State {
	argv := append([]string{"/bin/sh", "-c", installScript, "install", suite}, packages...)
	return base.Run(Options(llb.Args(argv), llb.User("root"), llb.WithCustomName("install "+title),
		in.Mirrored(MirrorApt), Env("SOURCE_DATE_EPOCH", Epoch))).Root()
}
