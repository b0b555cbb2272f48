# Fetches one archive (zip or tar.gz) and unpacks its files below a prefix.
# Arguments: URL, SHA-256 in hex ("" when it is not known), prefix, directory.
import base64, hashlib, io, netrc, os, sys, tarfile, time, urllib.error, urllib.parse, urllib.request, zipfile

url, want, prefix, out = sys.argv[1:5]
epoch = int(os.environ.get("SOURCE_DATE_EPOCH", "946684800"))


def request():
    r = urllib.request.Request(url)
    try:
        login = netrc.netrc("/run/mirrors/netrc").authenticators(urllib.parse.urlsplit(url).hostname)
    except (OSError, netrc.NetrcParseError):
        login = None
    if login:
        r.add_unredirected_header("Authorization", "Basic " + base64.b64encode(("%s:%s" % (login[0], login[2])).encode()).decode())
    return r


def get():
    for left in (3, 2, 1, 0):
        try:
            with urllib.request.urlopen(request(), timeout=60) as r:
                return r.read()
        except urllib.error.HTTPError as e:
            if e.code in (400, 401, 403, 404, 410):
                sys.exit("cannot fetch %s: HTTP %d. Check that this version exists." % (url, e.code))
            err = e
        except OSError as e:
            err = e
        if left == 0:
            sys.exit("cannot fetch %s: %s. Check that the build may reach the registry, or set a mirror." % (url, err))
        time.sleep(2)


def put(name, content, run):
    if not name.startswith(prefix):
        return
    rel = os.path.normpath(name[len(prefix):])
    if rel.startswith(("..", "/")):
        sys.exit("%s: the archive has a name outside of itself" % url)
    path = os.path.join(out, rel)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(content)
    run = run or content[:4] == b"\x7fELF" or content[:2] == b"#!"
    os.chmod(path, 0o755 if run else 0o644)
    os.utime(path, (epoch, epoch))


data = get()
sha = hashlib.sha256(data).hexdigest()
if want and sha != want:
    sys.exit("%s: the SHA-256 is %s and should be %s" % (url, sha, want))
if data[:2] == b"PK":
    with zipfile.ZipFile(io.BytesIO(data)) as z:
        for i in z.infolist():
            if not i.is_dir():
                put(i.filename, z.read(i), False)
else:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as t:
        for m in t:
            if m.isfile():
                put(m.name, t.extractfile(m).read(), bool(m.mode & 0o111))
