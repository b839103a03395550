// A message centre by npm's smpp: says on which port it listens, then a line of JSON for each bind and submit.
const smpp = require('smpp');

const { receipts, ...options } = JSON.parse(process.argv[2]);
const say = (value) => console.log(JSON.stringify(value));
const bound = {};
let last = 0;
let sessions = 0;

const server = smpp.createServer({ ...options, autoPrependBuffer: false }, (session) => {
  const number = ++sessions;
  session.on('error', () => {});
  for (const kind of ['bind_transceiver', 'bind_transmitter', 'bind_receiver']) {
    session.on(kind, (pdu) => {
      if (kind !== 'bind_transmitter') bound.receiver = session;
      say({ kind, system_id: pdu.system_id, password: pdu.password, encrypted: Boolean(session.socket.encrypted) });
      session.send(pdu.response({ system_id: 'npm' }));
    });
  }
  session.on('submit_sm', (pdu) => {
    const id = `npm-${++last}`;
    // Parameters that it does not know stand under their number.
    const tlvs = {};
    for (const [name, value] of Object.entries(pdu)) if (/^\d+$/.test(name)) tlvs[name] = value.toString();
    const text = (field) => (field && field.message !== undefined ? field.message : '');
    const udh = (pdu.short_message && pdu.short_message.udh) || [];
    const sar = ['sar_msg_ref_num', 'sar_total_segments', 'sar_segment_seqnum'].map((name) => pdu[name]);
    say({
      kind: 'submit_sm',
      session: number,
      tlvs,
      text: text(pdu.short_message),
      payload: text(pdu.message_payload),
      udh: udh.map((element) => element.toString('hex')).join(),
      sar: sar.filter((value) => value !== undefined),
    });
    session.send(pdu.response({ message_id: id }));
    if (receipts) {
      const text = `id:${id} sub:001 dlvrd:001 submit date:2511220101 done date:2511220102 stat:DELIVRD err:000 text:`;
      bound.receiver.deliver_sm({
        source_addr: pdu.destination_addr,
        destination_addr: pdu.source_addr,
        esm_class: 4,
        short_message: text,
      });
    }
  });
  session.on('enquire_link', (pdu) => session.send(pdu.response()));
  session.on('unbind', (pdu) => {
    session.send(pdu.response());
    session.close();
  });
});
server.on('error', () => {});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
