// SPDX-License-Identifier: Apache-2.0
// Go contender, pinned to one CPU (GOMAXPROCS follows the affinity).   go_server MODE PORT
package main

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"

	"github.com/gorilla/websocket"
)

func accept(l net.Listener, serve func(net.Conn)) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go serve(c)
	}
}

func echo(c net.Conn) {
	defer c.Close()
	buf := make([]byte, 4096)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		if _, err = c.Write(buf[:n]); err != nil {
			return
		}
	}
}
func sink(c net.Conn) {
	defer c.Close()
	buf := make([]byte, 65536)
	for {
		if _, err := c.Read(buf); err != nil {
			return
		}
	}
}
func source(c net.Conn) {
	defer c.Close()
	buf := make([]byte, 65536)
	c.Read(buf)
	for {
		if _, err := c.Write(buf); err != nil {
			return
		}
	}
}

// A room: one channel and one writer goroutine per member.
type room struct {
	mu      sync.RWMutex
	members map[chan []byte]struct{}
}

func (r *room) join() chan []byte {
	ch := make(chan []byte, 1024)
	r.mu.Lock()
	r.members[ch] = struct{}{}
	r.mu.Unlock()
	return ch
}
func (r *room) leave(ch chan []byte) {
	r.mu.Lock()
	delete(r.members, ch)
	r.mu.Unlock()
	close(ch)
}
func (r *room) say(line []byte) {
	r.mu.RLock()
	for ch := range r.members {
		ch <- line
	}
	r.mu.RUnlock()
}

var theRoom = &room{members: map[chan []byte]struct{}{}}

func member(c net.Conn) {
	defer c.Close()
	ch := theRoom.join()
	go func() {
		for line := range ch {
			if _, err := c.Write(line); err != nil {
				for range ch {
				}
				return
			}
		}
	}()
	defer theRoom.leave(ch)
	in := bufio.NewReader(c)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		theRoom.say(line)
	}
}

var up = websocket.Upgrader{ReadBufferSize: 1024, WriteBufferSize: 1024, CheckOrigin: func(*http.Request) bool { return true }}

func wsEcho(w http.ResponseWriter, r *http.Request) {
	c, err := up.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer c.Close()
	for {
		t, m, err := c.ReadMessage()
		if err != nil {
			return
		}
		if c.WriteMessage(t, m) != nil {
			return
		}
	}
}
func wsMember(w http.ResponseWriter, r *http.Request) {
	c, err := up.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer c.Close()
	ch := theRoom.join()
	go func() {
		for line := range ch {
			if c.WriteMessage(websocket.TextMessage, line) != nil {
				for range ch {
				}
				return
			}
		}
	}()
	defer theRoom.leave(ch)
	for {
		_, m, err := c.ReadMessage()
		if err != nil {
			return
		}
		theRoom.say(m)
	}
}

var hello = []byte("Hello, World!")

func main() {
	mode, port := os.Args[1], os.Args[2]
	l, err := net.Listen("tcp4", "127.0.0.1:"+port)
	if err != nil {
		panic(err)
	}
	fmt.Println("READY")
	switch mode {
	case "echo":
		accept(l, echo)
	case "sink":
		accept(l, sink)
	case "source":
		accept(l, source)
	case "fanout":
		accept(l, member)
	case "http":
		http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			w.Write(hello)
		}))
	case "ws":
		http.Serve(l, http.HandlerFunc(wsEcho))
	case "wsfan":
		http.Serve(l, http.HandlerFunc(wsMember))
	}
}
