/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* The formats of a POST's body, as the API describes them. */
import { address } from "./api.js";
import { items } from "./json.js";

/** Value, name, what it is. */
export const FORMATS = [
  ["array", "Array", "The data as it is, as an array of one item."],
  ["envelope", "Envelope", "Standard Webhooks: type, timestamp and data."],
  ["cloudevents", "CloudEvents", "CloudEvents 1.0 in structured mode."],
  ["skinny", "Skinny", "Only ids and a URL, to fetch the rest from."],
];

export const contentType = (format) => (format === "cloudevents" ? "application/cloudevents+json"
  : "application/json");

/** A sample, which is in the format array, in another one. `about` is {type, id, time}. */
export function shaped(format, sample, { type, id, time }) {
  const data = items(sample)[0] || "{}";
  const text = JSON.stringify;
  switch (format) {
    case "envelope":
      return `{"type":${text(type)},"timestamp":${text(time)},"data":${data}}`;
    case "cloudevents":
      return `{"specversion":"1.0","id":${text(id)},"source":${text(address().replace(/\/$/, ""))},`
        + `"type":${text(type)},"time":${text(time)},"datacontenttype":"application/json",`
        + `"data":${data}}`;
    case "skinny":
      return `[{"id":${text(id)},"type":${text(type)},"key":null,`
        + `"url":${text(address(`events/${id}`))}}]`;
    default:
      return sample;
  }
}
