// SPDX-License-Identifier: Apache-2.0

package postern

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/posternhq/postern/internal/aws/schema"
	"github.com/posternhq/postern/internal/client"
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
	t.p.T.Helper()
	var running struct{ Endpoint, Region string }
	if err := t.p.read("running.json", &running); err != nil {
		t.p.T.Fatal(err)
	}
	t.Environment = []string{
		"AWS_ENDPOINT_URL=" + running.Endpoint, "AWS_DEFAULT_REGION=" + running.Region,
		"AWS_ACCESS_KEY_ID=" + t.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + t.secret,
	}
	t.api = client.New(running.Endpoint, running.Region, t.AccessKeyID, t.secret)
}

// Do calls an operation with the tenant's key.
func (t *Tenant) Do(s *schema.Service, operation string, in, out any) error {
	return t.api.Do(context.Background(), s, operation, in, out)
}

// CommandAs runs `postern ARGS --data DIR` as a user without rights, with the
// tenant's environment. The way to the data folder and to the binary is opened.
func (t *Tenant) CommandAs(uid uint32, args ...string) Result {
	p := t.p
	p.T.Helper()
	path := filepath.Join(p.T.TempDir(), "postern")
	binary, err := os.ReadFile(Binary(p.T))
	if err == nil {
		err = os.WriteFile(path, binary, 0o755)
	}
	if err != nil {
		p.T.Fatal(err)
	}
	Passable(p.T, filepath.Dir(path))
	Passable(p.T, filepath.Dir(p.Data))
	cmd := exec.Command(path, append(args, "--data", p.Data)...)
	cmd.Env = append(without(os.Environ()), t.Environment...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	status := statusOf(cmd.Run())
	return Result{status, out.String(), errs.String()}
}
