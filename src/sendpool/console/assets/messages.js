// Messages: found by number, tag, operation or state; one with each attempt, and why it went the way it did.
import { ask, card, colourOf, count, doing, empty, get, h, head, link, post, problem, tag, table, td, time, toast } from "./kit.js";
import { filters } from "./filters.js";

const STATES = ["SCHEDULED", "QUEUED", "SENT", "DELIVERED", "READ", "UNDELIVERED", "FAILED", "CANCELED", "INBOUND"];

export async function messages(page, { query, here }) {
  const { asked, form } = filters(query, { label: "Number", placeholder: "+12034458910", inputMode: "tel", states: STATES, clean: (value) => value.replace(/[\s().-]/g, "") });
  const list = h("div");
  let next = null, rows = [];
  const load = async (more) => {
    const wanted = asked();
    const found = await post("Search", { ...wanted, pageSize: 50, ...(more ? { pageToken: next } : {}) });
    if (!here()) return;
    rows = more ? [...rows, ...found.messages] : found.messages;
    next = found.pagination.next;
    const searched = Object.keys(wanted).length > 0;
    list.replaceChildren(rows.length ? table("Messages", ["To", "State", "From", "Tags", "Changed"], rows.map(row)) : next ? empty("Nothing among the newest", "The search has looked at the newest messages. It can go on with older ones.") : searched ? empty("No message fits", "Check the number (with + and country code), or take a filter out. Messages are kept for some days after they end.") : empty("No messages yet", "Send one, over the API or from here, and watch where it goes.", link("send", "Send a message", { class: "button" })),
      next ? h("p.empty", null, h("button", { type: "button", onclick: () => load(true) }, rows.length ? "Show older ones" : "Go on searching")) : "");
  };
  page.append(head("Messages", "Search for one, then see each of its attempts and why it went that way.", link("send", "Send a message", { class: "button go" })),
    form(list, load),
    h("div.card.flush", null, list));
  await load().catch((error) => list.replaceChildren(problem(error)));
}

function from(party) { return party.address ?? (party.senderPoolId ? "waits in a pool" : "–"); }

function row(one) {
  const tags = Object.entries(one.tags);
  return h("tr", null, td(null, link(`messages/${one.id}`, one.to[0]?.address || "removed", { class: "main" }), h("span.sub", null, (one.to[0]?.channel ?? "").toLowerCase())),
    td(null, tag(one.status), one.ambiguous ? [" ", tag("AMBIGUOUS")] : ""), td("From", from(one.from), h("span.sub", null, one.from.channel ?? "")),
    td(tags.length ? "Tags" : null, tags.slice(0, 3).map(([key, value]) => h("span.tag", null, `${key}: ${value}`))), td("Changed", time(one.updatedAt)));
}

const VERDICTS = { taken: "took it", waited: "may take it", skipped: "not chosen", excluded: "may not" };

function candidates(list, name) {
  if (!list?.length) return null;
  return h("details", null, h("summary", null, name), h("ul.who", null, list.map((one) => h("li", null, h("b", null, one.address), " ", h("span.tag", { class: one.verdict === "taken" ? "good" : "" }, VERDICTS[one.verdict] ?? one.verdict), " ", h("span.soft", null, one.text)))));
}

export async function message(page, { id, here, leaving }) {
  const top = h("div"), where = h("div"), body = h("div.stack");
  page.append(top, where, body);
  let open = true;
  const load = async () => {
    const [it, why] = await Promise.all([get(`v1/Messages/${id}`), get(`v1/Messages/${id}/Explanation`)]);
    if (!here()) return;
    const waits = ["SCHEDULED", "QUEUED"].includes(it.status);
    open = waits || it.status === "SENT";
    const cancel = waits && h("button.risk", { type: "button", onclick: async () => {
      if (await ask("Cancel this message?", "It has not left, and will not be sent.", "Cancel it", true))
        await doing(cancel, where, async () => { await post(`v1/Messages/${id}/Cancel`); toast("The message is canceled."); await load(); });
    } }, "Cancel it");
    top.replaceChildren(head(h("span", null, it.to[0]?.address || "A message ", " ", tag(it.status)), h("span.mono", null, it.id), cancel || null));
    const text = it.content?.text ?? it.content?.body ?? "";
    const related = it.related.find((one) => one.id.startsWith("comms_operation"));
    body.replaceChildren(
      h("div.note-box", { class: colourOf(it.status) === "bad" ? "bad" : it.ambiguous ? "warn" : "" }, h("p", null, h("b", null, why.text)), why.waiting?.ahead != null ? h("p.small", null, `${why.waiting.aheadAtLeast ? "At least " : ""}${count(why.waiting.ahead)} before it.`) : null),
      h("div.grid", null,
        wide(card("What happened", why.attempts.length ? `${count(why.attempts.length)} ${why.attempts.length === 1 ? "attempt" : "attempts"}` : null, timeline(it, why)), "s7"),
        h("div.stack.s5", null,
          card("What it says", null, text ? h("p.bubble", null, text) : h("p.soft", null, it.deletedAt ? "Its content was removed." : "It has no plain text.")),
          card("The plan", "channels in order", h("ol.timeline", null, why.plan.map((one) => h("li", { class: { delivered: "good", failed: "bad", unknown: "warn" }[one.outcome] ?? "" }, h("header", null, h("h3", null, one.channel), h("span.soft.small", null, one.address)), h("p.small", null, one.text))))),
          card("Details", null, h("dl.facts", null,
            fact("From", from(it.from)), fact("Created", time(it.createdAt)), fact("Changed", time(it.updatedAt)), it.scheduledFor ? fact("Scheduled for", time(it.scheduledFor)) : null,
            related ? fact("Operation", link(`operations/${related.id}`, h("span.mono", null, related.id))) : null,
            Object.entries(it.tags).length ? fact("Tags", Object.entries(it.tags).map(([key, value]) => h("span.tag", null, `${key}: ${value}`))) : null)))));
  };
  await load();
  const timer = setInterval(() => { if (open && !body.querySelector("details[open]")) load().catch(() => {}); }, 2000);
  leaving(() => clearInterval(timer));
}

function wide(node, span) { node.classList.add(span); return node; }
const fact = (name, value) => [h("dt", null, name), h("dd", null, value)];

function timeline(it, why) {
  const done = why.attempts.map((one) => h("li", { class: colourOf(one.state) },
    h("header", null, h("h3", null, `${one.channel} by ${one.senderAddress}`), tag(one.state), h("span.soft.small", null, time(one.startedAt), one.updatedAt !== one.startedAt ? [" to ", time(one.updatedAt)] : "")),
    h("p", null, one.text), one.code || one.class ? h("p.soft.small", null, [one.code && `Carrier's code ${one.code}`, one.class && one.class !== "OK" && `class ${one.class}`].filter(Boolean).join(", ")) : null,
    candidates(one.candidates, "Who else was looked at")));
  const now = why.waiting ? [h("li.warn", null, h("header", null, h("h3", null, "Waits"), why.waiting.until ? h("span.soft.small", null, "until ", time(why.waiting.until)) : null), h("p", null, why.waiting.text), candidates(why.candidates, "Who could take it"))] : why.candidates.length && !why.attempts.at(-1)?.candidates ? [h("li", null, candidates(why.candidates, "Who was looked at"))] : [];
  return h("ol.timeline", null, h("li.good", null, h("header", null, h("h3", null, it.status === "INBOUND" ? "Received" : "Accepted"), h("span.soft.small", null, time(it.createdAt)))), done, now);
}
