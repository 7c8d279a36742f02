// SPDX-License-Identifier: Apache-2.0

package control

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/posternhq/postern/internal/aws/schema"
	"github.com/posternhq/postern/internal/client"
)

// The generator shares two cores with what it measures, so it does as little as
// can be done: it sends bytes that were encoded and signed beforehand over
// connections that stay open, and reads of an answer its status and length.

// signed gives the bytes of a signed request. They are good for five minutes.
func signed(ctx context.Context, c *client.Client, service *schema.Service, operation string, in any) ([]byte, error) {
	request, err := c.NewRequest(ctx, service, operation, in)
	if err != nil {
		return nil, err
	}
	var wire bytes.Buffer
	if err := request.Write(&wire); err != nil {
		return nil, fmt.Errorf("write request %s: %w", operation, err)
	}
	return wire.Bytes(), nil
}

// lane is a connection on which one request follows the other.
type lane struct {
	conn net.Conn
	in   *bufio.Reader
}

// do sends a request and reads the answer. A refusal is an error.
func (l *lane) do(request []byte) error {
	if _, err := l.conn.Write(request); err != nil {
		return err
	}
	status, length, err := l.head()
	if err != nil {
		return err
	}
	if status/100 == 2 {
		_, err = l.in.Discard(length)
		return err
	}
	body, err := io.ReadAll(io.LimitReader(l.in, int64(length)))
	if err != nil {
		return err
	}
	return fmt.Errorf("answer has status %d: %s", status, body)
}

func (l *lane) head() (status, length int, err error) {
	line, err := l.in.ReadSlice('\n')
	if err != nil {
		return 0, 0, err
	}
	if len(line) < len("HTTP/1.1 200") {
		return 0, 0, fmt.Errorf("answer begins with %q", line)
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, 0, fmt.Errorf("answer begins with %q", line)
	}
	for {
		if line, err = l.in.ReadSlice('\n'); err != nil {
			return 0, 0, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			return status, length, nil
		}
		if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if length, err = strconv.Atoi(string(value)); err != nil {
				return 0, 0, fmt.Errorf("answer has length %q", value)
			}
		}
	}
}

// source gives the next request, nil after the last one, and since when it is due. All
// lanes call it at once.
type source func() (request []byte, due time.Time)

// overTLS before an address says that connections to it are encrypted.
const overTLS = "https://"

// connect opens a connection, of which nothing is left to do but what is measured. Whose
// certificate is shown does not matter to that.
func connect(ctx context.Context, address string) (net.Conn, error) {
	if address, ok := strings.CutPrefix(address, overTLS); ok {
		return (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}).DialContext(ctx, "tcp", address)
	}
	return new(net.Dialer).DialContext(ctx, "tcp", address)
}

// drive sends requests on a number of lanes at once until next has no more. It returns how
// long each request took since it was due, and all.
func drive(ctx context.Context, address string, lanes int, next source) (took []time.Duration, elapsed time.Duration, err error) {
	conns := make([]net.Conn, lanes)
	for i := range conns {
		if conns[i], err = connect(ctx, address); err != nil {
			return nil, 0, fmt.Errorf("connect to the API: %w", err)
		}
		defer conns[i].Close()
	}
	stop := context.AfterFunc(ctx, func() {
		for _, c := range conns {
			c.Close()
		}
	})
	defer stop()
	var (
		mu sync.Mutex
		g  errgroup.Group
	)
	begun := time.Now()
	for _, conn := range conns {
		g.Go(func() error {
			l := lane{conn, bufio.NewReaderSize(conn, 64<<10)}
			var mine []time.Duration
			for request, due := next(); request != nil; request, due = next() {
				if err := l.do(request); err != nil {
					return err
				}
				mine = append(mine, time.Since(due))
			}
			mu.Lock()
			defer mu.Unlock()
			took = append(took, mine...)
			return nil
		})
	}
	err = g.Wait()
	return took, time.Since(begun), err
}

// during gives requests in turn until a time is over.
func during(d time.Duration, requests ...[]byte) source {
	var given atomic.Int64
	end := time.Now().Add(d)
	return func() ([]byte, time.Time) {
		now := time.Now()
		if now.After(end) {
			return nil, now
		}
		return requests[int(given.Add(1)-1)%len(requests)], now
	}
}

// paced gives requests in turn, so many a second, until a time is over that begins with the
// first one. When all lanes wait for answers, requests are due before they can be sent.
func paced(rate float64, d time.Duration, requests ...[]byte) source {
	var given atomic.Int64
	begin := sync.OnceValue(time.Now)
	return func() ([]byte, time.Time) {
		begun := begin()
		n := int(given.Add(1)) - 1
		after := time.Duration(float64(n) / rate * float64(time.Second))
		if after > d {
			return nil, time.Time{}
		}
		due := begun.Add(after)
		time.Sleep(time.Until(due))
		return requests[n%len(requests)], due
	}
}

// times gives requests in turn until there have been n.
func times(n int, requests ...[]byte) source {
	var given atomic.Int64
	return func() ([]byte, time.Time) {
		i := int(given.Add(1)) - 1
		if i >= n {
			return nil, time.Time{}
		}
		return requests[i%len(requests)], time.Now()
	}
}
