// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bytes"
	"errors"
	"net"
	"strconv"
	"sync"
)

// errFraming ends the reading of a connection whose next message has no certain
// end. What follows on it must not be taken for another request.
var errFraming = errors.New("framing of the request is not valid")

// Strict returns a listener on whose connections the framing of HTTP/1 requests
// is checked as they arrive, so that a wrong one is answered at once with 400
// and the connection closed: a request with both Content-Length and
// Transfer-Encoding, or with a Transfer-Encoding before HTTP/1.1, which two
// servers may understand differently (RFC 9112, sections 6.1, 6.3 and 11.2;
// net/http itself drops the Content-Length and waits for chunks); a line of the
// header that continues the one before (section 5.2); and a chunk that does not
// begin with its size or is longer than it. It is for plain HTTP/1 only.
func Strict(listener net.Listener) net.Listener { return strictListener{listener} }

type strictListener struct{ net.Listener }

func (l strictListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &strictConn{Conn: conn}, nil
}

// strictConn withholds what comes after the place where framing goes wrong.
type strictConn struct {
	net.Conn
	mu      sync.Mutex // net/http reads ahead in a goroutine of its own
	framing framing
	wrong   bool
}

// NetConn gives the connection that is read.
func (c *strictConn) NetConn() net.Conn { return c.Conn }

// Read implements net.Conn.
func (c *strictConn) Read(p []byte) (int, error) {
	c.mu.Lock()
	wrong := c.wrong
	c.mu.Unlock()
	if wrong {
		return 0, errFraming
	}
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	good := c.framing.take(p[:n])
	if good == n {
		return n, err
	}
	c.wrong = true
	if good == 0 {
		return 0, errFraming
	}
	return good, nil
}

// part is what the next byte of a connection belongs to.
type part uint8

const (
	requestLine part = iota
	headerLine
	fixedBody
	chunkSize
	chunkExtension
	chunkData
	chunkReturn // the carriage return that ends a chunk's data
	chunkNewline
	trailerLine
)

// maxLine is how much of a line is looked at: enough for the fields that frame
// a message with their values. Longer lines pass.
const maxLine = 80

// framing follows the requests of one connection. It judges only what net/http
// does not, which reads the same bytes.
type framing struct {
	part part
	// line is the beginning of a line, or the size of a chunk; tail are the last
	// bytes of a request line, where the version is.
	line, tail []byte
	left       int64 // bytes of a body or chunk that are to come
	// What the header said so far.
	old, chunked, sized bool
	length              int64
}

// take follows the stream through p, and returns how many bytes are good: fewer
// than there are when the framing is wrong from there on.
func (f *framing) take(p []byte) int {
	for at := 0; at < len(p); {
		n, ok := f.step(p[at:])
		if !ok {
			return at
		}
		at += n
	}
	return len(p)
}

// step takes the next bytes that belong together, at least one.
func (f *framing) step(p []byte) (int, bool) {
	switch f.part {
	case fixedBody, chunkData:
		n := int(min(f.left, int64(len(p))))
		if f.left -= int64(n); f.left > 0 {
			return n, true
		}
		if f.part == fixedBody {
			f.part = requestLine
		} else {
			f.part = chunkReturn
		}
		return n, true
	case chunkReturn:
		f.part = chunkNewline
		return 1, p[0] == '\r'
	case chunkNewline:
		f.part = chunkSize
		return 1, p[0] == '\n'
	case chunkSize:
		return 1, f.sizeByte(p[0])
	}
	return f.lineBytes(p)
}

// lineBytes takes the rest of a line, or as much of it as has come.
func (f *framing) lineBytes(p []byte) (int, bool) {
	end := bytes.IndexByte(p, '\n')
	text := p
	if end >= 0 {
		text = p[:end]
	}
	if f.part == headerLine && end >= 0 && len(f.line) == 0 {
		return end + 1, f.endLine(bytes.TrimRight(text[:min(len(text), maxLine)], "\r"))
	}
	f.line = append(f.line, text[:min(len(text), maxLine-len(f.line))]...)
	if f.part == requestLine {
		f.tail = append(f.tail, text[max(0, len(text)-maxLine):]...)
		f.tail = f.tail[max(0, len(f.tail)-maxLine):]
	}
	if end < 0 {
		return len(p), true
	}
	ok := f.endLine(bytes.TrimRight(f.line, "\r"))
	f.line = f.line[:0]
	return end + 1, ok
}

// endLine takes in a whole line; false says that the framing is wrong.
func (f *framing) endLine(line []byte) bool {
	switch f.part {
	case requestLine:
		*f = framing{part: headerLine, line: f.line, tail: f.tail[:0], old: !bytes.HasSuffix(bytes.TrimRight(f.tail, "\r"), []byte("HTTP/1.1"))}
	case headerLine:
		if len(line) == 0 {
			return f.endHeader()
		}
		if line[0] == ' ' || line[0] == '\t' {
			return false // it continues the line before, and is to be refused
		}
		f.field(line)
	case chunkExtension:
		f.part = chunkData
		if f.left == 0 {
			f.part = trailerLine
		}
	case trailerLine:
		if len(line) == 0 {
			f.part = requestLine
		}
	}
	return true
}

// field takes in a header field. A value that is no length is refused by
// net/http.
func (f *framing) field(line []byte) {
	name, value, _ := bytes.Cut(line, []byte(":"))
	switch {
	case bytes.EqualFold(name, []byte("Transfer-Encoding")):
		f.chunked = true
	case bytes.EqualFold(name, []byte("Content-Length")):
		f.sized = true
		f.length, _ = strconv.ParseInt(string(bytes.TrimSpace(value)), 10, 64)
	}
}

func (f *framing) endHeader() bool {
	switch {
	case f.chunked && (f.sized || f.old):
		return false
	case f.chunked:
		f.part = chunkSize
	case f.length > 0:
		f.part, f.left = fixedBody, f.length
	default:
		f.part = requestLine
	}
	return true
}

// maxSizeDigits is how long net/http lets the size of a chunk be.
const maxSizeDigits = 16

// sizeByte takes a byte of the size of a chunk, at whose end the rest of the
// line is an extension, a space or nothing.
func (f *framing) sizeByte(b byte) bool {
	if isHex(b) {
		f.line = append(f.line, b)
		return len(f.line) <= maxSizeDigits
	}
	size, err := strconv.ParseInt(string(f.line), 16, 64)
	if err != nil || !bytes.ContainsRune([]byte("; \t\r\n"), rune(b)) {
		return false
	}
	f.line, f.left, f.part = f.line[:0], size, chunkExtension
	if b == '\n' {
		return f.endLine(nil)
	}
	return true
}

func isHex(b byte) bool {
	return '0' <= b && b <= '9' || 'a' <= b && b <= 'f' || 'A' <= b && b <= 'F'
}
