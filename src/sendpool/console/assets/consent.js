// Consent: who has opted out, and of what.
import { ask, card, count, doing, empty, field, get, h, head, listCard, post, table, td, time, toast } from "./kit.js";

const SPACES = { PHONE: "P", WHATSAPP: "W", EMAIL: "E" };
const SCOPES = { "": "everything", marketing: "bulk messages" };

export async function consent(page, { here }) {
  const list = h("div"), where = h("div");
  let rows = [];
  const load = async (more) => {
    const last = more && rows.at(-1);
    const found = await get(`OptedOut${last ? `?${new URLSearchParams({ space: SPACES[last.space], address: last.address, scope: last.scope })}` : ""}`);
    if (!here()) return;
    rows = more ? [...rows, ...found.entries] : found.entries;
    list.replaceChildren(rows.length ? table("Opted out", ["Recipient", "Of", "How", "Since", ""], rows.map(row)) : empty("Nobody has opted out", "Who answers STOP appears here by themselves. You can also enter somebody, or import a file with sendpool consent import."),
      found.entries.length === 100 ? h("p.empty", null, h("button", { type: "button", onclick: () => load(true) }, "Show more")) : "");
  };
  const row = (one) => {
    const button = h("button.tiny", { type: "button", "aria-label": `Let ${one.address} be sent to again`, onclick: async () => {
      if (await ask(`Send to ${one.address} again?`, "Only if they have agreed again themselves.", "They have agreed"))
        await doing(button, where, async () => { await post("Act/opt-in", { entries: [{ space: SPACES[one.space], address: one.address, scope: one.scope }], every_scope: false }); toast("They are sent to again."); await load(); });
    } }, "They agreed again");
    return h("tr", null, td(null, h("b", null, one.address), h("span.sub", null, one.space.toLowerCase())), td("Of", SCOPES[one.scope] ?? h("span.mono", null, one.scope)), td("How", one.source), td("Since", time(one.at)), h("td.num", null, button));
  };
  const address = h("input", { name: "address", required: true, placeholder: "+447700900001" }), space = h("select", { name: "space" }, [["P", "Phone"], ["W", "WhatsApp"], ["E", "Email"]].map(([v, n]) => h("option", { value: v }, n)));
  const scope = h("select", { name: "scope" }, [["", "Everything"], ["marketing", "What is sent as bulk"]].map(([v, n]) => h("option", { value: v }, n)));
  const said = h("div"), button = h("button.go", null, "Enter");
  page.append(head("Consent", "Who is not sent to. The ledger is looked at when a message is accepted, and again before each attempt."), where,
    h("div.grid", null, wide(listCard("Opted out", null, list), "s8"), wide(card("Enter somebody", null, h("form.lines", { onsubmit: (event) => { event.preventDefault(); doing(button, said, async () => {
      const made = await post("Act/opt-out", { entries: [{ space: space.value, address: address.value.trim(), scope: scope.value }] });
      toast(made.added ? "Entered: nothing is sent to them any more." : "They were in the ledger already.");
      address.value = "";
      await load();
    }); } }, field("Address", address), field("Kind", space), field("Out of", scope), said, h("div.row", null, button))), "s4")));
  await load();
}
function wide(node, span) { node.classList.add(span); return node; }
