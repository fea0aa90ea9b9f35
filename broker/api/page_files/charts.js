// Small charts in SVG. What a chart says in colour it says in dashes too, and all of it in its table.

import { clock, draw, make, said, table } from "./page.js";

const LINES = 8, HEIGHT = 168, TOP = 8, BOTTOM = 22, RIGHT = 8;

function ticks(most) {
  const rough = (most || 1) / 3, size = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find(each => each * size >= rough) * size;
  return Array.from({ length: Math.ceil((most || 1) / step - 1e-9) + 1 }, (_, n) => n * step);
}

/** Pieces of a course between which something is missing. */
function pieces(points, step) {
  const found = [];
  let last = null;
  for (const point of points) {
    if (point[1] !== null) {
      if (!last || point[0] - last[0] > 1.5 * step) found.push([]);
      found.at(-1).push(point);
    }
    last = point[1] === null ? null : point;
  }
  return found;
}

/** {step_s, series, left_out} as lines, with a legend that follows the pointer; `long` times have their day. */
export function lines(told, unit, { width, from, until, long, title }) {
  const shown = told.series.slice(0, LINES);
  const values = shown.flatMap(one => one.points.map(point => point[1] ?? 0));
  const marks = ticks(values.reduce((most, value) => Math.max(most, value), 0));
  const top = marks.at(-1), texts = marks.map(mark => said(mark, unit));
  const left = 10 + 6.4 * Math.max(...texts.map(text => text.length));
  const x = time => left + (time - from) / (until - from) * (width - left - RIGHT);
  const y = value => TOP + (1 - value / top) * (HEIGHT - TOP - BOTTOM);
  const svg = draw("svg", { class: "chart", width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, role: "img",
    "aria-label": `${title}: ${summary(shown, unit, until, told.step_s)}` });
  marks.forEach((mark, n) => svg.append(
    draw("line", { class: "rule", x1: left, x2: width - RIGHT, y1: y(mark), y2: y(mark) }),
    draw("text", { class: "tick", x: left - 6, y: y(mark) + 4, "text-anchor": "end" }, texts[n])));
  const parts = width < 420 ? 2 : 4;
  for (let n = 0; n <= parts; n += 1) {
    const time = from + (until - from) * n / parts;
    const anchor = n === 0 ? "start" : n === parts ? "end" : "middle";
    svg.append(draw("text", { class: "tick", x: x(time), y: HEIGHT - 6, "text-anchor": anchor }, clock(time * 1000, long)));
  }
  shown.forEach((one, n) => {
    for (const piece of pieces(one.points, told.step_s)) {
      const place = ([time, value]) => `${x(time).toFixed(1)},${y(value).toFixed(1)}`;
      svg.append(piece.length > 1
        ? draw("polyline", { class: `line s${n}`, points: piece.map(place).join(" ") })
        : draw("circle", { class: `dot s${n}`, cx: x(piece[0][0]), cy: y(piece[0][1]), r: 2 }));
    }
  });
  const cells = shown.map(() => make("span", { class: "value" }));
  const legend = make("ul", { class: "legend" }, shown.map((one, n) =>
    make("li", {}, swatch(n), make("span", {}, one.name || "all"), cells[n])));
  follow(svg, shown, cells, { x, from, until, left, width, unit, step: told.step_s, long });
  const more = told.series.length + told.left_out - shown.length;
  return [svg, legend, more > 0 && make("p", { class: "says" }, `${more} more with lower values now are not drawn.`)];
}

const swatch = n => draw("svg", { class: "swatch", width: 26, height: 10, "aria-hidden": "true" },
  draw("line", { class: `line s${n}`, x1: 1, x2: 25, y1: 5, y2: 5 }));

const value = (one, time, step) => one.points.find(point => Math.abs(point[0] - time) <= step / 2)?.[1];

function summary(shown, unit, until, step) {
  const last = shown.map(one => `${one.name || "all"} ${said(value(one, until, step), unit)}`);
  return `${last.join(", ")}. The numbers stand in the table below.`;
}

function follow(svg, shown, cells, { x, from, until, left, width, unit, step, long }) {
  const cursor = draw("line", { class: "cursor", y1: TOP, y2: HEIGHT - BOTTOM, visibility: "hidden" });
  const when = draw("text", { class: "tick", y: TOP + 9, visibility: "hidden" });
  svg.append(cursor, when);
  const rest = () => {
    cells.forEach((cell, n) => { cell.textContent = said(value(shown[n], until, step), unit); });
    [cursor, when].forEach(one => one.setAttribute("visibility", "hidden"));
  };
  svg.addEventListener("pointermove", event => {
    const inside = (event.clientX - svg.getBoundingClientRect().left - left) / (width - left - RIGHT);
    const time = from + Math.round(Math.min(1, Math.max(0, inside)) * (until - from) / step) * step;
    const place = x(time), late = place > width - 90;
    cells.forEach((cell, n) => { cell.textContent = said(value(shown[n], time, step), unit); });
    for (const name of ["x1", "x2"]) cursor.setAttribute(name, place);
    when.setAttribute("x", place + (late ? -5 : 5));
    when.setAttribute("text-anchor", late ? "end" : "start");
    when.textContent = clock(time * 1000, long);
    [cursor, when].forEach(one => one.setAttribute("visibility", "visible"));
  });
  svg.addEventListener("pointerleave", rest);
  rest();
}

/** The same as numbers: thirteen times down, up to eight lines across, the newest first. */
export function linesTable(told, unit, { from, until, long, title }) {
  const shown = told.series.slice(0, LINES);
  const wanted = Array.from({ length: 13 }, (_, n) => until - Math.round((until - from) / told.step_s * n / 12) * told.step_s);
  return table(title, [{ title: "Time" }, ...shown.map(one => ({ title: one.name || "all", number: true }))],
    wanted.map(time => [clock(time * 1000, long), ...shown.map(one => said(value(one, time, told.step_s), unit))]),
    { hidden: true });
}

/** Rows of [name, number] with a bar each, in a table of their own; a name may be a node. */
export function bars(caption, [what, many], rows) {
  const most = Math.max(1, ...rows.map(([, number]) => number));
  const bar = number => draw("svg", { class: "bar", width: "100%", height: 12, "aria-hidden": "true" },
    draw("rect", { width: `${100 * number / most}%`, height: 12, rx: 2 }));
  const made = table(caption, [{ title: what }, { title: many, number: true }, { title: "" }],
    rows.map(([name, number]) => [name, said(number, "short"), bar(number)]), { hidden: true });
  made.classList.add("bars");
  made.querySelectorAll("tr > :last-child").forEach(cell => cell.setAttribute("aria-hidden", "true"));
  return made;
}
