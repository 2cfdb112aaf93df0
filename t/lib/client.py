# Licensed under the Apache License, Version 2.0: see LICENSE.
"""A client of the API and of the proxied backend."""

import http.client
import json
import time
import urllib.parse


class Answer:
    """A response. `json` is the parsed body, None if it is not JSON."""

    def __init__(self, response, body):
        self.status = response.status
        self.reason = response.reason
        self.headers = response.headers
        self.body = body
        try:
            self.json = json.loads(body)
        except ValueError:
            self.json = None

    @property
    def type(self):
        return self.headers.get_content_type()

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    @property
    def next(self):
        """Return the target of Link: <...>; rel="next"; None at the end of a list."""
        for link in self.headers.get_all("Link") or []:
            for part in link.split(","):
                if 'rel="next"' in part:
                    return part[part.index("<") + 1:part.index(">")]
        return None

    def __repr__(self):
        return f"<{self.status} {self.type} {self.body[:500]!r}>"


def request(method, url, body=None, headers=None, timeout=60):
    """Make one request on a connection of its own. `body`: bytes, text, or any JSON value."""
    parts = urllib.parse.urlsplit(url)
    headers = dict(headers or {})
    if body is not None and not isinstance(body, (bytes, str)):
        body = json.dumps(body)
        headers.setdefault("Content-Type", "application/json")
    if isinstance(body, str):
        body = body.encode()
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    try:
        target = parts.path or "/"
        if parts.query:
            target += "?" + parts.query
        connection.request(method, target, body, headers)
        response = connection.getresponse()
        return Answer(response, response.read())
    finally:
        connection.close()


class Api:
    """The API below one base URL, as one tenant. `role`: "app" publishes, "admin" sees all
    (as the harness' configuration says)."""

    def __init__(self, base, tenant="acme", role=None, headers=None):
        self.base = base
        self.headers = dict(headers or {})
        if tenant is not None:
            self.headers["X-Tenant"] = tenant
        if role is not None:
            self.headers["X-Role"] = role

    def queued(self, answer, timeout=120):
        """Return how many deliveries the job of a 202 has queued, after it has ended. Most jobs
        have ended before the response."""
        job, end = answer.json.get("job", answer.json), time.monotonic() + timeout
        while job["state"] == "running" and time.monotonic() < end:
            time.sleep(0.05)
            job = self.get("/jobs/" + job["id"]).json
        return job["done"]

    def call(self, method, path, body=None, headers=None, timeout=60):
        """`path` is relative to the base, or begins with the base's own path (a Location, a Link).
        """
        base = urllib.parse.urlsplit(self.base)
        if path.startswith("http://"):
            url = path
        elif base.path and (path == base.path or path.startswith(base.path + "/")):
            url = f"{base.scheme}://{base.netloc}{path}"
        else:
            url = self.base + path
        headers = {**self.headers, **(headers or {})}
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        return request(method, url, body, headers, timeout)

    def get(self, path, headers=None):
        return self.call("GET", path, None, headers)

    def post(self, path, body=None, headers=None):
        return self.call("POST", path, body, headers)

    def put(self, path, body=None, headers=None):
        return self.call("PUT", path, body, headers)

    def patch(self, path, body=None, headers=None):
        return self.call("PATCH", path, body,
                         {"Content-Type": "application/merge-patch+json", **(headers or {})})

    def delete(self, path, headers=None):
        return self.call("DELETE", path, None, headers)

    def subscribe(self, target_url, events=("*",), **fields):
        """Create a subscription and return its JSON. Raises if it is not created."""
        answer = self.post("/subscriptions",
                           {"target_url": target_url, "events": list(events), **fields})
        if answer.status != 201:
            raise RuntimeError(f"not subscribed: {answer}")
        return answer.json

    def deliveries(self, subscription_id, query=""):
        return self.get(f"/subscriptions/{subscription_id}/deliveries{query}").json
