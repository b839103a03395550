// Senders and connections: state, pace, what holds each back, and taking one out for maintenance.
import { ask, card, count, doing, empty, get, h, head, link, listCard, post, problem, tag, table, td, time, toast } from "./kit.js";

const WORDS = { active: "good", draining: "warn", drained: "warn", gone: "bad" };

export async function senders(page, { here, leaving }) {
  let lately = { counts: {}, errors: [] };
  const links = h("div"), list = h("div"), where = h("div"), sick = h("div");
  const act = (button, action, body, said) => doing(button, where, async () => { await post(`Act/${action}`, body); toast(said); await load(); });
  const turn = (one, kind, name, body) => {
    if (one.status === "gone") return null;
    const drained = Boolean(one.drainedAt);
    const button = h("button.tiny", { type: "button", "aria-label": `${drained ? "Resume" : "Drain"} ${name}`, onclick: async () => {
      if (drained) { await act(button, `resume-${kind}`, body, `${name} starts again.`); return; }
      if (await ask(`Drain ${name}?`, "It starts nothing new; what is in flight ends, and receipts are taken. Messages go through the other senders of their pool, or wait.", "Drain it")) await act(button, `drain-${kind}`, body, `${name} is being drained.`);
    } }, drained ? "Resume" : "Drain");
    return button;
  };
  const failures = (key) => {
    const found = lately.errors.filter((one) => one.id === key).slice(0, 3);
    return found.length ? found.flatMap((one) => [h("a", { href: `../docs/errors/${one.code}` }, String(one.code)), ` (${count(one.n)}) `]) : "none";
  };
  const load = async () => {
    const [{ senders: rows, health }, { connections }] = await Promise.all([get("SendersNow"), get("ConnectionsNow")]);
    if (!here()) return;
    links.replaceChildren(connections.length ? table("Connections", ["Connection", "State", "#In flight", ""], connections.map((one) => h("tr", null,
      td(null, h("b", null, one.name), h("span.sub", null, one.type)), td(null, tag(one.status, WORDS[one.status])), h("td.num", { "data-label": "In flight" }, count(one.inFlight)), h("td", { class: "num" }, turn(one, "connection", one.name, { name: one.name })))))
      : empty("No connections", "Declare one under [[connections]] in sendpool.toml, for example of type \"sandbox\", and send the server a SIGHUP. `sendpool connections check` tries it out."));
    list.replaceChildren(rows.length ? table("Senders", ["Sender", "State", "Just now", "#Limit", "#In flight", "#Sent, 15 min", "Errors, 15 min", ""], rows.map((one) => h("tr", null,
      td(null, h("b", null, one.address), h("span.sub", null, `${one.channel}, ${one.connection}`)), td(null, tag(one.status, WORDS[one.status])),
      h("td", { class: "wide small" }, one.now ? one.now.reason === "ready" ? "Ready." : one.now.text : "–"), h("td.num", { "data-label": "Limit" }, one.mps == null ? "–" : `${count(one.mps)} /s`),
      h("td.num", { "data-label": "In flight" }, count(one.inFlight)),
      h("td.num", { "data-label": "Sent, 15 min" }, count(lately.counts[one.key] ?? 0)), td("Errors, 15 min", failures(one.key)), h("td", { class: "num" }, turn(one, "sender", one.address, { address: one.address, channel: one.channel })))))
      : empty("No senders", "Senders stand below their connection in sendpool.toml; they appear here by themselves."));
    sick.replaceChildren(health.length ? listCard("Health", "senders that do, or lately did, worse than their peers", table("Health", ["Sender", "Country", "Condition", "#Share", "Since"], health.map((one) => h("tr", null,
      td(null, h("b", null, one.address), h("span.sub", null, one.symptom ?? "")), td("Country", one.country ?? "all"), td(null, tag(one.condition, one.condition === "healthy" ? "good" : "warn")), h("td.num", { "data-label": "Share" }, `${Math.round(100 * one.share)} %`), td("Since", time(one.since)))))) : "");
  };
  page.append(head("Senders & connections", "What holds a sender back just now, and taking one out for maintenance."), where, listCard("Connections", null, links), listCard("Senders", null, list), sick);
  await load();
  const timer = setInterval(() => { if (!document.querySelector("dialog[open]") && !list.contains(document.activeElement) && !links.contains(document.activeElement)) load().catch(() => {}); }, 3000);
  const source = new EventSource("api/Live");
  source.onmessage = (event) => { const first = !lately.at; lately = JSON.parse(event.data); if (first) load().catch(() => {}); };
  leaving(() => { clearInterval(timer); source.close(); });
}
