// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// waysToServe are those with and without a lane for plain requests.
var waysToServe = map[string]way{"net/http": serveAndPart, "lane": serveAPIAndPart}

// inEachWay runs a test for each of them.
func inEachWay(t *testing.T, test func(*testing.T, way)) {
	t.Helper()
	for name, serve := range waysToServe {
		t.Run(name, func(t *testing.T) { test(t, serve) })
	}
}

type way func(context.Context, *http.Server, net.Listener, time.Duration) error

// serving answers with a handler until it is stopped, and gives its address, what stops
// it, and the error that it ended with.
func (serve way) serving(t *testing.T, parting time.Duration, handler http.HandlerFunc) (address string, stop func(), ended <-chan error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	t.Cleanup(stop)
	end := make(chan error, 1)
	go func() {
		end <- serve(ctx, &http.Server{Handler: handler}, &orderly{TCPListener: listener.(*net.TCPListener)}, parting)
	}()
	return listener.Addr().String(), stop, end
}

// post sends a request and reads the whole answer.
func post(client *http.Client, address string) (closes bool, err error) {
	answer, err := client.Post("http://"+address, "text/plain", strings.NewReader("question"))
	if err != nil {
		return false, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && string(body) != "answer" {
		err = errors.New("the answer is " + string(body))
	}
	return answer.Close, err
}

func TestAnswersUnderWayAreGivenAtAStop(t *testing.T) { inEachWay(t, answersUnderWayAreGivenAtAStop) }

func answersUnderWayAreGivenAtAStop(t *testing.T, serve way) {
	asked, release := make(chan struct{}), make(chan struct{})
	address, stop, ended := serve.serving(t, partingTime, func(w http.ResponseWriter, r *http.Request) {
		close(asked)
		<-release
		_, _ = io.WriteString(w, "answer")
	})
	client := &http.Client{Transport: &http.Transport{}}
	got := make(chan error, 1)
	go func() {
		_, err := post(client, address)
		got <- err
	}()
	<-asked
	stop()
	for { // no new connections are taken, while the answer is awaited
		conn, err := net.Dial("tcp", address)
		if errors.Is(err, syscall.ECONNREFUSED) {
			break
		} else if err == nil {
			conn.Close()
		}
	}
	select {
	case err := <-ended:
		t.Fatalf("ended with %v while a request was under way", err)
	default:
	}
	close(release)
	if err := <-got; err != nil {
		t.Errorf("the request under way got %v", err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestNoConnectionIsTornAtAStop has clients that send one request after the other on
// connections that they keep. None finds its connection cut: their last answer says that
// the connection ends, and then nobody listens. When all were told, nothing is waited for.
func TestNoConnectionIsTornAtAStop(t *testing.T) { inEachWay(t, noConnectionIsTornAtAStop) }

func noConnectionIsTornAtAStop(t *testing.T, serve way) {
	for range 3 {
		var asked sync.WaitGroup
		asked.Add(200)
		left := make(chan struct{}, 200)
		for range cap(left) {
			left <- struct{}{}
		}
		address, stop, ended := serve.serving(t, time.Hour, func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-left:
				asked.Done()
			default:
			}
			_, _ = io.WriteString(w, "answer")
		})
		var clients sync.WaitGroup
		for range 8 {
			clients.Go(func() {
				client := &http.Client{Transport: &http.Transport{}}
				var told bool
				for {
					closes, err := post(client, address)
					switch {
					case err == nil:
						told = closes
					case !errors.Is(err, syscall.ECONNREFUSED):
						t.Errorf("a client got %v", err)
						return
					case !told:
						t.Errorf("a client's last answer did not say that it was the last one")
						return
					default:
						return
					}
				}
			})
		}
		asked.Wait()
		stop()
		clients.Wait()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	}
}

// TestWhoIsConnectedAtAStopIsAnswered has clients that are connected, and whom nobody has
// accepted, when the listener is closed.
func TestWhoIsConnectedAtAStopIsAnswered(t *testing.T) { inEachWay(t, whoIsConnectedAtAStopIsAnswered) }

func whoIsConnectedAtAStopIsAnswered(t *testing.T, serve way) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	var clients []net.Conn
	for range 20 {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		clients = append(clients, conn)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	answer := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "answer") })
	if err := serve(ctx, &http.Server{Handler: answer}, &orderly{TCPListener: listener.(*net.TCPListener)}, partingTime); err != nil {
		t.Error(err)
	}
	for _, conn := range clients {
		got, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("a client that was connected got %v", err)
		}
		got.Body.Close()
	}
	if _, err := net.Dial("tcp", address); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("afterwards somebody listens: %v", err)
	}
}
