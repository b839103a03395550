// Pools: who is in them, with what weight and tier, and what a send would do now.
import { all, ask, call, card, count, doing, empty, field, get, h, head, link, listCard, post, problem, short, table, tag, td, time, toast } from "./kit.js";

export async function pools(page, { here }) {
  const found = await all("v1/SenderPools", "senderPools");
  const name = h("input", { name: "name", required: true, maxLength: 256, placeholder: "Alerts" }), where = h("div"), button = h("button.go", null, "Make the pool");
  page.append(head("Pools", "Senders that are used interchangeably: messages are spread over them, and another takes over where one fails."),
    h("div.grid", null,
      wide(listCard(found.length ? `${count(found.length)} ${found.length === 1 ? "pool" : "pools"}` : null, null, found.length ? table("Pools", ["Pool", "Chooses by", "Changed"], found.map((one) => h("tr", null,
        td(null, link(`pools/${one.id}`, one.name || "Without a name", { class: "main" }), h("span.sub.mono", null, one.id)), td("Chooses by", one.preference ?? "spread"), td("Changed", time(one.updatedAt))))) : empty("No pools yet", "Make one here, then put senders into it.")), "s8"),
      wide(card("New pool", null, h("form.lines", { onsubmit: (event) => { event.preventDefault(); doing(button, where, async () => {
        const made = await post("v1/SenderPools", { name: name.value });
        const list = await get(`v1/SenderPools?operationId=${made.operationId}`);
        location.hash = `#/pools/${list.senderPools[0].id}`;
      }); } }, field("Name", name), where, h("div.row", null, button))), "s4")));
}

export async function pool(page, { id, here, leaving }) {
  const path = `v1/SenderPools/${id}`, members = h("div"), where = h("div");
  const it = await get(path);
  const drop = h("button.risk", { type: "button", onclick: async () => {
    if (await ask(`Delete ${it.name || "this pool"}?`, "It disappears at once. What waits in it still leaves through its last senders.", "Delete it", true))
      await doing(drop, where, async () => { await call("DELETE", `api/${path}`); toast("The pool is deleted."); location.hash = "#/pools"; });
  } }, "Delete it");
  const add = h("select", { name: "sender", "aria-label": "A sender to add" }), join = h("button", { type: "button", onclick: () => doing(join, where, async () => { await post(`${path}/Senders`, [{ senderId: add.value }]); toast("It is in the pool from now on."); await load(); }) }, "Add to the pool");
  const load = async () => {
    const [rows, senders, live] = await Promise.all([all(`${path}/Senders`, "senders"), all("v1/Senders?status=ACTIVATED", "senders"), get("SendersNow")]);
    if (!here()) return;
    const now = new Map(live.senders.map((one) => [one.senderId, one])), sick = new Map(live.health.map((one) => [one.senderId, one]));
    const weight = (one) => one.weight ?? 1, tops = new Map();
    for (const one of rows) { const key = `${one.channel}/${one.tier ?? 0}`; tops.set(key, (tops.get(key) ?? 0) + weight(one)); }
    members.replaceChildren(rows.length ? table("Members", ["Sender", "Just now", "#Limit", "#Share of its turn", "Weight", "Tier", ""], rows.map((one) => {
      const at = now.get(one.id), ill = sick.get(one.id);
      const heavy = h("input.short", { type: "number", min: .01, max: 1000, step: "any", value: weight(one), "aria-label": `Weight of ${one.address}` }), tier = h("input.short", { type: "number", min: 0, max: 100, step: 1, value: one.tier ?? 0, "aria-label": `Tier of ${one.address}` });
      const keep = h("button.tiny", { type: "button", "aria-label": `Save weight and tier of ${one.address}`, onclick: () => doing(keep, where, async () => { await post(`${path}/Senders`, [{ senderId: one.id, weight: Number(heavy.value), tier: Number(tier.value) }]); toast("Saved; it counts from the next message on."); await load(); }) }, "Save");
      const out = h("button.tiny.plain", { type: "button", "aria-label": `Take ${one.address} out of the pool`, onclick: async () => { if (await ask(`Take ${one.address} out?`, "It takes no more messages of this pool. What is in flight ends as it would.", "Take it out", true)) await doing(out, where, async () => { await call("DELETE", `api/${path}/Senders/${one.id}`); await load(); }); } }, "Remove");
      return h("tr", null, td(null, h("b", null, one.address), h("span.sub", null, one.channel, ill ? [" ", tag(ill.condition, "warn")] : "")), h("td", { class: "wide small" }, at?.now ? (at.now.reason === "ready" ? "Ready." : at.now.text) : "–"),
        h("td.num", { "data-label": "Limit" }, at?.mps == null ? "–" : `${count(at.mps)} /s`), h("td.num", { "data-label": "Share" }, `${Math.round((100 * weight(one)) / tops.get(`${one.channel}/${one.tier ?? 0}`))} %`), td("Weight", heavy), td("Tier", tier), h("td.num", null, keep, out));
    })) : empty("Nobody is in this pool", "Add a sender below; it takes what already waits at once."));
    const free = senders.filter((one) => !rows.some((row) => row.id === one.id));
    add.replaceChildren(...free.map((one) => h("option", { value: one.id }, `${one.address} (${one.channel})`)));
    add.disabled = join.disabled = !free.length;
    if (!free.length) add.replaceChildren(h("option", null, "Every sender is in it"));
  };
  const pause = it.preference ? `chooses by ${it.preference}` : "spreads over whoever is free first";
  page.append(head(it.name || "Pool without a name", `${[it.category ?? "transactional", pause].join(", ")}.`, link(`send?pool=${id}`, "Send from it", { class: "button go" }), drop), h("p.mono.soft", null, it.id), where,
    listCard("Members", "a lower tier is used first; weights are shares within it", members),
    h("div.grid", null, wide(card("Add a sender", null, h("div.row", null, add, join)), "s5"), wide(rehearsal(path), "s7")));
  await load();
}

function rehearsal(path) {
  const to = h("textarea", { name: "to", required: true, rows: 2, placeholder: "+19143188062" }), text = h("input", { name: "text", required: true, value: "Hello, World!" });
  const found = h("div", { "aria-live": "polite" }), button = h("button", null, "Rehearse");
  return card("Rehearse a send", "says what would happen now; sends and stores nothing", h("form.lines", { onsubmit: (event) => { event.preventDefault(); doing(button, found, async () => {
    const numbers = to.value.split(/[\n,;]+/).map((one) => one.replace(/[\s().-]/g, "")).filter(Boolean);
    const it = await post(`${path}/Rehearsal`, { to: numbers.map((address) => ({ address, channel: "PHONE" })), content: { text: text.value } });
    found.replaceChildren(h("div.stack", null,
      h("p", null, h("b", null, `${count(it.total)} ${it.total === 1 ? "message" : "messages"}, ${count(it.segments)} ${it.segments === 1 ? "segment" : "segments"}`), it.estimatedSeconds != null ? `, the last leaves in ${short(it.estimatedSeconds)} s` : "", it.unaddressable ? `; ${count(it.unaddressable)} cannot be reached` : "", "."),
      h("ul.who", null, it.detail.slice(0, 20).map((one) => h("li", null, h("b", null, one.address), " ", tag(one.outcome, one.outcome === "failed" ? "bad" : "info"), " ", one.text, one.plan.map((step) => h("details", null, h("summary", null, `${step.channel}: ${step.candidates.find((who) => who.verdict === "taken")?.address ?? "nobody"}`), h("ul.who", null, step.candidates.map((who) => h("li", null, h("b", null, who.address), " ", h("span.soft", null, who.text)))))))), it.unaddressableDetail.map((one) => h("li", null, h("b", null, one.address), " ", tag("unaddressable", "bad"), " ", one.text)))));
  }); } }, field("To", to, "Numbers, one on a line."), field("Text", text), h("div.row", null, button), found));
}
function wide(node, span) { node.classList.add(span); return node; }
