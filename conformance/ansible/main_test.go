// SPDX-License-Identifier: Apache-2.0

// Package ansible is a black-box suite: the modules of Ansible's collection
// amazon.aws, unchanged, against the running program. Each playbook of testdata
// but others.yml is named after a module, and makes, changes and deletes with
// it, each step twice, and says first what it would do (check mode). Where
// Ansible, the collection or boto3 is not installed the suite says so and does
// nothing.
package ansible

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/posternhq/postern/conformance/forkserver"
	"github.com/posternhq/postern/conformance/harness"
	"github.com/posternhq/postern/test/child"
)

// interpreter is the distribution's Python, for which it has boto3.
const interpreter = "/usr/bin/python3"

// server is the Postern of all tests of this package, playbook the path of
// ansible-playbook, and python that of the interpreter of modules, with what its
// environment has to have.
var (
	server           *harness.Server
	playbook, python string
	relayed          []string
)

// socketVariable makes this program an interpreter of modules, which a fork server
// runs that has imported boto3 already.
const socketVariable = "POSTERN_FORKSERVER"

func TestMain(m *testing.M) {
	if socket := os.Getenv(socketVariable); socket != "" {
		os.Exit(forkserver.Relay(socket))
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	if playbook, err = exec.LookPath("ansible-playbook"); err != nil {
		return harness.Absent("these tests need Ansible, and there is no ansible-playbook in PATH; the package ansible has it")
	}
	boto := child.Exec(os.Environ(), interpreter, "-c", "import boto3, botocore; print('boto3', boto3.__version__, 'botocore', botocore.__version__)")
	if boto.Status != 0 {
		return harness.Absent("these tests need boto3 for " + interpreter + "; the package python3-boto3 has it")
	}
	collection := child.Exec(os.Environ(), filepath.Join(filepath.Dir(playbook), "ansible-galaxy"), "collection", "list", "amazon.aws")
	if !strings.Contains(collection.Stdout, "amazon.aws ") {
		return harness.Absent("these tests need Ansible's collection amazon.aws; the package ansible has it")
	}
	fmt.Printf("%s: %s%s", playbook, boto.Stdout, collection.Stdout)
	python = interpreter
	if forks, err := forkserver.Scripts(child.Environment(), interpreter); err != nil {
		fmt.Printf("each module is started by itself, which takes longer: %v\n", err)
	} else {
		defer forks.Close()
		if python, err = os.Executable(); err != nil {
			panic(err)
		}
		relayed = []string{socketVariable + "=" + forks.Socket}
	}
	return harness.Main(m, func(s *harness.Server) { server = s }, nil)
}

// play runs a playbook of testdata in an account, with more variables as
// name=value.
func play(t *testing.T, name string, key harness.Key, variables ...string) {
	t.Helper()
	environment := server.Environment(append([]string{
		"AWS_URL=" + server.URL, "AWS_ACCESS_KEY_ID=" + key.ID, "AWS_SECRET_ACCESS_KEY=" + key.Secret, "AWS_REGION=" + harness.Region,
		"ANSIBLE_PYTHON_INTERPRETER=" + python, "ANSIBLE_LOCALHOST_WARNING=false", "ANSIBLE_NOCOLOR=1", "ANSIBLE_PIPELINING=1",
		"ANSIBLE_HOME=" + t.TempDir(), "ANSIBLE_LOCAL_TEMP=" + t.TempDir(), "ANSIBLE_REMOTE_TMP=" + t.TempDir(),
	}, relayed...)...)
	args := []string{"--inventory", "localhost,", "--connection", "local"}
	for _, variable := range variables {
		args = append(args, "--extra-vars", variable)
	}
	r := child.Exec(environment, playbook, append(args, filepath.Join("testdata", name+".yml"))...)
	if r.Status != 0 {
		t.Errorf("playbook %s: status %d:\n%s%s", name, r.Status, r.Stdout, r.Stderr)
	}
}
