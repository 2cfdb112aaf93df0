# Licensed under the Apache License, Version 2.0: see LICENSE.
"""What is between the hosts of the fault suite and their database, and how it is configured."""

import os
import shutil
import subprocess
import tempfile
import time

from database import Cluster, Pgsql
from pgbouncer import PgBouncer
from relay import Relay
from tap import at_end

VARIANTS = {
    "plain": "PostgreSQL as it comes",
    "german": "lc_messages de_DE.UTF-8 and a role that may not change it; locks and cancelled "
              "statements",
    "repeatable-read": "default_transaction_isolation repeatable read",
    "pgbouncer-session": "both hosts through PgBouncer, which is killed, too",
    "pgbouncer-transaction": "likewise, in transaction mode",
    "reconfigured": "virtual hosts come and go while the database is away",
}


def german_locale():
    """Make a directory with the locale de_DE.UTF-8, for LOCPATH."""
    root = tempfile.mkdtemp(prefix="rhloc-", dir="/tmp")
    at_end(lambda: shutil.rmtree(root, ignore_errors=True))
    subprocess.run(["localedef", "-i", "de_DE", "-f", "UTF-8", os.path.join(root, "de_DE.UTF-8")],
                   check=True, stdout=subprocess.DEVNULL)
    os.chmod(root, 0o755)
    return root


class Setting:
    """The cluster, one database of it for each host, and a relay in front of the second host's.

    `faults` are more faults, by name; each takes a number of seconds and returns once it is over.
    """

    def __init__(self, variant):
        self.variant = variant
        self.bouncer = None
        self.faults = {}
        user, options, environment = "postgres", "", {}
        if variant == "german":
            user, options = "hooks", "lc_messages = 'de_DE.UTF-8'\n"
            environment = {"LOCPATH": german_locale()}
            self.faults = {"the events are locked": self._lock,
                           "statements are cancelled": self._cancel}
        self.cluster = Cluster(options, environment)
        at_end(self.cluster.remove)
        self.database = Pgsql(self.cluster)
        front = f"host={self.cluster.root}"
        path = os.path.join(self.cluster.root, ".s.PGSQL.5432")
        if variant == "german":
            self.database.sql(f"CREATE ROLE hooks LOGIN; "
                              f"ALTER DATABASE {self.database.name} OWNER TO hooks")
        elif variant == "repeatable-read":
            self.database.sql(f"ALTER DATABASE {self.database.name} "
                              "SET default_transaction_isolation = 'repeatable read'")
        elif variant.startswith("pgbouncer-"):
            self.bouncer = PgBouncer(self.cluster, variant.split("-")[1])
            at_end(self.bouncer.remove)
            front = f"host=127.0.0.1 port={self.bouncer.port}"
            path = self.bouncer.socket
            self.faults = {"the pooler is killed": self._kill_pooler}
        self.relay = Relay(path)
        at_end(self.relay.stop)
        self.databases = [self._database(f"{front} user={user}"),
                          self._database(f"host=127.0.0.1 port={self.relay.port} user={user}")]

    def _database(self, base):
        one = Pgsql.__new__(Pgsql)
        one.__dict__.update(self.database.__dict__)
        one.params = f"{base} connect_timeout=3 dbname={self.database.name}"
        one.remove = lambda: None
        return one

    def _lock(self, seconds):
        """Hold a lock for longer than the module's lock_timeout."""
        self.database.sql("BEGIN; LOCK TABLE resthooks.event; "
                          f"SELECT pg_sleep({seconds + 11}); COMMIT")

    def _cancel(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.database.sql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity "
                              "WHERE usename = 'hooks' AND state = 'active'")
            time.sleep(0.02)

    def _kill_pooler(self, seconds):
        self.bouncer.kill()
        time.sleep(seconds)
        self.bouncer.start()
