/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Calls of the API, whose base is the page's own address. */

const TIMEOUT = 20000;
/** How long subscriptions are cached, in ms; longer if there are enough to make loading slow. */
const KNOWN_FOR = 10000, MANY_KNOWN_FOR = 120000;
const PAGE = 500, MANY = 2000;
/** How often the server is asked for one page, and length of a page that is long enough. */
const MOST_SEARCHES = 10, LONG = 400000;
/** Maximum number of subscriptions (the newest) whose names lists and pickers show. */
export const MOST_KNOWN = 20000;
const base = new URL(".", document.location.href.split("#")[0]);
let tenant = null;

/** An error response. `fields` are {field, detail}; `body` is the parsed problem. */
export class ApiError extends Error {
  constructor(status, detail, body = {}) {
    super(detail);
    this.status = status;
    this.fields = body.errors || [];
    this.body = body;
  }
}

/** The tenant for which an administrator acts; null: the login's own. */
export function actFor(name) {
  tenant = name || null;
}

export function address(path = "") {
  return new URL(path, base).href;
}

function expired() {
  document.dispatchEvent(new CustomEvent("resthooks:expired"));
  return new ApiError(401, "Your session has ended. Sign in again, then try once more.");
}

async function problem(response) {
  const text = await response.text();
  try {
    const body = JSON.parse(text);
    return new ApiError(response.status,
      body.detail || body.title || `The server answered ${response.status}.`, body);
  } catch {
    return new ApiError(response.status, `The server answered ${response.status}.`);
  }
}

/**
 * Make one call. Options: query, body, headers, signal.
 * @return {status, text, data, etag, next, since}: the parsed body, `before` of the next page, and
 * the time back to which a list was searched, if the server says so
 */
export async function call(method, path, options = {}) {
  const url = new URL(path, base);
  for (const [name, value] of Object.entries(options.query || {})) {
    if (value !== undefined && value !== null && value !== "") {
      url.searchParams.set(name, value);
    }
  }
  if (tenant) {
    url.searchParams.set("tenant", tenant);
  }
  const headers = { Accept: "application/json", "X-Requested-With": "resthooks",
    ...options.headers };
  if (options.body !== undefined) {
    headers["Content-Type"] ||= "application/json";
  }
  const limit = AbortSignal.timeout(TIMEOUT);
  let response;
  try {
    response = await fetch(url, {
      method, headers, redirect: "manual", credentials: "same-origin", cache: "no-store",
      body: options.body === undefined ? undefined : JSON.stringify(options.body),
      signal: options.signal ? AbortSignal.any([options.signal, limit]) : limit,
    });
  } catch (error) {
    if (options.signal && options.signal.aborted) {
      throw error;
    }
    throw new ApiError(0, limit.aborted ? "The server did not answer in 20 seconds."
      : "The server can't be reached. Check the connection.");
  }
  const type = response.headers.get("Content-Type") || "";
  /* The login of a server in front has ended: this API itself sends neither of these. */
  if (response.type === "opaqueredirect" || response.status === 401 ||
      (type.startsWith("text/html") && (response.ok || response.status === 403))) {
    throw expired();
  }
  if (method !== "GET") {
    known.until = 0;
  }
  if (!response.ok) {
    throw await problem(response);
  }
  document.dispatchEvent(new CustomEvent("resthooks:answered"));
  const text = await response.text();
  const link = /<([^>]*)>; *rel="next"/.exec(response.headers.get("Link") || "");
  return {
    status: response.status, text, data: text ? JSON.parse(text) : null,
    etag: response.headers.get("ETag"), type: type.split(";")[0],
    next: link ? new URL(link[1], base).searchParams.get("before") : null,
    since: (response.headers.get("X-Hook-Searched") || "").split("/")[0],
  };
}

export const get = (path, query, signal) => call("GET", path, { query, signal });

/**
 * A page of a list. The server ends one early when it has looked at enough; then what follows is
 * requested as well, up to MOST_SEARCHES times. @return as of `call`; `text` is the array of all items
 */
export async function getPage(path, query, signal) {
  let page = await get(path, query, signal);
  for (let i = 1; i < MOST_SEARCHES && page.next && page.data.length < query.limit
      && page.text.length < LONG; i += 1) {
    const more = await get(path, { ...query, before: page.next,
      limit: query.limit - page.data.length }, signal);
    const between = page.data.length && more.data.length ? "," : "";
    page = { ...more, data: [...page.data, ...more.data],
      text: page.text.trim().slice(0, -1) + between + more.text.trim().slice(1) };
  }
  return page;
}
export const post = (path, body, signal) => call("POST", path, { body, signal });

/** Data that seldom changes is requested once. */
const kept = new Map();
export function once(path) {
  const key = `${tenant || ""} ${path}`;
  if (!kept.has(key)) {
    const promise = get(path).then((answer) => answer.data);
    promise.catch(() => kept.delete(key));
    kept.set(key, promise);
  }
  return kept.get(key);
}

/** All subscriptions, up to MOST_KNOWN, cached for a while: for names and pickers. */
let known = { until: 0, tenant: null, promise: null };
export function subscriptions() {
  if (known.tenant !== tenant || Date.now() > known.until) {
    const now = { until: Infinity, tenant, promise: everySubscription() };
    known = now;
    now.promise.then((all) => {
      now.until = Math.min(now.until, Date.now() + (all.length > MANY ? MANY_KNOWN_FOR : KNOWN_FOR));
    }, () => { now.until = 0; });
  }
  return known.promise;
}

/** The same as a map by id; empty if they cannot be loaded. */
export const subscriptionsById = () => subscriptions()
  .then((all) => new Map(all.map((one) => [one.id, one])), () => new Map());

async function everySubscription() {
  const all = [];
  let before;
  do {
    const answer = await get("subscriptions", { limit: PAGE, before });
    all.push(...answer.data);
    before = answer.next;
  } while (before && all.length < MOST_KNOWN);
  return all;
}
