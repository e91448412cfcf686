// SPDX-License-Identifier: Apache-2.0
// W7, W9, W10 for Tokio (current-thread runtime).   tokio_micro [spawn|files]
use std::future::Future;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

fn put(m: &str, v: f64, unit: &str) {
    println!("{{\"metric\":\"{}\",\"value\":{:.3},\"unit\":\"{}\"}}", m, v, unit);
}
fn cpu() -> f64 {
    // own CPU time, from /proc: utime + stime at 100 Hz is too coarse, schedstat is per thread: sum them
    let mut ns = 0.0;
    for t in std::fs::read_dir("/proc/self/task").unwrap() {
        let s = std::fs::read_to_string(t.unwrap().path().join("schedstat")).unwrap_or_default();
        ns += s.split(' ').next().and_then(|x| x.parse::<f64>().ok()).unwrap_or(0.0);
    }
    ns / 1e9
}
fn per(t: Instant, n: usize) -> f64 { t.elapsed().as_nanos() as f64 / n as f64 }
fn rt() -> tokio::runtime::Runtime { tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap() }

#[inline(never)]
async fn child(v: u64) -> u64 { v }

async fn micro() {
    let n = 1_000_000usize;
    let mut sum = 0u64;
    let t = Instant::now();
    for i in 0..n { let f: std::pin::Pin<Box<dyn Future<Output = u64> + Send>> = Box::pin(child(i as u64)); sum += f.await; }
    put("call+await", per(t, n), "ns");
    let t = Instant::now();
    for i in 0..n { sum += tokio::spawn(child(i as u64)).await.unwrap(); }
    put("spawn+await", per(t, n), "ns");
    let t = Instant::now();
    for _ in 0..n { tokio::task::yield_now().await; }
    put("post+run", per(t, n), "ns");

    let (ta, mut ra) = mpsc::unbounded_channel::<u64>();
    let (tb, mut rb) = mpsc::unbounded_channel::<u64>();
    let t = Instant::now();
    let h = tokio::spawn(async move { while let Some(v) = ra.recv().await { if tb.send(v + 1).is_err() { return; } } });
    for i in 0..n { let _ = ta.send(i as u64); sum += rb.recv().await.unwrap(); }
    put("channel hop", per(t, 2 * n), "ns");
    drop(ta);
    let _ = h.await;

    // two players; a hop is one hand-over
    let (wa, mut wra) = tokio::sync::watch::channel(0u64);
    let (wb, mut wrb) = tokio::sync::watch::channel(0u64);
    let t = Instant::now();
    let h = tokio::spawn(async move { while wra.changed().await.is_ok() { let v = *wra.borrow_and_update(); let _ = wb.send(v + 1); } });
    for i in 0..n { let _ = wa.send(i as u64); wrb.changed().await.unwrap(); sum += *wrb.borrow_and_update(); }
    put("watch hop", per(t, 2 * n), "ns");
    drop(wa);
    let _ = h.await;

    let (ba, mut bra) = tokio::sync::broadcast::channel(2);
    let (bb, mut brb) = tokio::sync::broadcast::channel(2);
    let t = Instant::now();
    let h = tokio::spawn(async move { while let Ok(v) = bra.recv().await { let _ = bb.send(v + 1u64); } });
    for i in 0..n { let _ = ba.send(i as u64); sum += brb.recv().await.unwrap(); }
    put("broadcast hop", per(t, 2 * n), "ns");
    drop(ba);
    let _ = h.await;

    let (qa, mut qb) = mpsc::channel::<tokio::sync::oneshot::Sender<u64>>(1);
    let t = Instant::now();
    let h = tokio::spawn(async move { while let Some(q) = qb.recv().await { let _ = q.send(1); } });
    for _ in 0..n { let (s, r) = tokio::sync::oneshot::channel(); let _ = qa.send(s).await; sum += r.await.unwrap(); }
    put("ask+answer by channel and oneshot", per(t, n), "ns");
    drop(qa);
    let _ = h.await;

    let mutex = std::sync::Arc::new(tokio::sync::Mutex::new(0u64));
    let player = |m: std::sync::Arc<tokio::sync::Mutex<u64>>| async move { for _ in 0..n { let mut g = m.lock().await; *g += 1; tokio::task::yield_now().await; } };
    let t = Instant::now();
    let (one, two) = (tokio::spawn(player(mutex.clone())), tokio::spawn(player(mutex.clone())));
    let _ = (one.await, two.await);
    put("mutex hand-over", per(t, 2 * n), "ns");
    let t = Instant::now();
    for _ in 0..n { *mutex.lock().await += 1; }
    put("mutex lock+unlock, free", per(t, n), "ns");
    let permits = tokio::sync::Semaphore::new(4);
    let t = Instant::now();
    for _ in 0..n { let _permit = permits.acquire().await; }
    put("semaphore acquire+release, free", per(t, n), "ns");
    let t = Instant::now();
    for _ in 0..20_000 { tokio::task::spawn_blocking(|| {}).await.unwrap(); }
    put("pool round trip", per(t, 20_000) / 1e3, "us");

    let mut over = Vec::new();
    for _ in 0..500 {
        let t = Instant::now();
        tokio::time::sleep(Duration::from_millis(1)).await;
        over.push((t.elapsed().as_nanos() as f64 - 1e6) / 1e3);
    }
    over.sort_by(|a, b| a.partial_cmp(b).unwrap());
    put("sleep 1 ms: overshoot p50", over[250], "us");
    put("sleep 1 ms: overshoot p99", over[495], "us");

    let (tc, mut rc) = mpsc::unbounded_channel::<u64>();
    let (td, mut rd) = mpsc::unbounded_channel::<u64>();
    let th = std::thread::spawn(move || rt().block_on(async move { while let Some(v) = rc.recv().await { if td.send(v).is_err() { return; } } }));
    let rounds = 50_000;
    let t = Instant::now();
    for i in 0..rounds { let _ = tc.send(i as u64); rd.recv().await.unwrap(); }
    put("cross-thread round trip", per(t, rounds) / 1e3, "us");
    drop(tc);
    th.join().unwrap();

    let mut r = 1u32;
    let mut delay = || { r = r.wrapping_mul(1664525).wrapping_add(1013904223); Duration::from_millis(60_000 + (r >> 12) as u64) };
    let waker_poll = |s: std::pin::Pin<&mut tokio::time::Sleep>, cx: &mut std::task::Context<'_>| { let _ = s.poll(cx); };
    let mut keep: Vec<std::pin::Pin<Box<tokio::time::Sleep>>> = (0..n).map(|_| Box::pin(tokio::time::sleep(delay()))).collect();
    std::future::poll_fn(|cx| { for s in keep.iter_mut() { waker_poll(s.as_mut(), cx); } std::task::Poll::Ready(()) }).await;
    let t = Instant::now();
    std::future::poll_fn(|cx| {
        for _ in 0..n {
            let s = tokio::time::sleep(delay());
            tokio::pin!(s);
            waker_poll(s, cx);
        }
        std::task::Poll::Ready(())
    }).await;
    put("timer arm+cancel, 1e6 outstanding", per(t, n), "ns");
    if sum == 42 { println!(); }
    std::process::exit(0);
}
async fn spawn() {
    let n = 1000;
    let (t, c) = (Instant::now(), cpu());
    for _ in 0..n { tokio::process::Command::new("/bin/true").status().await.unwrap(); }
    put("spawn+wait", n as f64 / t.elapsed().as_secs_f64(), "per s");
    put("parent CPU per spawn", (cpu() - c) * 1e6 / n as f64, "us");
    put("wall per spawn", per(t, n) / 1e3, "us");
    let (t, c) = (Instant::now(), cpu());
    for _ in 0..n { assert_eq!(tokio::process::Command::new("/bin/echo").arg("hello").output().await.unwrap().stdout.len(), 6); }
    put("parent CPU per capture", (cpu() - c) * 1e6 / n as f64, "us");
    put("wall per capture", per(t, n) / 1e3, "us");
}
async fn files() {
    let d = std::env::var("PEERS_BUILD").unwrap_or(".".into());
    for pass in 0..2 {
        let next = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let (t, c) = (Instant::now(), cpu());
        let lanes: Vec<_> = (0..64).map(|_| {
            let (next, d) = (next.clone(), d.clone());
            tokio::spawn(async move {
                loop {
                    let i = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if i >= 10_000 { return; }
                    assert_eq!(tokio::fs::read(format!("{}/files/{}", d, i)).await.unwrap().len(), 4096);
                }
            })
        }).collect();
        for l in lanes { l.await.unwrap(); }
        if pass == 1 {
            put("files", 10_000.0 / t.elapsed().as_secs_f64(), "per s");
            put("CPU per file", (cpu() - c) * 1e6 / 10_000.0, "us");
        }
    }
    let (t, c) = (Instant::now(), cpu());
    for i in 0..10_000 { assert_eq!(tokio::fs::read(format!("{}/files/{}", d, i)).await.unwrap().len(), 4096); }
    put("files, one at a time", 10_000.0 / t.elapsed().as_secs_f64(), "per s");
    put("CPU per file, one at a time", (cpu() - c) * 1e6 / 10_000.0, "us");
}
fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("spawn") => rt().block_on(spawn()),
        Some("files") => rt().block_on(files()),
        // in a task: the future given to block_on itself is scheduled more slowly
        _ => rt().block_on(async { tokio::spawn(micro()).await.unwrap() }),
    }
}
