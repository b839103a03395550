// What every page is made of: elements, calls, words. Texts only ever become text nodes.

export const state = { token: "", account: "", sid: "" };

export function h(tag, props, ...children) {
  const [name, ...classes] = tag.split(".");
  const node = document.createElement(name || "div");
  if (classes.length) node.className = classes.join(" ");
  for (const [key, value] of Object.entries(props ?? {})) {
    if (value == null || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "class") node.className = [node.className, value].filter(Boolean).join(" ");
    else if (key in node && !key.includes("-") && key !== "list") node[key] = value;
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat(2).filter((one) => one != null && one !== false));
  return node;
}

export function s(tag, props, ...children) {
  const [name, ...classes] = tag.split(".");
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  if (classes.length) node.setAttribute("class", classes.join(" "));
  for (const [key, value] of Object.entries(props ?? {})) if (value != null) node.setAttribute(key, value);
  node.append(...children.flat(2).filter((one) => one != null));
  return node;
}

export class Failed extends Error {
  constructor(status, errors) {
    super(errors.map((one) => one.message).join(" ") || `The server answered ${status}.`);
    this.status = status;
    this.errors = errors;
  }
}

export async function call(method, path, body, form) {
  const headers = { "x-sendpool-token": state.token };
  if (body !== undefined) headers["content-type"] = form ? "application/x-www-form-urlencoded" : "application/json";
  let answer;
  try {
    answer = await fetch(path, { method, headers, body: body === undefined ? undefined : form ? new URLSearchParams(body) : JSON.stringify(body) });
  } catch {
    throw new Failed(0, [{ message: "The server does not answer. Is it running? The console tries again by itself." }]);
  }
  const text = await answer.text();
  let value = null;
  try { value = text ? JSON.parse(text) : null; } catch { /* Not ours: a proxy's page. */ }
  if (answer.ok) return value;
  if (answer.status === 401 && path !== "session") window.dispatchEvent(new Event("signed-out"));
  throw new Failed(answer.status, value?.errors ?? (value?.message ? [value] : []));
}

export const get = (path) => call("GET", `api/${path}`);
export const post = (path, body, form) => call("POST", `api/${path}`, body, form);

// ---------------------------------------------------------------- words

const whole = new Intl.NumberFormat("en");
export const count = (n) => whole.format(n);
export const short = (n) => (n < 10 ? (Math.round(n * 10) / 10).toString() : n < 10000 ? count(Math.round(n)) : new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 }).format(n));
export function share(part, all) {
  if (!all) return "–";
  const value = (100 * part) / all;
  return `${value > 0 && value < 100 ? Math.min(99.9, Math.max(0.1, value)).toFixed(1) : Math.round(value)} %`;
}
export function span(ms) {
  if (ms == null) return "–";
  const sec = ms / 1000;
  if (sec < 1) return "under 1 s";
  if (sec < 90) return `${Math.round(sec)} s`;
  if (sec < 5400) return `${Math.round(sec / 60)} min`;
  if (sec < 172800) return `${Math.round(sec / 3600)} h`;
  return `${Math.round(sec / 86400)} days`;
}
const sameDay = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const otherDay = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
export function time(text) {
  if (!text) return "–";
  const at = new Date(text);
  const shown = (at.toDateString() === new Date().toDateString() ? sameDay : otherDay).format(at);
  return h("time", { dateTime: text, title: at.toLocaleString() }, shown);
}
const COLOURS = {
  DELIVERED: "good", READ: "good", OPENED: "good", COMPLETED: "good", ACTIVATED: "good", active: "good", ACCEPTED: "info", SENT: "info",
  PROCESSING: "info", QUEUED: "info", SCHEDULED: "info", STARTED: "info", INBOUND: "info", FAILED: "bad", UNDELIVERED: "bad", REJECTED: "bad", EXPIRED: "bad",
  failed: "bad", gone: "bad", AMBIGUOUS: "warn", WITHDRAWN: "warn", REVOKED: "warn", draining: "warn", drained: "warn", paused: "warn",
};
export const tag = (word, colour) => h("span.tag", { class: colour ?? COLOURS[word] ?? "" }, word.length > 3 ? word[0].toUpperCase() + word.slice(1).toLowerCase().replaceAll("_", " ") : word);
export const colourOf = (word) => COLOURS[word] ?? "";

// ---------------------------------------------------------------- parts

export function head(title, about, ...actions) {
  return h("div.head", null, h("div", null, h("h1", null, title), about && h("p", null, about)), actions.length ? h("div.row", null, actions) : null);
}
export function card(title, about, ...children) {
  return h("section.card", null, title && h("header", null, h("h2", null, title), about && h("p", null, about)), children);
}
export const listCard = (title, about, ...children) => { const made = card(title, about, ...children); made.classList.add("flush"); return made; };
export function empty(title, about, ...actions) {
  return h("div.empty", null, h("h2", null, title), h("p", null, about), actions.length ? h("div.row", null, actions) : null);
}
export function table(caption, heads, rows) {
  return h("div.scroll", { tabIndex: -1 }, h("table.cards", null, h("caption.sr", null, caption),
    h("thead", null, h("tr", null, heads.map((one) => h("th", { scope: "col", class: one.startsWith("#") ? "num" : "" }, one.replace("#", "") || h("span.sr", null, "What to do"))))),
    h("tbody", null, rows)));
}
export const td = (label, ...children) => h("td", label ? { "data-label": label } : null, children);
export const problem = (error) => h("div.note-box.bad", { role: "alert" }, h("p", null, sentence(error)));
function sentence(error) {
  const text = error.message ?? String(error);
  return text ? text[0].toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".") : "Something went wrong.";
}
export function toast(text) {
  const box = document.getElementById("toast");
  const line = h("p", { role: "status" }, text);
  box?.append(line);
  setTimeout(() => line.remove(), 6000);
}
export function ask(title, about, yes, risky) {
  return new Promise((done) => {
    const box = h("dialog", { "aria-label": title, onclose: () => { box.remove(); done(box.returnValue === "yes"); } },
      h("form", { method: "dialog" }, h("h2", null, title), h("p.soft", null, about),
        h("div.row", null, h("button", { value: "no" }, "Keep it as it is"), h("button", { value: "yes", class: risky ? "risk" : "go" }, yes))));
    document.body.append(box);
    box.showModal();
  });
}
export const field = (label, input, hint) => h("label", null, label, input, hint && h("span.hint", null, hint));
/** Runs what a button does: it cannot be pressed twice, and what went wrong is said in place. */
export async function doing(button, where, work) {
  button.disabled = true;
  where?.replaceChildren();
  try { return await work(); } catch (error) { where ? where.replaceChildren(problem(error)) : toast(sentence(error)); } finally { button.disabled = false; }
}
/** All pages of a list, up to so many rows. */
export async function all(path, name, most = 500) {
  const rows = [];
  let next = "";
  do {
    const page = await get(`${path}${path.includes("?") ? "&" : "?"}pageSize=100${next && `&pageToken=${encodeURIComponent(next)}`}`);
    rows.push(...page[name]);
    next = page.pagination?.next;
  } while (next && rows.length < most);
  return rows;
}
export const link = (to, text, props) => h("a", { href: `#/${to}`, ...props }, text);
