// Operations: how far each has come, what went wrong, and taking back what has not left.
import { all, ask, call, card, count, doing, empty, get, h, head, link, listCard, post, share, tag, table, td, time, toast } from "./kit.js";

export function progress(stats) {
  const all = stats.total || 1, good = stats.delivered + stats.read, lost = stats.failed + stats.undelivered;
  const part = (name, n) => { const bar = h(`i.${name}`); bar.style.width = `${(100 * n) / all}%`; return bar; };
  const said = `${count(good)} delivered, ${count(stats.sent)} sent, ${count(lost)} lost, ${count(stats.queued + stats.scheduled)} waiting, of ${count(stats.total)}`;
  return h("div", null, h("div.meter", { role: "img", "aria-label": said, title: said }, part("delivered", good), part("sent", stats.sent), part("lost", lost), part("canceled", stats.canceled)),
    h("span.sub.num", null, `${share(good, stats.total)} delivered${lost ? `, ${count(lost)} lost` : ""}`));
}

export function operationRow(one, brief) {
  return h("tr", null, td(null, link(`operations/${one.id}`, h("span.mono", null, `…${one.id.slice(-10)}`), { class: "main", "aria-label": `Operation ${one.id}` }), h("span.sub", null, time(one.createdAt), " ", tag(one.paused ? "paused" : one.status))),
    h("td", { class: "wide" }, progress(one.stats)), h("td.num", { "data-label": "Messages" }, count(one.stats.total)),
    brief ? null : h("td.num", { "data-label": "Waiting" }, count(one.stats.queued + one.stats.scheduled)), brief ? null : td("Done at", one.estimatedCompletion ? time(one.estimatedCompletion) : "–"));
}

export async function operations(page, { here, leaving, query }) {
  const list = h("div"), state = query.get("status") ?? "";
  const pick = h("select", { "aria-label": "Show operations that are", onchange: () => { location.hash = pick.value ? `#/operations?status=${pick.value}` : "#/operations"; } },
    [["", "All"], ["PROCESSING", "Under way"], ["SCHEDULED", "Scheduled"], ["COMPLETED", "Completed"], ["CANCELED", "Canceled"]].map(([v, n]) => h("option", { value: v, selected: v === state }, n)));
  page.append(head("Operations", "Each request to send is one; it counts what becomes of its messages.", pick, link("send", "Send a message", { class: "button go" })), h("div.card.flush", null, list));
  let next = null, rows = [];
  const load = async (more) => {
    const found = await get(`v1/Messages/Operations?pageSize=25${state && `&status=${state}`}${more && next ? `&pageToken=${encodeURIComponent(next)}` : ""}`);
    if (!here()) return;
    rows = more ? [...rows, ...found.operations] : found.operations;
    next = found.pagination.next;
    list.replaceChildren(rows.length ? table("Operations", ["Operation", "Progress", "#Messages", "#Waiting", "Done at"], rows.map((one) => operationRow(one))) : empty("No operations here", state ? "None is in this state." : "Send a message, over the API or from here, and it appears.", link("send", "Send a message", { class: "button" })),
      next && rows.length ? h("p.empty", null, h("button", { type: "button", onclick: () => load(true) }, "Show older ones")) : "");
  };
  await load();
  const timer = setInterval(() => { if (rows.length <= 25) load().catch(() => {}); }, 5000);
  leaving(() => clearInterval(timer));
}

const COUNTERS = [["scheduled", "Scheduled"], ["queued", "In the queue"], ["sent", "Sent, no receipt yet"], ["delivered", "Delivered"], ["read", "Read"], ["undelivered", "Undelivered"], ["failed", "Failed"], ["canceled", "Canceled"], ["unaddressable", "Unaddressable"], ["attempts", "Attempts"]];

export async function operation(page, { id, here, leaving }) {
  const top = h("div"), body = h("div.stack"), where = h("div");
  page.append(top, where, body);
  const load = async () => {
    const [it, errors] = await Promise.all([get(`v1/Messages/Operations/${id}`), get(`v1/Messages/Operations/${id}/Errors?pageSize=50`)]);
    if (!here()) return it;
    const open = it.stats.queued + it.stats.scheduled > 0;
    const cancel = h("button.risk", { type: "button", disabled: !open, onclick: async () => {
      if (await ask("Cancel what waits?", `${count(it.stats.queued + it.stats.scheduled)} messages have not left and will not be sent. What a carrier has already goes on.`, "Cancel them", true))
        await doing(cancel, where, async () => { await post(`v1/Messages/Operations/${id}/Cancel`); toast("What waited is canceled."); await load(); });
    } }, "Cancel what waits");
    const resume = it.paused && h("button.go", { type: "button", onclick: () => doing(resume, where, async () => { await post(`v1/Messages/Operations/${id}/Resume`); toast("It goes on."); await load(); }) }, "Let it go on");
    top.replaceChildren(head(h("span", null, "Operation ", tag(it.paused ? "paused" : it.status)), h("span.mono", null, it.id), resume || null, cancel));
    body.replaceChildren(
      ...(it.paused ? [h("div.note-box.warn", null, `Paused: carriers refused ${count(it.paused.refused)} of the last ${count(it.paused.answers)} answers for what it says (code ${it.paused.code}). Change the text before you let it go on.`)] : []),
      card(`${count(it.stats.total)} ${it.stats.total === 1 ? "message" : "messages"}`, h("span", null, "accepted ", time(it.createdAt), it.estimatedCompletion ? [", the last leaves at about ", time(it.estimatedCompletion)] : ""), progress(it.stats)),
      h("dl.figures", null, COUNTERS.filter(([key]) => it.stats[key] || ["queued", "sent", "delivered"].includes(key)).map(([key, name]) => h("div.figure", null, h("dt", null, name), h("dd.value", null, count(it.stats[key]))))),
      listCard("Errors", errors.errors.length ? `the first ${count(errors.errors.length)}` : null, errors.errors.length ? table("Errors", ["Recipient", "Code", "What happened"], errors.errors.map((one) => h("tr", null,
        td(null, one.messageId ? link(`messages/${one.messageId}`, one.to.address, { class: "main" }) : one.to.address, h("span.sub", null, one.to.channel.toLowerCase())),
        td("Code", h("a", { href: `../docs/errors/${one.code}` }, String(one.code))), h("td", { class: "wide" }, one.message)))) : empty("No errors", "Every recipient so far is reached or under way.")),
      h("p", null, link(`messages?operation=${id}`, "See its messages")));
    return it;
  };
  await load();
  const timer = setInterval(() => load().catch(() => {}), 3000);
  leaving(() => clearInterval(timer));
}
