// SPDX-License-Identifier: Apache-2.0

package httplane

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// verdict is what can be said of the bytes that a connection has sent.
type verdict uint8

const (
	more  verdict = iota // nothing before more has come
	plain                // they begin with a plain request
	other                // they do not
	none                 // and there will be no more
)

// maxFields is how many fields the header of a plain request has at most.
const maxFields = 32

// parser makes requests of bytes, each in the room of the one before.
type parser struct {
	request http.Request
	url     url.URL
	header  http.Header
	values  []string
	names   [maxFields]fieldName
	body    body
}

// fieldName is the name of a field as the request before had it in the same place, as
// clients that keep connections send the same fields in the same order.
type fieldName struct{ sent, canonical string }

// body is that of a request, in the room of the connection.
type body struct{ bytes.Reader }

// Close implements io.Closer.
func (*body) Close() error { return nil }

func (p *parser) init(ctx context.Context, remote string) {
	p.request = *(&http.Request{RemoteAddr: remote}).WithContext(ctx)
	p.header = make(http.Header, maxFields/2)
	p.values = make([]string, 0, maxFields)
}

// framed is what the fields say of the message they belong to.
type framed struct {
	host   string
	length int64
	hosts  int
	sized  bool
}

// parse makes p.request of the plain request that b begins with, and gives its length.
// The request is the next one's when it has been answered; its body is in b.
func (p *parser) parse(b []byte) (int, verdict) {
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 {
		return 0, more
	}
	head := string(b[:end]) // all that the handler gets is part of it, and may be kept
	line, fields, _ := strings.Cut(head, "\r\n")
	method, target, ok := requestLine(line)
	if !ok || !p.target(target) {
		return 0, other
	}
	frame, ok := p.fields(fields)
	if !ok || frame.hosts != 1 || frame.length > int64(room) {
		return 0, other
	}
	begin := end + len("\r\n\r\n")
	length := begin + int(frame.length)
	switch {
	case length > room:
		return 0, other
	case length > len(b):
		return 0, more
	}
	r := &p.request
	r.Method, r.RequestURI, r.URL, r.Host, r.Header = method, target, &p.url, frame.host, p.header
	r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/1.1", 1, 1
	r.ContentLength, r.Body = frame.length, http.NoBody
	if frame.length > 0 {
		p.body.Reset(b[begin:length])
		r.Body = &p.body
	}
	// What a handler may have left.
	r.TransferEncoding, r.Close, r.Trailer, r.Pattern = nil, false, nil, ""
	r.Form, r.PostForm, r.MultipartForm = nil, nil, nil
	return length, plain
}

// requestLine takes the first line apart (RFC 9112, section 3). HEAD, CONNECT and OPTIONS
// have rules of their own.
func requestLine(line string) (method, target string, ok bool) {
	method, rest, _ := strings.Cut(line, " ")
	switch method {
	case http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
	default:
		return "", "", false
	}
	target, version, _ := strings.Cut(rest, " ")
	return method, target, version == "HTTP/1.1"
}

// target reads path and query. What needs no decoding is as it is; the rest net/url reads.
func (p *parser) target(target string) bool {
	if target == "" || target[0] != '/' {
		return false
	}
	path, query, asks := strings.Cut(target, "?")
	if is(path, simplePath) && is(query, simpleQuery) && asks == (query != "") {
		p.url = url.URL{Path: path, RawQuery: query}
		return true
	}
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return false
	}
	p.url = *u
	return true
}

// fields reads the lines of the header into p.header.
func (p *parser) fields(lines string) (f framed, ok bool) {
	clear(p.header)
	p.values = p.values[:0]
	for i := 0; lines != ""; i++ {
		line := lines
		if end := strings.IndexByte(lines, '\r'); end < 0 {
			lines = ""
		} else if line, lines = lines[:end], lines[end+1:]; lines == "" || lines[0] != '\n' {
			return f, false
		} else {
			lines = lines[1:]
		}
		colon := strings.IndexByte(line, ':')
		if i == maxFields || colon <= 0 || !is(line[:colon], token) {
			return f, false
		}
		name, value := p.name(i, line[:colon]), strings.Trim(line[colon+1:], " \t")
		if !is(value, text) || !f.take(name, value) {
			return f, false
		}
		if name == "Host" {
			continue // as in net/http
		}
		if before := p.header[name]; before != nil {
			p.header[name] = append(before, value)
			continue
		}
		p.values = append(p.values, value)
		p.header[name] = p.values[len(p.values)-1 : len(p.values) : len(p.values)]
	}
	return f, true
}

// name gives the name of the field in a place as http.Header has it.
func (p *parser) name(place int, sent string) string {
	n := &p.names[place]
	if n.sent != sent {
		*n = fieldName{sent, http.CanonicalHeaderKey(sent)}
	}
	return n.canonical
}

// take takes in what a field says of its message. False says that it is not plain.
func (f *framed) take(name, value string) bool {
	switch name {
	case "Host":
		f.host = value
		f.hosts++
		return value != "" && is(value, host)
	case "Content-Length":
		length, err := strconv.ParseUint(value, 10, 31)
		if err != nil || f.sized || value[0] == '+' {
			return false
		}
		f.length, f.sized = int64(length), true
	case "Connection":
		return strings.EqualFold(value, "keep-alive")
	case "Transfer-Encoding", "Trailer", "Te", "Expect", "Upgrade", "Pragma":
		return false
	}
	return true
}

// class is a set of characters.
type class uint8

const (
	token       class = 1 << iota // of names (RFC 9110, section 5.6.2)
	text                          // of values (section 5.5)
	host                          // of names and addresses with a port
	simplePath                    // that a path has as they are, however it is written
	simpleQuery                   // that a query has as they are
)

var classes = func() (of [256]class) {
	for i := range of {
		c := byte(i)
		letter := 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9'
		if letter || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0 {
			of[c] |= token
		}
		if ' ' <= c && c != 0x7f || c == '\t' {
			of[c] |= text
		}
		if letter || strings.IndexByte(".-:[]_", c) >= 0 {
			of[c] |= host
		}
		if letter || strings.IndexByte("-._~/", c) >= 0 {
			of[c] |= simplePath
		}
		if letter || strings.IndexByte("-._~/=&%+:,", c) >= 0 {
			of[c] |= simpleQuery
		}
	}
	return of
}()

// is reports whether all characters of s are of a class.
func is(s string, of class) bool {
	for i := range len(s) {
		if classes[s[i]]&of == 0 {
			return false
		}
	}
	return true
}
