#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# nginx contender: one process answering 200 from memory.   nginx.sh PORT
set -e
d=${PEERS_BUILD:?}/nginx-$1
mkdir -p "$d"
cat > "$d/nginx.conf" <<CONF
daemon off; master_process off; pid $d/pid; error_log $d/error.log;
events { worker_connections 4096; use epoll; }
http { access_log off; keepalive_requests 1000000000; client_body_temp_path $d/b; proxy_temp_path $d/p; fastcgi_temp_path $d/f; uwsgi_temp_path $d/u; scgi_temp_path $d/s;
  server { listen 127.0.0.1:$1 backlog=4096; location / { default_type text/plain; return 200 'Hello, World!'; } } }
CONF
(for _ in $(seq 100); do (exec 3<>/dev/tcp/127.0.0.1/$1) 2>/dev/null && break; sleep 0.05; done; echo READY) &
exec nginx -p "$d" -c "$d/nginx.conf" 2>/dev/null
