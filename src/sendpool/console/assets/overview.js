// What is going on now: figures once a second, from one stream.
import { all, card, count, empty, get, h, head, link, listCard, share, short, span, table, td } from "./kit.js";
import { flows, lines, rungs, spark } from "./charts.js";
import { operationRow } from "./operations.js";

export async function overview(page, { leaving, here }) {
  const names = new Map(), known = { senders: [] };
  const learn = async () => { known.senders = (await get("SendersNow")).senders; for (const one of known.senders) names.set(one.key, `${one.address}`); };
  const named = (key) => names.get(key) ?? `sender ${key}`;
  const [, first] = await Promise.all([learn(), get("v1/Messages/Operations?pageSize=6")]);

  const status = h("span.live", { role: "status" }, "Connecting");
  const value = () => ({ big: h("dd.value", null, "–"), note: h("dd.note", null, " ") });
  const pace = value(), won = value(), queue = value(), finish = value();
  const figure = (name, one) => h("div.figure", null, h("dt", null, name), one.big, one.note);
  const set = (one, big, unit, note) => { one.big.replaceChildren(big, unit ? h("small", null, unit) : ""); one.note.textContent = note; };
  const chart = lines(["sent", "delivered", "accepted"]), funnel = rungs("Messages by how far they have come"), waits = rungs("Messages by the time until they were delivered");
  const bySender = h("div"), flow = h("div"), latest = h("div");
  let senderRows = new Map(), flowsShown = "", bounds = null;

  const newcomer = !first.operations.length;
  page.append(head("Overview", newcomer ? "Nothing has been sent yet. Three steps to a first message." : "What the account sends right now.", status, link("send", "Send a message", { class: "button go" })));
  const steps = newcomer && (await firstSteps(known.senders));
  if (steps) page.append(steps);
  page.append(
    h("dl.figures", null, figure("Sent now", pace), figure("Delivered of what ended", won), figure("In the queue", queue), figure("Time to finish", finish)),
    h("div.grid", null,
      wide(card("Throughput", "messages a second, last minute", chart), "s8"), wide(card("Delivery", "last 15 minutes", funnel), "s4"),
      h("div.stack.s6", null, listCard("By sender", "last minute", bySender), card("Failover", "who failed, and who took over; last 15 minutes", flow), listCard("Latest operations", null, latest)),
      wide(card("Time to delivery", "from acceptance, last 15 minutes", waits), "s6")));

  function draw(it) {
    if (status.textContent !== "Live") { status.textContent = "Live"; status.className = "live on"; }
    const f = it.funnel, ended = f.delivered + f.undelivered + f.failed;
    set(pace, short(it.pace), "a second", `${count(f.sent)} in 15 min`);
    set(won, share(f.delivered, ended), "", ended ? `${count(f.delivered)} of ${count(ended)} in 15 min` : "nothing has ended in 15 min");
    set(queue, short(it.queued), "", it.queued ? `the oldest for ${span(it.oldest)}` : it.scheduled ? `${count(it.scheduled)} scheduled for later` : "nothing waits");
    chart.update([it.series.sent, it.series.delivered, it.series.accepted]);
    const top = Math.max(f.accepted, f.sent, f.delivered);
    funnel.update([
      ["Accepted", f.accepted, count(f.accepted)], ["Sent", f.sent, count(f.sent)],
      ["Delivered", f.delivered, `${count(f.delivered)}`, "good"], ["Read", f.read, count(f.read), "good"],
      ["Undelivered", f.undelivered, count(f.undelivered), "bad"], ["Failed", f.failed, count(f.failed), "bad"],
      ["Tried again", f.retried, count(f.retried), "warn"],
    ], top);
    bounds = it.waitBounds;
    const inAll = it.waits.reduce((a, b) => a + b, 0);
    const labels = [...bounds.map((one) => `to ${one < 60 ? `${one} s` : `${one / 60} min`}`), `over ${bounds.at(-1) / 60} min`];
    waits.update(labels.map((one, i) => [one, it.waits[i], inAll ? share(it.waits[i], inAll) : "–"]), Math.max(1, ...it.waits));
    drawSenders(it.senders);
    const said = JSON.stringify(it.flows);
    if (said !== flowsShown) {
      flowsShown = said;
      flow.replaceChildren(it.flows.length ? flows(it.flows, named) : h("p.soft", null, "No message had to change its sender in the last 15 minutes."));
    }
  }
  function drawSenders(rows) {
    if (rows.some((one) => !names.has(one.id))) learn().catch(() => {});
    if (!rows.length) { senderRows = new Map(); bySender.replaceChildren(empty("Nobody sends", "Senders appear here as soon as they send.")); return; }
    if (rows.map((one) => one.id).join() !== [...senderRows.keys()].join()) {
      senderRows = new Map(rows.map((one) => [one.id, { name: h("span"), chart: h("td"), n: h("td.num", { "data-label": "A second" }), all: h("td.num", { "data-label": "15 min" }) }]));
      bySender.replaceChildren(table("Throughput by sender", ["Sender", "Last minute", "#a second", "#15 min"], [...senderRows.values()].map((one) => h("tr", null, h("td", null, one.name), one.chart, one.n, one.all))));
    }
    for (const row of rows) {
      const one = senderRows.get(row.id), now = row.series.slice(-5).reduce((a, b) => a + b, 0) / 5;
      if (one.name.textContent !== named(row.id)) one.name.textContent = named(row.id);
      one.chart.replaceChildren(spark(row.series, `${named(row.id)}: ${row.series.reduce((a, b) => a + b, 0)} messages in the last minute`));
      one.n.textContent = short(now); one.all.textContent = count(row.sent);
    }
  }
  function drawOperations(rows) {
    if (steps && rows.length && steps.isConnected) { steps.remove(); page.querySelector(".head p").textContent = "What the account sends right now."; }
    latest.replaceChildren(rows.length ? table("Latest operations", ["Operation", "Progress", "#Messages"], rows.map((one) => operationRow(one, true))) : empty("No operations yet", "Each request to send makes one, with a message for every recipient.", link("send", "Send a message", { class: "button" })));
    const ends = rows.filter((one) => one.status === "PROCESSING" && one.stats.queued);
    const last = ends.map((one) => one.estimatedCompletion).filter(Boolean).sort().at(-1);
    if (!ends.length) set(finish, "–", "", "nothing is under way");
    else if (last) set(finish, span(Math.max(0, new Date(last) - Date.now())), "", `until ${new Date(last).toLocaleTimeString()}`);
    else set(finish, "open", "", "no sender is ready, or a daily limit ends before");
  }
  drawOperations(first.operations);

  let waiting = null, frame = 0;
  const source = new EventSource("api/Live");
  source.onmessage = (event) => {
    waiting = event.data;
    // At most once a frame, and not at all while nobody looks.
    frame ||= requestAnimationFrame(() => { frame = 0; if (here()) draw(JSON.parse(waiting)); });
  };
  source.onerror = () => { status.textContent = source.readyState === 2 ? "Not live: reload the page" : "Connecting again"; status.className = "live off"; };
  const timer = setInterval(async () => { try { const found = await get("v1/Messages/Operations?pageSize=6"); if (here()) drawOperations(found.operations); } catch { /* The stream says it. */ } }, 3000);
  leaving(() => { source.close(); clearInterval(timer); cancelAnimationFrame(frame); });
}

function wide(node, span) { node.classList.add(span); return node; }

async function firstSteps(senders) {
  const pools = await all("v1/SenderPools", "senderPools", 1);
  const step = (done, title, about, action) => h("li", { class: done ? "done" : "" }, h("div", null, h("h3", null, title), h("p.soft", null, about), action && h("p", null, action)));
  return card("First steps", null, h("ol.steps", null,
    step(senders.length, senders.length ? `You have ${count(senders.length)} ${senders.length === 1 ? "sender" : "senders"}` : "Declare a sender", senders.length ? "Numbers and agents that your connections carry." : "Senders stand below their connection in sendpool.toml; the sandbox needs no carrier. Then send the server a SIGHUP.", senders.length ? link("senders", "See your senders") : null),
    step(pools.length, "Put senders into a pool", "A pool spreads messages over its senders, and lets another take over where one fails. You can also send without one.", link("pools", "Make a pool")),
    step(false, "Send a message", "To yourself, for a start: you see each attempt as it happens.", link("send", "Send a message"))));
}
