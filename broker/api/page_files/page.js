// What the pages share: asking with the token, making elements and tables, and saying numbers and times.
// Whatever is shown goes in as text; no text ever becomes markup.

const KEY = "sagsbro-token"; // of this tab, and gone with it
const SVG = "http://www.w3.org/2000/svg";

export class Refused extends Error {} // the token is none, or not enough
export const at = id => document.getElementById(id);

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "");
    else if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter(child => child !== null && child !== undefined));
  return element;
}
export const make = (name, attributes = {}, ...children) => filled(document.createElement(name), attributes, children);
export const draw = (name, attributes = {}, ...children) =>
  filled(document.createElementNS(SVG, name), attributes, children);

/** What stands there gives way; who was on something with a `data-key` there is on its successor after it. */
export function replace(place, ...children) {
  const key = place.contains(document.activeElement) && document.activeElement.dataset.key;
  const was = [...place.querySelectorAll(".scrolls")].map(one => [one.scrollLeft, one.scrollTop]);
  place.replaceChildren(...children.flat().filter(Boolean));
  place.querySelectorAll(".scrolls").forEach((one, n) => was[n] && one.scrollTo(...was[n]));
  if (key) [...place.querySelectorAll("[data-key]")].find(one => one.dataset.key === key)?.focus();
}

/** Of one path of the API. Throws Refused, or an Error in words for people. */
export async function ask(path) {
  const headers = { Authorization: `Bearer ${sessionStorage.getItem(KEY)}` };
  let answer;
  try {
    answer = await fetch(path, { headers, cache: "no-store", signal: AbortSignal.timeout(20_000) });
  } catch {
    throw new Error("The API does not answer.");
  }
  const said = await answer.json().catch(() => ({}));
  if (answer.status === 401 || answer.status === 403) throw new Refused(said.detail || answer.statusText);
  if (!answer.ok) throw new Error(said.detail || answer.statusText);
  return said;
}

/** Ask for a token where there is none yet, and let it be forgotten; `load` throws where it is not enough, `show` shows. */
export function signIn(load, show) {
  const board = at("board"), form = at("sign-in"), leave = at("leave"), field = at("token");

  function shown(open, why = "") {
    board.hidden = leave.hidden = !open;
    form.hidden = open;
    at("told").textContent = why;
    if (!open) field.focus();
  }
  async function go() {
    try {
      await load();
      shown(true);
      show();
    } catch (error) {
      refuse(error);
    }
  }
  function refuse(error) {
    if (error instanceof Refused) sessionStorage.removeItem(KEY);
    shown(false, `Nothing is shown: ${error.message}`);
  }
  form.addEventListener("submit", event => {
    event.preventDefault();
    sessionStorage.setItem(KEY, field.value.trim());
    field.value = "";
    at("told").textContent = "Asking …";
    go().then(() => board.hidden || at("main").focus());
  });
  leave.addEventListener("click", () => {
    sessionStorage.removeItem(KEY);
    location.reload();
  });
  if (sessionStorage.getItem(KEY)) go();
  return refuse;
}

/** columns: {title, number?}; rows: arrays of text or nodes, the first of which names the row. */
export function table(caption, columns, rows, { hidden = false, label = caption } = {}) {
  const cell = (content, n) =>
    make(n ? "td" : "th", { scope: n ? null : "row", class: columns[n].number ? "number" : null }, content ?? "");
  return make("div", { class: "scrolls", role: "group", "aria-label": label },
    make("table", {},
      make("caption", { class: hidden ? "unseen" : null }, caption),
      make("thead", {}, make("tr", {}, columns.map(column =>
        make("th", { scope: "col", class: column.number ? "number" : null }, column.title)))),
      make("tbody", {}, rows.map(row => make("tr", {}, row.map(cell))))));
}

/** What can be scrolled can be come to with the keyboard; what cannot is no stop on its way. */
export function reach() {
  for (const one of document.querySelectorAll(".scrolls")) {
    if (one.scrollWidth > one.clientWidth + 1 || one.scrollHeight > one.clientHeight + 1) one.tabIndex = 0;
    else one.removeAttribute("tabindex");
  }
}

export const word = (kind, text) => make("span", { class: `word ${kind}` }, text);
const digits = (value, most = 1) => value.toLocaleString("en-GB", { maximumFractionDigits: most });

export function seconds(value) {
  const size = Math.abs(value);
  if (size < 1) return `${digits(value * 1000, size < 0.01 ? 1 : 0)} ms`;
  if (size < 120) return `${digits(value)} s`;
  if (size < 7200) return `${digits(value / 60, 0)} min`;
  if (size < 172_800) return `${digits(value / 3600, 0)} h`;
  return `${digits(value / 86_400, 0)} d`;
}

/** A number in Grafana's unit, or with all its digits. */
export function said(value, unit) {
  if (value === null || value === undefined) return "–";
  if (unit === "s") return value === 0 ? "0 s" : seconds(value);
  if (unit === "d") return `${digits(value)} d`;
  if (unit === "exact") return digits(value, 0);
  if (unit === "percentunit") return `${digits(value * 100, value < 0.1 ? 2 : 1)} %`;
  const text = Math.abs(value) >= 100_000
    ? value.toLocaleString("en-GB", { notation: "compact", maximumFractionDigits: 1 })
    : digits(value, Math.abs(value) < 10 ? 2 : Math.abs(value) < 100 ? 1 : 0);
  return unit === "cps" ? `${text}/s` : text;
}

const pad = number => String(number).padStart(2, "0");
export function clock(time, long = false) {
  const date = new Date(time), hour = `${pad(date.getHours())}:${pad(date.getMinutes())}`;
  return long ? `${pad(date.getDate())}/${pad(date.getMonth() + 1)} ${hour}` : hour;
}
/** How long ago, in whole seconds at least. */
export const age = (iso, now = Date.now()) => {
  const past = Math.max(0, Math.floor((now - Date.parse(iso)) / 1000));
  return past ? seconds(past) : "0 s";
};
