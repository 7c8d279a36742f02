// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestStoreKeepsObjects asks as the AWS CLI does, whose uploads come in chunks with a checksum
// behind them.
func TestStoreKeepsObjects(t *testing.T) {
	server := httptest.NewServer(&store{buckets: map[string]bucket{}})
	defer server.Close()
	chunks := map[string]string{"X-Amz-Content-Sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER"}
	for _, c := range []struct {
		method, path, body string
		header             map[string]string
		status             int
		want               string // in the answer
	}{
		{"PUT", "/letters/first", "early", nil, 404, "<Code>NoSuchBucket</Code>"},
		{"PUT", "/letters", "", nil, 200, ""},
		{"PUT", "/letters", "", nil, 409, "<Code>BucketAlreadyOwnedByYou</Code>"},
		{"PUT", "/letters/first", "whole", nil, 200, ""},
		{"PUT", "/letters/a/second", "5\r\nin pa\r\n3\r\nrts\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n", chunks, 200, ""},
		{"PUT", "/letters/torn", "9\r\nin pa", chunks, 400, "<Code>IncompleteBody</Code>"},
		{"GET", "/letters/first", "", nil, 200, "whole"},
		{"GET", "/letters/a/second", "", nil, 200, "in parts"},
		{"GET", "/letters/torn", "", nil, 404, "<Code>NoSuchKey</Code>"},
		{"GET", "/", "", nil, 200, "<Bucket><Name>letters</Name>"},
		{"GET", "/letters?list-type=2&prefix=a/", "", nil, 200, "<KeyCount>1</KeyCount><IsTruncated>false</IsTruncated><Contents><Key>a/second</Key>"},
		{"DELETE", "/letters/first", "", nil, 501, "<Code>NotImplemented</Code>"},
	} {
		request, err := http.NewRequestWithContext(t.Context(), c.method, server.URL+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range c.header {
			request.Header.Set(name, value)
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || answer.StatusCode != c.status || !strings.Contains(string(body), c.want) {
			t.Errorf("%s %s: %d %q, %v; want %d and %q", c.method, c.path, answer.StatusCode, body, err, c.status, c.want)
		}
	}
}

func TestBillCountsEndpoints(t *testing.T) {
	want := "3 interface endpoints each one each, by the hub 3 VPCs 9 3 + 3 = 6 200 VPCs 600 200 + 3 = 203"
	if got := strings.Join(strings.Fields(billOf(3, 3, 200)), " "); got != want {
		t.Errorf("the bill is %q, want %q", got, want)
	}
}
