# Licensed under the Apache License, Version 2.0: see LICENSE.
"""installed.py PACKAGE NEWER-PACKAGE: install, use, upgrade, remove and purge the package on this
machine, as TAP. For a copy of a machine (enter.sh), or one that may be changed. Ends with 77 if
apache2 can't be installed."""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "lib"))
from rhtest import *  # noqa: E402,F403

import glob
import stat
import subprocess

os.environ["RH_CTL"] = "/usr/bin/resthooksctl"
from ctl import Ctl, Listen  # noqa: E402

NAME = "libapache2-mod-resthooks"
POLICY = "/usr/sbin/policy-rc.d"
package, newer = sys.argv[1:]
port = free_port()
url = f"http://127.0.0.1:{port}"
SITE = f"""<VirtualHost 127.0.0.1:{port}>
    DBDriver sqlite3
    DBDParams /var/lib/resthooks/hooks.db
    RestHooks On
    RestHooksTargets http
    RestHooksTargetAllow 127.0.0.0/8
    RestHooksEventType payroll.closed "The payroll of a month is closed"
    <Location "/hooks">
        SetHandler resthooks
        RestHooksTenant "acme"
        RestHooksPublisher true
    </Location>
</VirtualHost>
"""


def run(*command, **more):
    """Run a command; return (succeeded, output)."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False, timeout=300,
                          env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"},
                          **more)
    return done.returncode == 0, done.stdout.decode("utf-8", "replace")


def works(name, *command):
    succeeded, said = run(*command)
    if not ok(succeeded, name):
        diag(f"{' '.join(command)}:\n{said}")
        with open("/var/log/apache2/error.log", encoding="utf-8", errors="replace") as file:
            diag(file.read()[-3000:])
    return said


def apt(name, *arguments):
    return works(name, "apt-get", "-q", "-y", "--no-install-recommends", *arguments)


def write(path, content, mode=0o644):
    with open(path, "w", encoding="utf-8") as file:
        file.write(content)
    os.chmod(path, mode)


def paths():
    """Return the paths of everything of this package, and of httpd's configuration."""
    found = run("find", "/etc", "/usr", "/var", "/run", "/opt", "/srv", "-xdev",
                "(", "-path", "/var/log", "-o", "-path", "/var/cache", "-o", "-path", "/var/lib/apt",
                "-o", "-path", SOURCE, ")", "-prune", "-o",
                "(", "-name", "*resthooks*", "-o", "-path", "/etc/apache2/*", ")", "-print")[1]
    return set(found.splitlines())


def answers(path, status=200, **headers):
    def asked():
        try:
            return request("GET", url + path, headers=headers, timeout=10).status == status
        except OSError:
            return False
    return wait_until(asked, 60)


def modules_in_use():
    """Return the files of mod_resthooks that running httpds have mapped."""
    used = set()
    for name in glob.glob("/proc/[0-9]*/maps"):
        try:
            with open(name, encoding="utf-8", errors="replace") as file:
                used |= {line.split(None, 5)[5].strip() for line in file if "mod_resthooks.so" in line}
        except OSError:
            pass
    return used


def delivered(name):
    """Send an event from a request to a target, with the installed program."""
    ctl = Ctl("--url", url + "/hooks")
    listen = Listen("--count", "1", "--timeout", "60s", "--secret", secret, port=target)
    ctl("publish", "payroll.closed", '{"month":"2026-11"}')
    is_(listen.wait(120), 0, name)
    wait_until(lambda: all(d["state"] == "delivered" for d in ctl("deliveries", "--json").json or [{}]))


# A machine with httpd

write(POLICY, "#!/bin/sh\nexit 101\n", 0o755)
needed = ["apache2", "libaprutil1-dbd-sqlite3"]
if not run("apt-get", "-q", "-y", "--no-install-recommends", "install", *needed)[0]:
    run("apt-get", "-q", "update")
    succeeded, said = run("apt-get", "-q", "-y", "--no-install-recommends", "install", *needed)
    if not succeeded:
        print("apache2 can't be installed:", said[-500:], file=sys.stderr)
        os._exit(77)
os.remove(POLICY)
for name in os.listdir("/etc/apache2/sites-enabled"):
    os.remove("/etc/apache2/sites-enabled/" + name)
write("/etc/apache2/ports.conf", f"Listen 127.0.0.1:{port}\nServerName localhost\n")
works("httpd starts", "service", "apache2", "start")
ok(answers("/"), "and serves")
before = paths()

# Installed

apt("the package is installed", "install", package)
works("a2query says that the module is enabled", "a2query", "-m", "resthooks")
works("and mod_dbd with it", "a2query", "-m", "dbd")
works("apache2ctl configtest accepts that", "apache2ctl", "configtest")
like(works("apache2ctl -M lists", "apache2ctl", "-M"), "resthooks_module", "the module")
ok(answers("/"), "httpd serves on")
folder = os.stat("/var/lib/resthooks")
import pwd
is_((pwd.getpwuid(folder.st_uid).pw_name, stat.S_IMODE(folder.st_mode)), ("www-data", 0o750),
    "/var/lib/resthooks is httpd's alone")
works("a2dismod disables it", "a2dismod", "-f", "resthooks", "dbd")
works("httpd runs without it", "apache2ctl", "configtest")
works("a2enmod enables it", "a2enmod", "resthooks")
works("and mod_dbd, which it needs", "a2query", "-m", "dbd")

# Used

write("/etc/apache2/sites-available/hooks.conf", SITE)
works("a site uses it", "a2ensite", "hooks")
works("apache2ctl configtest accepts that, too", "apache2ctl", "configtest")
works("httpd restarts", "service", "apache2", "restart")
ok(answers("/hooks/subscriptions"), "the API answers")
page = request("GET", url + "/hooks/", headers={"Accept": "text/html"})
is_((page.status, page.type), (200, "text/html"), "and so does the page")
for script in re.findall(r'(?:src|href)="(ui/[^"]+)"', page.text):
    is_(request("GET", url + "/hooks/" + script).status, 200, f"with {script}")
target = free_port()
done = Ctl("--url", url + "/hooks")("subscriptions", "create", f"http://127.0.0.1:{target}/in",
                                    "--event", "payroll.*", "--json")
is_(done.status, 0, "resthooksctl subscribes") or diag(done)
secret = done.json["secret"]
delivered("an event arrives, signed")
ok(os.path.isdir("/var/lib/resthooks/spool"), "the spool is where it outlives a reboot")

# Upgraded

conf = "/etc/apache2/mods-available/resthooks.conf"
with open(conf, "a", encoding="utf-8") as file:
    file.write("# mine\n")
apt("a newer package is installed over it", "install", newer)
like(run("dpkg-query", "-W", "-f", "${Version} ${db:Status-Status}", NAME)[1], r"^99\.0-1 installed$",
     "which is then the installed one")
with open(conf, encoding="utf-8") as file:
    ok(file.read().endswith("# mine\n"), "what the administrator wrote stays")
works("the module is still enabled", "a2query", "-m", "resthooks")
works("httpd restarts", "service", "apache2", "restart")
ok(answers("/hooks/subscriptions"), "the API answers")
is_(wait_until(lambda: modules_in_use() == {"/usr/lib/apache2/modules/mod_resthooks.so"}), True,
    "by the new module")
delivered("the same subscription receives")

# Removed and purged

works("the site is taken away", "a2dissite", "hooks")
os.remove("/etc/apache2/sites-available/hooks.conf")
apt("the package is removed", "remove", NAME)
works("apache2ctl configtest accepts that", "apache2ctl", "configtest")
works("httpd restarts", "service", "apache2", "restart")
ok(answers("/"), "and serves without it")
is_(modules_in_use(), set(), "indeed")
ok(os.path.exists(conf) and os.path.exists("/var/lib/resthooks/hooks.db"),
   "configuration and data are kept")
apt("it is installed again", "install", newer)
works("and enabled again", "a2query", "-m", "resthooks")
apt("it is purged", "purge", NAME)
after = paths()
is_(sorted(after - before - {"/etc/apache2/mods-enabled/dbd.load"}), [],
    "nothing of it is left, but mod_dbd's being enabled")
is_(sorted(before - after), [], "and nothing else is gone")
works("httpd restarts", "service", "apache2", "restart")
ok(answers("/"), "and serves on")
works("httpd stops", "service", "apache2", "stop")
done_testing()
