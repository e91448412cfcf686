#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`rondo serve` beside nginx: files over HTTP/1.1, HTTPS and HTTP/2, and what idle TLS connections take.

  web.py [--reps N] [--secs S] [--only a,b] [--cases x,y]   files: CPU of the server process per request
  web.py idle [--connections N]                             memory of idle TLS connections

The servers take turns, one process and one thread each on CPU 0, wrk and h2load on CPU 1.
Needs the release build of `rondo`, nginx-light, wrk, nghttp2-client, openssl."""
import argparse, os, re, resource, shutil, signal, socket, ssl, statistics, subprocess, sys, tempfile, time

import run

SIZES = {"small.txt": 1_024, "page.html": 100_000, "large.bin": 16 << 20}
# case -> (tool, scheme, file, connections)
CASES = {
    "1 KB": ("wrk", "http", "small.txt", 64),
    "1 KB, HTTPS": ("wrk", "https", "small.txt", 64),
    "1 KB, HTTP/2 + TLS": ("h2load", "https", "small.txt", 64),
    "100 KB": ("wrk", "http", "page.html", 64),
    "100 KB, HTTPS": ("wrk", "https", "page.html", 64),
    "16 MiB": ("wrk", "http", "large.bin", 4),
    "16 MiB, HTTPS": ("wrk", "https", "large.bin", 4),
}
NGINX = """daemon off; master_process off; pid {at}/pid; error_log {at}/error.log; worker_rlimit_nofile 20000;
events {{ worker_connections 16384; use epoll; }}
http {{ access_log off; keepalive_requests 1000000000; keepalive_timeout 3600s; sendfile on; tcp_nopush on; types {{ text/html html; text/plain txt; }}
  {cache} ssl_certificate {at}/cert.pem; ssl_certificate_key {at}/key.pem; root {at}/files;
  client_body_temp_path {at}/b; proxy_temp_path {at}/p; fastcgi_temp_path {at}/f; uwsgi_temp_path {at}/u; scgi_temp_path {at}/s;
  server {{ listen 127.0.0.1:{http} backlog=4096; listen 127.0.0.1:{https} ssl http2 backlog=4096; http2_max_requests 1000000000; }} }}"""
CACHE = "open_file_cache max=100 inactive=60s; open_file_cache_valid 60s;"


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


class Contender:
    """A server of the folder `at`/files with an http and an https port; it may be two processes."""

    def __init__(self, name, at):
        self.ports = {"http": free_port(), "https": free_port()}
        if name == "rondo":
            program = os.path.join(run.ROOT, "build", "release", "bin", "rondo")
            tls = ["--tls-cert", f"{at}/cert.pem", "--tls-key", f"{at}/key.pem"]
            self.processes = {scheme: self.start([program, "serve", f"{at}/files", "--listen", f"127.0.0.1:{port}"] +
                                                 (tls if scheme == "https" else []))
                              for scheme, port in self.ports.items()}
        else:
            config = f"{at}/{name}.conf"
            with open(config, "w") as out:
                out.write(NGINX.format(at=at, cache=CACHE if "cache" in name else "", **self.ports))
            self.processes = dict.fromkeys(self.ports, self.start(["nginx", "-p", at, "-c", config]))
        for port in self.ports.values():
            wait_for(port)

    @staticmethod
    def start(command):
        return subprocess.Popen(run.prio("0") + command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                start_new_session=True, preexec_fn=run.boost)

    def stop(self):
        for process in set(self.processes.values()):
            process.send_signal(signal.SIGTERM)
            process.wait(10)


def wait_for(port):
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"nothing listens on port {port}")


def measure(server, case, secs):
    tool, scheme, name, connections = CASES[case]
    url = f"{scheme}://127.0.0.1:{server.ports[scheme]}/{name}"
    command = ["wrk", "-t1", f"-c{connections}", f"-d{secs}s", url]
    found = r"(\d+) requests in"
    if tool == "h2load":
        command = ["h2load", "-t1", f"-c{connections}", "-m10", "-n50000", url]
        found = r"(\d+) succeeded"
    pid = server.processes[scheme].pid
    before, start = run.cpu_clock_ns(pid), time.monotonic()
    done = subprocess.run(run.prio("1") + command, capture_output=True, text=True, timeout=120, start_new_session=True,
                          preexec_fn=run.boost)
    cpu, wall = run.cpu_clock_ns(pid) - before, time.monotonic() - start
    requests = int(re.search(found, done.stdout).group(1))
    if re.search(r"Non-2xx|[1-9]\d* (failed|errored)|[1-9]\d* 5xx", done.stdout) or requests == 0:
        raise RuntimeError(f"{case}: {done.stdout}")
    return {"us": cpu / 1e3 / requests, "per_s": requests / wall, "mib_s": requests * SIZES[name] / wall / 2**20}


def files(args, at, names):
    servers = {name: Contender(name, at) for name in names}
    try:
        for case in args.cases.split(",") if args.cases else CASES:
            samples = {name: [] for name in names}
            for repetition in range(args.reps + 1):
                for name, server in servers.items():
                    sample = measure(server, case, args.secs)
                    if repetition > 0:  # The first one warms the caches.
                        samples[name].append(sample)
            print(f"\n{case}\n| server | CPU us a request | quartiles | requests/s | MiB/s |\n|---|---:|---:|---:|---:|")
            for name, taken in samples.items():
                low, middle, high = statistics.quantiles([s["us"] for s in taken], n=4, method="inclusive")
                per_s, mib = (statistics.median(s[key] for s in taken) for key in ("per_s", "mib_s"))
                print(f"| {name} | {run.fmt(middle)} | {run.fmt(low)}-{run.fmt(high)} | {per_s:,.0f} | {mib:,.0f} |", flush=True)
    finally:
        for server in servers.values():
            server.stop()


def rss(pid):
    with open(f"/proc/{pid}/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def idle(args, at, names):
    context = ssl.create_default_context(cafile=f"{at}/cert.pem")
    context.check_hostname = False
    print("| server | base RSS KiB | bytes a connection, idle | after one request |\n|---|---:|---:|---:|")
    for name in names:
        server = Contender(name, at)
        pid, port = server.processes["https"].pid, server.ports["https"]
        try:
            clients = []
            base = rss(pid)
            for _ in range(args.connections):
                clients.append(context.wrap_socket(socket.create_connection(("127.0.0.1", port), 10)))
            time.sleep(1)
            opened = rss(pid)
            for client in clients:
                client.sendall(b"GET /small.txt HTTP/1.1\r\nHost: localhost\r\n\r\n")
                got = b""
                while len(got) < SIZES["small.txt"]:
                    got += client.recv(4_096)
            time.sleep(1)
            used = rss(pid)
            print(f"| {name} | {base // 1024:,} | {(opened - base) // len(clients):,} | {(used - base) // len(clients):,} |", flush=True)
            for client in clients:
                client.close()
        finally:
            server.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", default="files", choices=["files", "idle"])
    parser.add_argument("--reps", type=int, default=5)
    parser.add_argument("--secs", type=int, default=1)
    parser.add_argument("--only")
    parser.add_argument("--cases")
    parser.add_argument("--connections", type=int, default=8_000)
    args = parser.parse_args()
    names = args.only.split(",") if args.only else ["rondo", "nginx", "nginx-cache"]
    wanted = 2 * args.connections + 1_000
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(wanted, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
    at = tempfile.mkdtemp(prefix="rondo-web-")
    try:
        os.chmod(at, 0o755)
        os.mkdir(f"{at}/files")
        for name, size in SIZES.items():
            with open(f"{at}/files/{name}", "wb") as out:
                out.write(b"x" * size)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                        f"{at}/key.pem", "-out", f"{at}/cert.pem", "-subj", "/CN=localhost", "-addext",
                        "subjectAltName=DNS:localhost,IP:127.0.0.1"], check=True, capture_output=True)
        (idle if args.what == "idle" else files)(args, at, names)
    finally:
        shutil.rmtree(at, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
