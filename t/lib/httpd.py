# Licensed under the Apache License, Version 2.0: see LICENSE.
"""A private httpd with mod_resthooks: own ServerRoot, loopback ports, PidFile and logs."""

import atexit
import glob
import os
import pwd
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import checkers
from checkers import SANITIZED
from client import Api, request
from database import Pgsql, Sqlite
from tap import at_end, diag, ok

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

MPM = os.environ.get("RH_MPM", "event")
DB = os.environ.get("RH_DB", "sqlite3")

# Loaded if their files exist; some may be built in.
MODULES = """authn_core authz_core authn_file authz_user authz_host auth_basic alias headers env
    setenvif mime dbd proxy proxy_http deflate status unixd log_config logio watchdog version
    filter""".split()

RULES = r"""
    RestHooksEvent employee.created POST "^/employers/(?<tenant>[^/]+)/employees$"
    RestHooksEvent employee.updated PUT,PATCH "^/employers/(?<tenant>[^/]+)/employees/(?<key>[^/]+)$"
    RestHooksEvent employee.deleted DELETE \
        "^/employers/(?<tenant>[^/]+)/employees/(?<key>[^/]+)$" data=before
"""

TARGETS = """    RestHooksTargets http
    RestHooksTargetAllow 127.0.0.0/8
"""


_given_ports = set()


def free_port():
    """Return a port that is not in use. The system does not give such ports to connections, so it
    can be bound again after a kill, whatever other tests do."""
    dice = random.SystemRandom()    # random's generator may be seeded
    for _ in range(1000):
        port = dice.randrange(16384, 32768)
        if port in _given_ports:
            continue
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given_ports.add(port)
        return port
    raise RuntimeError("no free port between 16384 and 32767")


def find_program(*names):
    for name in names:
        for folder in os.environ["PATH"].split(":") + ["/usr/sbin", "/usr/local/apache2/bin"]:
            path = os.path.join(folder, name)
            if os.access(path, os.X_OK):
                return path
    raise RuntimeError(f"none of {names} is installed")


def find_module():
    """The module under test: $RH_MODULE, else the newest build in the tree."""
    if os.environ.get("RH_MODULE"):
        return os.path.abspath(os.environ["RH_MODULE"])
    built = glob.glob(SOURCE + "/build/*/.libs/mod_resthooks.so")
    built += glob.glob(SOURCE + "/.libs/mod_resthooks.so")
    if not built:
        raise RuntimeError("mod_resthooks.so is not built: RH_MODULE names it")
    return max(built, key=os.path.getmtime)


class Vhost:
    """One virtual host on a port of its own.

    rules     directives of the virtual host that make events ("" for none)
    backend   what is proxied: an object with a url (t/demo/hr_api.py), or a URL
    extra     more directives of the virtual host
    location  directives of the API's Location, instead of the harness' own
    database  a Pgsql or Sqlite; by default a fresh one of $RH_DB's kind; False: none
    retry     waits of RestHooksRetry; None: the module's default
    targets   directives that allow targets; "" for the module's default policy
    enabled   False: no RestHooks at all
    protected True: the API's Location gets a Require, unless it has one; without, httpd warns
    """

    def __init__(self, rules=RULES, backend=None, extra="", location=None, database=None,
                 enabled=True, hooks="/hooks", retry="1s 1s 1s", targets=TARGETS, name="vhost",
                 protected=True):
        self.rules = rules
        self.backend = getattr(backend, "url", backend)
        self.extra = extra
        self.location = location
        self.database = database
        self.enabled = enabled
        self.hooks = hooks
        self.retry = retry
        self.targets = targets
        self.name = name
        self.protected = protected
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    def api(self, tenant="acme", role=None, **headers):
        return Api(self.url + self.hooks, tenant, role, headers)

    def config(self, httpd, number):
        if self.database is None:
            self.database = (Pgsql() if DB == "pgsql"
                             else Sqlite(os.path.join(httpd.root, "db"), f"hooks{number}"))
        lines = [f"Listen 127.0.0.1:{self.port}", f"<VirtualHost 127.0.0.1:{self.port}>",
                 f"ServerName localhost:{self.port}"]
        if self.database:
            lines += [f"DBDriver {self.database.driver}", f'DBDParams "{self.database.params}"']
        if self.backend:
            lines += [f"ProxyPass /employers {self.backend}/employers"]
        if self.enabled:
            lines += ["RestHooks On", 'RestHooksTenant "%{req:X-Tenant}"', self.targets,
                      "RestHooksPage ui",
                      f"RestHooksRetry {self.retry}" if self.retry else "", self.rules,
                      f'<Location "{self.hooks}">']
            location = self.location if self.location is not None else (
                "SetHandler resthooks\n"
                "RestHooksPublisher \"%{req:X-Role} == 'app'\"\n"
                "RestHooksAdmin \"%{req:X-Role} == 'admin'\"")
            lines += [location]
            if "Require" not in location and self.protected:
                lines += ["Require expr true"]
            lines += ["</Location>"]
        return "\n".join(lines + [self.extra, "</VirtualHost>", ""])


class Httpd:
    """A running httpd. Arguments are Vhost's for the one virtual host, or `vhosts` a list of them.

    config    directives of the server, before the virtual hosts
    expect    regular expressions of warn+ lines that this test provokes
    start     False: write the configuration only
    """

    def __init__(self, config="", vhosts=None, expect=(), mpm=MPM, module=True, start=True,
                 log="notice resthooks:info", children=True, **vhost):
        self.root = tempfile.mkdtemp(prefix="rh-", dir="/tmp")
        self.mpm = mpm
        self.vhosts = vhosts or [Vhost(**vhost)]
        self.port, self.url = self.vhosts[0].port, self.vhosts[0].url
        self.expected = list(expect)
        self.server_config = config
        self.process = None
        self._with_module = module
        self._log_level = log if module else log.split()[0]
        self._children = children
        self._groups = []
        self._finished = False
        self.error_log = os.path.join(self.root, "logs", "error_log")
        self._make_folders()
        self.write_config()
        atexit.register(self._remove)
        at_end(self.finish)
        if start:
            self.start()

    @property
    def database(self):
        return self.vhosts[0].database

    def api(self, tenant="acme", role=None, **headers):
        """Return a client of the first virtual host's API."""
        return self.vhosts[0].api(tenant, role, **headers)

    def request(self, method, path, body=None, headers=None, timeout=60):
        """Make one request to the first virtual host."""
        return request(method, self.url + path, body, headers, timeout)

    # Configuration.

    def _make_folders(self):
        self.user = None
        os.chmod(self.root, 0o755)
        for name in ("logs", "run", "db", "htdocs", "run/resthooks", checkers.FOLDER):
            os.mkdir(os.path.join(self.root, name))
        # httpd's user may not be allowed to read the source tree.
        shutil.copytree(os.path.join(SOURCE, "htdocs"), os.path.join(self.root, "ui"))
        if os.geteuid() == 0:
            for name in ("www-data", "nobody"):
                try:
                    self.user = pwd.getpwnam(name)
                    break
                except KeyError:
                    pass
            for name in ("db", "run/resthooks", checkers.FOLDER):
                os.chown(os.path.join(self.root, name), self.user.pw_uid, self.user.pw_gid)

    def path(self, *names):
        return os.path.join(self.root, *names)

    def write_config(self):
        modules = os.environ.get("RH_MODULES_DIR", "/usr/lib/apache2/modules")
        lines = [f'ServerRoot "{self.root}"', "ServerName localhost", "PidFile run/httpd.pid",
                 "DefaultRuntimeDir run", f"Mutex default:{self.root}/run",
                 f"ErrorLog {self.error_log}", f"LogLevel {self._log_level}",
                 "TypesConfig /dev/null", "DocumentRoot htdocs", "Timeout 30",
                 "KeepAliveTimeout 5", "GracefulShutdownTimeout 20"]
        loads = [f"LoadModule {name}_module {modules}/mod_{name}.so"
                 for name in [f"mpm_{self.mpm}"] + MODULES
                 if os.path.exists(f"{modules}/mod_{name}.so")]
        lines[1:1] = loads
        if self._with_module:
            lines.append(f"LoadModule resthooks_module {find_module()}")
        if self.user:
            lines += [f"User {self.user.pw_name}", f"Group #{self.user.pw_gid}"]
        if not self._children:
            pass
        elif self.mpm == "prefork":
            lines += ["StartServers 2", "MinSpareServers 2", "MaxSpareServers 4",
                      "MaxRequestWorkers 16"]
        else:
            lines += ["StartServers 1", "ServerLimit 4", "ThreadsPerChild 32", "ThreadLimit 64",
                      "MaxRequestWorkers 128", "MinSpareThreads 1", "MaxSpareThreads 128"]
        lines += ["<IfModule mod_dbd.c>\nDBDMin 1\nDBDKeep 4\nDBDMax 8\n</IfModule>"]
        lines += [self.server_config]
        lines += [vhost.config(self, i) for i, vhost in enumerate(self.vhosts)]
        with open(self.path("httpd.conf"), "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")

    def command(self, *args):
        return [*checkers.command(self.root),
                os.environ.get("RH_HTTPD") or find_program("apache2", "httpd"),
                "-d", self.root, "-f", self.path("httpd.conf"), *args]

    def environment(self):
        return {**os.environ, "LC_ALL": "C", **checkers.environment(self.root)}

    def check_config(self):
        """Run `httpd -t`: (accepted, output)."""
        done = subprocess.run(self.command("-t"), capture_output=True, text=True, check=False,
                              env=self.environment(), stdin=subprocess.DEVNULL, timeout=60)
        return done.returncode == 0, done.stdout + done.stderr

    # Starting and stopping.

    def start(self, wait=True):
        """Start httpd; raises if it does not come up (wait=False: do not wait)."""
        with open(self.path("logs", "stdout"), "ab") as out:
            self.process = subprocess.Popen(self.command("-DFOREGROUND"), stdout=out, stderr=out,
                                            stdin=subprocess.DEVNULL, env=self.environment(),
                                            start_new_session=True)
        self._groups.append(self.process.pid)
        if wait:
            self.wait_ready()

    def wait_ready(self, timeout=60):
        end = time.monotonic() + timeout
        while True:
            if self.process.poll() is not None:
                raise RuntimeError("httpd ended: " + self.log()[-3000:] + self._stdout())
            try:
                request("GET", self.url + "/ready", timeout=5)
                return
            except OSError:
                if time.monotonic() > end:
                    raise RuntimeError("httpd does not answer: " + self.log()[-3000:]) from None
                time.sleep(0.05)

    def _stdout(self):
        with open(self.path("logs", "stdout"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def wait_end(self, timeout=60):
        """Wait until it ends by itself; return its exit status."""
        return self.process.wait(timeout)

    def connections(self):
        """Count the clients' connections that httpd has not closed."""
        ports = {vhost.port for vhost in self.vhosts}
        with open("/proc/net/tcp", encoding="ascii") as file:
            rows = [line.split() for line in file.readlines()[1:]]
        return sum(int(row[1].split(":")[1], 16) in ports and row[3] != "0A" and row[9] != "0"
                   for row in rows)

    def stop(self, number=signal.SIGTERM, timeout=60):
        """Stop (SIGWINCH: gracefully). True if it ended in time.

        Mpm_event, with or without modules, may crash if it has to stop at once at the moment when
        one of its threads closes a client's connection, because it reads the sockets of its
        threads without a lock. So this waits until the connections are closed.
        """
        if self.process is None or self.process.poll() is not None:
            return True
        end = time.monotonic() + 10
        while number == signal.SIGTERM and self.connections() and time.monotonic() < end:
            time.sleep(0.02)
        self.process.send_signal(number)
        try:
            self.process.wait(timeout)
            return True
        except subprocess.TimeoutExpired:
            self.kill()
            return False

    def restart(self):
        self.stop()
        self.start()

    def graceful(self, timeout=60):
        """Graceful restart: returns once the new generation runs."""
        before = self.log().count("resuming normal operations")
        self.process.send_signal(signal.SIGUSR1)
        return self.wait_log("resuming normal operations", timeout, before + 1)

    def kill(self):
        """Kill the parent and every child with SIGKILL."""
        for group in self._groups:
            try:
                os.killpg(group, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass
        if self.process is not None:
            self.process.wait(60)
        # A killed process keeps its locks for a moment.
        end = time.monotonic() + 60
        while self.processes() and time.monotonic() < end:
            time.sleep(0.01)

    def processes(self):
        """Return the pids of the parent and its children, without zombies."""
        found = []
        for path in glob.glob("/proc/[0-9]*/stat"):
            try:
                with open(path, encoding="utf-8", errors="replace") as file:
                    text = file.read()
            except OSError:
                continue
            fields = text[text.rindex(")") + 2:].split()
            if int(fields[2]) in self._groups and fields[0] != "Z":
                found.append(int(path.split("/")[2]))
        return sorted(found)

    def children(self):
        return [pid for pid in self.processes() if pid != self.process.pid]

    def memory(self, pid):
        """Return the resident memory of a process, in kB."""
        with open(f"/proc/{pid}/status", encoding="utf-8") as file:
            return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1))

    # The error log.

    def log(self):
        try:
            with open(self.error_log, encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def wait_log(self, pattern, timeout=60, count=1):
        """Wait for lines that match. False: they did not appear."""
        end = time.monotonic() + timeout
        while True:
            found = sum(1 for line in self.log().splitlines() if re.search(pattern, line))
            if found >= count or time.monotonic() > end:
                return found >= count
            time.sleep(0.05)

    def expect(self, *patterns):
        """Return the lines of level warn or above that this test expects."""
        self.expected += patterns

    def unexpected(self):
        """Return unexpected lines of level warn or above, crashes, and reports of sanitizers."""
        bad = checkers.reports(self.root)
        for line in (self.log() + self._stdout()).splitlines():
            level = re.search(r"\[\w*:(warn|error|crit|alert|emerg)\]", line)
            crash = re.search(r"AddressSanitizer|LeakSanitizer|runtime error:|exit signal", line)
            if (level or crash) and not any(re.search(p, line) for p in self.expected):
                bad.append(line)
        return bad

    def finish(self):
        """Stop, and assert that the log has no unexpected line and no process is left."""
        if self._finished:
            return
        self._finished = True
        started = self.process is not None
        ended = self.stop()
        if started:
            ok(ended, "httpd stops in time")
            end = time.monotonic() + 60
            while self.processes() and time.monotonic() < end:
                time.sleep(0.05)
            ok(not self.processes(), "no process of httpd is left")
            bad = self.unexpected()
            if not ok(not bad, "the error log holds nothing unexpected"):
                diag("\n".join(bad[:200]))
                if SANITIZED:
                    diag(self.log()[-20000:])
        for vhost in self.vhosts:
            if vhost.database:
                try:
                    vhost.database.remove()
                except RuntimeError as error:
                    diag(error)
        if not os.environ.get("RH_KEEP"):
            shutil.rmtree(self.root, ignore_errors=True)

    def _remove(self):
        if self._finished:
            return
        log = self.log()
        diag("error log:\n" + log[-6000:])
        self.kill()
        if not os.environ.get("RH_KEEP"):
            shutil.rmtree(self.root, ignore_errors=True)
