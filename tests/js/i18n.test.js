// @ts-check
/** Words, plurals and times of day, in the language that tests have: English. */

import assert from "node:assert/strict";
import test from "node:test";

import { Zone, decimal, plural, t } from "../../static/js/i18n.js";
import { words } from "../../static/js/words/de.js";

test("a text without a translation is the text, with what is filled in", () => {
  assert.equal(t("Bed {bed}", { bed: "07" }), "Bed 07");
  assert.equal(t("{n} of {all}", { n: 1 }), "1 of {all}");
  assert.equal(t("$& {n}", { n: "$1" }), "$& $1");
});

test("a count chooses its form", () => {
  assert.equal(plural(1, "{n} bed", "{n} beds"), "1 bed");
  assert.equal(plural(0, "{n} bed", "{n} beds"), "0 beds");
  assert.equal(plural(2, "{n} bed in {ward}", "{n} beds in {ward}", { ward: "4B" }), "2 beds in 4B");
});

test("numbers have their places and nothing between thousands", () => {
  assert.equal(decimal(1234.56, 1), "1234.6");
  assert.equal(decimal(4, 1), "4.0");
});

test("a zone tells its own time and its name; an unknown one is this device's", () => {
  const zone = new Zone();
  const noon = Date.UTC(2026, 0, 15, 12, 0, 5);
  zone.choose("Europe/Berlin");
  assert.equal(zone.time(noon), "13:00:05");
  assert.match(zone.label, /GMT\+1|GMT\+2|CET|CEST/);
  zone.choose("Asia/Tokyo");
  assert.equal(zone.time(noon), "21:00:05");
  zone.choose("Nowhere/Land");
  assert.equal(zone.time(noon), new Zone().time(noon));
});

test("midnight is 00", () => {
  const zone = new Zone();
  zone.choose("UTC");
  assert.equal(zone.time(Date.UTC(2026, 0, 15, 0, 0, 0)), "00:00:00");
});

test("every plural in German has both forms", () => {
  for (const text of Object.values(words)) if (typeof text === "object") assert.deepEqual(Object.keys(text).sort(), ["one", "other"]);
});
