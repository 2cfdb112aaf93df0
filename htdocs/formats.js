/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Titles of the payload formats. The API writes the samples. */
import { call } from "./api.js";

/** Value, title, description. */
export const FORMATS = [
  ["array", "Array", "The data as it is, as an array of one item."],
  ["envelope", "Envelope", "Standard Webhooks: type, timestamp and data."],
  ["cloudevents", "CloudEvents", "CloudEvents 1.0 in structured mode."],
  ["skinny", "Skinny", "Only ids and a URL, to fetch the rest from."],
];

/** The sample of an event type in a format: {text, mime}. */
export async function sampleOf(type, format) {
  const answer = await call("GET", `event-types/${type}/sample`, { query: { format } });
  return { text: answer.text.trim(), mime: answer.type };
}
