// SPDX-License-Identifier: Apache-2.0
// Node's clients against our server: fetch (undici), http with a kept connection, http2.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import http from "node:http";
import http2 from "node:http2";
import net from "node:net";
import path from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");
const program = path.join(process.env.RONDO_BIN_DIR ?? path.join(root, "build/release/bin"), "rondo-bench-server");

async function freePort() {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

// The server on a free port, and what it said until READY.
async function start(mode) {
  for (let attempt = 0; attempt < 5; ++attempt) {
    const port = await freePort(); // Somebody may take it in between.
    const child = spawn(program, [mode, String(port)]);
    let said = "";
    child.stdout.on("data", (piece) => (said += piece));
    while (!said.includes("READY") && child.exitCode === null) {
      await Promise.race([once(child.stdout, "data"), once(child, "exit")]);
    }
    if (said.includes("READY")) return { child, port, said };
  }
  throw new Error(`${program} ${mode} did not come up`);
}

let plain;
let secure;
let url;

before(async () => {
  plain = await start("http");
  secure = await start("https");
  url = `http://127.0.0.1:${plain.port}`;
});
after(async () => {
  for (const { child } of [plain, secure]) {
    child.kill("SIGTERM");
    const [status] = await once(child, "exit");
    assert.equal(status, 0);
  }
});

test("fetch gets an answer, a hundred at once, and a 404", async () => {
  const answer = await fetch(url);
  assert.equal(answer.status, 200);
  assert.equal(await answer.text(), "Hello, World!");
  const all = await Promise.all(Array.from({ length: 100 }, async () => (await fetch(url)).text()));
  assert.ok(all.every((text) => text === "Hello, World!"));
  assert.equal((await fetch(`${url}/nowhere`)).status, 404);
});

test("fetch sends bodies, known in size and streamed, and gets them back", async () => {
  for (const size of [0, 1, 65_536, 1_000_000]) {
    const body = randomBytes(size);
    const whole = await fetch(`${url}/echo`, { method: "POST", body });
    assert.deepEqual(Buffer.from(await whole.arrayBuffer()), body);
    const stream = new ReadableStream({
      start(controller) {
        for (let at = 0; at < size; at += 10_000) controller.enqueue(body.subarray(at, at + 10_000));
        controller.close();
      },
    });
    const streamed = await fetch(`${url}/echo`, { method: "POST", body: stream, duplex: "half" });
    assert.deepEqual(Buffer.from(await streamed.arrayBuffer()), body);
  }
});

test("a fetch that is given up leaves the server as it was", async () => {
  for (let i = 0; i < 20; ++i) {
    const control = new AbortController();
    const stream = new ReadableStream({
      async pull(controller) {
        await new Promise((resolve) => setTimeout(resolve, 1));
        if (control.signal.aborted) controller.close();
        else controller.enqueue(randomBytes(1_000));
      },
    });
    const asked = fetch(`${url}/echo`, { method: "POST", body: stream, duplex: "half", signal: control.signal });
    setTimeout(() => control.abort(), 5);
    await assert.rejects(asked);
  }
  assert.equal(await (await fetch(url)).text(), "Hello, World!");
});

test("http keeps one connection for many requests", async () => {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const ports = new Set();
  for (let i = 0; i < 50; ++i) {
    const request = http.get(url, { agent });
    const [answer] = await once(request, "response");
    ports.add(answer.socket.localPort);
    answer.resume();
    await once(answer, "end");
  }
  assert.equal(ports.size, 1);
  agent.destroy();
});

test("http with Expect: 100-continue is told to go on", async () => {
  const request = http.request(`${url}/echo`, {
    method: "POST",
    headers: { Expect: "100-continue", "Content-Length": 5 },
  });
  request.flushHeaders();
  await once(request, "continue");
  request.end("hello");
  const [answer] = await once(request, "response");
  answer.setEncoding("utf8");
  let text = "";
  for await (const piece of answer) text += piece;
  assert.equal(text, "hello");
});

for (const over of ["prior knowledge", "TLS"]) {
  test(`http2 by ${over}: streams at once, bodies, a stream given up, a ping, a clean end`, async () => {
    const options = {};
    let origin = url;
    if (over === "TLS") {
      options.ca = readFileSync(secure.said.split(/\s/)[1]);
      origin = `https://127.0.0.1:${secure.port}`;
    }
    const session = http2.connect(origin, options);
    await once(session, "connect");
    const get = async (headers, body) => {
      const stream = session.request(headers);
      stream.end(body);
      const [head] = await once(stream, "response");
      const pieces = [];
      for await (const piece of stream) pieces.push(piece);
      return { status: head[":status"], body: Buffer.concat(pieces) };
    };
    const many = await Promise.all(Array.from({ length: 90 }, () => get({ ":path": "/" })));
    assert.ok(many.every((each) => each.status === 200 && String(each.body) === "Hello, World!"));
    const body = randomBytes(1_000_000);
    const back = await Promise.all(
      Array.from({ length: 4 }, () => get({ ":method": "POST", ":path": "/echo" }, body)),
    );
    assert.ok(back.every((each) => each.body.equals(body)));
    const given = session.request({ ":method": "POST", ":path": "/echo" });
    given.write(randomBytes(100_000));
    given.on("error", () => {});
    given.close(http2.constants.NGHTTP2_CANCEL);
    await once(given, "close");
    const pinged = await new Promise((resolve) => session.ping((error) => resolve(error)));
    assert.equal(pinged, null);
    assert.equal((await get({ ":path": "/nowhere" })).status, 404);
    session.close();
    await once(session, "close");
  });
}
