// SPDX-License-Identifier: Apache-2.0

package route_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/posternhq/postern/internal/aws/route"
	"github.com/posternhq/postern/internal/aws/schema"
)

// service makes one operation of each "Name METHOD /path".
func service(lines ...string) *schema.Service {
	s := &schema.Service{Name: "test"}
	for _, line := range lines {
		f := strings.Fields(line)
		s.Operations = append(s.Operations, &schema.Operation{Name: f[0], Method: f[1], Path: f[2]})
	}
	return s
}

func TestFind(t *testing.T) {
	r, err := route.New(service(
		"Root GET /",
		"List GET /gateways",
		"Create POST /gateways",
		"Get GET /gateways/{id}",
		"GetDefault GET /gateways/default",
		"Tags GET /tags/{arn}",
		"Records POST /zone/{id}/rrset/",
		"Object PUT /bucket/{key+}",
		"Delete DELETE /gateways/{id}",
	))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ method, path, want, wantPath string }{
		{"GET", "/", "Root", ""},
		{"GET", "/gateways", "List", "/gateways"},
		{"POST", "/gateways", "Create", "/gateways"},
		{"GET", "/gateways/", "List", "/gateways"},
		{"GET", "/gateways/rgw-1", "Get", "/gateways/rgw-1"},
		{"GET", "/gateways/default", "GetDefault", "/gateways/default"},
		{"DELETE", "/gateways/default", "Delete", "/gateways/default"},
		{"GET", "/tags/arn%3Aaws%3Avpc-lattice%3Aus-east-1%3A1%3Aresourcegateway%2Frgw-0", "Tags",
			"/tags/arn%3Aaws%3Avpc-lattice%3Aus-east-1%3A1%3Aresourcegateway%2Frgw-0"},
		{"POST", "/zone/Z1/rrset", "Records", "/zone/Z1/rrset/"},
		{"POST", "/zone/Z1/rrset/", "Records", "/zone/Z1/rrset/"},
		{"PUT", "/bucket/a/b/c", "Object", "/bucket/a/b/c"},
		{"GET", "/g%61teways", "List", "/g%61teways"},
		{"PATCH", "/gateways", "405 GET,POST", ""},
		{"PATCH", "/gateways/default", "405 DELETE,GET", ""},
		{"GET", "/gateways/a/b", "404", ""},
		{"GET", "/gateways//", "404", ""},
		{"GET", "//gateways", "404", ""},
		{"GET", "/gateways/%zz", "404", ""},
		{"GET", "/tags/arn:a/b", "404", ""},
		{"PUT", "/bucket/", "404", ""},
		{"GET", "*", "404", ""},
		{"GET", "", "404", ""},
	} {
		match, err := r.Find(test.method, test.path)
		got := ""
		var method *route.MethodError
		switch {
		case errors.As(err, &method):
			got = "405 " + strings.Join(method.Allowed, ",")
		case errors.Is(err, route.ErrNotFound):
			got = "404"
		default:
			got = match.Operation.Name
		}
		if got != test.want || match.Path != test.wantPath && test.wantPath != "" {
			t.Errorf("%s %s: %s %q, want %s %q", test.method, test.path, got, match.Path, test.want, test.wantPath)
		}
	}
}

func TestNewRefusesWhatCannotBeRouted(t *testing.T) {
	for _, lines := range [][]string{
		{"A GET /x/{a}", "B GET /x/{b}"},
		{"A GET /x/{a+}/y"},
		{"A GET x"},
		{"A GET /x?y"},
	} {
		if _, err := route.New(service(lines...)); err == nil {
			t.Errorf("%q: no error", lines)
		}
	}
}

func TestMethodErrorNamesMethods(t *testing.T) {
	err := &route.MethodError{Allowed: []string{"GET", "PUT"}}
	if diff := cmp.Diff("the path has only the methods GET, PUT", err.Error()); diff != "" {
		t.Error(diff)
	}
}
