// SPDX-License-Identifier: Apache-2.0
// Node's `ws` client against the example server: another implementation's view of the protocol.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import path from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");
const WebSocket = createRequire(path.join(root, "apps/chat/web/package.json"))("ws");
const examples = process.env.RONDO_EXAMPLES_DIR ?? path.join(root, "build/dev/examples");
let server, url;

before(async () => {
  server = spawn(path.join(examples, "11_ws_echo"), ["127.0.0.1:0"]);
  const [line] = await once(server.stdout, "data");
  url = `ws${String(line).match(/ready on http(\S+)/)[1]}/ws`;
});
after(() => server.kill("SIGKILL"));

async function open(options = {}) {
  const socket = new WebSocket(url, options);
  await once(socket, "open");
  return socket;
}
async function closed(socket) {
  const [code] = await once(socket, "close");
  return code;
}

test("texts and binaries of every length class come back", async () => {
  const socket = await open();
  for (const size of [0, 1, 125, 126, 4000, 4096, 5000, 65535]) {
    const text = "ä".repeat(size / 2);
    socket.send(text);
    const [back, backIsBinary] = await once(socket, "message");
    assert.equal(String(back), text);
    assert.equal(backIsBinary, false);
    socket.send(Buffer.alloc(size, 0xfe));
    const [bytes, isBinary] = await once(socket, "message");
    assert.deepEqual(bytes, Buffer.alloc(size, 0xfe));
    assert.equal(isBinary, true);
  }
  socket.close();
  assert.equal(await closed(socket), 1005);
});

test("a thousand messages keep their order", async () => {
  const socket = await open();
  const heard = [];
  const all = new Promise((done) => socket.on("message", (text) => {
    heard.push(String(text));
    if (heard.length === 1000) done();
  }));
  for (let i = 0; i < 1000; ++i) socket.send(String(i));
  await all;
  assert.deepEqual(heard, [...Array(1000).keys()].map(String));
  socket.terminate();
});

test("fragments are joined and pings answered between them", async () => {
  const socket = await open();
  socket.send("one ", { fin: false });
  socket.ping("there?");
  socket.send("two ", { fin: false });
  const answers = Promise.all([once(socket, "message"), once(socket, "pong")]);
  socket.send("three", { fin: true });
  const [[text], [pong]] = await answers;
  assert.equal(String(text), "one two three");
  assert.equal(String(pong), "there?");
  socket.terminate();
});

test("the closing handshake carries the client's code", async () => {
  const socket = await open();
  socket.close(4001, "enough");
  assert.equal(await closed(socket), 4001);
});

test("a message over the limit closes with 1009", async () => {
  const socket = await open();
  socket.on("error", () => {});
  socket.send(Buffer.alloc(64 * 1024 + 1));
  assert.equal(await closed(socket), 1009);
});

test("permessage-deflate is agreed on, and texts come back", async () => {
  const socket = await open({ perMessageDeflate: { threshold: 0, serverMaxWindowBits: 10 } });
  assert.equal(socket.extensions, "permessage-deflate");
  for (const text of ["", "short", "a text that is said again. ".repeat(2000)]) {
    socket.send(text);
    const [back] = await once(socket, "message");
    assert.equal(String(back), text);
  }
  socket.terminate();
});

test("a bomb that inflates over the limit closes with 1009", async () => {
  const socket = await open({ perMessageDeflate: { threshold: 0 } });
  socket.on("error", () => {});
  socket.send(Buffer.alloc(10_000_000));
  assert.equal(await closed(socket), 1009);
});

test("a foreign Origin is refused with 403", async () => {
  const socket = new WebSocket(url, { origin: "https://evil.example" });
  socket.on("error", () => {});
  const [, answer] = await once(socket, "unexpected-response");
  assert.equal(answer.statusCode, 403);
  socket.terminate();
});

test("SIGTERM closes sessions with 1001 and ends with status 0", async () => {
  const socket = await open();
  const exit = once(server, "exit");
  server.kill("SIGTERM");
  assert.equal(await closed(socket), 1001);
  assert.equal((await exit)[0], 0);
});
