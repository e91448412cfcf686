// SPDX-License-Identifier: Apache-2.0
// A conversation to look at: a small team on an ordinary day, with what message text can hold.

const k_day = 86_400_000;

export function people(server) {
  const named = {};
  for (const name of ['Rahul', 'Mira', 'Jonas', 'Lea']) named[name] = server.user(name).user;
  return named;
}

/** `count` plain messages first, then the conversation of yesterday and today. */
export function fill(server, count = 0, now = Date.now()) {
  const { Rahul, Mira, Jonas, Lea } = people(server);
  const crowd = [Rahul, Mira, Jonas, Lea];
  for (let n = 1; n <= count; ++n) {
    const words = 'the loop takes what is ready and comes back for the rest '.repeat(1 + (n % 5));
    server.say('lobby', crowd[(n >> 2) % 4], `${n}: ${words}`, { ts: now - 3 * k_day - (count - n) * 45_000 });
  }
  const yesterday = now - k_day;
  const say = (room, who, body, ts) => server.say(room, who, body, { ts });
  say('lobby', Mira, 'Staging has been on the new build since noon. No alarms so far.', yesterday - 3_600_000);
  say('lobby', Jonas, 'Looks good here too. One thing: the disk alarm on srv-42 is noise, I\u2019ve muted it until Thursday.', yesterday - 3_300_000);
  say('lobby', Jonas, 'Details are in https://example.org/runbook/disk-alarms (second half).', yesterday - 3_290_000);
  say('lobby', Lea, 'Thanks \u{1F64F}', yesterday - 3_000_000);
  say('lobby', Rahul, 'Morning. The flaky test was a real bug: we resumed a task whose scope had already ended.', now - 5_400_000);
  say('lobby', Rahul, 'This is the whole fix:\n```cpp\n// A second completion would resume a freed frame.\nRONDO_ASSERT(op.state == Operation::submitted);\ncompleted_.push_back(&op);\n```', now - 5_390_000);
  say('lobby', Mira, 'Nice find. `push_back` there also means no growing stack, right?', now - 5_000_000);
  say('lobby', Rahul, 'Exactly.', now - 4_990_000);
  say('lobby', Lea, '\u05E9\u05DC\u05D5\u05DD \u05DC\u05DB\u05D5\u05DC\u05DD, I\u2019m back from the dentist. What did I miss?', now - 1_500_000);
  say('lobby', Jonas, 'Nothing that can\u2019t wait for a coffee.', now - 1_440_000);
  say('lobby', Jonas, 'The release candidate goes out at four. If somebody has a reason against it, now is the time.', now - 240_000);
  say('lobby', Mira, 'Ship it.', now - 120_000);
  server.room('build', 'What the machines say');
  say('build', Jonas, 'main is green again, 38 minutes.', now - 900_000);
  say('build', Jonas, 'asan found nothing in 10,000 cancel points.', now - 800_000);
  server.room('design', 'Ring, paper, ink');
  say('design', Mira, 'Closed ring when connected, open when not. That\u2019s all it has to say.', now - 7_000_000);
  server.room('random', 'Cakes, bicycles, weather');
  return { Rahul, Mira, Jonas, Lea };
}
