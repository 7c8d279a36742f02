// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/aws/server"
)

// startStrict serves the handler as the daemon does.
func startStrict(t *testing.T, handler http.Handler) string {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	s.Config = server.HTTPServer(handler, nil)
	s.Listener = server.Strict(s.Listener)
	s.Start()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// exchangeRaw sends text, goes on holding the connection, and returns the
// statuses of all answers until the server closes it.
func exchangeRaw(t *testing.T, address, text string) (statuses []int) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	for answers := bufio.NewReader(conn); ; {
		if _, err := answers.Peek(1); err == io.EOF {
			return statuses
		}
		answer, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatalf("after statuses %v: %v", statuses, err)
		}
		if _, err := io.Copy(io.Discard, answer.Body); err != nil {
			t.Fatal(err)
		}
		statuses = append(statuses, answer.StatusCode)
	}
}

// TestWrongFramingIsRefusedAtOnce: the client of each case waits for an answer
// and sends no more.
func TestWrongFramingIsRefusedAtOnce(t *testing.T) {
	address := startStrict(t, newEndpoint(t).handler)
	form := "Action=DescribeVpcs&Version=2016-11-15"
	const host = "Host: x\r\n"
	for name, text := range map[string]string{
		"length and chunked":         host + "Content-Length: 38\r\nTransfer-Encoding: chunked\r\n\r\n" + form,
		"chunked and length":         host + "Transfer-Encoding: chunked\r\nContent-Length: 38\r\n\r\n" + form,
		"length and true chunks":     host + "Content-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n",
		"length of none and chunked": host + "content-length: 0\r\ntransfer-encoding: chunked\r\n\r\n",
		"folded encoding":            host + "Content-Length: 38\r\nTransfer-Encoding:\r\n chunked\r\n\r\n" + form,
		"folded length":              host + "Content-Length:\r\n 3\r\n\r\nabc",
		"length and other encoding":  host + "Content-Length: 38\r\nTransfer-Encoding: xchunked\r\n\r\n" + form,
		"not in chunks":              host + "Transfer-Encoding: chunked\r\n\r\n" + form,
		"size without digits":        host + "Transfer-Encoding: chunked\r\n\r\n;x",
		"size of many digits":        host + "Transfer-Encoding: chunked\r\n\r\n00000000000000001",
		"negative size":              host + "Transfer-Encoding: chunked\r\n\r\n-1\r\n",
		"chunk longer than its size": host + "Transfer-Encoding: chunked\r\n\r\n3\r\nActionXX",
		"second chunk is wrong":      host + "Transfer-Encoding: chunked\r\n\r\n3\r\nAct\r\nion",
		"two encodings":              host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
		"two lengths":                host + "Content-Length: 38\r\nContent-Length: 5\r\n\r\n" + form,
		"negative length":            host + "Content-Length: -1\r\n\r\n",
		"length with a sign":         host + "Content-Length: +38\r\n\r\n" + form,
		"space before the colon":     host + "Content-Length : 38\r\n\r\n" + form,
		"longer than allowed":        host + "Content-Length: 2000000\r\n\r\n" + form,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := exchangeRaw(t, address, "POST / HTTP/1.1\r\n"+text)
			if len(got) != 1 || got[0] < 400 || got[0] > 501 {
				t.Errorf("answers are %v, want one refusal and the end of the connection", got)
			}
		})
	}
	t.Run("encoding in HTTP/1.0", func(t *testing.T) {
		got := exchangeRaw(t, address, "POST / HTTP/1.0\r\n"+host+"Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
		if len(got) != 1 || got[0] != http.StatusBadRequest {
			t.Errorf("answers are %v, want 400", got)
		}
	})
}

// TestRequestsCannotBeSmuggled sends what is one request to a server that goes
// by the length, and two to one that goes by the encoding.
func TestRequestsCannotBeSmuggled(t *testing.T) {
	reached := 0
	address := startStrict(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		reached++
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	hidden := "GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n"
	text := fmt.Sprintf("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n%s", 5+len(hidden), hidden)
	if got := exchangeRaw(t, address, text); len(got) != 1 || got[0] != http.StatusBadRequest || reached != 0 {
		t.Errorf("answers are %v and %d requests were served, want 400 and none", got, reached)
	}
}

// TestGoodFramingPasses sends several requests on one connection, in pieces of
// all sizes, and finds their bodies whole.
func TestGoodFramingPasses(t *testing.T) {
	var bodies []string
	address := startStrict(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		bodies = append(bodies, string(body))
		if err != nil {
			bodies = append(bodies, err.Error())
		}
	}))
	text := "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nh\r\n\r\n" +
		"GET /" + strings.Repeat("long", 100) + " HTTP/1.1\r\nHost: x\r\nX-Long: " + strings.Repeat("transfer-encoding: ", 50) + "\r\n\r\n" +
		"POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3;name=value\r\nabc\r\n0A \r\nContent-Le\r\n0\r\nTrailer: x\r\n\r\n" +
		"POST /c HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n" +
		"POST /d HTTP/1.1\r\nHost: x\r\ncontent-length: 2\r\nConnection: close\r\n\r\nok"
	want := []string{"h\r\n\r\n", "", "abcContent-Le", "", "ok"}
	for size := 1; size < len(text); size += 1 + size/3 {
		bodies = nil
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		for at := 0; at < len(text); at += size {
			if _, err := io.WriteString(conn, text[at:min(at+size, len(text))]); err != nil {
				t.Fatal(err)
			}
		}
		answers, err := io.ReadAll(conn)
		if n := strings.Count(string(answers), "HTTP/1.1 200 OK"); n != len(want) {
			t.Errorf("in pieces of %d: %d answers, want %d (%v)", size, n, len(want), err)
		}
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(bodies) != fmt.Sprint(want) {
			t.Errorf("in pieces of %d: bodies %q, want %q", size, bodies, want)
		}
	}
}

// TestSlowRequestsEnd: a client that sends slowly, or not what it said it would,
// is not waited for without end. The limits are shortened here.
func TestSlowRequestsEnd(t *testing.T) {
	s := httptest.NewUnstartedServer(nil)
	s.Config = server.HTTPServer(newEndpoint(t).handler, nil)
	if c := s.Config; c.ReadHeaderTimeout <= 0 || c.ReadHeaderTimeout > time.Minute || c.ReadTimeout <= 0 || c.ReadTimeout > time.Minute || c.IdleTimeout <= 0 {
		t.Errorf("limits are %v, %v and %v, want ones that end", c.ReadHeaderTimeout, c.ReadTimeout, c.IdleTimeout)
	}
	s.Config.ReadHeaderTimeout, s.Config.ReadTimeout, s.Config.IdleTimeout = 200*time.Millisecond, 200*time.Millisecond, 200*time.Millisecond
	s.Listener = server.Strict(s.Listener)
	s.Start()
	defer s.Close()
	for name, text := range map[string]string{
		"body too short":  "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nAction=",
		"no end of chunk": "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nAct",
		"no next chunk":   "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nAct\r\n",
		"half a header":   "POST / HTTP/1.1\r\nHost: x\r\nContent-Le",
		"nothing":         "",
	} {
		if got := exchangeRaw(t, s.Listener.Addr().String(), text); len(got) > 1 || len(got) == 1 && got[0] < 400 {
			t.Errorf("%s: answers are %v, want a refusal or the end of the connection", name, got)
		}
	}
}
