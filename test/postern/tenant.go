// SPDX-License-Identifier: Apache-2.0

package postern

import (
	"context"
	"strings"

	"github.com/posternhq/postern/internal/aws/schema"
	"github.com/posternhq/postern/internal/client"
	"github.com/posternhq/postern/test/child"
)

// Tenant is another account than the first one, and what it needs to call.
type Tenant struct {
	p           *Postern
	Account     string
	AccessKeyID string
	// Environment is what its commands run with.
	Environment []string
	secret      string
	api         *client.Client
}

// Tenant makes an account.
func (p *Postern) Tenant(account string) *Tenant {
	p.T.Helper()
	r := p.Command("account", "create", account)
	if r.Status != 0 {
		p.T.Fatalf("make account %s: %s", account, r.Stderr)
	}
	values := map[string]string{}
	for _, line := range strings.Split(r.Stdout, "\n") {
		if name, value, ok := strings.Cut(strings.TrimPrefix(line, "export "), "="); ok {
			values[name] = value
		}
	}
	t := &Tenant{p: p, Account: account, AccessKeyID: values["AWS_ACCESS_KEY_ID"], secret: values["AWS_SECRET_ACCESS_KEY"]}
	t.Find()
	return t
}

// Find finds Postern, again when it was started anew.
func (t *Tenant) Find() {
	a := t.p.Access()
	t.Environment = []string{
		"AWS_ENDPOINT_URL=" + a.URL, "AWS_DEFAULT_REGION=" + a.Region,
		"AWS_ACCESS_KEY_ID=" + t.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + t.secret,
	}
	t.api = client.New(a.URL, a.Region, t.AccessKeyID, t.secret)
}

// Caller is the same instance with calls of the tenant's: networks that are made through it
// are the tenant's. It has no daemon of its own to start or stop.
func (t *Tenant) Caller() *Postern {
	p := &Postern{Instance: t.p.Instance, T: t.p.T, log: t.p.log}
	p.client.Store(t.api)
	return p
}

// Do calls an operation with the tenant's key.
func (t *Tenant) Do(s *schema.Service, operation string, in, out any) error {
	return t.api.Do(context.Background(), s, operation, in, out)
}

// CommandAs runs a command as a user without rights, with the tenant's
// environment.
func (t *Tenant) CommandAs(uid uint32, args ...string) child.Result {
	t.p.T.Helper()
	return t.p.CommandAs(uid, t.Environment, args...)
}
