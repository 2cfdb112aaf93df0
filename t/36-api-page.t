#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""The page's files: which ones are sent, and what browsers may do with them."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
receiver = Receiver()
hosts = [Vhost(extra="RestHooksPage page"), Vhost(extra="RestHooksPage page", hooks="/a/b c"),
         Vhost(extra="RestHooksPage Off"), Vhost(extra="RestHooksPage empty"),
         Vhost(extra='RestHooksPage page\n<LocationMatch "^/e/(?<employer>[^/]+)/hooks">\n'
               'SetHandler resthooks\nRestHooksTenant "%{env:MATCH_EMPLOYER}"\n'
               'Require expr true\n</LocationMatch>')]
httpd = Httpd(vhosts=hosts, start=False)
files = {"index.html": b"<!doctype html><script src=\"ui/app.js\" type=\"module\"></script>",
         "app.js": b"export {}\n", "views/list.js": b"export const a = 1\n", "style.css": b"a{}",
         "icon.svg": b"<svg/>", "secret.txt": b"no", ".hidden.js": b"no", "views/.x.js": b"no",
         "empty.css": b""}
for name, content in files.items():
    path = httpd.path("page", name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)
with open(httpd.path("outside.js"), "wb") as file:
    file.write(b"no")
os.makedirs(httpd.path("empty"))
os.makedirs(httpd.path("page", "folder.js"))
httpd.start()
api = hosts[0].api()

page = api.get("/", HTML)
is_((page.status, page.type, page.body), (200, "text/html", files["index.html"]),
    "browsers get the page at the base")
is_(api.get("/").json["tenant"], "acme", "other clients get the index, which names the tenant")
is_({k: hosts[0].api(role=role).get("/").json[k] for role in ("app",)
     for k in ("publisher", "admin")}, {"publisher": True, "admin": False},
     "the index says what the client may do")
is_(hosts[0].api(role="admin").get("/").json["admin"], True, "an administrator may do everything")
is_(hosts[0].api(None).get("/").json["tenant"], None, "a login without a tenant may do little")
is_(hosts[0].api(None).get("/", HTML).status, 200, "it still gets the page")
for answer in (page, api.get("/")):
    like(answer.headers.get("Vary", ""), "Accept",
         "Vary tells caches that the response depends on Accept")
redirect = api.call("GET", "", None, HTML)
is_((redirect.status, redirect.headers["Location"].endswith("/hooks/")), (307, True),
    "without the slash the client is redirected to it")
for path in ("/ui", "/ui/"):
    redirect = api.get(path, HTML)
    is_((redirect.status, redirect.headers["Location"].endswith("/hooks/")), (307, True),
        f"{path} leads to it, too")
redirect = api.call("GET", "?tenant=a%26b", None, HTML)
ok(redirect.headers["Location"].endswith("/hooks/?tenant=a%26b"), "the redirect keeps the query")
like(page.headers["Content-Security-Policy"], r"default-src 'none'; script-src 'self'",
     "nothing runs inline or from elsewhere")
like(page.headers["Content-Security-Policy"], "frame-ancestors 'none'", "it can't be framed")
is_((page.headers["X-Content-Type-Options"], page.headers["Referrer-Policy"],
     page.headers["Cache-Control"]), ("nosniff", "no-referrer", "no-cache"),
     "the other security headers are set")

for name, kind in (("app.js", "text/javascript"), ("views/list.js", "text/javascript"),
                   ("style.css", "text/css"), ("icon.svg", "image/svg+xml"),
                   ("empty.css", "text/css")):
    answer = api.get("/ui/" + name)
    is_((answer.status, answer.type, answer.body), (200, kind, files[name]), f"{name} is sent")
script = api.get("/ui/app.js")
again = api.get("/ui/app.js", {"If-None-Match": script.headers["ETag"]})
is_((again.status, again.body), (304, b""), "an unchanged file is not sent again")
head = api.call("HEAD", "/ui/app.js")
is_((head.status, head.headers["Content-Length"], head.body), (200, "10", b""),
    "HEAD shows its length")
part = api.get("/ui/app.js", {"Range": "bytes=0-5"})
is_((part.status, part.body), (206, b"export"), "ranges are supported")
for name in ("secret.txt", ".hidden.js", "views/.x.js", "../outside.js", "%2e%2e/outside.js",
             "views/../../outside.js", "none.js", "folder.js", "views",
             "a" * 300 + ".js", "app.js%00.css", "app.js/"):
    answer = api.get("/ui/" + name)
    ok(answer.status in (400, 404) and b"no" != answer.body, f"{name[:40]!r}: {answer.status}")
is_(api.post("/ui/app.js", {}).status, 405, "files can only be read")
is_(api.post("/ui/app.js", {}).headers["Allow"], "GET, HEAD", "Allow says so")

spaced = Api(hosts[1].url + "/a/b%20c", "acme")
is_((spaced.get("/", HTML).status, spaced.get("/ui/app.js").status), (200, 200),
    "the page works under any base")
is_(spaced.call("GET", "", None, HTML).headers["Location"].split("/a/")[1], "b%20c/",
    "the redirect's URL is escaped")
matched = Api(hosts[4].url + "/e/acme/hooks", None)
is_((matched.get("/", HTML).status, matched.get("/ui/app.js").status), (200, 200),
    "also under a LocationMatch")
for host, why in ((hosts[2], "Off"), (hosts[3], "no files")):
    answer = host.api().get("/", HTML)
    is_((answer.status, answer.type), (200, "application/json"), f"{why}: the index is JSON")
    is_(host.api().get("/ui/app.js").status, 404, f"{why}: there are no files")

# Requests from other sites: browsers mark them in one way or another.
good = {"target_url": receiver.url, "events": ["*"]}
own = f"http://127.0.0.1:{hosts[0].port}"
for headers, status in (({"Sec-Fetch-Site": "cross-site"}, 403),
                        ({"Sec-Fetch-Site": "same-site"}, 403),
                        ({"Sec-Fetch-Site": "same-origin"}, 201),
                        ({"Sec-Fetch-Site": "none"}, 201),
                        ({"Origin": "https://evil.example"}, 403), ({"Origin": "null"}, 403),
                        ({"Origin": f"http://127.0.0.1:{hosts[0].port}9"}, 403),
                        ({"Origin": own}, 201), ({}, 201)):
    is_(api.post("/subscriptions", good, headers).status, status,
        f"a change with {headers or 'neither header'}")
is_(api.get("/subscriptions", {"Sec-Fetch-Site": "cross-site"}).status, 200,
    "reading is left to the browser's rules")
done_testing()
