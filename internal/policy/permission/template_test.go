// SPDX-License-Identifier: Apache-2.0

package permission_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/policy/permission"
)

func configurations(t testing.TB) *permission.Type {
	t.Helper()
	kind, ok := permission.Named(permission.ResourceConfiguration)
	if !ok {
		t.Fatal("resource configurations cannot be shared")
	}
	return kind
}

// never are actions that no permission gives, whatever it is written with: they are the
// owner's alone.
var never = []string{
	"vpc-lattice:DeleteResourceConfiguration", "vpc-lattice:UpdateResourceConfiguration", "vpc-lattice:TagResource",
	"ram:AssociateResourceShare", "ram:CreateResourceShare", "ec2:DeleteVpcEndpoints", "iam:CreateUser", "",
}

func TestWhatTemplatesAllow(t *testing.T) {
	for _, test := range []struct {
		action         string // as JSON
		read, networks bool
	}{
		{`"vpc-lattice:GetResourceConfiguration"`, true, false},
		{`["vpc-lattice:CreateServiceNetworkResourceAssociation"]`, false, true},
		{`["VPC-Lattice:getresourceconfiguration","vpc-lattice:*Association"]`, true, true},
		{`"vpc-lattice:Get?esource*"`, true, false},
		{`"vpc-lattice:*"`, true, true},
		{`"*"`, true, true},
	} {
		parsed, err := permission.Parse(configurations(t), `{"Effect":"Allow","Action":`+test.action+`}`)
		if err != nil {
			t.Errorf("%s: %v", test.action, err)
			continue
		}
		for action, want := range map[string]bool{
			"vpc-lattice:GetResourceConfiguration": test.read, "ec2:CreateVpcEndpoint": test.read, "EC2:createvpcendpoint": test.read,
			"vpc-lattice:CreateServiceNetworkResourceAssociation": test.networks,
		} {
			if got := parsed.Allows(action); got != want {
				t.Errorf("%s allows %s: %v, want %v", test.action, action, got, want)
			}
		}
		for _, action := range never {
			if parsed.Allows(action) {
				t.Errorf("%s allows %q", test.action, action)
			}
		}
	}
}

func TestTemplatesThatAreRefused(t *testing.T) {
	for text, malformed := range map[string]bool{
		``: true, `[]`: true, `{`: true, `{}`: true, `{} {}`: true,
		`{"Effect":"Deny","Action":"vpc-lattice:GetResourceConfiguration"}`:                                      true,
		`{"Effect":"Allow","Effect":"Allow","Action":"vpc-lattice:GetResourceConfiguration"}`:                    true,
		`{"Effect":"Allow","Action":[]}`:                                                                         true,
		`{"Effect":"Allow","Action":null}`:                                                                       true,
		`{"Effect":"Allow","Action":7}`:                                                                          true,
		`{"Effect":"Allow"}`:                                                                                     true,
		`{"Effect":"Allow","Action":"vpc-lattice:GetResourceConfiguration","Principal":"*"}`:                     true,
		`{"Effect":"Allow","Action":"vpc-lattice:GetResourceConfiguration","Resource":"*"}`:                      true,
		`{"Effect":"Allow","Action":"vpc-lattice:GetResourceConfiguration","Sid":"x"}`:                           true,
		`{"Effect":"Allow","Action":"` + strings.Repeat("*", permission.MaxTemplate) + `"}`:                      true,
		`{"Effect":"Allow","Action":"vpc-lattice:DeleteResourceConfiguration"}`:                                  false,
		`{"Effect":"Allow","Action":["vpc-lattice:GetResourceConfiguration","ec2:*"]}`:                           false,
		`{"Effect":"Allow","Action":"vpc-lattice:GetResourceConfiguration","Condition":{"Bool":{"a:b":"true"}}}`: false,
	} {
		if _, err := permission.Parse(configurations(t), text); err == nil || errors.Is(err, permission.ErrMalformed) != malformed {
			t.Errorf("%.100s: got %v, malformed should be %v", text, err, malformed)
		}
	}
}

// FuzzParse reads what the fuzzer finds: what is not refused gives actions of the type and
// no others, and means the same when it is written by Format.
func FuzzParse(f *testing.F) {
	kind := configurations(f)
	for _, m := range permission.All {
		for i := range m.Versions {
			f.Add(m.Template(i + 1))
		}
	}
	f.Add(`{"Effect":"Allow","Action":"*"}`)
	f.Add(`{"Action":["vpc-lattice:*Association","VPC-LATTICE:get??source*"],"Effect":"Allow"}`)
	f.Add(`{"Effect":"Allow","Action":"\u002a"}`)
	f.Add(`{"Effect":"Allow","Effect":"Deny","Action":"*"}`)
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := permission.Parse(kind, text)
		if err != nil {
			return
		}
		gives := func(p *permission.Template) (given []string) {
			for _, action := range slices.Concat(kind.Actions, never) {
				if p.Allows(action) {
					given = append(given, action)
				}
			}
			return given
		}
		given := gives(parsed)
		if len(given) == 0 {
			t.Errorf("%q gives nothing", text)
		}
		for _, action := range given {
			if slices.Contains(never, action) {
				t.Errorf("%q gives %q", text, action)
			}
		}
		written := permission.Format(parsed.Actions)
		if len(written) > permission.MaxTemplate {
			return // it was written with fewer escapes
		}
		again, err := permission.Parse(kind, written)
		if err != nil {
			t.Fatalf("%q is written as %s, which is refused: %v", text, written, err)
		}
		if !slices.Equal(gives(again), given) {
			t.Errorf("%q gives %q, and written as %s %q", text, given, written, gives(again))
		}
	})
}
