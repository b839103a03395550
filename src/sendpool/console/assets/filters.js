// What messages and emails are searched by: an address, a tag, an operation, a state.
import { doing, field, h } from "./kit.js";

export function filters(query, { label, placeholder, inputMode, states, clean }) {
  const address = h("input", { name: "address", placeholder, value: query.get("address") ?? "", inputMode });
  const tag = h("input", { name: "tag", placeholder: "campaign:spring", value: query.get("tag") ?? "" });
  const operation = h("input", { name: "operation", placeholder: "comms_operation_…", value: query.get("operation") ?? "" });
  const state = h("select", { name: "status" }, h("option", { value: "" }, "Any"), states.map((one) => h("option", { value: one, selected: one === query.get("status") }, one[0] + one.slice(1).toLowerCase())));
  const button = h("button.go", null, "Search");
  // What is filled in; a tag that is none is said.
  const asked = () => {
    const [key, ...value] = tag.value.trim().split(":");
    const wanted = { address: clean(address.value), operationId: operation.value.trim(), status: state.value, tags: key && value.length ? { [key.trim()]: value.join(":").trim() } : undefined };
    if (tag.value.trim() && !wanted.tags) throw new Error("Write a tag as name:value, for example campaign:spring");
    return Object.fromEntries(Object.entries(wanted).filter(([, one]) => one));
  };
  const form = (list, load) => h("section.card", null, h("form.filters", { role: "search", onsubmit: (event) => { event.preventDefault(); doing(button, list, () => load()); } },
    field(label, address), field("Tag", tag), field("Operation", operation), field("State", state), button));
  return { asked, form };
}
