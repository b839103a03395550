// Emails: found by address, tag, operation or state; one with what it says and how far it has come.
import { ask, card, doing, empty, get, h, head, link, post, problem, table, tag, td, time, toast } from "./kit.js";
import { filters } from "./filters.js";

const STATES = ["SCHEDULED", "QUEUED", "SENT", "DELIVERED", "OPENED", "UNDELIVERED", "FAILED", "CANCELED"];
const PAGE = 25;

export async function emails(page, { query, here }) {
  const { asked, form } = filters(query, { label: "Address", placeholder: "ana@example.com", inputMode: "email", states: STATES, clean: (value) => value.trim() });
  const list = h("div");
  let next = null, rows = [];
  const load = async (more) => {
    const wanted = asked();
    // The filters go in the body, so that addresses stay out of URLs.
    const found = await post(`v1/Emails/Search?pageSize=${PAGE}${more && next ? `&pageToken=${encodeURIComponent(next)}` : ""}`, wanted);
    if (!here()) return;
    rows = more ? [...rows, ...found.emails] : found.emails;
    next = found.pagination.next;
    const nobody = Object.keys(wanted).length ? empty("No email fits", "Check the address, or take a filter out. Emails are kept for some days after they end.") : empty("No emails yet", "Programs send them by POST /v1/Emails; they appear here.");
    list.replaceChildren(rows.length ? table("Emails", ["To", "State", "Subject", "From", "Tags", "Changed"], rows.map(row)) : next ? empty("Nothing among the newest", "The search has looked at the newest emails. It can go on with older ones.") : nobody,
      next ? h("p.empty", null, h("button", { type: "button", onclick: () => load(true) }, rows.length ? "Show older ones" : "Go on searching")) : "");
  };
  page.append(head("Emails", "Search for one, then see what it says and how far it has come."),
    form(list, load),
    h("div.card.flush", null, list));
  await load().catch((error) => list.replaceChildren(problem(error)));
}

const from = (party) => party.address || (party.senderPoolId ? "waits in a pool" : "–");
const tagsOf = (tags, most) => Object.entries(tags).slice(0, most).map(([key, value]) => h("span.tag", null, `${key}: ${value}`));

function row(one) {
  const to = one.to[0];
  return h("tr", null, td(null, link(`emails/${one.id}`, to?.address || "removed", { class: "main" }), to?.name ? h("span.sub", null, to.name) : ""),
    td(null, tag(one.status), one.ambiguous ? [" ", tag("AMBIGUOUS")] : ""), td("Subject", one.content?.subject || "–"), td("From", from(one.from)),
    td(Object.keys(one.tags).length ? "Tags" : null, tagsOf(one.tags, 3)), td("Changed", time(one.updatedAt)));
}

const fact = (name, value) => [h("dt", null, name), h("dd", null, value)];

export async function email(page, { id, here, leaving }) {
  const top = h("div"), where = h("div"), body = h("div.stack");
  page.append(top, where, body);
  let open = true;
  const load = async () => {
    const it = await get(`v1/Emails/${id}`);
    if (!here()) return;
    const waits = ["SCHEDULED", "QUEUED"].includes(it.status), to = it.to[0];
    open = waits || it.status === "SENT";
    const cancel = waits && h("button.risk", { type: "button", onclick: async () => {
      if (await ask("Cancel this email?", "It has not left, and will not be sent.", "Cancel it", true))
        await doing(cancel, where, async () => { await post(`v1/Emails/${id}/Cancel`); toast("The email is canceled."); await load(); });
    } }, "Cancel it");
    top.replaceChildren(head(h("span", null, to?.address || "An email ", " ", tag(it.status)), h("span.mono", null, it.id), cancel || null));
    const related = it.related.find((one) => one.id.startsWith("comms_operation"));
    body.replaceChildren(
      it.ambiguous ? h("div.note-box.warn", null, "Nobody knows yet whether the relay took it. It is not sent again by itself.") : "",
      says(it),
      card("Details", null, h("dl.facts", null,
        fact("From", from(it.from)), fact("To", to?.name ? `${to.name}, ${to.address}` : to?.address || "removed"), fact("Created", time(it.createdAt)), fact("Changed", time(it.updatedAt)),
        it.scheduledFor ? fact("Scheduled for", time(it.scheduledFor)) : null,
        related ? fact("Operation", link(`emails?operation=${related.id}`, h("span.mono", null, related.id))) : null,
        Object.keys(it.tags).length ? fact("Tags", tagsOf(it.tags)) : null)));
  };
  await load();
  const timer = setInterval(() => { if (open) load().catch(() => {}); }, 2000);
  leaving(() => clearInterval(timer));
}

/** What it says, as text: its HTML is somebody else's, and never becomes part of this page. */
function says(it) {
  const { subject, text, html, attachments = [] } = it.content ?? {};
  if (!it.content) return card("What it says", null, h("p.soft", null, "Its content was removed."));
  return card(subject || "Without a subject", null, text ? h("p.bubble", null, text) : h("p.soft", null, html ? "It has HTML alone, which is not shown here." : "It says nothing."),
    attachments.length ? h("p.small", null, "With ", attachments.map((one) => [h("span.tag", null, one.filename ?? "a file"), " "])) : null);
}
