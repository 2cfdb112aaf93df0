/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/** The address of a view with its parameters; empty ones are left out. */
export function link(path, query) {
  const text = new URLSearchParams(Object.entries(query || {}).filter(([, value]) => value));
  return `#${path}${text.size ? `?${text}` : ""}`;
}
