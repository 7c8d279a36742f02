// SPDX-License-Identifier: Apache-2.0

package sigv4

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// appendCanonicalRequest appends the canonical form of the request, as the IAM
// User Guide defines it, to b. The payload hash is hexadecimal.
func appendCanonicalRequest(b []byte, s *Signature, r *http.Request, payload []byte) ([]byte, error) {
	b = append(b, r.Method...)
	b = append(b, '\n')
	b = appendPath(b, r.URL.EscapedPath(), s.Service)
	b = append(b, '\n')
	b, err := appendQuery(b, r.URL.RawQuery, s.Presigned)
	if err != nil {
		return nil, err
	}
	b = append(b, '\n')
	for name := range strings.SplitSeq(s.signedHeaders, ";") {
		b = append(b, name...)
		b = append(b, ':')
		b = appendHeader(b, r, name)
		b = append(b, '\n')
	}
	b = append(b, '\n')
	b = append(b, s.signedHeaders...)
	b = append(b, '\n')
	return append(b, payload...), nil
}

// appendPath escapes the path that was sent, which is escaped already, a second
// time. S3 alone signs it as it is.
func appendPath(b []byte, escaped, service string) []byte {
	if escaped == "" {
		escaped = "/"
	}
	if service == "s3" {
		return append(b, escaped...)
	}
	return appendEscaped(b, escaped, true)
}

// appendQuery sorts by the escaped name, then the escaped value, so that a name
// may occur more than once. The signature itself is left out.
func appendQuery(b []byte, raw string, presigned bool) ([]byte, error) {
	if raw == "" {
		return b, nil
	}
	query, err := url.ParseQuery(raw)
	if err != nil {
		return nil, malformed("The query string of the request cannot be parsed.")
	}
	type pair struct{ name, value string }
	pairs := make([]pair, 0, len(query))
	for name, values := range query {
		if presigned && name == "X-Amz-Signature" {
			continue
		}
		name = string(appendEscaped(nil, name, false))
		for _, value := range values {
			pairs = append(pairs, pair{name, string(appendEscaped(nil, value, false))})
		}
	}
	slices.SortFunc(pairs, func(x, y pair) int {
		if c := strings.Compare(x.name, y.name); c != 0 {
			return c
		}
		return strings.Compare(x.value, y.value)
	})
	for i, p := range pairs {
		if i > 0 {
			b = append(b, '&')
		}
		b = append(b, p.name...)
		b = append(b, '=')
		b = append(b, p.value...)
	}
	return b, nil
}

// appendHeader appends the values of a header, joined by commas. Some headers
// are not in the map, because net/http keeps them in fields of the request; the
// host is the Host header of HTTP/1 and :authority of HTTP/2.
func appendHeader(b []byte, r *http.Request, name string) []byte {
	if name == "host" {
		return appendTrimmed(b, r.Host)
	}
	values := valuesOf(r.Header, name)
	switch {
	case name == "content-length" && len(values) == 0 && r.ContentLength >= 0:
		return strconv.AppendInt(b, r.ContentLength, 10)
	case name == "transfer-encoding" && len(values) == 0:
		values = r.TransferEncoding
	}
	for i, value := range values {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendTrimmed(b, value)
	}
	return b
}

// valuesOf gives the values of a header by its name in lower case.
func valuesOf(header http.Header, name string) []string {
	var room [32]byte
	if len(name) > len(room) {
		return header[http.CanonicalHeaderKey(name)]
	}
	begins := true // a word
	for i := range len(name) {
		c := name[i]
		switch {
		case 'a' <= c && c <= 'z' && begins:
			c -= 'a' - 'A'
		case 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-':
		default:
			return header[http.CanonicalHeaderKey(name)]
		}
		room[i], begins = c, c == '-'
	}
	return header[string(room[:len(name)])]
}

// appendTrimmed drops spaces at both ends and makes runs of them one.
func appendTrimmed(b []byte, value string) []byte {
	value = strings.Trim(value, " ")
	for i := range len(value) {
		if value[i] == ' ' && value[i-1] == ' ' {
			continue
		}
		b = append(b, value[i])
	}
	return b
}

// appendEscaped percent-escapes all but the unreserved characters of RFC 3986
// and, in paths, the slash.
func appendEscaped(b []byte, s string, path bool) []byte {
	const digits = "0123456789ABCDEF"
	for i := range len(s) {
		c := s[i]
		if isUnreserved(c) || path && c == '/' {
			b = append(b, c)
			continue
		}
		b = append(b, '%', digits[c>>4], digits[c&15])
	}
	return b
}

func isUnreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '-' || c == '_' || c == '.' || c == '~'
}
