// SPDX-License-Identifier: Apache-2.0

// Package terraform is a black-box suite: Terraform and its AWS provider, both
// unchanged, against the running program. The provider comes from a mirror on
// this machine, and no registry is asked: see mirror. Where one of the two is
// not installed the suite says so and does nothing.
package terraform

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/conformance/harness"
	"github.com/posternhq/postern/test/child"
)

// server is the Postern of all tests of this package, program the path of
// Terraform, and settings that of the configuration file it is given.
var (
	server            *harness.Server
	program, settings string
)

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		os.Exit(play(role))
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	if program, err = exec.LookPath("terraform"); err != nil {
		return harness.Absent("these tests need Terraform, and there is no terraform in PATH")
	}
	mirror := findMirror()
	if mirror == "" {
		return harness.Absent("these tests need Terraform's AWS provider, 5.100 or later, in a mirror that " + mirrorVariable + " names, or in one of\n  " + strings.Join(usualMirrors(), "\n  "))
	}
	dir, err := os.MkdirTemp("", "postern-terraform-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	settings = filepath.Join(dir, "terraformrc")
	if err := os.WriteFile(settings, []byte(configuration(mirror)), 0o600); err != nil {
		panic(err)
	}
	version := child.Exec([]string{"CHECKPOINT_DISABLE=1", "TF_CLI_CONFIG_FILE=" + settings}, program, "version")
	if version.Status != 0 {
		return harness.Absent(fmt.Sprintf("these tests need Terraform, and %s does not run: %s", program, version.Stderr))
	}
	if !recent(strings.TrimPrefix(version.Stdout, "Terraform v"), 1, 5) {
		return harness.Absent(fmt.Sprintf("these tests need Terraform 1.5 or later, and %s is %s", program, version.Stdout))
	}
	fmt.Printf("%s: %sAWS provider from %s\n", program, version.Stdout, mirror)
	// The provider waits most of the time, for as long as it says itself: so more tests run
	// at once than there are processors, unless the command line says how many.
	if err := flag.Set("test.parallel", strconv.Itoa(runtime.NumCPU()+2)); err != nil {
		panic(err)
	}
	return harness.Main(m, func(s *harness.Server) { server = s }, nil, "--public-pool", "203.0.113.0/24")
}

// workspace is a folder with a configuration, and the environment of somebody
// with a key who works in it.
type workspace struct {
	t           *testing.T
	folder      string
	environment []string
	// outputs are the values of the configuration's output, nil when they are to be read.
	outputs map[string]struct{ Value json.RawMessage }
}

// newWorkspace copies a configuration of testdata to a folder of its own. The
// key and more variables are what its environment says.
func newWorkspace(t *testing.T, name string, key harness.Key, more ...string) *workspace {
	t.Helper()
	folder := t.TempDir()
	if err := os.CopyFS(folder, os.DirFS(filepath.Join("testdata", name))); err != nil {
		t.Fatal(err)
	}
	w := &workspace{t: t, folder: folder}
	for _, variable := range server.Environment() {
		if !strings.HasPrefix(variable, "TF_") {
			w.environment = append(w.environment, variable)
		}
	}
	w.environment = append(append(w.environment,
		"AWS_ENDPOINT_URL="+server.URL, "AWS_REGION="+harness.Region, "AWS_ACCESS_KEY_ID="+key.ID, "AWS_SECRET_ACCESS_KEY="+key.Secret,
		"TF_CLI_CONFIG_FILE="+settings, "TF_IN_AUTOMATION=1", "TF_INPUT=0", "CHECKPOINT_DISABLE=1",
		// The provider builds its large schema anew for each command.
		"GOGC=400",
	), more...)
	w.ok("init", "-no-color")
	return w
}

// run runs terraform in the folder.
func (w *workspace) run(args ...string) child.Result {
	w.t.Helper()
	start := time.Now()
	r := child.Exec(w.environment, program, append([]string{"-chdir=" + w.folder}, args...)...)
	w.t.Logf("terraform %s: status %d after %v", strings.Join(args, " "), r.Status, time.Since(start).Round(time.Millisecond))
	return r
}

// ok runs terraform, which has to go well, and gives its output.
func (w *workspace) ok(args ...string) string {
	w.t.Helper()
	r := w.run(args...)
	if r.Status != 0 {
		w.t.Fatalf("terraform %s: status %d:\n%s%s", strings.Join(args, " "), r.Status, r.Stdout, r.Stderr)
	}
	return r.Stdout
}

// parallel lets as much be changed at once as a configuration has here: the
// provider waits half a minute and longer for each record of a hosted zone.
const parallel = "-parallelism=40"

// apply makes the configuration true, and gives what Terraform says of it.
func (w *workspace) apply(more ...string) string {
	w.t.Helper()
	w.outputs = nil
	return w.ok(append([]string{"apply", "-no-color", "-auto-approve", parallel}, more...)...)
}

// destroy takes everything away.
func (w *workspace) destroy(more ...string) {
	w.t.Helper()
	w.ok(append([]string{"destroy", "-no-color", "-auto-approve", parallel}, more...)...)
}

// unchanged checks that a plan has nothing to do.
func (w *workspace) unchanged(when string, more ...string) {
	w.t.Helper()
	// The status is 2 when there is something to do.
	args := append([]string{"plan", "-no-color", "-detailed-exitcode"}, more...)
	if r := w.run(args...); r.Status != 0 {
		w.t.Errorf("a plan %s is not empty: status %d:\n%s%s", when, r.Status, r.Stdout, r.Stderr)
	}
}

// resource is one of a state.
type resource struct {
	Address, Mode, Type string
	Values              map[string]any
}

// module is a part of a state.
type module struct {
	Resources []resource
	Children  []module `json:"child_modules"`
}

// all gives the resources of a module and of those within.
func (m module) all() []resource {
	all := m.Resources
	for _, child := range m.Children {
		all = append(all, child.all()...)
	}
	return all
}

// resources gives what is in the state, without data sources.
func (w *workspace) resources() (managed []resource) {
	w.t.Helper()
	var state struct {
		Values struct {
			Root module `json:"root_module"`
		}
	}
	if err := json.Unmarshal([]byte(w.ok("show", "-json")), &state); err != nil {
		w.t.Fatalf("terraform show: %v", err)
	}
	for _, r := range state.Values.Root.all() {
		if r.Mode == "managed" {
			managed = append(managed, r)
		}
	}
	return managed
}

// output gives a value of the configuration's output.
func (w *workspace) output(name string, into any) {
	w.t.Helper()
	if w.outputs == nil {
		if err := json.Unmarshal([]byte(w.ok("output", "-json")), &w.outputs); err != nil {
			w.t.Fatalf("terraform output: %v", err)
		}
	}
	if err := json.Unmarshal(w.outputs[name].Value, into); err != nil {
		w.t.Fatalf("output %s: %v", name, err)
	}
}
