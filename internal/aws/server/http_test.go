// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/aws/server"
)

// TestHTTP2 signs for a host that arrives as :authority.
func TestHTTP2(t *testing.T) {
	s := httptest.NewUnstartedServer(newEndpoint(t).handler)
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	r, err := http.NewRequestWithContext(t.Context(), "POST", s.URL, strings.NewReader(createVpc))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	sum := sha256.Sum256([]byte(createVpc))
	sign(t, r, hex.EncodeToString(sum[:]))
	response, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if got := read(t, response); response.ProtoMajor != 2 || got.status != http.StatusOK {
		t.Errorf("got HTTP/%d %d: %s", response.ProtoMajor, got.status, got.body)
	}
}

func TestHTTPServerLimitsHeaders(t *testing.T) {
	s := httptest.NewUnstartedServer(nil)
	s.Config = server.HTTPServer(newEndpoint(t).handler, nil)
	s.Start()
	defer s.Close()
	r, err := http.NewRequestWithContext(t.Context(), "GET", s.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Large", strings.Repeat("x", 80<<10))
	response, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("status = %d, want %d", response.StatusCode, http.StatusRequestHeaderFieldsTooLarge)
	}
}
