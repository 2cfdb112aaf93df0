#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""The API's Location takes precedence over files below DocumentRoot, and that does not let requests
in without a login."""

import base64
import hashlib
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403

FOLDER = os.environ.get("RH_MODULES_DIR", "/usr/lib/apache2/modules")
missing = [name for name in ("rewrite", "dir") if not os.path.exists(f"{FOLDER}/mod_{name}.so")]
if missing:
    skip_all(f"httpd has no {missing}")

# .htaccess files as Laravel, Symfony and WordPress ship them, and stricter ones.
FRONT = """RewriteEngine On
RewriteCond %{REQUEST_FILENAME} !-f
RewriteRule ^ index.html [L]
"""
KINDS = {
    "front": FRONT,
    "everything": "RewriteEngine On\nRewriteRule ^ index.html [END]\n",
    "fallback": "FallbackResource /index.html\n",
    "redirect": "RewriteEngine On\nRewriteRule ^hooks https://elsewhere.example/ [R=301,L]\n",
    "forbidden": "RewriteEngine On\nRewriteRule ^hooks - [F]\n",
    "alias": "Redirect 302 /hooks https://elsewhere.example/\n",
    "handler": "SetHandler server-status\n",
    "closed": "Require all denied\n",
}
LOGIN = """SetHandler resthooks
    RestHooksTenant "%{REMOTE_USER}"
    AuthType Basic
    AuthName hooks
    AuthUserFile users
    Require valid-user"""
# Only the directory restricts access.
BARE = """SetHandler resthooks
    RestHooksTenant "%{REMOTE_USER}"
"""


def directory(name, extra):
    return f'DocumentRoot sites/{name}\n<Directory "{root(name)}">\nAllowOverride All\n{extra}\n</Directory>'


def root(name):
    return os.path.join(server.root, "sites", name)


def site(name, htaccess="", inside="", location=LOGIN):
    """A virtual host whose DocumentRoot has an .htaccess."""
    os.makedirs(root(name))
    for path, text in ((".htaccess", htaccess), ("index.html", "the site")):
        with open(os.path.join(root(name), path), "w", encoding="utf-8") as file:
            file.write(text)
    return Vhost(name=name, rules="", location=location, protected=False,
                 extra=directory(name, inside))


server = Httpd(start=False)
server.server_config = "\n".join(
    f"LoadModule {name}_module {FOLDER}/mod_{name}.so" for name in ("rewrite", "dir")) + """
<Directory />
    AllowOverride None
    Require all denied
</Directory>"""
GRANTED = "Require all granted"
AUTH = """AuthType Basic
AuthName site
AuthUserFile users
Require user keeper"""
hosts = {name: site(name, text, GRANTED) for name, text in KINDS.items()}
hosts["there"] = site("there", FRONT, GRANTED)
os.mkdir(os.path.join(root("there"), "hooks"))
hosts["bare"] = site("bare", FRONT, AUTH, BARE)
hosts["override"] = site("override", FRONT + AUTH, GRANTED, BARE)
hosts["split"] = site("split", FRONT, "AuthType Basic\nAuthName site\nAuthUserFile users",
                      BARE + "Require user acme")
hosts["address"] = site("address", FRONT, AUTH, "SetHandler resthooks\nRequire ip 192.0.2.1")
server.vhosts = list(hosts.values())
server.port, server.url = server.vhosts[0].port, server.vhosts[0].url
server.expect("AH01630", "AH01631", "RH0418.*localhost")
with open(server.path("users"), "w", encoding="utf-8") as users:
    digest = base64.b64encode(hashlib.sha1(b"secret").digest()).decode()
    users.write(f"acme:{{SHA}}{digest}\nkeeper:{{SHA}}{digest}\n")
server.write_config()
server.start()


def login(name, user="acme"):
    credentials = base64.b64encode(f"{user}:secret".encode()).decode()
    return Api(hosts[name].url + "/hooks", None, None, {"Authorization": "Basic " + credentials})


for name in list(KINDS) + ["there"]:
    api = login(name)
    is_(request("GET", hosts[name].url + "/hooks/subscriptions").status, 401,
        f"{name}: the API wants its login")
    made = api.post("/subscriptions", {"target_url": "http://127.0.0.1:9/", "events": ["*"],
                                       "active": False})
    is_(made.status, 201, f"{name}: a subscription is made")
    is_(api.get(f"/subscriptions/{made.json['id']}").status, 200, f"{name}: and read")
    is_(api.get("").status, 200, f"{name}: the base is the API's too")
is_(request("GET", hosts["front"].url + "/any/path").body, b"the site",
    "other paths still belong to the site")
is_(request("GET", hosts["redirect"].url + "/hookshop").status, 301,
    "so do paths that only begin like the API's")

# Any configuration that protects the API applies, wherever it is written.
for name in ("bare", "override"):
    is_(request("GET", hosts[name].url + "/hooks/subscriptions").status, 401,
        f"{name}: a directory's login counts where the Location has none")
    is_(login(name).get("/subscriptions").status, 401, f"{name}: not everybody may")
    is_(login(name, "keeper").get("/subscriptions").json, [],
        f"{name}: who may, gets the API, not the site")
is_(request("GET", hosts["split"].url + "/hooks/subscriptions").status, 401,
    "split: the Location's Require uses a directory's AuthType")
is_(login("split").get("/subscriptions").json, [], "split: the API responds")
is_(login("split", "keeper").get("/subscriptions").status, 401,
    "split: another user gets no access")
is_(login("address", "keeper").get("/subscriptions").status, 403,
    "address: the Location's Require overrides the directory's")
done_testing()
