/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* What a browser can check about a target's URL while it is typed. */

const MOST = 2048;

/** The error in a URL; "" if it is valid or empty. */
export function urlProblem(text) {
  if (!text.trim()) {
    return "";
  }
  let url;
  try {
    url = new URL(text);
  } catch {
    return /^[\w-]+:/.test(text) && !/^https?:\/\//i.test(text)
      ? "Only https:// targets can be reached."
      : "Not a whole URL. It begins with https:// and names a host.";
  }
  if (url.protocol !== "https:" && url.protocol !== "http:") {
    return "Only https:// targets can be reached.";
  }
  if (url.username || url.password) {
    return "No user or password here. Add an Authorization header below instead.";
  }
  if (url.hash) {
    return "What follows the # is never sent. Leave it out.";
  }
  return new TextEncoder().encode(text).length > MOST ? "Longer than 2,048 bytes." : "";
}

/** Return a hint about a URL that is valid but may not do what was meant. */
export function urlHint(text) {
  let host = "", scheme = "";
  try {
    ({ hostname: host, protocol: scheme } = new URL(text));
  } catch { /* another check reports it */ }
  if (/^(localhost$|127\.|10\.|192\.168\.|169\.254\.|172\.(1[6-9]|2\d|3[01])\.|\[)/.test(host)) {
    return "This address is not public: the administrator must have allowed it.";
  }
  return scheme === "http:" ? "Not encrypted: many servers allow https:// only."
    : "Each event is POSTed here.";
}
