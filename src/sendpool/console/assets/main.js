// Signs in, and shows the page that the address names.
import { call, h, problem, state, doing, field } from "./kit.js";
import { overview } from "./overview.js";
import { message, messages } from "./messages.js";
import { email, emails } from "./emails.js";
import { operation, operations } from "./operations.js";
import { pool, pools } from "./pools.js";
import { send } from "./send.js";
import { senders } from "./senders.js";
import { events } from "./events.js";
import { consent } from "./consent.js";

const PAGES = [
  ["overview", "Overview", overview], ["pools", "Pools", pools, pool], ["messages", "Messages", messages, message],
  ["emails", "Emails", emails, email],
  ["operations", "Operations", operations, operation], ["senders", "Senders", senders], ["events", "Events", events], ["consent", "Consent", consent],
];
const app = document.getElementById("app");
let leave = [], main = null, turn = 0;

function themeSwitch() {
  const root = document.documentElement;
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches);
  const button = h("button.plain.tiny", { type: "button", onclick: () => { root.dataset.theme = dark() ? "light" : "dark"; localStorage.setItem("sendpool-theme", root.dataset.theme); name(); } });
  const name = () => { button.textContent = dark() ? "Light" : "Dark"; button.setAttribute("aria-label", `Switch to ${dark() ? "light" : "dark"} colours`); };
  name();
  return button;
}

function brand() {
  return h("a.brand", { href: "#/overview", "aria-label": "Sendpool, to the overview" }, h("img", { src: "assets/mark.svg", alt: "" }), "Sendpool");
}

function frame() {
  const nav = h("nav.nav", { "aria-label": "Pages" }, PAGES.map(([path, name]) => h("a", { href: `#/${path}`, id: `to-${path}` }, name)));
  const out = h("button.plain.tiny", { type: "button", onclick: async () => { await call("DELETE", "session"); start(); } }, "Sign out");
  main = h("main", { id: "main", tabIndex: -1 });
  app.replaceChildren(h("div.frame", null,
    h("header.side", null, brand(), nav, h("div.foot", null, h("div.whose", null, "Signed in as", h("span.mono", null, state.sid.length > 16 ? `${state.sid.slice(0, 8)}…${state.sid.slice(-4)}` : state.sid)), h("div.row", null, themeSwitch(), out))),
    main), h("div", { id: "toast" }));
}

export async function show() {
  if (!main?.isConnected) return;
  const mine = ++turn;
  leave.splice(0).forEach((one) => one());
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, ...rest] = (path || "overview").split("/");
  const found = PAGES.find((one) => one[0] === name);
  document.querySelectorAll(".nav a").forEach((one) => one.id === `to-${name}` ? one.setAttribute("aria-current", "page") : one.removeAttribute("aria-current"));
  document.querySelector(".nav a[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  const make = name === "send" ? send : rest.length && found?.[3] ? found[3] : found?.[2];
  const page = h("div.stack");
  const tools = { id: rest.map(decodeURIComponent).join("/"), query: new URLSearchParams(query), leaving: (work) => leave.push(work), here: () => mine === turn };
  document.title = `${name === "send" ? "Send" : (found?.[1] ?? "Not found")} - Sendpool`;
  try {
    if (!make) throw new Error("There is no such page in the console");
    await make(page, tools);
  } catch (error) {
    page.append(problem(error));
  }
  if (mine !== turn) return;
  const moved = main.dataset.path !== path;
  main.dataset.path = path;
  main.replaceChildren(page);
  if (moved) { window.scrollTo(0, 0); main.focus({ preventScroll: true }); }
}

function signIn() {
  leave.splice(0).forEach((one) => one());
  turn++;
  const sid = h("input", { name: "sid", autocomplete: "username", required: true, spellcheck: false, placeholder: "AC… or SK…" });
  const secret = h("input", { name: "secret", type: "password", autocomplete: "current-password", required: true });
  const where = h("div"), button = h("button.go", null, "Sign in");
  document.title = "Sign in - Sendpool";
  app.replaceChildren(h("main.signin", { id: "main" }, h("form.card", {
    onsubmit: (event) => { event.preventDefault(); doing(button, where, async () => enter(await call("POST", "session", { sid: sid.value, secret: secret.value }))); },
  }, h("div.row", null, brand()), h("div", null, h("h1", null, "Sign in"), h("p.soft", null, "With the credentials that your programs use.")),
  field("Account SID or API key SID", sid), field("Auth token or key secret", secret, "The server printed the first account's once, when it was first started."), where, button)));
  sid.focus();
}

function enter(session) {
  if (!session.signedIn) { signIn(); return; }
  state.token = session.token; state.sid = session.sid; state.account = session.accountSid;
  frame();
  show();
}

async function start() {
  try { enter(await call("GET", "session")); } catch (error) { app.replaceChildren(h("main.signin", { id: "main" }, problem(error))); }
}
window.addEventListener("hashchange", show);
window.addEventListener("signed-out", signIn);
start();
