// SPDX-License-Identifier: Apache-2.0

package load

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sync/errgroup"
)

// chunk is how many bytes are written or read at once.
const chunk = 256 << 10

// grace is how long a load may go on after its time before it has failed.
const grace = 10 * time.Second

// stream is one stream of bytes: it goes on for a time on a connection and
// returns how many bytes arrived.
type stream func(conn *net.TCPConn, d time.Duration) (int64, error)

// bulk runs as many streams as the command says at once.
func bulk(c command, target netip.AddrPort, one stream) (Result, error) {
	conns := make([]*net.TCPConn, c.Connections)
	for i := range conns {
		conn, err := dial(target)
		if err != nil {
			return Result{}, err
		}
		defer conn.Close()
		conns[i] = conn
	}
	var g errgroup.Group
	bytes := make([]int64, len(conns))
	begin := time.Now()
	for i, conn := range conns {
		g.Go(func() (err error) {
			bytes[i], err = one(conn, c.For)
			return err
		})
	}
	err := g.Wait()
	r := Result{Seconds: time.Since(begin).Seconds()}
	for _, n := range bytes {
		r.Bytes += n
	}
	return r, err
}

func dial(target netip.AddrPort) (*net.TCPConn, error) {
	conn, err := net.DialTimeout("tcp", target.String(), grace)
	if err != nil {
		return nil, err
	}
	return conn.(*net.TCPConn), nil
}

// upload sends, and asks the other end how much has come.
func upload(conn *net.TCPConn, d time.Duration) (int64, error) {
	begin := time.Now()
	if err := conn.SetDeadline(begin.Add(d + grace)); err != nil {
		return 0, err
	}
	for buffer := make([]byte, chunk); time.Since(begin) < d; {
		if _, err := conn.Write(buffer); err != nil {
			return 0, err
		}
	}
	if err := conn.CloseWrite(); err != nil {
		return 0, err
	}
	var count [8]byte
	if _, err := io.ReadFull(conn, count[:]); err != nil {
		return 0, fmt.Errorf("learn how much has come: %w", err)
	}
	return int64(binary.BigEndian.Uint64(count[:])), nil
}

// download receives and then resets the connection.
func download(conn *net.TCPConn, d time.Duration) (total int64, err error) {
	begin := time.Now()
	if err := conn.SetDeadline(begin.Add(d + grace)); err != nil {
		return 0, err
	}
	for buffer := make([]byte, chunk); time.Since(begin) < d; {
		n, err := conn.Read(buffer)
		if err != nil {
			return 0, err
		}
		total += int64(n)
	}
	return total, conn.SetLinger(0)
}

// sink takes what comes and answers how much it was.
func sink(conn *net.TCPConn) {
	defer conn.Close()
	var total uint64
	for buffer := make([]byte, chunk); ; {
		n, err := conn.Read(buffer)
		total += uint64(n)
		if err == io.EOF {
			_, _ = conn.Write(binary.BigEndian.AppendUint64(nil, total)) // the client notices when it is missing
			return
		}
		if err != nil {
			return
		}
	}
}

// source sends until the client has enough.
func source(conn *net.TCPConn) {
	defer conn.Close()
	for buffer := make([]byte, chunk); ; {
		if _, err := conn.Write(buffer); err != nil {
			return
		}
	}
}

// accept serves every connection that comes to an address.
func accept(address netip.AddrPort, one func(*net.TCPConn)) error {
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(address))
	if err != nil {
		return err
	}
	go func() {
		for {
			conn, err := l.AcceptTCP()
			if err != nil {
				continue // out of files, or reset before it was accepted
			}
			go one(conn)
		}
	}()
	return nil
}
