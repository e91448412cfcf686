// SPDX-License-Identifier: Apache-2.0
// Tokio contender, current-thread runtime.   tokio_server MODE PORT
use hyper::service::{make_service_fn, service_fn};
use hyper::{Body, Request, Response, Server};
use std::{cell::RefCell, collections::HashMap, convert::Infallible, rc::Rc};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

async fn echo(mut s: TcpStream) {
    let mut buf = [0u8; 4096];
    while let Ok(n) = s.read(&mut buf).await {
        if n == 0 || s.write_all(&buf[..n]).await.is_err() { return; }
    }
}
async fn sink(mut s: TcpStream) {
    let mut buf = vec![0u8; 65536];
    while let Ok(n) = s.read(&mut buf).await {
        if n == 0 { return; }
    }
}
async fn source(mut s: TcpStream) {
    let mut buf = vec![b'z'; 65536];
    let _ = s.read(&mut buf).await;
    while s.write_all(&buf).await.is_ok() {}
}

type Room = Rc<RefCell<HashMap<u64, mpsc::UnboundedSender<Rc<Vec<u8>>>>>>;
async fn member(s: TcpStream, id: u64, room: Room) {
    let (r, mut w) = s.into_split();
    let (tx, mut rx) = mpsc::unbounded_channel::<Rc<Vec<u8>>>();
    room.borrow_mut().insert(id, tx);
    tokio::task::spawn_local(async move {
        while let Some(line) = rx.recv().await {
            if w.write_all(&line).await.is_err() { return; }
        }
    });
    let mut r = BufReader::new(r);
    loop {
        let mut line = Vec::new();
        match r.read_until(b'\n', &mut line).await {
            Ok(n) if n > 0 => {
                let line = Rc::new(line);
                for tx in room.borrow().values() { let _ = tx.send(line.clone()); }
            }
            _ => break,
        }
    }
    room.borrow_mut().remove(&id);
}

async fn hello(_: Request<Body>) -> Result<Response<Body>, Infallible> {
    let mut r = Response::new(Body::from("Hello, World!"));
    r.headers_mut().insert("content-type", "text/plain".parse().unwrap());
    Ok(r)
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let (mode, addr) = (args[1].clone(), format!("127.0.0.1:{}", args[2]));
    let rt = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&rt, async move {
        let l = TcpListener::bind(&addr).await.unwrap();
        println!("READY");
        if mode == "http" {
            let l = l.into_std().unwrap();
            let make = make_service_fn(|_| async { Ok::<_, Infallible>(service_fn(hello)) });
            Server::from_tcp(l).unwrap().tcp_nodelay(true).http1_pipeline_flush(true).serve(make).await.unwrap();
            return;
        }
        let room: Room = Default::default();
        let mut id = 0u64;
        loop {
            let (s, _) = l.accept().await.unwrap();
            let _ = s.set_nodelay(true);
            id += 1;
            match mode.as_str() {
                "echo" => { tokio::task::spawn_local(echo(s)); }
                "sink" => { tokio::task::spawn_local(sink(s)); }
                "source" => { tokio::task::spawn_local(source(s)); }
                "fanout" => { tokio::task::spawn_local(member(s, id, room.clone())); }
                _ => std::process::exit(2),
            }
        }
    });
}
