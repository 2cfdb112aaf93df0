/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/*
 * The path to a view: back to the list with its filters, and to its neighbours. It is kept per tab,
 * so that it survives a reload.
 */

const KEPT = "resthooks.lists";

function lists() {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT)) || {};
  } catch {
    return {};
  }
}

/** Remember a list of this name: its address, and its ids, newest first. */
export function remember(name, hash, ids = []) {
  try {
    sessionStorage.setItem(KEPT, JSON.stringify({ ...lists(), [name]: { hash, ids } }));
  } catch { /* without storage, the whole list is shown */ }
}

/** The address of the list with its filters. */
export function back(name) {
  const { hash } = lists()[name] || {};
  return hash || `#/${name}`;
}

/** The ids before and after this one in the list, undefined if there is none. */
export function neighbours(name, id) {
  const { ids } = lists()[name] || { ids: [] };
  const at = ids.indexOf(id);
  return at < 0 ? {} : { newer: ids[at - 1], older: ids[at + 1] };
}
