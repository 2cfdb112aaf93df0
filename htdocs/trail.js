/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* The way that led to a view: back to the list as it was filtered, on to its neighbours. */

const lists = new Map();

/** What a list of this name shows: its address, and its ids, newest first. */
export function remember(name, hash, ids = []) {
  lists.set(name, { hash, ids });
}

/** Where the list is, as it was left. */
export function back(name) {
  const list = lists.get(name);
  return list ? list.hash : `#/${name}`;
}

/** The ids before and after this one in the list, undefined where there is none. */
export function neighbours(name, id) {
  const { ids } = lists.get(name) || { ids: [] };
  const at = ids.indexOf(id);
  return at < 0 ? {} : { newer: ids[at - 1], older: ids[at + 1] };
}
