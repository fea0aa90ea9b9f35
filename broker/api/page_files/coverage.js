// The coverage page: rows of the token's municipalities, and a filter over them.

import { ask, at, clock, make, reach, replace, signIn, table, word } from "./page.js";

const COLUMNS = [
  ["authority", "Authority"], ["system", "System"], ["kle_area", "KLE"], ["state", "State"], ["entries", "Entries"],
  ["incomplete", "Incomplete"], ["retention_overdue", "Kept too long"],
  ["announced_retired", "To be retired"], ["last_event_at", "Last event"],
  ["rejections_open", "Rejected"], ["reconciled_at", "Reconciled"], ["difference", "Difference"],
  ["dispensation_until", "Dispensed until"], ["ask_again", "Ask again"]];
const NUMBERS = new Set(["entries", "incomplete", "retention_overdue", "announced_retired", "rejections_open",
  "difference"]);
const WARY = new Set(["incomplete", "retention_overdue", "announced_retired", "rejections_open", "difference",
  "ask_again"]);
const OPEN = new Set(["FULL", "RESTRICTED"]);
let rows = [];

function shown(name, value) {
  if (value === null || value === false) return "";
  if (value === true) return "yes";
  return name.endsWith("_at") ? `${value.slice(0, 10)} ${clock(value)}` : String(value);
}

function cell(row, name) {
  const text = shown(name, row[name]);
  if (name === "state" && text) return word(OPEN.has(text) ? "good" : "plain", text);
  return WARY.has(name) && row[name] ? word("wary", text) : text;
}

function show() {
  const words = at("filter").value.toLowerCase().split(/[\s,]+/).filter(Boolean);
  const texts = row => COLUMNS.map(([name]) => shown(name, row[name]).toLowerCase());
  const found = rows.filter(row => words.every(each => texts(row).some(text => text.startsWith(each))));
  replace(at("rows"), table("By authority, system and KLE area",
    COLUMNS.map(([name, title]) => ({ title, number: NUMBERS.has(name) })),
    found.map(row => COLUMNS.map(([name]) => cell(row, name))), { hidden: true }));
  reach();
  at("told").textContent = `${found.length} of ${rows.length} rows, as of ${clock(Date.now())}`;
}

async function load() {
  rows = await ask("v1/coverage");
}

const refuse = signIn(load, show);
at("filter").addEventListener("input", show);
at("again").addEventListener("click", () => load().then(show, refuse));
addEventListener("resize", reach);
