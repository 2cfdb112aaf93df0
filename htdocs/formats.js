/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* The payload formats, which the API describes and writes the samples of. */
import { call, once } from "./api.js";

/** All formats: [value, title, description]. */
export async function formats() {
  const description = await once("openapi.json");
  const { enum: values, "x-enum-varnames": titles, "x-enum-descriptions": texts } =
    description.components.schemas.Format;
  return values.map((value, i) => [value, titles[i], texts[i]]);
}

/** The sample of an event type in a format: {text, mime}. */
export async function sampleOf(type, format) {
  const answer = await call("GET", `event-types/${type}/sample`, { query: { format } });
  return { text: answer.text.trim(), mime: answer.type };
}
