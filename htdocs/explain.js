/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Explains why an attempt failed and what to do about it, for the person who has to repair it. */

/** Status: its name, what it means, what to do. */
const STATUS = {
  200: ["OK"], 201: ["Created"], 202: ["Accepted"], 204: ["No content"],
  301: ["Moved"], 302: ["Redirect"], 303: ["Redirect"], 307: ["Redirect"], 308: ["Moved"],
  400: ["Bad request", "The target finds the request wrong.",
    "Its answer may say what it misses. Does it expect another format of the subscription?"],
  401: ["Unauthorized", "The target wants credentials.",
    "Add the header that it expects to the subscription, or let it check the signature instead."],
  403: ["Forbidden", "The target does not let the request in.",
    "Look for a firewall, a bot filter or a login in front of it; a header with a token can be "
    + "added to the subscription."],
  404: ["Not found", "There is nothing at the target's path.",
    "Check the target URL for typing errors and a slash too many or too few."],
  405: ["Not allowed", "The target's path takes no POST.", "Check the path of the target URL."],
  408: ["Time-out", "The target gave up waiting for the request.",
    "If it stays so, look at the target's load."],
  409: ["Conflict", "The target said that it is gone.",
    "That ends a subscription. Revive it once the target is back."],
  410: ["Gone", "The target said that it is gone.",
    "That ends a subscription. Revive it once the target is back."],
  413: ["Too large", "The payload is larger than the target takes.",
    "Raise the target's limit, or choose the format skinny, which sends an address instead."],
  415: ["Unsupported type", "The target does not take this content type.",
    "Choose another format; cloudevents is sent as application/cloudevents+json."],
  422: ["Unprocessable", "The target understood the payload, but does not accept it.",
    "Its answer may say which member is wrong."],
  429: ["Too many", "The target asks for fewer requests.",
    "Set a rate limit for the subscription. A Retry-After that it sends is kept to."],
  500: ["Server error", "The target failed while it worked on the request.",
    "Its own log says why."],
  501: ["Not implemented", "The target can't do that.", "Check the path of the target URL."],
  502: ["Bad gateway", "A proxy in front of the target could not reach it.",
    "Is the application behind the proxy running?"],
  503: ["Unavailable", "The target is overloaded or down.",
    "If it is load, a rate limit of the subscription may help."],
  504: ["Gateway time-out", "A proxy in front of the target waited too long for it.",
    "Let the target answer at once and do the work afterwards."],
};

/** Part of the error of an attempt without a response: its name, its meaning, what to do. */
const ERRORS = [
  [/^refused:/, "Not allowed", "This server may not send to the target's address.",
    "The administrator allows addresses with RestHooksTargetAllow."],
  [/egress proxy/, "Egress proxy", "The proxy of this server did not let it through.",
    "The administrator finds it as RestHooksEgressProxy."],
  [/time-out.*name|^DNS:.*name servers? /, "No DNS",
    "The name of the target's host could not be looked up.",
    "Its name servers, or this server's, do not answer. If other targets fail likewise, tell the "
    + "administrator of this server."],
  [/^DNS:/, "No such host", "The name of the target's host was not found.",
    "Check the host in the target URL, and its DNS records."],
  [/time-out.*connect/, "Time-out", "The target could not be reached in time.",
    "Is its host up, and does a firewall drop what comes from here?"],
  [/time-out.*TLS/, "Time-out", "The target did not agree on an encrypted connection in time.",
    "Does its port speak TLS, as https asks for? If it does, look at its load."],
  [/time-out.*sending/, "Time-out", "The target did not take the request in time.",
    "It reads too slowly: look at its load, and at the network in between."],
  [/time-out/, "Time-out", "The target did not answer in time.",
    "Let it answer at once, and do the work afterwards."],
  [/certificate is for another name/, "TLS", "The target's certificate is for another name.",
    "Subscribe with a name that is in the certificate, or have it extended."],
  [/certificate has expired/, "TLS", "The target's certificate has expired.",
    "Renew it at the target."],
  [/certificate is not yet valid/, "TLS", "The target's certificate is not valid yet.",
    "Is the clock of this server, or that of who made the certificate, right?"],
  [/self.signed certificate(?! in)/, "TLS",
    "The target's certificate is signed by itself, not by an authority.",
    "Get it one from an authority; the administrator can trust others with RestHooksTLSCAFile."],
  [/local issuer|self.signed/, "TLS", "The target's certificate is of an authority that is not trusted here.",
    "Let the target send its whole chain (openssl s_client -showcerts shows what it sends), or use a "
    + "public authority; the administrator can trust others with RestHooksTLSCAFile."],
  [/certificate/, "TLS", "The target's certificate is not trusted.",
    "Test with openssl s_client what it sends."],
  [/does not speak TLS/, "TLS", "The server there does not speak TLS.",
    "Is it the right port, and https rather than http?"],
  [/^TLS:/, "TLS", "No encrypted connection could be made.",
    "Look at the target's TLS settings: versions, ciphers, certificate."],
  [/not a valid answer/, "Invalid answer", "What came back is not a valid HTTP answer.",
    "Is it a web server that listens at this port?"],
  [/connection was closed/, "Cut off", "The target closed the connection before its response was "
    + "complete.", "Did it crash, or did a proxy in between give up? Its log may tell."],
  [/[Rr]efused/, "Refused", "No service listens on the target's port.",
    "Is the service running, and the port in the target URL right?"],
  [/reset/i, "Reset", "The target reset the connection.",
    "Did it crash, or does a firewall forbid it? Its log may tell."],
  [/unreach|route/i, "Unreachable", "The network has no route to the target.",
    "Check the host's address, and the routes and firewalls in between."],
];

/** A status in a word or two; "" if it needs none. */
export function statusName(status) {
  return (STATUS[status] || [""])[0];
}

/**
 * Explain why an attempt failed.
 * @return {name, what, todo}, null if it did not fail
 */
export function explain({ status_code: status, error, headers }) {
  if (status >= 200 && status < 300) {
    return null;
  }
  if (status >= 300 && status < 400) {
    const to = Object.entries(headers || {}).find(([name]) => name.toLowerCase() === "location");
    return { name: "Redirect", what: "The target redirects, and redirects are not followed.",
      todo: `Change the target URL to ${to ? `where it points: ${to[1]}` : "the address that its "
        + "Location names."}` };
  }
  if (status) {
    const [name, what, todo] = STATUS[status] || [];
    return { name: name || (status < 500 ? "Refused" : "Server error"),
      what: what || (status < 500 ? "The target refused the request." : "The target failed."),
      todo: todo || "Its answer, or its own log, may say why." };
  }
  const found = ERRORS.find(([pattern]) => pattern.test(error || ""));
  return found ? { name: found[1], what: found[2], todo: found[3] }
    : { name: "No answer", what: "No answer came from the target.",
      todo: "Is it running, and can it be reached from this server?" };
}

/** Explains each state of a subscription in which nothing is sent. */
export const REASONS = {
  paused: ["Paused", "Nothing is sent. Events are still recorded in the log, and can be "
    + "replayed once it is revived."],
  gone: ["Stopped: the target said that it is gone", "Nothing is sent any more. Revive it once the "
    + "target is back; the events missed until then can be replayed."],
  disabled: ["Stopped: it failed for too long", "Nothing is sent any more. Repair the target, "
    + "revive the subscription, then replay the events it missed."],
  pending: ["Waiting", "Nothing is sent before the target has confirmed that it wants these "
    + "events."],
};
