#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Peers benchmark driver (Python 3 stdlib only). See README.md for the contract.

  run.py build                          compile everything into $PEERS_BUILD
  run.py WORKLOAD [options]             measure and print a table
  run.py table WORKLOAD                 print the table of the stored samples again
  run.py syscalls WORKLOAD [options]    system calls per operation (strace -c -f)

  --reps N          interleaved repetitions (default 5)
  --only a,b        contenders to run
  --cases x,y       cases to run
  --add NAME=CMD    add a contender; {mode} and {port} are replaced in CMD
  --paired          short windows alternating with the base contender: the steadiest ratios (--base NAME)
  --toggles         also run RAW-URING once per toggle
  --secs S          measuring window (default 0.8)
  --tries N         windows per sample while others keep the machine busy (default 1)
"""
import argparse, json, os, re, shlex, signal, socket, statistics, subprocess, sys, tempfile, time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
B = os.environ.get("PEERS_BUILD") or os.path.join(ROOT, "build", "peers")
os.environ["PEERS_BUILD"] = B  # Contenders keep their files there.
RONDO = os.path.join(ROOT, "build", "release", "bin", "rondo-bench-")
PY = "/usr/bin/python3"
TCP = {"echo", "sink", "source", "fanout"}

# name -> (command, modes). A mode may be renamed per contender with "mode:its-own-name".
CONTENDERS = {
    "raw-uring": (f"{B}/raw_uring {{mode}} {{port}}", TCP | {"http", "ws", "wsfan"}),
    "rondo": (f"{RONDO}server {{mode}} {{port}}", TCP | {"http", "ws", "wsfan"}),
    "raw-epoll": (f"{B}/raw_epoll {{mode}} {{port}}", TCP | {"http", "ws", "wsfan"}),
    "libuv": (f"{B}/uv_server {{mode}} {{port}}", TCP),
    "libevent": (f"{B}/ev_server {{mode}} {{port}}", {"echo", "sink"}),
    "asio-coro": (f"{B}/asio_server {{mode}} {{port}}", TCP | {"http", "ws", "wsfan"}),
    "asio-cb": (f"{B}/asio_server echo-cb {{port}}", {"echo"}),
    "asio-uring": (f"{B}/asio_uring_server {{mode}} {{port}}", TCP | {"http"}),
    "tokio": (f"{B}/tokio_server {{mode}} {{port}}", TCP | {"http"}),
    "go": (f"{B}/go_server {{mode}} {{port}}", TCP | {"http", "ws", "wsfan"}),
    "node": (f"node {HERE}/node/server.js {{mode}} {{port}}", TCP | {"http", "ws", "wsfan"}),
    "asyncio": (f"{PY} {HERE}/py/server.py asyncio {{mode}} {{port}}", TCP | {"http", "ws"}),
    "uvloop": (f"{PY} {HERE}/py/server.py uvloop {{mode}} {{port}}", TCP | {"http", "ws", "wsfan"}),
    "uvloop-streams": (f"{PY} {HERE}/py/server.py uvloop echo-streams {{port}}", {"echo"}),
    "py-websockets": (f"{PY} {HERE}/py/server.py uvloop {{mode}}-websockets {{port}}", {"ws", "wsfan"}),
    "nginx": (f"{HERE}/nginx.sh {{port}}", {"http"}),
}
TOGGLES = ["no-defer", "coop", "oneshot", "nobufring", "eager", "sendsys", "waitall", "skip", "fixed", "regring",
           "fixed regring skip", "zc", "bundle", "pollfirst", "batch=16 us=50", "spin=50"]
TOGGLES_BULK = ["no-defer", "oneshot", "nobufring", "waitall", "fixed", "zc", "bundle", "nbuf=8", "nbuf=8 buf=262144", "nobufring buf=262144"]

RR = "rr --conns {c} --depth {d} --size 64 --proto {p}"
def rr(c, d=1, p="raw"): return RR.format(c=c, d=d, p=p)
# workload -> (list of (case, server mode, load command)), figure
WORKLOADS = {
    "W1": [("c1", "echo", rr(1)), ("c64", "echo", rr(64)), ("c1000", "echo", rr(1000))],
    "W2": [("c64d16", "echo", rr(64, 16))],
    "W3": [("source", "source", "source"), ("sink", "sink", "sink")],
    "W4": [("rate100", "fanout", "fanout --conns 1000 --rate 100 --secs 1.5"),
           ("rate300", "fanout", "fanout --conns 1000 --rate 300 --secs 1.5"),
           ("max-w16", "fanout", "fanout --conns 1000 --window 16 --secs 1.5")],
    "W5": [("c64", "http", rr(64, 1, "http")), ("c64d16", "http", rr(64, 16, "http")),
           ("wrk-c64", "http", "WRK 64"), ("wrk-c64d16", "http", "WRK 64 pipeline")],
    "W6": [("echo-c64", "ws", rr(64, 1, "ws")), ("echo-c1000", "ws", rr(1000, 1, "ws")),
           ("fan-rate100", "wsfan", "fanout --conns 1000 --rate 100 --proto ws --secs 1.5"),
           ("fan-max-w16", "wsfan", "fanout --conns 1000 --window 16 --proto ws --secs 1.5")],
    "W8": [("idle8000", "echo", "idle --conns 8000")],
}
MICRO = {  # programs that print {"metric":..,"value":..,"unit":..} lines themselves
    "W7": {
        "rondo": f"{RONDO}micro",
        "floor-gcc12": f"{B}/coro_floor_gcc", "floor-clang19": f"{B}/coro_floor_clang", "uring-floor": f"{B}/uring_floor", "tcp-floor": f"{B}/tcp_floor",
        "asio": f"{B}/asio_micro", "libuv": f"{B}/uv_micro", "tokio": f"{B}/tokio_micro", "go": f"{B}/go_micro",
        "node": f"node {HERE}/micro/node_micro.js", "asyncio": f"{PY} {HERE}/micro/py_micro.py asyncio",
        "uvloop": f"{PY} {HERE}/micro/py_micro.py uvloop"},
    "W9": {
        "rondo": f"{RONDO}micro spawn",
        "posix_spawn": f"{B}/os_floor spawn", "libuv": f"{B}/uv_micro spawn", "tokio": f"{B}/tokio_micro spawn",
        "go": f"{B}/go_micro spawn", "node": f"node {HERE}/micro/node_micro.js spawn",
        "asyncio": f"{PY} {HERE}/micro/py_micro.py asyncio spawn", "uvloop": f"{PY} {HERE}/micro/py_micro.py uvloop spawn"},
    "W10": {
        "rondo": f"{RONDO}micro files", "rondo-epoll": f"env RONDO_DRIVER=epoll {RONDO}micro files",
        "sync-loop": f"{B}/os_floor files", "raw-uring": f"{B}/uring_floor files", "libuv": f"{B}/uv_micro files",
        "tokio": f"{B}/tokio_micro files", "go": f"{B}/go_micro files", "node": f"node {HERE}/micro/node_micro.js files",
        "aiofiles": f"{PY} {HERE}/micro/py_micro.py asyncio files", "aiofiles-uvloop": f"{PY} {HERE}/micro/py_micro.py uvloop files"},
}
PIPELINE_LUA = """init = function(args)
  local r = {}
  for i = 1, 16 do r[i] = wrk.format("GET", "/") end
  req = table.concat(r)
end
request = function() return req end
"""
next_port = [20000 + os.getpid() % 5000]


def env():
    e = dict(os.environ, NODE_PATH=f"{B}/npm/node_modules", PEERS_BUILD=B)
    e.pop("GOMAXPROCS", None)
    return e


def sh(cmd, **kw):
    print("+", cmd, flush=True)
    subprocess.run(cmd, shell=True, check=True, **kw)


def make(target, command, *sources, **kw):
    """Runs the command unless the target is newer than its sources."""
    out = f"{B}/{target}"
    newest = max(os.path.getmtime(os.path.join(HERE, s)) for s in sources)
    if not os.path.exists(out) or os.path.getmtime(out) < newest:
        sh(command.format(out=out, src=f"{HERE}/{sources[0]}"), **kw)


def build():
    os.makedirs(B, exist_ok=True)
    cxx = "nice -n 10 g++ -O2 -std=c++20 -Wall -Wextra -Wno-missing-field-initializers"
    proto = ("raw/proto.hpp",)
    make("loadgen", cxx + " -o {out} {src} -luring", "load/loadgen.cpp", *proto)
    make("raw_uring", cxx + " -o {out} {src} -luring", "raw/raw_uring.cpp", *proto)
    make("raw_epoll", cxx + " -o {out} {src}", "raw/raw_epoll.cpp", *proto)
    make("uv_server", "gcc -O2 -Wall -Wextra -o {out} {src} -luv", "uv/uv_server.c")
    make("ev_server", "gcc -O2 -Wall -Wextra -o {out} {src} -levent", "libevent/ev_server.c")
    make("asio_server", cxx + " -o {out} {src}", "asio/asio_server.cpp")
    make("asio_uring_server", cxx + " -DBOOST_ASIO_HAS_IO_URING -DBOOST_ASIO_DISABLE_EPOLL -o {out} {src} -luring", "asio/asio_server.cpp")
    build_micro()
    go = dict(env(), GO111MODULE="off", GOPATH="/usr/share/gocode", GOCACHE=f"{B}/go-cache")
    make("go_server", "nice -n 10 go build -o {out} {src}", "go/main.go", env=go)
    make("go_micro", "nice -n 10 go build -o {out} {src}", "micro/go_micro.go", env=go)
    sh(f"mkdir -p {B}/npm && cd {B}/npm && (test -d node_modules/ws || npm install --silent --no-audit --no-fund ws@8)")
    make("tokio_server", f"rm -rf {B}/cargo && cp -r {HERE}/tokio {B}/cargo && cd {B}/cargo && mkdir -p .cargo && "
         "printf '[source.crates-io]\\nreplace-with = \"debian\"\\n[source.debian]\\ndirectory = \"/usr/share/cargo/registry\"\\n' > .cargo/config.toml && "
         f"nice -n 10 cargo build --release --offline --target-dir {B}/cargo-target && "
         f"cp {B}/cargo-target/release/tokio_server {B}/cargo-target/release/tokio_micro {B}/",
         "tokio/src/main.rs", "tokio/src/bin/tokio_micro.rs", "tokio/Cargo.toml")


def build_micro():
    cxx = "nice -n 10 g++ -O2 -std=c++20 -Wall -Wextra -Wno-missing-field-initializers"
    make("coro_floor_gcc", cxx + " -o {out} {src}", "micro/coro_floor.cpp")
    make("coro_floor_clang", "nice -n 10 clang++-19 -O2 -std=c++20 -stdlib=libc++ -Wall -Wextra -o {out} {src}", "micro/coro_floor.cpp")
    make("uring_floor", cxx + " -o {out} {src} -luring -lpthread", "micro/uring_floor.cpp")
    make("tcp_floor", cxx + " -o {out} {src} -luring", "micro/tcp_floor.cpp")
    make("os_floor", cxx + " -o {out} {src}", "micro/os_floor.cpp")
    make("asio_micro", cxx + " -o {out} {src} -lpthread", "micro/asio_micro.cpp")
    make("uv_micro", "gcc -O2 -Wall -Wextra -o {out} {src} -luv -lpthread", "micro/uv_micro.c")


def prio(core):  # as root: ahead of whatever else the machine runs
    return ["nice", "-n", "-10", "taskset", "-c", core] if os.geteuid() == 0 else ["taskset", "-c", core]


def boost():  # in the child, after setsid: niceness counts per session where autogroups are on
    try:
        with open("/proc/self/autogroup", "w") as f:
            f.write("-15")
    except OSError:
        pass


def cpu_clock_ns(pid):  # the whole process's CPU clock: all threads, dead ones too
    return time.clock_gettime_ns((~pid << 3) | 2)


def busy_s():
    f = open("/proc/stat").readline().split()[1:]
    v = list(map(int, f))
    return (sum(v[:3]) + sum(v[5:8])) / os.sysconf("SC_CLK_TCK")


class Server:
    def __init__(self, cmd, mode):
        next_port[0] += 1
        self.port = next_port[0]
        self.log = tempfile.TemporaryFile()
        self.p = subprocess.Popen(prio("0") + shlex.split(cmd.format(mode=mode, port=self.port)), stdout=subprocess.PIPE,
                                  stderr=self.log, env=env(), start_new_session=True, preexec_fn=boost)
        os.set_blocking(self.p.stdout.fileno(), False)
        deadline, got = time.time() + 10, b""
        while b"READY" not in got:
            if self.p.poll() is not None or time.time() > deadline:
                self.stop()
                self.log.seek(0)
                raise RuntimeError("server did not get ready: " + self.log.read().decode(errors="replace")[-500:])
            time.sleep(0.02)
            got += self.p.stdout.read() or b""
        time.sleep(0.1)

    def stop(self):
        self.p.terminate()
        try:
            self.p.wait(3)
        except subprocess.TimeoutExpired:
            self.p.kill()
            self.p.wait()


def load(cmd, srv, secs):
    if cmd.startswith("WRK"):
        args = cmd.split()
        argv = ["wrk", "-t1", f"-c{args[1]}", f"-d{secs + 0.5:.0f}s", "--latency"]
        if "pipeline" in args:
            open(f"{B}/pipeline.lua", "w").write(PIPELINE_LUA)
            argv += ["-s", f"{B}/pipeline.lua"]
        argv.append(f"http://127.0.0.1:{srv.port}/")
        t0, c0 = time.monotonic(), cpu_clock_ns(srv.p.pid)
        r0 = os.times().children_user + os.times().children_system
        out = subprocess.run(prio("1") + argv, capture_output=True, text=True, timeout=60, start_new_session=True, preexec_fn=boost).stdout
        wall, cpu = time.monotonic() - t0, (cpu_clock_ns(srv.p.pid) - c0) / 1e9
        self_cpu = os.times().children_user + os.times().children_system - r0
        n = int(re.search(r"(\d+) requests in", out).group(1))
        us = lambda s: float(re.match(r"[\d.]+", s).group()) * {"us": 1, "ms": 1e3, "s": 1e6}[re.sub(r"[\d.]", "", s)]
        return {"unit": "request", "n": n, "per_s": float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1)),
                "cpu_us": cpu * 1e6 / n, "server_util": cpu / wall, "client_util": self_cpu / wall, "sys_share": 0,
                "p50_us": us(re.search(r"50%\s+(\S+)", out).group(1)), "p99_us": us(re.search(r"99%\s+(\S+)", out).group(1))}
    argv = [f"{B}/loadgen"] + cmd.split()
    if "--secs" not in argv:
        argv += ["--secs", str(secs)]
    argv += ["--warm", "0.1" if secs < 0.5 else "0.3"]
    r = subprocess.run(prio("1") + argv + ["--port", str(srv.port), "--pid", str(srv.p.pid)], capture_output=True, text=True, timeout=90,
                       start_new_session=True, preexec_fn=boost)
    if r.returncode:
        raise RuntimeError("loadgen: " + r.stderr[-300:])
    return json.loads(r.stdout)


def store(workload):
    os.makedirs(f"{B}/results", exist_ok=True)
    return f"{B}/results/{workload}.jsonl"


def fmt(v):
    return f"{v:,.0f}" if abs(v) >= 1000 else f"{v:.3g}" if abs(v) < 10 else f"{v:.1f}"


def table(workload):
    rows = [json.loads(x) for x in open(store(workload))]
    if workload in MICRO:
        metrics = list(dict.fromkeys(r["metric"] for r in rows))
        names = list(dict.fromkeys(r["contender"] for r in rows))
        for m in metrics:
            got = {n: [r["value"] for r in rows if r["contender"] == n and r["metric"] == m] for n in names}
            unit = next(r["unit"] for r in rows if r["metric"] == m)
            print(f"\n{workload} {m} ({unit})\n| contender | median | quartiles | min |\n|---|---:|---:|---:|")
            for n, v in got.items():
                if v:
                    q = statistics.quantiles(v, n=4, method="inclusive") if len(v) > 1 else v * 3
                    print(f"| {n} | {fmt(statistics.median(v))} | {fmt(q[0])}-{fmt(q[2])} | {fmt(min(v))} |")
        return
    for case in dict.fromkeys(r["case"] for r in rows):
        names = list(dict.fromkeys(r["contender"] for r in rows if r["case"] == case))
        if workload == "W8":
            print(f"\n{workload} {case}\n| contender | base RSS KiB | B/conn idle | B/conn after one echo |\n|---|---:|---:|---:|")
            for n in names:
                g = [r for r in rows if r["case"] == case and r["contender"] == n]
                med = lambda k: fmt(statistics.median(r[k] for r in g))
                print(f"| {n} | {med('base_rss_kib')} | {med('idle_bytes')} | {med('used_bytes')} |")
            continue
        base = [r["cpu_us"] for r in rows if r["case"] == case and r["contender"] == "raw-uring"]
        base = statistics.median(base) if base else float("nan")
        unit = next(r["unit"] for r in rows if r["case"] == case)
        print(f"\n{workload} {case} (per {unit})\n| contender | {unit}/s | min-max | CPU us | min-max | user us | x raw-uring | p50 us | p99 us | srv util | gen util | noise |\n|---|" + "---:|" * 11)
        for n in names:
            g = [r for r in rows if r["case"] == case and r["contender"] == n]
            quiet = [r for r in g if r["noise"] < 0.6]
            g = quiet if len(quiet) >= 3 else g
            col = lambda k: [r[k] for r in g]
            med = lambda k: statistics.median(col(k))
            print(f"| {n} | {fmt(med('per_s'))} | {fmt(min(col('per_s')))}-{fmt(max(col('per_s')))} | {fmt(med('cpu_us'))} | "
                  f"{fmt(min(col('cpu_us')))}-{fmt(max(col('cpu_us')))} | {med('cpu_us') * (1 - med('sys_share')):.2f} | {med('cpu_us') / base:.2f} | {fmt(med('p50_us'))} | {fmt(med('p99_us'))} | "
                  f"{med('server_util'):.2f} | {med('client_util'):.2f} | {max(col('noise')):.2f} |")


def pick(workload, a):
    contenders = dict(CONTENDERS)
    for spec in a.add:
        name, cmd = spec.split("=", 1)
        contenders[name] = (cmd, {"echo", "sink", "source", "fanout", "http", "ws", "wsfan"})
    if a.toggles:
        contenders = {"raw-uring": contenders["raw-uring"]}
        for t in TOGGLES_BULK if workload == "W3" else TOGGLES:
            contenders["+" + t] = (f"{B}/raw_uring {{mode}} {{port}} {t}", TCP | {"http", "ws", "wsfan"})
    if a.only:
        contenders = {k: v for k, v in contenders.items() if k in a.only.split(",")}
    return contenders


def measure(workload, a):
    contenders = pick(workload, a)
    cases = [c for c in WORKLOADS[workload] if not a.cases or c[0] in a.cases.split(",")]
    out = open(store(a.store or workload), "a")
    for rep in range(a.reps):
        for name, (cmd, modes) in contenders.items():
            srv, mode_now = None, None
            for case, mode, loadcmd in cases:
                if mode not in modes or not os.path.exists(shlex.split(cmd)[0]) and cmd[0] == "/":
                    continue
                try:
                    if mode != mode_now or srv is None:
                        if srv: srv.stop()
                        srv, mode_now = Server(cmd, mode), mode
                    best = None
                    for attempt in range(a.tries):  # again while others keep the machine busy; the quietest counts
                        t0, b0, s0 = time.monotonic(), busy_s(), cpu_clock_ns(srv.p.pid)
                        k0 = sum(os.times()[2:4])
                        r = load(loadcmd, srv, a.secs)
                        used = (cpu_clock_ns(srv.p.pid) - s0) / 1e9 + sum(os.times()[2:4]) - k0
                        r["noise"] = max(0.0, (busy_s() - b0 - used) / (time.monotonic() - t0))  # CPUs kept busy by others
                        if best is None or r["noise"] < best["noise"]:
                            best = r
                        if r["noise"] < 0.5 or "idle" in loadcmd:
                            break
                    r = best
                    r.update(contender=name, case=case, rep=rep)
                    out.write(json.dumps(r) + "\n"), out.flush()
                except Exception as e:
                    print(f"{workload} {case} {name}: {e}", file=sys.stderr)
                    if srv: srv.stop()
                    srv = None
            if srv: srv.stop()
    out.close()
    table(a.store or workload)


def paired(workload, a):
    """The finest interleaving: every contender's server is up, and short windows alternate
    base, X, base, Y, base ...; X's figure is its CPU per operation over that of the two base
    windows beside it. Reported: the median of those ratios, and the quartiles."""
    contenders = pick(workload, a)
    base = a.base if a.base in contenders else next(iter(contenders))
    out = open(store((a.store or workload) + "-paired"), "a")
    for case, mode, loadcmd in WORKLOADS[workload]:
        if (a.cases and case not in a.cases.split(",")) or loadcmd.startswith("WRK"):
            continue
        up = {}
        for name, (cmd, modes) in contenders.items():
            if mode in modes and (cmd[0] != "/" or os.path.exists(shlex.split(cmd)[0])):
                try:
                    up[name] = Server(cmd, mode)
                except Exception as e:
                    print(f"{name}: {e}", file=sys.stderr)
        others = [n for n in up if n != base]
        got, base_abs = {n: [] for n in others}, []
        one = lambda n: load(loadcmd.replace("--secs 1.5", ""), up[n], a.secs)
        for rep in range(a.reps):
            last = one(base)
            for n in others:
                try:
                    x = one(n)
                except Exception as e:
                    print(f"{n}: {e}", file=sys.stderr)
                    continue
                nxt = one(base)
                b = (last["cpu_us"] + nxt["cpu_us"]) / 2
                got[n].append((x["cpu_us"] / b, x["cpu_us"], x["per_s"], x["p50_us"], x["p99_us"], x["cpu_us"] * (1 - min(1, x["sys_share"]))))
                base_abs.append((1, nxt["cpu_us"], nxt["per_s"], nxt["p50_us"], nxt["p99_us"], nxt["cpu_us"] * (1 - min(1, nxt["sys_share"]))))
                out.write(json.dumps({"case": case, "contender": n, "base": base, "ratio": x["cpu_us"] / b, "cpu_us": x["cpu_us"], "base_cpu_us": b,
                                      "per_s": x["per_s"], "p50_us": x["p50_us"], "p99_us": x["p99_us"]}) + "\n")
                last = nxt
        for srv in up.values():
            srv.stop()
        print(f"\n{workload} {case}: CPU per operation against {base}, {a.reps} paired windows of {a.secs} s\n"
              "| contender | x base, median | quartiles | CPU us median | min | ops/s | p50 us | p99 us | user us |\n|---|" + "---:|" * 8)
        for n, v in [(base, base_abs)] + sorted(got.items(), key=lambda kv: statistics.median(r[0] for r in kv[1]) if kv[1] else 99):
            if len(v) < 2:
                continue
            q = statistics.quantiles([r[0] for r in v], n=4)
            med = lambda i: fmt(statistics.median(r[i] for r in v))
            print(f"| {n} | {statistics.median(r[0] for r in v):.2f} | {q[0]:.2f}-{q[2]:.2f} | {med(1)} | {fmt(min(r[1] for r in v))} | {med(2)} | {med(3)} | {med(4)} | {med(5)} |", flush=True)


def micro(workload, a):
    progs = dict(MICRO[workload])
    for spec in a.add:
        name, cmd = spec.split("=", 1)
        progs[name] = cmd
    if a.only:
        progs = {k: v for k, v in progs.items() if k in a.only.split(",")}
    out = open(store(workload), "a")
    for rep in range(a.reps):
        for name, cmd in progs.items():
            argv = shlex.split(cmd)
            if not all(os.path.exists(x) for x in argv if x.startswith("/")):
                continue
            r = subprocess.run((["nice", "-n", "-10"] if os.geteuid() == 0 else []) + argv, capture_output=True, text=True, env=env(),
                               start_new_session=True, preexec_fn=boost)
            if r.returncode:
                print(f"{workload} {name}: exit {r.returncode} {r.stderr[-300:]}", file=sys.stderr)
            for line in r.stdout.splitlines():
                if line.startswith("{"):
                    out.write(json.dumps(dict(json.loads(line), contender=name, rep=rep)) + "\n")
            out.flush()
    out.close()
    table(workload)


def syscalls(workload, a):
    for case, mode, loadcmd in WORKLOADS[workload]:
        if a.cases and case not in a.cases.split(","):
            continue
        print(f"\n{workload} {case}: system calls per operation")
        for name, (cmd, modes) in CONTENDERS.items():
            if mode not in modes or (a.only and name not in a.only.split(",")) or loadcmd.startswith("WRK"):
                continue
            try:
                srv = Server(cmd, mode)
                f = f"{B}/strace.{name}"
                st = subprocess.Popen(["strace", "-c", "-f", "-o", f, "-p", str(srv.p.pid)], stderr=subprocess.DEVNULL)
                time.sleep(0.3)
                r = load(loadcmd.replace("--secs 1.5", ""), srv, 1)
                st.send_signal(signal.SIGINT)
                st.wait()
                srv.stop()
                total = r["n"] * 1.3  # the warm-up's operations are traced too
                calls = {}
                for line in open(f):
                    p = line.split()
                    if len(p) >= 5 and p[0][0].isdigit() and p[-1] != "total":
                        calls[p[-1]] = int(p[3])
                top = sorted(calls.items(), key=lambda kv: -kv[1])[:6]
                print(f"| {name} | {sum(calls.values()) / max(total, 1):.3f} | " + ", ".join(f"{k} {v / max(total, 1):.3f}" for k, v in top) + " |", flush=True)
            except Exception as e:
                print(name, e)


if __name__ == "__main__":
    ap = argparse.ArgumentParser(usage=__doc__)
    ap.add_argument("what")
    ap.add_argument("workload", nargs="?")
    ap.add_argument("--reps", type=int, default=5)
    ap.add_argument("--tries", type=int, default=1, help="windows per sample while the machine is noisy")
    ap.add_argument("--secs", type=float, default=0.8)
    ap.add_argument("--only")
    ap.add_argument("--cases")
    ap.add_argument("--store", help="store samples under this name")
    ap.add_argument("--add", action="append", default=[])
    ap.add_argument("--paired", action="store_true")
    ap.add_argument("--base", default="raw-uring")
    ap.add_argument("--toggles", action="store_true")
    a = ap.parse_args()
    if a.what == "build": build()
    elif a.what == "build-micro": build_micro()
    elif a.what == "table": table(a.workload)
    elif a.what == "syscalls": syscalls(a.workload, a)
    elif a.what in MICRO: micro(a.what, a)
    elif a.what in WORKLOADS and a.paired: paired(a.what, a)
    elif a.what in WORKLOADS: measure(a.what, a)
    else: ap.error("unknown: " + a.what)
