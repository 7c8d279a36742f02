// SPDX-License-Identifier: Apache-2.0

package httplane

import (
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// maxKept is how much room for answers a connection keeps.
const maxKept = 64 << 10

// answer is an http.ResponseWriter that has the whole answer before any of it is sent.
type answer struct {
	header http.Header
	status int // zero until it is said
	names  []string
	out    []byte // status and header as they were when the status was said
	body   []byte
	closes bool
	last   *atomic.Bool // every answer from now on is the last of its connection
}

func (a *answer) reset() {
	clear(a.header)
	a.status, a.closes = 0, false
	a.out, a.body = kept(a.out), kept(a.body)
}

func kept(room []byte) []byte {
	if cap(room) > maxKept {
		return nil
	}
	return room[:0]
}

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter. Answers on the way to the one that counts
// are not sent.
func (a *answer) WriteHeader(status int) {
	if a.status != 0 || status < 200 {
		return
	}
	a.status = status
	a.out = append(a.out, "HTTP/1.1 "...)
	a.out = strconv.AppendInt(a.out, int64(status), 10)
	a.out = append(a.out, ' ')
	a.out = append(a.out, http.StatusText(status)...)
	a.out = append(a.out, "\r\n"...)
	a.names = a.names[:0]
	for name := range a.header {
		a.names = append(a.names, name)
	}
	slices.Sort(a.names)
	for _, name := range a.names {
		if name == "Content-Length" || name == "Transfer-Encoding" || !is(name, token) {
			continue // the first is known at the end, and there is no need of the second
		}
		for _, value := range a.header[name] {
			a.field(name, value)
			a.closes = a.closes || name == "Connection" && strings.EqualFold(value, "close")
		}
	}
	if !a.closes && a.last.Load() {
		a.closes = true
		a.field("Connection", "close")
	}
	if a.header["Date"] == nil {
		a.field("Date", date())
	}
}

// field appends a field, of whose value nothing can be taken for another one.
func (a *answer) field(name, value string) {
	a.out = append(a.out, name...)
	a.out = append(a.out, ": "...)
	begin := len(a.out)
	a.out = append(a.out, value...)
	for i, c := range a.out[begin:] {
		if c == '\r' || c == '\n' {
			a.out[begin+i] = ' '
		}
	}
	a.out = append(a.out, "\r\n"...)
}

// Write implements http.ResponseWriter.
func (a *answer) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	if !a.hasBody() {
		return 0, http.ErrBodyNotAllowed
	}
	a.body = append(a.body, p...)
	return len(p), nil
}

// hasBody reports whether answers of this status have one (RFC 9110, section 6.4.1).
func (a *answer) hasBody() bool {
	return a.status != http.StatusNoContent && a.status != http.StatusNotModified
}

// send sends what the handler has left, and reports whether nothing is to follow.
func (a *answer) send(to net.Conn) (closes bool, err error) {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	if a.hasBody() {
		if len(a.body) > 0 && a.header["Content-Type"] == nil && a.header["Content-Encoding"] == nil {
			a.field("Content-Type", http.DetectContentType(a.body))
		}
		a.out = append(a.out, "Content-Length: "...)
		a.out = strconv.AppendInt(a.out, int64(len(a.body)), 10)
		a.out = append(a.out, "\r\n"...)
	}
	a.out = append(a.out, "\r\n"...)
	if len(a.out)+len(a.body) <= maxKept {
		a.out = append(a.out, a.body...)
		_, err = to.Write(a.out)
		return a.closes, err
	}
	parts := net.Buffers{a.out, a.body}
	_, err = parts.WriteTo(to)
	return a.closes, err
}

// second is a time as answers have it, which is the same for a second.
type second struct {
	unix int64
	text string
}

var now atomic.Pointer[second]

func date() string {
	t := time.Now()
	s := now.Load()
	if s == nil || s.unix != t.Unix() {
		s = &second{t.Unix(), t.UTC().Format(http.TimeFormat)}
		now.Store(s)
	}
	return s.text
}
