// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"testing"
)

// FuzzFraming: what is found wrong does not depend on how the bytes arrive, and
// requests that are found good end where net/http thinks that they do.
func FuzzFraming(f *testing.F) {
	for _, seed := range []string{
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
		"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
		"POST / HTTP/1.1\nHost: x\nTransfer-Encoding:\n chunked\n\nx",
	} {
		f.Add([]byte(seed), uint8(3))
	}
	f.Fuzz(func(t *testing.T, stream []byte, size uint8) {
		var whole, pieces framing
		good := whole.take(stream) == len(stream)
		goodInPieces := true
		for at, step := 0, int(size)+1; at < len(stream) && goodInPieces; at += step {
			piece := stream[at:min(at+step, len(stream))]
			goodInPieces = pieces.take(piece) == len(piece)
		}
		if goodInPieces != good {
			t.Fatalf("good in pieces of %d: %v, at once: %v", int(size)+1, goodInPieces, good)
		}
		if !good {
			return
		}
		text := bytes.NewReader(stream)
		for reader := bufio.NewReader(text); ; {
			r, err := http.ReadRequest(reader)
			if err != nil {
				return // net/http refuses it and closes the connection
			}
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				return
			}
			var f framing
			if end := len(stream) - text.Len() - reader.Buffered(); f.take(stream[:end]) != end || f.part != requestLine || len(f.line) > 0 {
				t.Fatalf("after the %d bytes of a request the next byte is taken for part %d", end, f.part)
			}
		}
	})
}
