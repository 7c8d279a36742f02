// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"testing"

	"github.com/posternhq/postern/internal/aws/shape/postern"
)

func TestTargetsOfServices(t *testing.T) {
	for text, want := range map[string]string{
		"127.0.0.1:9000":        "127.0.0.1 9000",
		"store.example.net:443": "store.example.net 443",
		"store":                 "store 0",
		"[2001:db8::9]:443":     "2001:db8::9 443",
		"2001:db8::9":           "2001:db8::9 0",
	} {
		got, err := parseTarget(text)
		if err != nil || said(got) != want {
			t.Errorf("%s is %q, %v; want %q", text, said(got), err, want)
		}
	}
	for _, text := range []string{"", ":9000", "store:", "store:http", "store:0", "store:70000", "[::1]:x"} {
		if got, err := parseTarget(text); err == nil {
			t.Errorf("%q is taken for %q", text, said(got))
		}
	}
}

func said(t postern.ServiceTarget) string {
	port := int32(0)
	if t.Port != nil {
		port = *t.Port
	}
	return fmt.Sprintf("%s %d", text(t.Address), port)
}
