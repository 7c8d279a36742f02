// SPDX-License-Identifier: Apache-2.0

package system

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/posternhq/postern/test/child"
	"github.com/posternhq/postern/test/postern"
)

// The environment that is printed is enough for clients to check the certificate, also
// those of other users, and of a later start.
func TestAPIOverTLS(t *testing.T) {
	p := postern.Start(t, "--tls", "--tls-listen", "127.0.0.1:0", "--tls-name", "localhost")
	exports := expectCommand(t, p, 0, "export AWS_ENDPOINT_URL=https://localhost:", "env")
	bundle := filepath.Join(p.Data, "api-ca.pem")
	trusting := "export AWS_CA_BUNDLE=" + bundle + "\n"
	if !strings.Contains(exports, trusting) {
		t.Fatalf("env prints %q, without %q", exports, trusting)
	}
	printed := expectCommand(t, p, 0, "-----BEGIN CERTIFICATE-----", "ca")
	if info, err := os.Stat(bundle); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("%v, %v", info, err)
	}
	with := func(exports, program string) child.Result {
		return child.Exec(child.Environment(), "sh", "-c", "unset AWS_CA_BUNDLE\n"+exports+program)
	}
	programs := map[string]string{"postern": p.Binary + " status"}
	if aws, err := exec.LookPath("aws"); err == nil {
		programs["AWS CLI"] = aws + ` --endpoint-url "$AWS_ENDPOINT_URL" sts get-caller-identity`
	}
	boto := `/usr/bin/python3 -c 'import os, boto3; print(boto3.client("sts", endpoint_url=os.environ["AWS_ENDPOINT_URL"]).get_caller_identity()["Account"])'`
	if child.Exec(child.Environment(), "/usr/bin/python3", "-c", "import boto3").Status == 0 {
		programs["boto3"] = boto
	}
	for name, program := range programs {
		if r := with(exports, program); r.Status != 0 {
			t.Errorf("%s: status %d, %s%s", name, r.Status, r.Stdout, r.Stderr)
		}
		if r := with(strings.ReplaceAll(exports, trusting, ""), program); r.Status == 0 || !strings.Contains(r.Stderr, "certificate") {
			t.Errorf("%s that does not trust the authority: status %d, %s%s", name, r.Status, r.Stdout, r.Stderr)
		}
	}
	p.Stop()
	p.Up()
	if again := expectCommand(t, p, 0, "", "ca"); again != printed {
		t.Error("after a restart there is another authority")
	}
	if r := with(expectCommand(t, p, 0, "https://", "env"), p.Binary+" status"); r.Status != 0 {
		t.Errorf("after a restart: status %d, %s", r.Status, r.Stderr)
	}
}
