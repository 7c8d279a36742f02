// SPDX-License-Identifier: Apache-2.0

package server

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// idleTime is how long a connection may be without a question (RFC 7766 §6.2.3),
	// and how long a client may take to send one, or to take an answer.
	idleTime = 10 * time.Second
	// lastTime is for questions on their way when the server gives its sockets away.
	lastTime = 100 * time.Millisecond
)

// stream is a connection over TCP. Its questions are answered one by one.
type stream struct {
	server  *Server
	socket  *socket
	conn    net.Conn
	client  netip.Addr
	hurried atomic.Bool
}

// connect serves a connection, unless its client or its VPC has too many.
func (s *Server) connect(k *socket, file *os.File, from unix.Sockaddr) {
	defer file.Close()
	client := netip.Addr{}
	switch a := from.(type) {
	case *unix.SockaddrInet4:
		client = netip.AddrFrom4(a.Addr)
	case *unix.SockaddrInet6:
		client = netip.AddrFrom16(a.Addr).Unmap()
	}
	if !s.take(k.share, client, use{streams: 1}) {
		return
	}
	conn, err := net.FileConn(file)
	if err != nil {
		s.give(k.share, client, use{streams: 1})
		return
	}
	t := &stream{server: s, socket: k, conn: conn, client: client}
	s.mu.Lock()
	s.streams[t] = struct{}{}
	if s.draining {
		t.hurried.Store(true)
	}
	s.mu.Unlock()
	go t.run()
}

// hurry lets a stream answer what is there already, and end.
func (t *stream) hurry() {
	t.hurried.Store(true)
	_ = t.conn.SetReadDeadline(time.Now().Add(lastTime)) // it fails only if the stream has ended
}

func (t *stream) run() {
	for t.answer() {
	}
	t.conn.Close()
	t.server.mu.Lock()
	delete(t.server.streams, t)
	t.server.mu.Unlock()
	t.server.give(t.socket.share, t.client, use{streams: 1})
}

// answer reads a question and answers it, and reports whether there may be another.
func (t *stream) answer() bool {
	limit := idleTime
	if t.hurried.Load() {
		limit = lastTime
	}
	if t.conn.SetReadDeadline(time.Now().Add(limit)) != nil {
		return false
	}
	if t.hurried.Load() && limit != lastTime { // hurried in between, which must not be undone
		t.hurry()
	}
	var size [2]byte
	if _, err := io.ReadFull(t.conn, size[:]); err != nil {
		return false
	}
	length := binary.BigEndian.Uint16(size[:])
	if length > questionSize {
		return false
	}
	packet := make([]byte, length)
	if _, err := io.ReadFull(t.conn, packet); err != nil {
		return false
	}
	came := make(chan []byte, 1)
	t.server.handle(packet, t.socket.Socket, t.client, func(m []byte) { came <- m })
	m := <-came
	if m == nil { // whoever sends this is no client
		return false
	}
	if t.conn.SetWriteDeadline(time.Now().Add(idleTime)) != nil {
		return false
	}
	_, err := t.conn.Write(append(binary.BigEndian.AppendUint16(make([]byte, 0, len(m)+2), uint16(len(m))), m...))
	return err == nil
}
