// The operations page: a shell until there is a token, then alerts and the boards, asked for anew every 30 seconds.

import { bars, lines, linesTable } from "./charts.js";
import { Refused, age, ask, at, clock, make, reach, replace, said, signIn, table, word } from "./page.js";

const EVERY_MS = 30_000, AT_ONCE = 4, DAY_MS = 86_400_000;
const OPEN = new Set(["FULL", "RESTRICTED"]);
const LENGTH = { "1h": "1 hour", "6h": "6 hours", "1d": "1 day", "1w": "1 week" };
const SECONDS = { "1h": 3600, "6h": 21_600, "1d": 86_400, "1w": 604_800 };

const state = { boards: null, panels: [], sources: [], silent: new Set(), open: null, chosen: {}, asked: 0, alerts: null };
const places = {}; // name -> where what the database knows is drawn

/* The frame. */

async function load() {
  state.boards = await ask("v1/ops/boards");
}

function build() {
  const { boards, spans, prometheus } = state.boards;
  at("span").replaceChildren(...spans.map(span => make("option", { value: span, selected: span === "6h" }, LENGTH[span])));
  at("span").closest("label").hidden = !prometheus;
  state.panels = [];
  const alerts = section("Alerts", places.alerts = make("div", {}));
  const sections = boards.map(({ title, panels }) => {
    const grid = make("div", { class: "grid" });
    const missing = [];
    for (const panel of panels) {
      if (panel.own) grid.append(own(panel));
      else if (prometheus) grid.append(told(title.toLowerCase(), panel));
      else missing.push(panel.title);
      if (panel.own === "crossed") grid.append(extra("drill"));
    }
    if (title === "Flow") grid.append(extra("positions"), extra("sweeps"));
    if (title === "Access") grid.prepend(...["purges", "log", "alarms", "break_glass"].map(extra));
    const note = missing.length && make("p", { class: "note" }, "Not shown, since only Prometheus tells it: ",
      `${missing.join("; ")}.`);
    return section(title, grid, note);
  });
  at("sections").replaceChildren(alerts, ...sections);
  at("contents").replaceChildren(make("ul", {}, ["Alerts", ...boards.map(board => board.title)].map(title =>
    make("li", {}, make("a", { href: `#${title.toLowerCase()}` }, title)))));
  update();
}

function section(title, ...content) {
  const id = title.toLowerCase();
  return make("section", { id, "aria-labelledby": `${id}-title` },
    make("h2", { id: `${id}-title`, tabindex: -1 }, title), content.filter(Boolean));
}

/** What stands between backticks is code. */
const coded = text => text.split("`").map((part, n) => n % 2 ? make("code", {}, part) : part);

let articles = 0;
function article(title, says, kind, wide) {
  const id = `panel-${articles += 1}`, body = make("div", { class: "body" });
  const whole = make("article", { class: `panel ${kind}${wide ? " wide" : ""}`, "aria-labelledby": id },
    make("h3", { id }, title), make("p", { class: "says" }, coded(says)), body);
  return { whole, body };
}

function own(panel) {
  const { whole, body } = article(panel.title, panel.says, panel.kind === "stat" && state.boards.prometheus ? "stat" : panel.own, panel.wide);
  places[panel.own] = body;
  return whole;
}

const EXTRA = { // what the database knows and no dashboard has
  positions: ["Where workers are in the log", "How long since each partition moved."],
  sweeps: ["Changes of agreements under way", "Entries that a change has still to reach. Searches obey at once."],
  drill: ["One vendor's rejections by one code", "Choose one in the table of vendors and codes."],
  purges: ["Consent purges that wait", "What topics must lose goes first: changed consents, objections, powers, persons."],
  log: ["The log of reads", "Sealed each second; found whole by `sagsbro verify`, which is run daily."],
  alarms: ["Alarms of reads, by rule", "Of all municipalities. Who it was stands in the log of reads, for auditors."],
  break_glass: ["Reads without the missing consent, not looked at", "They wait for the municipality's data-protection officer."],
};

function extra(name) {
  const { whole, body } = article(...EXTRA[name], name, false);
  places[name] = body;
  return whole;
}

/* What Prometheus tells. */

function told(board, panel) {
  const { whole, body } = article(panel.title, panel.says, panel.kind, panel.wide);
  const numbers = make("div", {});
  const details = make("details", { toggle: () => details.open && one.numbers?.() },
    make("summary", {}, "As a table", make("span", { class: "unseen" }, `: ${panel.title}`)), numbers);
  const one = { path: `v1/ops/panels/${board}/${panel.number}`, panel, body };
  if (panel.kind === "timeseries") {
    whole.append(details);
    one.drawn = answer => course(one, answer, details, numbers);
  } else {
    one.drawn = answer => replace(body, panel.kind === "stat" ? stats(panel, answer) : rowsOf(panel, answer));
  }
  state.panels.push(one);
  return whole;
}

function course(one, answer, details, numbers) {
  const { panel, body } = one, span = answer.span;
  details.hidden = !answer.series.length;
  if (!answer.series.length) return replace(body, none("Nothing was told in this time."));
  const { until } = answer;
  const how = { from: until - SECONDS[span], until, long: SECONDS[span] > 86_400, title: panel.title };
  one.again = () => replace(body, lines(answer, panel.unit, { ...how, width: Math.max(260, body.clientWidth) }));
  one.numbers = () => { replace(numbers, linesTable(answer, panel.unit, how)); reach(); };
  one.again();
  if (details.open) one.numbers();
  return undefined;
}

function stats(panel, { series }) {
  if (!series.length) return none("Nothing is told.");
  return make("dl", { class: "stats" }, series.map(one => {
    const value = one.points[0]?.[1] ?? null;
    return make("div", {}, make("dt", {}, one.name), make("dd", {}, said(value, panel.unit), limit(panel, value)));
  }));
}

function limit({ limits }, value) {
  if (!limits || value === null) return null;
  const [wary, bad] = limits;
  return value >= bad ? word("bad", "too high") : value >= wary ? word("wary", "high") : word("good", "as promised");
}

function rowsOf(panel, { series, left_out: more }) {
  if (!series.length) return none("None.");
  const labels = [...new Set(series.flatMap(one => Object.keys(one.labels)))];
  const columns = [...labels.map(label => ({ title: TITLES[label] ?? label })), { title: series[0].name, number: true }];
  const cell = (one, label) => label === "authority" ? municipality(one.labels[label]) : one.labels[label] ?? "";
  return [
    table(panel.title, columns, series.map(one =>
      [...labels.map(label => cell(one, label)), said(one.points[0]?.[1], panel.unit)]), { hidden: true }),
    more ? make("p", { class: "says" }, `${more} more.`) : null,
  ].filter(Boolean);
}

const TITLES = { authority: "Municipality", system: "System", kind: "Kind", code: "Code" };
const none = text => make("p", { class: "none" }, text);
const municipality = cvr => state.sources.find(one => one.authority === cvr)?.authority_name ?? cvr;

function alerts({ alerts: listed, left_out: more }) {
  state.silent = new Set(listed.filter(one => one.name === "SourceSilent" && one.state === "firing")
    .map(one => `${one.labels.authority} ${one.labels.system}`));
  replace(places.alerts, listed.length
    ? make("ul", { class: "alerts" }, listed.map(alert))
    : make("p", { class: "none good" }, "No alert fires."),
  more ? make("p", { class: "says" }, `${more} more.`) : null);
  const firing = listed.filter(one => one.state === "firing").map(one => one.name);
  document.title = `${firing.length ? `(${firing.length}) ` : ""}Sagsbro: operations`;
  const now = firing.toSorted().join(", ");
  if (now !== state.alerts) at("announced").textContent = now ? `Firing: ${now}.` : "No alert fires.";
  state.alerts = now;
}

function alert(one) {
  const fires = one.state === "firing";
  return make("li", { class: fires ? one.severity : "pending" },
    make("p", { class: "head" }, word(fires ? one.severity === "page" ? "bad" : "wary" : "plain",
      fires ? `firing, ${one.severity}` : "pending"), make("strong", {}, one.summary || one.name),
    make("span", { class: "says" }, `for ${age(one.since)}, since ${clock(one.since, true)}`)),
    make("p", {}, one.description),
    make("p", { class: "says" }, one.name, one.team && ` · ${one.team}`, " · ", make("code", {}, one.runbook)));
}

/* What the database knows. */

function sources(rows) {
  state.sources = rows;
  const states = new Map();
  for (const { state: each } of rows) states.set(each, (states.get(each) ?? 0) + 1);
  replace(places.agreements, rows.length
    ? [bars("Agreements by state", ["State", "Agreements"], [...states].sort((a, b) => b[1] - a[1])),
      make("p", {}, make("a", { href: "coverage" }, "Coverage"), " has them one by one.")]
    : none("None of the municipalities that the token names has an agreement."));
  freshness();
}

const FRESH = [[3_600_000, "hour"], [DAY_MS, "day"], [7 * DAY_MS, "week"], [Infinity, "old"]];

function freshness() {
  const place = places.freshness;
  if (!place.querySelector("input")) {
    const filter = make("input", { type: "search", input: matrix });
    const old = make("input", { type: "checkbox", change: matrix });
    place.replaceChildren(make("div", { class: "controls" }, make("label", {}, "Municipality or system ", filter),
      make("label", { class: "tick" }, old, " Only with an open source older than a day, or silent")), make("div", {}));
  }
  matrix();
}

function matrix() {
  const [controls, place] = places.freshness.children;
  const [filter, old] = controls.querySelectorAll("input");
  const now = Date.now(), wanted = filter.value.trim().toLowerCase();
  const late = one => OPEN.has(one.state)
    && (isSilent(one) || !one.last_registered_at || now - Date.parse(one.last_registered_at) > DAY_MS);
  const found = state.sources.filter(one => !wanted || one.system.startsWith(wanted)
    || one.authority.startsWith(wanted) || shortName(one).toLowerCase().includes(wanted));
  const rows = Map.groupBy(found, one => one.authority);
  if (old.checked) for (const [authority, each] of rows) if (!each.some(late)) rows.delete(authority);
  const systems = [...new Set([...rows.values()].flat().map(one => one.system))].sort();
  if (!rows.size) return replace(place, none(state.sources.length ? "None like that." : "No source."));
  const made = table("How long ago each source last registered anything, by municipality and system",
    [{ title: "Municipality" }, ...systems.map(title => ({ title }))],
    [...rows].map(([authority, each]) => [
      make("span", {}, shortName(each[0]), make("small", {}, authority)),
      ...systems.map(system => fresh(each.find(one => one.system === system), now)),
    ]), { hidden: true });
  made.classList.add("tall");
  replace(place, made, make("p", { class: "says key" }, "Newest registration: ",
    ["hour", "day", "week", "old"].map((kind, n) => word(kind, ["within an hour", "a day", "a week", "older"][n])),
    " The state where the agreement is not open. Empty: no agreement."));
  return reach();
}

const shortName = one => (one.authority_name ?? "").replace(/ Kommune$/, "");
const isSilent = one => state.silent.has(`${one.authority} ${one.system}`);

function fresh(one, now) {
  if (!one) return make("span", { class: "unseen" }, "no agreement");
  if (!OPEN.has(one.state)) return make("small", { class: "state" }, one.state);
  if (!one.last_registered_at) return word("old", "never");
  const since = now - Date.parse(one.last_registered_at);
  const shown = word(FRESH.find(([most]) => since < most)[1], age(one.last_registered_at, now));
  return isSilent(one) ? make("span", {}, shown, " ", word("bad", "silent")) : shown;
}

function waiting(told_) {
  const { outbox, positions, sweeps, alarms, break_glass: broken } = told_;
  const since = at_ => at_ ? `, the oldest for ${age(at_)}` : "";
  const entries = `entries${outbox.more ? " or more" : ""}${since(outbox.since)}`;
  replace(places.outbox, make("dl", { class: "stats" }, make("div", {}, make("dt", {}, entries),
    make("dd", {}, said(outbox.entries, "short")))));
  replace(places.purges, make("dl", { class: "stats" },
    make("div", {}, make("dt", {}, "in the purge lane"), make("dd", {}, said(outbox.purges, "short"))),
    make("div", {}, make("dt", {}, `of changed persons${since(outbox.asked_at)}`), make("dd", {}, said(outbox.persons, "short")))));
  replace(places.log, make("dl", { class: "stats" },
    make("div", {}, make("dt", {}, "oldest row that waits for its seal"), make("dd", {}, told_.unsealed_since ? age(told_.unsealed_since) : "none"))));
  listed(places.positions, "Where workers are in the log", positions, "Nothing has been read yet.",
    [["Topic and partition", one => `${one.topic}/${one.partition}`], ["Next offset", one => said(one.next_offset, "exact"), true],
      ["Moved", one => `${age(one.at)} ago`, true]]);
  listed(places.sweeps, "Changes of agreements under way", sweeps, "None.",
    [["Municipality", one => municipality(one.authority)], ["System", one => one.system ?? "all"], ["What", one => SWEEPS[one.kind]],
      ["Done", one => said(one.done, "short"), true], ["Moved", one => `${age(one.at)} ago`, true]]);
  listed(places.alarms, "Alarms of reads, by rule", alarms, "None within a week.",
    [["Rule", one => one.rule.replaceAll("_", " ")], ["A day", one => said(one.day, "short"), true],
      ["A week", one => said(one.week, "short"), true], ["Newest", one => `${age(one.newest_at)} ago`, true]]);
  listed(places.break_glass, "Reads without the consent that was missing", broken, "None waits.",
    [["Municipality", one => municipality(one.authority)], ["Overview", one => one.overview],
      ["Reads", one => said(one.number, "short"), true], ["The oldest", one => `${age(one.since)} ago`, true]]);
}

const SWEEPS = { mark: "publish anew", leave: "delete what is left out", end: "delete all, it has ended" };

function listed(place, caption, rows, empty, columns) {
  replace(place, rows.length
    ? table(caption, columns.map(([title, , number]) => ({ title, number })), rows.map(row => columns.map(([, of]) => of(row))), { hidden: true })
    : none(empty));
}

function rejections({ open, more }) {
  state.open = open;
  state.more = more;
  drawRejections();
}

function drawRejections() {
  const { open, chosen } = state;
  const fits = (one, but) => ["system", "code"].every(name => name === but || !chosen[name] || one[name] === chosen[name]);
  const sums = (name, rows) => [...rows.reduce((sum, one) => sum.set(one[name], (sum.get(one[name]) ?? 0) + one.number), new Map())]
    .sort((a, b) => b[1] - a[1]);
  for (const [place, name, title] of [[places.codes, "code", "Code"], [places.vendors, "system", "Vendor"]]) {
    const rows = sums(name, open.filter(one => fits(one, name)));
    replace(place, rows.length ? bars(`Rejections that wait, by ${title.toLowerCase()}`, [title, "Waiting"],
      rows.map(([text, number]) => [choice(name, text), number])) : none("None waits."));
  }
  const pairs = Map.groupBy(open.filter(one => fits(one)), one => `${one.system} ${one.code}`);
  const rows = [...pairs.values()].map(each => ({ ...each[0], number: each.reduce((sum, one) => sum + one.number, 0),
    newest_at: each.map(one => one.newest_at).sort().at(-1) })).sort((a, b) => b.number - a.number);
  listed(places.crossed, "Rejections that wait, vendor by code", rows, "None waits.",
    [["Vendor: code", deeper], ["Waiting", one => said(one.number, "short"), true],
      ["Newest", one => `${age(one.newest_at)} ago`, true]]);
  if (state.more) places.crossed.prepend(make("p", {}, word("wary", "more than 50,000 wait; only so many were counted")));
  if (!places.drill.children.length) replace(places.drill, none("Nothing chosen."));
}

const choice = (name, text) => make("button", { type: "button", class: "choice", "data-key": `${name} ${text}`,
  "aria-pressed": String(state.chosen[name] === text), title: "Only these",
  click: () => { state.chosen[name] = state.chosen[name] === text ? null : text; drawRejections(); reach(); } }, text);

const deeper = ({ system, code }) => make("button", { type: "button", "data-key": `look ${system} ${code}`,
  click: () => drill(system, code) }, `${system}: ${code}`);

async function drill(system, code) {
  const title = make("h4", { tabindex: -1 }, `${system}: ${code}`);
  replace(places.drill, title, make("p", {}, "Asking …"));
  title.scrollIntoView({ block: "nearest" });
  title.focus();
  try {
    const found = await ask(`v1/ops/rejections/${encodeURIComponent(system)}/${encodeURIComponent(code)}`);
    const place = one => one.pointer || "/";
    title.nextSibling.replaceWith(
      make("p", {}, `What the vendor was told to do: ${found.remedy}`),
      make("h5", {}, "Where the flaw is"), table("Where the flaw is",
        [{ title: "Municipality" }, { title: "Place in the event" }, { title: "KLE" }, { title: "Waiting", number: true }],
        found.causes.map(one => [municipality(one.authority), make("code", {}, place(one)), one.kle ?? "", said(one.number, "short")]),
        { hidden: true }),
      make("h5", {}, "The newest"), table("The newest",
        [{ title: "Came" }, { title: "sagsbro rejections show …" }, { title: "Municipality" }],
        found.newest.map(one => [clock(one.at, true), make("code", {}, one.rejection_id), municipality(one.authority)]),
        { hidden: true }),
      make("p", { class: "says" }, `As of ${clock(Date.now())}. `, found.more ? "Only the newest 5,000 were looked at. " : "",
        found.causes_left_out ? `${found.causes_left_out} more causes. ` : "", "Nothing of the events themselves is shown here."),
      make("button", { type: "button", click: () => close(system, code) }, "Close"));
    reach();
  } catch (error) {
    if (error instanceof Refused) refuse(error);
    else title.nextSibling.replaceWith(away(error));
  }
}

function close(system, code) {
  replace(places.drill, none("Nothing chosen."));
  document.querySelector(`[data-key="look ${system} ${code}"]`)?.focus();
}

/* Asking, again and again. */

const away = error => make("p", { class: "away" }, error.message);

async function once(path, place, drawn) {
  try {
    drawn(await ask(path));
  } catch (error) {
    if (error instanceof Refused) throw error;
    for (const one of place) replace(one, away(error));
  }
}

async function update() {
  state.asked = Date.now();
  const span = at("span").value;
  const jobs = [
    () => once("v1/ops/sources", [places.freshness, places.agreements], sources),
    () => once("v1/ops/rejections", [places.codes, places.vendors, places.crossed], rejections),
    () => once("v1/ops/waiting", ["outbox", "purges", "positions", "sweeps", "alarms", "break_glass"].map(name => places[name]), waiting),
    ...state.panels.map(one => () => once(`${one.path}?span=${span}`, [one.body], answer => one.drawn({ ...answer, span }))),
  ];
  try {
    if (state.boards.prometheus) await once("v1/ops/alerts", [places.alerts], alerts);
    else replace(places.alerts, make("p", { class: "note" }, "No Prometheus is set (", make("code", {}, "SAGSBRO_PROMETHEUS"),
      "): no alerts and no history are shown here. What follows is what the database knows."));
    await Promise.all(Array.from({ length: AT_ONCE }, async () => {
      for (let job = jobs.shift(); job; job = jobs.shift()) await job();
    }));
    at("updated").textContent = `Updated ${new Date().toLocaleTimeString("en-GB")}`;
  } catch (error) {
    refuse(error);
  }
  reach();
}

const isDue = () => at("going").checked && !document.hidden && !at("board").hidden && Date.now() - state.asked >= EVERY_MS;
setInterval(() => isDue() && update(), 1000);
document.addEventListener("visibilitychange", () => isDue() && update());
at("again").addEventListener("click", update);
at("span").addEventListener("change", update);
let resizing;
addEventListener("resize", () => {
  clearTimeout(resizing);
  resizing = setTimeout(() => { state.panels.forEach(one => one.again?.()); reach(); }, 200);
});
const refuse = signIn(load, build);
