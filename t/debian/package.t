#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
# Packages: dpkg-dev debhelper lintian fakeroot
"""The Debian package is built from a clean copy, lintian finds no fault, httpd runs with its files,
and it is installed, used, upgraded and purged on a copy of this machine.

The last part needs root, and mount namespaces with overlayfs. Without them, RH_INSTALL=1 allows it
on this machine itself, if that may be changed."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib"))
from rhtest import *  # noqa: E402,F403

import shutil
import subprocess
import tempfile

NAME = "libapache2-mod-resthooks"
HERE = os.path.join(SOURCE, "t", "debian")

for program in ("dpkg-buildpackage", "dh", "dh_apache2"):
    if not shutil.which(program):
        skip_all(f"there is no {program}: apt-get install dpkg-dev debhelper apache2-dev")

work = tempfile.mkdtemp(prefix="rh-deb-", dir="/tmp")
os.chmod(work, 0o755)
at_end(lambda: shutil.rmtree(work, ignore_errors=True))


def run(*command, **more):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False, **more)
    return done.returncode, done.stdout.decode("utf-8", "replace")


def tree_files():
    """What belongs to the source: what git knows, or all but what is built."""
    status, listed = run("git", "ls-files", "-z", cwd=SOURCE)
    if status == 0 and listed:
        return [name for name in listed.split("\0") if name and
                os.path.exists(os.path.join(SOURCE, name))]
    found = []
    for folder, folders, files in os.walk(SOURCE):
        folders[:] = [name for name in folders
                      if name not in (".git", "build", "node_modules", "autom4te.cache", ".quickstart")]
        found += [os.path.relpath(os.path.join(folder, name), SOURCE) for name in files]
    return found


# Built

tree = os.path.join(work, "source")
for name in tree_files():
    os.makedirs(os.path.dirname(os.path.join(tree, name)), exist_ok=True)
    shutil.copy2(os.path.join(SOURCE, name), os.path.join(tree, name))
with open(os.path.join(tree, "debian", "changelog"), encoding="utf-8") as file:
    version = re.match(r"mod-resthooks \(([^-]+)-1\)", file.readline()).group(1)
with open(os.path.join(tree, "modules", "base", "rh_base.h"), encoding="utf-8") as file:
    is_(version, re.search(r'RH_VERSION "(.*)"', file.read()).group(1),
        "the package has the module's version")
environment = {name: value for name, value in os.environ.items()
               if name not in ("CFLAGS", "CC", "DESTDIR", "MAKEFLAGS")}
status, log = run("dpkg-buildpackage", "-us", "-uc", "-b", cwd=tree,
                  env={**environment, "LC_ALL": "C.UTF-8",
                       "DEB_BUILD_OPTIONS": f"nocheck parallel={os.cpu_count()}"})
ok(status == 0, "dpkg-buildpackage -us -uc -b builds it") or diag(log[-4000:])
# Symbols of httpd itself are the only ones that a module may leave unresolved.
warnings = [line for line in log.splitlines() if re.search(r"(?i)\bwarning:", line) and
            "unresolvable reference" not in line and "other similar warnings" not in line and
            "libtool --finish" not in line]
is_(warnings, [], "without warnings")
package = os.path.join(work, f"{NAME}_{version}-1_{run('dpkg', '--print-architecture')[1].strip()}.deb")
if not ok(os.path.exists(package), f"there is {os.path.basename(package)}"):
    done_testing()
if shutil.which("lintian"):
    changes = [name for name in os.listdir(work) if name.endswith(".changes")]
    status, said = run("lintian", *(["--allow-root"] if os.geteuid() == 0 else []),
                       "--tag-display-limit", "0", "--fail-on", "error,warning",
                       os.path.join(work, changes[0]))
    is_((status, said), (0, ""), "lintian finds nothing wrong with it")
else:
    skip("lintian finds nothing wrong with it", "it is not installed")

# The files in the package

listed = run("dpkg-deb", "-c", package)[1]
files = set(re.findall(r"(?m)^-\S+ root/root +\d+ \S+ \S+ \./(\S+)$", listed))
for name in ("etc/apache2/mods-available/resthooks.load", "etc/apache2/mods-available/resthooks.conf",
             "usr/lib/apache2/modules/mod_resthooks.so", "usr/bin/resthooksctl",
             "usr/share/man/man1/resthooksctl.1.gz", "usr/include/apache2/mod_resthooks.h",
             "usr/share/bash-completion/completions/resthooksctl",
             "usr/share/mod_resthooks/htdocs/index.html", "usr/share/mod_resthooks/resthooks.conf",
             "usr/share/mod_resthooks/schema-pgsql.sql", "usr/share/mod_resthooks/openapi.json",
             f"usr/share/doc/{NAME}/copyright", f"usr/share/doc/{NAME}/README.Debian"):
    ok(name in files, f"it has /{name}")
pages = {"usr/share/mod_resthooks/" + name for name in tree_files() if name.startswith("htdocs/")}
is_(sorted(pages - files), [], "it has the whole page")
depends = run("dpkg-deb", "-f", package, "Depends")[1]
for name in ("apache2-api-20120211", "libaprutil1-dbd-pgsql | libaprutil1-dbd-sqlite3", "libjson-c5",
             "libssl3", "libc-ares2"):
    ok(re.search(rf"(^|, ){re.escape(name)}( |,|$)", depends), f"it depends on {name}") or diag(depends)

# httpd runs with it.

unpacked = os.path.join(work, "unpacked")
is_(run("dpkg-deb", "-x", package, unpacked)[0], 0, "it can be unpacked")
os.environ["RH_MODULE"] = os.path.join(unpacked, "usr/lib/apache2/modules/mod_resthooks.so")
os.environ["RH_CTL"] = os.path.join(unpacked, "usr/bin/resthooksctl")
os.environ.pop("RH_LIBASAN", None)
from ctl import Ctl  # noqa: E402

receiver, backend = Receiver(), Backend()
httpd = Httpd(backend=backend,
              extra=f"RestHooksPage {unpacked}/usr/share/mod_resthooks/htdocs")
subscription = httpd.api().subscribe(receiver.url + "/in", ["employee.created"])
httpd.request("POST", "/employers/acme/employees", {"name": "Ada"})
got = receiver.wait_for(1, "/in")
ok(verify(subscription["secret"], got[0].headers, got[0].body), "an event arrives by its module")
done = Ctl("--url", httpd.url + "/hooks", "--header", "X-Tenant: acme")("deliveries", "--json")
is_(len(done.json or []), 1, "and is seen by its resthooksctl")
wait_until(lambda: httpd.api().deliveries(subscription["id"])[0]["state"] == "delivered")
page = request("GET", httpd.url + "/hooks/", headers={"Accept": "text/html", "X-Tenant": "acme"})
is_((page.status, page.type), (200, "text/html"), "its page is served")
httpd.finish()

# Installed, upgraded, purged

shared = os.path.join(work, "machine", "shared")
os.makedirs(shared)
contents = os.path.join(work, "newer")
run("dpkg-deb", "-R", package, contents)
with open(os.path.join(contents, "DEBIAN", "control"), encoding="utf-8") as file:
    control = file.read()
with open(os.path.join(contents, "DEBIAN", "control"), "w", encoding="utf-8") as file:
    file.write(re.sub(r"(?m)^Version: .*", "Version: 99.0-1", control))
old, new = os.path.join(shared, "old.deb"), os.path.join(shared, "new.deb")
shutil.copy(package, old)
status, said = run("dpkg-deb", "--root-owner-group", "-b", contents, new)
is_(status, 0, "a newer one is made") or diag(said)
inside = [sys.executable, "-B", os.path.join(HERE, "installed.py"), old, new]
if os.geteuid() != 0:
    status, said = 77, "only root may"
else:
    status, said = run("unshare", "--mount", "--pid", "--fork", "--kill-child",
                       os.path.join(HERE, "enter.sh"), os.path.join(work, "machine"), SOURCE, *inside)
    if "unshare failed" in said:
        status = 77
    if status == 77 and "apache2 can't be installed" not in said and os.environ.get("RH_INSTALL") == "1":
        diag(said)
        status, said = run(*inside)
if status == 77:
    skip("it is installed, used, upgraded and purged", " ".join(said.split())[-200:])
else:
    lines = re.findall(r"(?m)^(ok|not ok) \d+ - (.*)$", said)
    for result, name in lines:
        ok(result == "ok", "installed: " + name)
    ok(status == 0 and re.search(rf"(?m)^1\.\.{len(lines)}$", said), "all of that was done") or diag(said)
done_testing()
