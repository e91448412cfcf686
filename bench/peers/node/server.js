// SPDX-License-Identifier: Apache-2.0
// Node contender (one process, no cluster).   node server.js MODE PORT
'use strict';
const net = require('net');
const [mode, port] = [process.argv[2], Number(process.argv[3])];
const ready = () => console.log('READY');
const listen = (onConn) => net.createServer({ noDelay: true }, (s) => {
  s.on('error', () => s.destroy());
  onConn(s);
}).listen({ port, host: '127.0.0.1', backlog: 4096 }, ready);

if (mode === 'echo') listen((s) => s.on('data', (d) => s.write(d)));
else if (mode === 'sink') listen((s) => s.on('data', () => {}));
else if (mode === 'source') {
  const block = Buffer.alloc(65536, 'z');
  listen((s) => s.once('data', () => {
    s.resume();
    const pump = () => { while (s.writable && s.write(block)); };
    s.on('drain', pump);
    pump();
  }));
} else if (mode === 'fanout') {
  const room = new Set();
  listen((s) => {
    room.add(s);
    s.on('close', () => room.delete(s));
    let part = null;
    s.on('data', (d) => {
      if (part) d = Buffer.concat([part, d]), part = null;
      let at = 0;
      for (let nl; (nl = d.indexOf(10, at)) >= 0; at = nl + 1) {
        const line = d.subarray(at, nl + 1);
        for (const m of room) m.write(line);
      }
      if (at < d.length) part = d.subarray(at);
    });
  });
} else if (mode === 'http') {
  require('http').createServer((req, res) => {
    res.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': 13 });
    res.end('Hello, World!');
  }).listen({ port, host: '127.0.0.1', backlog: 4096 }, ready);
} else if (mode === 'ws' || mode === 'wsfan') {
  const { WebSocketServer } = require('ws');
  const wss = new WebSocketServer({ port, host: '127.0.0.1', backlog: 4096, perMessageDeflate: false }, ready);
  wss.on('connection', (ws) => {
    ws.on('error', () => {});
    if (mode === 'ws') ws.on('message', (d, binary) => ws.send(d, { binary }));
    else ws.on('message', (d, binary) => { for (const c of wss.clients) c.send(d, { binary }); });
  });
}
