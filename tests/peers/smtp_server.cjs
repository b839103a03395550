// A relay by npm's smtp-server: says on which port it listens, then one line of JSON for each message that it has taken.
const { SMTPServer } = require('smtp-server');

const options = JSON.parse(process.argv[2]);
const server = new SMTPServer({
  ...options,
  onAuth(auth, session, done) {
    const good = auth.username === 'user1' && auth.password === 'p@ss';
    done(good ? null : Object.assign(new Error('bad credentials'), { responseCode: 535 }), { user: auth.username });
  },
  onRcptTo(address, session, done) {
    if (address.address.startsWith('no@')) {
      return done(Object.assign(new Error('5.1.1 no such user'), { responseCode: 550 }));
    }
    done();
  },
  onData(stream, session, done) {
    const parts = [];
    stream.on('data', (part) => parts.push(part));
    stream.on('end', () => {
      const { mailFrom, rcptTo, dsn, bodyType, smtpUtf8 } = session.envelope;
      const said = { id: session.id, secure: session.secure, user: session.user, mailFrom, rcptTo, dsn, bodyType, smtpUtf8 };
      console.log(JSON.stringify({ ...said, data: Buffer.concat(parts).toString('base64') }));
      done();
    });
  },
});
server.on('error', () => {});
server.listen(0, '127.0.0.1', () => console.log(server.server.address().port));
