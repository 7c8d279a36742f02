// SPDX-License-Identifier: Apache-2.0

package httplane_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/httplane"
)

// given counts the connections that a server is given.
type given struct {
	*httplane.Listener
	count atomic.Int64
}

func (g *given) Accept() (net.Conn, error) {
	c, err := g.Listener.Accept()
	if err == nil {
		g.count.Add(1)
	}
	return c, err
}

// serve serves a handler by a lane until the test ends.
func serve(t *testing.T, server *http.Server) (lane *given, address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server.ErrorLog = log.New(io.Discard, "", 0)
	lane = &given{Listener: httplane.New(server, listener, time.Millisecond)}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(lane) }()
	t.Cleanup(func() {
		lane.Close()
		lane.Cut()
		server.Close()
		<-ended
	})
	return lane, listener.Addr().String()
}

// echo answers with what it was asked.
var echo = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
	}
	fmt.Fprintf(w, "%s %s %s", r.Method, r.URL, body)
})

// dial connects, and gives what reads answers.
func dial(t *testing.T, address string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn, bufio.NewReader(conn)
}

// answer reads one answer.
func answer(t *testing.T, in *bufio.Reader) (*http.Response, string) {
	t.Helper()
	r, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r, string(body)
}

func send(t *testing.T, to io.Writer, text string) {
	t.Helper()
	if _, err := io.WriteString(to, text); err != nil {
		t.Fatal(err)
	}
}

const head = " HTTP/1.1\r\nHost: h\r\n"

// TestRequestsOfOneConnection sends plain ones, in parts and several at once, then one
// with chunks, which and what follows net/http answers.
func TestRequestsOfOneConnection(t *testing.T) {
	lane, address := serve(t, &http.Server{Handler: echo})
	conn, in := dial(t, address)
	expect := func(want string) {
		t.Helper()
		if r, got := answer(t, in); got != want || r.StatusCode != http.StatusOK {
			t.Errorf("got %d %q, want %q", r.StatusCode, got, want)
		}
	}
	send(t, conn, "GET /a"+head+"\r\n")
	expect("GET /a ")
	send(t, conn, "POST /b"+head+"Content-Length: 4\r\n\r\nab")
	send(t, conn, "cd")
	expect("POST /b abcd")
	send(t, conn, "POST /c"+head+"Content-Length: 1\r\n\r\n1POST /d"+head+"Content-Length: 1\r\n\r\n2GET /e"+head)
	expect("POST /c 1")
	expect("POST /d 2")
	send(t, conn, "\r\n")
	expect("GET /e ")
	if n := lane.count.Load(); n != 0 {
		t.Errorf("net/http was given %d connections before it was needed", n)
	}
	send(t, conn, "POST /f"+head+"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nGET /g"+head+"\r\n")
	expect("POST /f abc")
	expect("GET /g ")
	large := strings.Repeat("x", 100_000)
	send(t, conn, fmt.Sprintf("POST /h%sContent-Length: %d\r\n\r\n%s", head, len(large), large))
	expect("POST /h " + large)
	if n := lane.count.Load(); n != 1 {
		t.Errorf("net/http was given %d connections, want 1", n)
	}
}

// TestALargeRequestIsGivenOn sends one that no room of the lane holds, in a body and in
// a header.
func TestALargeRequestIsGivenOn(t *testing.T) {
	lane, address := serve(t, &http.Server{Handler: echo})
	for i, text := range []string{
		"POST /" + head + "Content-Length: 20000\r\n\r\n" + strings.Repeat("b", 20_000),
		"GET /" + head + "X: " + strings.Repeat("h", 20_000) + "\r\n\r\n",
	} {
		conn, in := dial(t, address)
		send(t, conn, text)
		if r, _ := answer(t, in); r.StatusCode != http.StatusOK || lane.count.Load() != int64(i+1) {
			t.Errorf("%.20q…: %s, %d connections given on", text, r.Status, lane.count.Load())
		}
	}
}

// TestAnswersAreWhole has status, header and body as the handler said, and no more.
func TestAnswersAreWhole(t *testing.T) {
	large := strings.Repeat("y", 300_000)
	_, address := serve(t, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/none":
			w.WriteHeader(http.StatusNoContent)
			if _, err := w.Write([]byte("x")); !errors.Is(err, http.ErrBodyNotAllowed) {
				t.Errorf("a body of 204: %v", err)
			}
		case "/large":
			w.Header().Set("Content-Type", "text/x")
			w.WriteHeader(http.StatusTeapot)
			_, _ = io.WriteString(w, large)
		case "/split":
			w.Header()["X-A"] = []string{"a\r\nX-B: b", "c"}
			w.Header()["X Y"] = []string{"no name"}
			_, _ = io.WriteString(w, "<html>")
			w.Header().Set("X-Late", "1")
		}
	})})
	conn, in := dial(t, address)
	get := func(path string) (*http.Response, string) {
		send(t, conn, "GET "+path+head+"\r\n")
		return answer(t, in)
	}
	if r, body := get("/none"); r.StatusCode != http.StatusNoContent || body != "" || r.Header["Content-Length"] != nil {
		t.Errorf("no content: %+v %q", r, body)
	}
	if r, body := get("/large"); r.StatusCode != http.StatusTeapot || body != large || r.Header.Get("Content-Type") != "text/x" {
		t.Errorf("large: %+v, %d bytes", r, len(body))
	}
	r, body := get("/split")
	if got := r.Header["X-A"]; len(got) != 2 || got[0] != "a  X-B: b" || r.Header.Get("X-B") != "" || len(r.Header["X Y"]) > 0 || r.Header.Get("X-Late") != "" {
		t.Errorf("split: %+v", r.Header)
	}
	if _, err := http.ParseTime(r.Header.Get("Date")); err != nil || body != "<html>" || r.Header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("split: %v, %q, %+v", err, body, r.Header)
	}
	if r, body := get("/nothing"); r.StatusCode != http.StatusOK || body != "" || r.ContentLength != 0 {
		t.Errorf("nothing: %+v %q", r, body)
	}
}

// TestAPanicEndsItsConnectionOnly is what net/http does with those of handlers.
func TestAPanicEndsItsConnectionOnly(t *testing.T) {
	_, address := serve(t, &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/panic" {
			panic("of a handler")
		}
	})})
	well, inWell := dial(t, address)
	ill, inIll := dial(t, address)
	send(t, ill, "GET /panic"+head+"\r\n")
	if _, err := inIll.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("after a panic: %v", err)
	}
	send(t, well, "GET /"+head+"\r\n")
	answer(t, inWell)
}

// TestSlowClientsAreEnded has clients that send nothing, half a request, and nothing
// after an answer.
func TestSlowClientsAreEnded(t *testing.T) {
	_, address := serve(t, &http.Server{Handler: echo, ReadHeaderTimeout: 20 * time.Millisecond, IdleTimeout: 20 * time.Millisecond})
	for _, text := range []string{"", "GET /", "POST /" + head + "Content-Length: 3\r\n\r\nab", "GET /" + head + "\r\n"} {
		conn, in := dial(t, address)
		send(t, conn, text)
		if _, err := io.ReadAll(in); err != nil {
			t.Errorf("after %q: %v", text, err)
		}
		conn.Close()
	}
}

// TestCloseLetsAnswersEnd closes the lane while one request is answered and one
// connection is idle.
func TestCloseLetsAnswersEnd(t *testing.T) {
	asked, release := make(chan struct{}), make(chan struct{})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(asked)
			<-release
		}
		_, _ = io.WriteString(w, "answer")
	})}
	lane := httplane.New(server, listener, time.Millisecond)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(lane) }()
	slow, inSlow := dial(t, listener.Addr().String())
	idle, inIdle := dial(t, listener.Addr().String())
	send(t, idle, "GET /"+head+"\r\n")
	answer(t, inIdle)
	send(t, slow, "GET /slow"+head+"\r\n")
	<-asked
	if err := lane.Close(); err != nil {
		t.Error(err)
	}
	if _, err := inIdle.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("the idle connection: %v", err)
	}
	select {
	case err := <-ended:
		t.Errorf("ended with %v while a request was answered", err)
	default:
	}
	close(release)
	if r, body := answer(t, inSlow); body != "answer" || !r.Close {
		t.Errorf("the slow answer: %q, closes: %v", body, r.Close)
	}
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("ended with %v", err)
	}
	if lane.Cut() {
		t.Error("connections were left")
	}
}

// TestCutEndsWhatIsAnswered ends a connection under a handler, which learns of it.
func TestCutEndsWhatIsAnswered(t *testing.T) {
	asked, told := make(chan struct{}), make(chan struct{})
	lane, address := serve(t, &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
		close(told)
	})})
	conn, in := dial(t, address)
	send(t, conn, "GET /"+head+"\r\n")
	<-asked
	lane.Close()
	if !lane.Cut() {
		t.Error("there was nothing to cut")
	}
	if _, err := in.ReadByte(); err == nil {
		t.Error("an answer came after all")
	}
	<-told
}
