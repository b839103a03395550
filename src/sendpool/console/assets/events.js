// Events: where they go, how far each sink has come, and offering them once more.
import { all, card, count, doing, empty, field, get, h, head, listCard, post, tag, table, td, time, toast } from "./kit.js";

export async function events(page, { here }) {
  const body = h("div.stack"), where = h("div");
  page.append(head("Events", "Everything that happens is an event, handed to your sinks at least once, in order."), where, body);
  const load = async () => {
    const [{ sinks }, { sinks: now }, { subscriptions }] = await Promise.all([get("v1/Sinks?PageSize=100"), get("SinksNow"), get("v1/Subscriptions?PageSize=100")]);
    if (!here()) return;
    const stand = new Map(now.map((one) => [one.sid, one]));
    const rows = sinks.map((one) => {
      const at = stand.get(one.sid) ?? { behind: 0, dead: 0, waiting: 0 };
      const heard = subscriptions.filter((sub) => sub.sink_sid === one.sid).length;
      const test = h("button.tiny", { type: "button", "aria-label": `Send a test event to ${one.description || one.sid}`, onclick: () => doing(test, where, async () => { const answer = await post(`v1/Sinks/${one.sid}/Test`, {}, true); toast(`Test: ${answer.result}.`); }) }, "Test");
      return h("tr", null, td(null, h("b", null, one.description || "Sink"), h("span.sub.mono", null, one.sink_configuration.destination ?? one.sid)), td(null, tag(one.status)),
        td(null, at.error ? h("span.small", null, at.error) : heard ? "Takes what it gets." : "No subscription: gets nothing."), h("td.num", { "data-label": "Behind" }, count(at.behind)), h("td.num", { "data-label": "Given up" }, at.dead ? h("span.tag.bad", null, count(at.dead)) : "0"), h("td.num", null, test));
    });
    body.replaceChildren(listCard("Sinks", null, rows.length ? table("Sinks", ["Sink", "State", "Last word", "#Behind", "#Given up", ""], rows) : empty("No sinks yet", "Make one below, and events are posted to it from then on. You can also pull them: GET /v1/Events.")),
      h("div.grid", null, wide(newSink(load), "s6"), wide(sinks.length ? replay(sinks, load) : card("Replay", null, h("p.soft", null, "Once there is a sink, what it missed can be offered to it once more.")), "s6")));
  };
  await load();
}

function newSink(done) {
  const name = h("input", { name: "name", required: true, placeholder: "Order system" }), url = h("input", { name: "url", type: "url", required: true, placeholder: "https://hooks.example.com/sendpool" });
  const where = h("div"), button = h("button.go", null, "Make the webhook");
  return card("New webhook", "posts every event of messages", h("form.lines", { onsubmit: (event) => { event.preventDefault(); doing(button, where, async () => {
    const sink = await post("v1/Sinks", { Description: name.value, SinkType: "webhook", SinkConfiguration: JSON.stringify({ destination: url.value, method: "POST", batch_events: false }) }, true);
    const { types } = await get("v1/Types?PageSize=100");
    const wanted = types.filter((one) => one.type.includes(".message.")).map((one) => ({ type: one.type }));
    await post("v1/Subscriptions", { Description: name.value, SinkSid: sink.sid, Types: JSON.stringify(wanted) }, true);
    toast("The webhook gets events from now on.");
    await done();
  }); } }, field("Name", name), field("URL", url, "https, and reachable from the server."), where, h("div.row", null, button)));
}

function replay(sinks, done) {
  const sink = h("select", { name: "sink" }, sinks.map((one) => h("option", { value: one.sid }, one.description || one.sid)));
  const start = h("input", { type: "datetime-local", name: "start" }), end = h("input", { type: "datetime-local", name: "end" });
  const where = h("div"), button = h("button", null, "Replay");
  const at = (input) => (input.value ? new Date(input.value).toISOString() : null);
  return card("Replay", "offers events once more, with the ids that they had", h("form.lines", { onsubmit: (event) => { event.preventDefault(); doing(button, where, async () => {
    const made = await post("Replay", { sink: sink.value, start: at(start), end: at(end) });
    toast(`Events ${made.first} to ${made.last} are offered again.`);
    await done();
  }); } }, field("Sink", sink), h("div.two", null, field("From", start, "Empty: the first that is kept."), field("To", end, "Empty: now.")), where, h("div.row", null, button)));
}
function wide(node, span) { node.classList.add(span); return node; }
