// A message by hand: for the first one, and to try a pool out.
import { all, card, doing, field, get, h, head, post } from "./kit.js";

export async function send(page, { query }) {
  const [senders, pools] = await Promise.all([all("v1/Senders?status=ACTIVATED", "senders"), all("v1/SenderPools", "senderPools")]);
  const chosen = query.get("pool") ?? "";
  const origin = h("select", { name: "from" }, h("option", { value: "" }, "Whoever can reach them"),
    pools.length ? h("optgroup", { label: "Pools" }, pools.map((one) => h("option", { value: one.id, selected: one.id === chosen }, one.name || one.id))) : null,
    senders.length ? h("optgroup", { label: "Senders" }, senders.map((one) => h("option", { value: one.id }, `${one.displayName ? `${one.displayName}, ` : ""}${one.address} (${one.channel})`))) : null);
  const channel = h("select", { name: "channel" }, [["PHONE", "Phone (RCS, then SMS)"], ["WHATSAPP", "WhatsApp"]].map(([v, n]) => h("option", { value: v }, n)));
  const to = h("textarea", { name: "to", required: true, placeholder: "+19143188062", rows: 2 });
  const text = h("textarea", { name: "text", required: true, maxLength: 1600, placeholder: "Hello, World!" });
  const where = h("div"), button = h("button.go", null, "Send");
  page.append(head("Send a message", "One message for each number. You see at once what becomes of them."), h("div.grid", null, wide(card(null, null, h("form.lines", { onsubmit: (event) => {
    event.preventDefault();
    doing(button, where, async () => {
      const numbers = to.value.split(/[\n,;]+/).map((one) => one.replace(/[\s().-]/g, "")).filter(Boolean);
      const body = { to: numbers.map((address) => ({ address, channel: channel.value })), content: { text: text.value } };
      if (origin.value) body.from = origin.value.startsWith("comms_senderpool") ? { senderPoolId: origin.value } : { senderId: origin.value };
      const made = await post("v1/Messages", body);
      location.hash = `#/operations/${made.operationId}`;
    });
  } }, field("From", origin), field("Channel", channel), field("To", to, "Numbers with + and country code; several on lines of their own."), field("Text", text), where, h("div.row", null, button))), "s7")));
}
function wide(node, span) { node.classList.add(span); return node; }
