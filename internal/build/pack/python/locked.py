# Installs what a lock file says: pip resolves which of the locked packages this
# platform needs, and then exactly those are installed, by version and hash.
# Arguments: file of requirements, file of constraints, file of hashes
# (name==version sha256:… …), pip's further arguments.
import json, re, subprocess, sys, tempfile

requirements, constraints, hashes, *more = sys.argv[1:]
pip = [sys.executable, "-m", "pip"]
known = {}
for line in open(hashes):
    pin, *sums = line.split()
    known.setdefault(pin, []).extend(sums)

with tempfile.NamedTemporaryFile() as f:
    argv = ["install", *more, "-q", "--dry-run", "--ignore-installed", "--report", f.name, "-r", requirements, "-c", constraints]
    if subprocess.run(pip + argv).returncode:
        sys.exit("the lock file and what it locks do not fit together: make it anew and commit it")
    report = json.load(open(f.name))

lines, hashed = [], True
for item in report["install"]:
    name = re.sub(r"[-_.]+", "-", item["metadata"]["name"]).lower()
    pin = name + "==" + item["metadata"]["version"]
    url = item["download_info"]["url"]
    if item.get("is_direct"):
        vcs = item["download_info"].get("vcs_info")
        lines.append(name + " @ " + (vcs["vcs"] + "+" + url + "@" + vcs["commit_id"] if vcs else url))
        hashed = False
    else:
        hashed = hashed and pin in known
        lines.append(" ".join([pin] + ["--hash=" + h for h in known.get(pin, [])]))
if not hashed:  # pip checks the hashes of all or of none
    lines = [line.split(" --hash=")[0] for line in lines]
with tempfile.NamedTemporaryFile("w", suffix=".txt") as f:
    f.write("\n".join(lines) + "\n")
    f.flush()
    print("installing", len(lines), "locked packages" + (", each by its hash" if hashed else ""), flush=True)
    sys.exit(subprocess.run(pip + ["install", *more, "--no-deps", "-r", f.name]).returncode)
