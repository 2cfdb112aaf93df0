/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* The way that led to a view: back to the list as it was filtered, on to its neighbours. It is kept
 * for the tab, so that a page that is loaded again knows it still. */

const KEPT = "resthooks.lists";

function lists() {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT)) || {};
  } catch {
    return {};
  }
}

/** What a list of this name shows: its address, and its ids, newest first. */
export function remember(name, hash, ids = []) {
  try {
    sessionStorage.setItem(KEPT, JSON.stringify({ ...lists(), [name]: { hash, ids } }));
  } catch { /* no storage: the whole list, then */ }
}

/** Where the list is, as it was left. */
export function back(name) {
  const { hash } = lists()[name] || {};
  return hash || `#/${name}`;
}

/** The ids before and after this one in the list, undefined where there is none. */
export function neighbours(name, id) {
  const { ids } = lists()[name] || { ids: [] };
  const at = ids.indexOf(id);
  return at < 0 ? {} : { newer: ids[at - 1], older: ids[at + 1] };
}
