# Licensed under the Apache License, Version 2.0: see LICENSE.
"""Certificates for tests, made by the openssl program: an authority, valid and invalid servers."""

import os
import shutil
import ssl
import subprocess
import tempfile

from tap import at_end


class Authority:
    """A certificate authority in a temporary folder; `file` is its certificate."""

    def __init__(self, name="Test Authority"):
        self.folder = tempfile.mkdtemp(prefix="rhca-", dir="/tmp")
        os.chmod(self.folder, 0o755)
        at_end(lambda: shutil.rmtree(self.folder, ignore_errors=True))
        self.file, self._key = self._path("ca.pem"), self._path("ca.key")
        self._count = 0
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                      "-nodes", "-days", "30", "-subj", f"/CN={name}", "-keyout", self._key,
                      "-out", self.file)

    def _path(self, name):
        return os.path.join(self.folder, name)

    def _openssl(self, *args):
        done = subprocess.run(["openssl", *args], capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            raise RuntimeError(done.stderr)

    def issue(self, names, days=10, client=False):
        """Make files (certificate, key) for names like "DNS:localhost,IP:127.0.0.1"; days < 0: an
        expired one."""
        self._count += 1
        base = self._path(f"{self._count}")
        with open(base + ".ext", "w", encoding="utf-8") as file:
            usage = "clientAuth" if client else "serverAuth"
            file.write(f"subjectAltName={names}\nextendedKeyUsage={usage}\n")
        self._openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                      "-subj", "/CN=test", "-keyout", base + ".key", "-out", base + ".csr")
        self._openssl("x509", "-req", "-in", base + ".csr", "-CA", self.file, "-CAkey", self._key,
                      "-CAcreateserial", "-days", str(days), "-extfile", base + ".ext",
                      "-out", base + ".pem")
        os.chmod(base + ".key", 0o644)
        return base + ".pem", base + ".key"

    def context(self, names="DNS:localhost,IP:127.0.0.1", days=10, client_ca=None):
        """Return a server's ssl.SSLContext; `client_ca`: certificate of the authority of clients.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.issue(names, days))
        if client_ca:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(client_ca)
        return context
