// Small charts, drawn by hand. Each is an image with its figures in words, and is changed in place.
import { count, h, s, share } from "./kit.js";

const W = 640, H = 170, L = 38, B = 18;

function niceTop(most) {
  const size = 10 ** Math.floor(Math.log10(Math.max(1, most)));
  return [1, 2, 5, 10].map((one) => one * size).find((one) => one >= most) ?? most;
}

/** Lines over the last seconds. */
export function lines(names) {
  const paths = names.map((_, i) => s(`path.line.k${i + 1}`));
  const area = s("path.fill");
  const ticks = [0, 1, 2].map(() => s("text", { "text-anchor": "end", x: L - 6 }));
  const rules = [0, 1, 2].map(() => s("line.gridline", { x1: L, x2: W }));
  const svg = s("svg.chart", { viewBox: `0 0 ${W} ${H}`, role: "img" }, rules, ticks, area, paths.toReversed(),
    s("text", { x: L, y: H - 2 }, "60 s ago"), s("text", { x: W, y: H - 2, "text-anchor": "end" }, "now"));
  const key = h("div.legend", { "aria-hidden": "true" }, names.map((name, i) => h("span", null, s("svg", { viewBox: "0 0 24 8" }, s(`path.line.k${i + 1}`, { d: "M0 4H24" })), name)));
  const node = h("figure", null, svg, key);
  node.update = (series) => {
    const top = niceTop(Math.max(1, ...series.flat()));
    const y = (n) => H - B - 8 - (n / top) * (H - B - 20);
    series.forEach((one, i) => {
      const d = one.map((n, x) => `${x ? "L" : "M"}${(L + (x * (W - L)) / (one.length - 1)).toFixed(1)} ${y(n).toFixed(1)}`).join("");
      paths[i].setAttribute("d", d);
      if (!i) area.setAttribute("d", `${d}L${W} ${y(0)}L${L} ${y(0)}Z`);
    });
    ticks.forEach((one, i) => { const n = (top * i) / 2; one.textContent = n % 1 ? n.toFixed(1) : count(n); one.setAttribute("y", y(n) + 4); rules[i].setAttribute("y1", y(n)); rules[i].setAttribute("y2", y(n)); });
    svg.setAttribute("aria-label", `Messages a second over the last minute. Now: ${names.map((name, i) => `${name} ${series[i].at(-1)}`).join(", ")}.`);
  };
  return node;
}

/** Bars beside words. Rows: [label, value, words, colour]. */
export function rungs(label) {
  const node = h("ul.rungs", { "aria-label": label });
  let known = [];
  node.update = (rows, whole) => {
    const top = whole ?? Math.max(1, ...rows.map((row) => row[1]));
    if (known.length !== rows.length) {
      known = rows.map(() => ({ label: h("span"), bar: h("i"), words: h("span.num") }));
      node.replaceChildren(...known.map((one) => h("li.rung", null, one.label, h("div.track", { "aria-hidden": "true" }, one.bar), one.words)));
    }
    rows.forEach(([name, value, words, colour], i) => {
      const one = known[i];
      if (one.label.textContent !== name) one.label.textContent = name;
      one.bar.style.width = `${Math.min(100, (100 * value) / Math.max(1, top))}%`;
      one.bar.className = colour ?? "";
      if (one.words.textContent !== words) one.words.textContent = words;
    });
  };
  return node;
}

/** A minute of one sender in bars. */
export function spark(series, label) {
  const top = Math.max(1, ...series);
  return s("svg.spark", { viewBox: "0 0 120 24", preserveAspectRatio: "none", role: "img", "aria-label": label },
    s("path.bars", { d: series.map((n, x) => (n ? `M${x * 2} 24v${(-23 * n) / top}h1.5V24z` : "")).join("") }));
}

/** Who failed on the left, who took over on the right; as thick as often. */
export function flows(rows, name) {
  const left = [...new Set(rows.map((row) => row.from))], right = [...new Set(rows.map((row) => row.to))];
  const total = rows.reduce((sum, row) => sum + row.n, 0);
  const tall = Math.max(left.length, right.length) * 40 + 10;
  const scale = (tall - 20 - 12 * (Math.max(left.length, right.length) - 1)) / total;
  const place = (ids, side) => {
    let y = 10;
    return new Map(ids.map((id) => {
      const n = rows.filter((row) => row[side] === id).reduce((sum, row) => sum + row.n, 0);
      const at = { y, at: y, tall: Math.max(3, n * scale), n };
      y += at.tall + Math.max(12, 34 - at.tall);
      return [id, at];
    }));
  };
  const a = place(left, "from"), b = place(right, "to");
  const bands = rows.map((row) => {
    const one = a.get(row.from), other = b.get(row.to), thick = Math.max(2, row.n * scale);
    const y1 = one.at + thick / 2, y2 = other.at + thick / 2;
    one.at += thick; other.at += thick;
    return s("path.band", { d: `M196 ${y1}C320 ${y1} 320 ${y2} 444 ${y2}`, "stroke-width": thick });
  });
  const nodes = (map, x, anchor, tx) => [...map].flatMap(([id, one]) => [
    s("rect.node", { x, y: one.y, width: 4, height: one.tall, rx: 2 }),
    s("text.name", { x: tx, y: one.y + one.tall / 2 + 4, "text-anchor": anchor }, `${name(id)} (${count(one.n)})`),
  ]);
  const said = rows.map((row) => `${name(row.from)} to ${name(row.to)}: ${row.n} (${share(row.n, total)})`).join("; ");
  const deep = Math.max(...[...a.values(), ...b.values()].map((one) => one.y + one.tall)) + 12;
  return s("svg.chart", { viewBox: `0 0 640 ${deep}`, role: "img", "aria-label": `Failover, from whom to whom. ${said}.` }, bands, nodes(a, 192, "end", 184), nodes(b, 444, "start", 456));
}
