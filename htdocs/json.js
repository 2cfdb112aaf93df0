/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/*
 * JSON as text: what was sent is shown exactly, which JSON.parse could not guarantee for numbers.
 */

const TOKEN = /\s*("[^"\\]*(?:\\.[^"\\]*)*"|[[\]{}:,]|[^\s[\]{}:,"]+)/gy;

/** The tokens of a JSON text. */
export function* tokens(text) {
  TOKEN.lastIndex = 0;
  for (let at = 0; at < text.length; at = TOKEN.lastIndex) {
    TOKEN.lastIndex = at;
    const match = TOKEN.exec(text);
    if (!match) {
      return;
    }
    yield { text: match[1], end: TOKEN.lastIndex };
  }
}

/** Find the end of the value that begins at `from`. */
function valueEnd(text, from) {
  let depth = 0;
  for (let at = from; ;) {
    TOKEN.lastIndex = at;
    const match = TOKEN.exec(text);
    if (!match) {
      return text.length;
    }
    at = TOKEN.lastIndex;
    if (match[1] === "{" || match[1] === "[") {
      depth += 1;
    } else if (match[1] === "}" || match[1] === "]") {
      depth -= 1;
    }
    if (depth === 0) {
      return at;
    }
  }
}

function next(text, at) {
  TOKEN.lastIndex = at;
  const match = TOKEN.exec(text);
  return match ? { text: match[1], end: TOKEN.lastIndex } : null;
}

/** The text of an object's member, null if it has none. */
export function member(text, name) {
  let token = next(text, 0);
  if (!token || token.text !== "{") {
    return null;
  }
  for (;;) {
    token = next(text, token.end);
    if (!token || token.text === "}") {
      return null;
    }
    if (token.text === ",") {
      continue;
    }
    const found = JSON.parse(token.text) === name;
    const colon = next(text, token.end);
    const end = valueEnd(text, colon.end);
    if (found) {
      return text.slice(colon.end, end).trim();
    }
    token = { end };
  }
}

/** The members of an object as [name, text of the value], in order. */
export function members(text) {
  const found = [];
  let token = next(text, 0);
  if (!token || token.text !== "{") {
    return found;
  }
  for (;;) {
    token = next(text, token.end);
    if (!token || token.text === "}") {
      return found;
    }
    if (token.text !== ",") {
      const colon = next(text, token.end);
      const end = valueEnd(text, colon.end);
      found.push([JSON.parse(token.text), text.slice(colon.end, end).trim()]);
      token = { end };
    }
  }
}

/**
 * List the members that a patch (RFC 7396) from `now` back to the earlier state changes: [path,
 * earlier text, current text]; null if there was, or is, no value.
 */
export function differences(patch, now, path = "") {
  const current = new Map(members(now));
  return members(patch).flatMap(([name, before]) => {
    const place = path + name, value = current.get(name) ?? null;
    return before.startsWith("{") && value?.startsWith("{")
      ? differences(before, value, `${place}.`)
      : [[place, before === "null" ? null : before, value]];
  });
}

/** The texts of an array's items. */
export function items(text) {
  const found = [];
  let token = next(text, 0);
  if (!token || token.text !== "[") {
    return found;
  }
  for (;;) {
    const peek = next(text, token.end);
    if (!peek || peek.text === "]") {
      return found;
    }
    if (peek.text === ",") {
      token = peek;
      continue;
    }
    const end = valueEnd(text, token.end);
    found.push(text.slice(token.end, end).trim());
    token = { end };
  }
}

/** Decode \\u escapes in a string, except those of invisible or direction-changing characters. */
export function readable(token) {
  return token.replace(/\\(?:u([0-9a-f]{4})(?:\\u(d[c-f][0-9a-f]{2}))?|.)/gi, (whole, one, two) => {
    if (!one) {
      return whole;
    }
    const high = parseInt(one, 16);
    if (two && (high < 0xd800 || high > 0xdbff)) {
      return readable(whole.slice(0, 6)) + readable(whole.slice(6));
    }
    const text = String.fromCharCode(high, ...(two ? [parseInt(two, 16)] : []));
    return /^[\p{L}\p{N}\p{S}\p{P}\p{M}]+$/u.test(text) && high > 0x7f ? text : whole;
  });
}

/** Indent JSON text; return text that is not JSON unchanged. */
export function pretty(text) {
  try {
    JSON.parse(text);
  } catch {
    return text;
  }
  let out = "", depth = 0, before = "";
  const line = () => "\n" + "  ".repeat(depth);
  for (const { text: raw } of tokens(text)) {
    const token = raw.startsWith('"') ? readable(raw) : raw;
    if (token === "}" || token === "]") {
      depth -= 1;
      out += before === "{" || before === "[" ? token : line() + token;
    } else {
      out += before === "{" || before === "[" || before === "," ? line() + token : token;
      if (token === "{" || token === "[") {
        depth += 1;
      }
      if (token === ":") {
        out += " ";
      }
    }
    before = token;
  }
  return out;
}

/** The parts of formatted text with their kinds, for colours: [kind, text] in order. */
export function parts(text) {
  const found = [];
  const word = /("[^"\\]*(?:\\.[^"\\]*)*")(\s*:)?|(-?\d[\d.eE+-]*)|(true|false|null)/g;
  let at = 0;
  for (const match of text.matchAll(word)) {
    found.push(["", text.slice(at, match.index)]);
    const kind = match[1] ? (match[2] ? "name" : "string") : match[3] ? "number" : "word";
    found.push([kind, match[1] || match[0]]);
    if (match[2]) {
      found.push(["", match[2]]);
    }
    at = match.index + match[0].length;
  }
  found.push(["", text.slice(at)]);
  return found;
}
