// SPDX-License-Identifier: Apache-2.0

// Package cli is a black-box suite: the AWS CLI against the running program. It
// takes whichever aws is installed. The models of the served operations are
// given to it by AWS_DATA_PATH, because versions in distributions may be older
// than resource gateways; one test uses what the installed version itself
// knows. A full run fails when an operation that is served is called by no test.
package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"github.com/posternhq/postern/conformance/forkserver"
	"github.com/posternhq/postern/conformance/harness"
	"github.com/posternhq/postern/conformance/served"
	"github.com/posternhq/postern/test/child"
	"github.com/posternhq/postern/test/instance"
)

// server is the Postern of all tests of this package, aws the path of the AWS
// CLI, taught the folder of the models that it is given, and forks the fork server of
// an AWS CLI with them, or nil.
var (
	server      *harness.Server
	aws, taught string
	forks       *forkserver.Server
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	if aws, err = exec.LookPath("aws"); err != nil {
		return harness.Unable("these tests need the AWS CLI, and there is no aws in PATH; sudo make test installs it")
	}
	if taught, err = os.MkdirTemp("", "postern-models-"); err != nil {
		panic(err)
	}
	defer os.RemoveAll(taught)
	if err := teach(taught); err != nil {
		panic(err)
	}
	models := "AWS_DATA_PATH=" + taught
	if version := child.Exec(os.Environ(), aws, "--version"); version.Status != 0 {
		return harness.Unable(fmt.Sprintf("these tests need the AWS CLI, and %s does not run: %s", aws, version.Stderr))
	} else {
		fmt.Printf("%s: %s", aws, version.Stdout+version.Stderr)
	}
	if forks, err = forkserver.AWS(child.Environment(models), aws); err != nil {
		fmt.Printf("each command is started by itself, which takes longer: %v\n", err)
	} else {
		defer forks.Close()
	}
	return harness.Main(m, func(s *harness.Server) { server = s }, calledAll, "--public-pool", "203.0.113.0/24")
}

// calls are the commands that went well, as "service command".
var calls = struct {
	sync.Mutex
	made map[string]bool
}{made: map[string]bool{}}

func calledAll() error {
	operations, err := served.Read(served.File)
	if err != nil {
		return err
	}
	var missing []string
	for service, names := range operations {
		for _, name := range names {
			if command := folderOf(service) + " " + kebab(name); !calls.made[command] {
				missing = append(missing, command)
			}
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		err = fmt.Errorf("served, but called by no test with success:\n  %s", strings.Join(missing, "\n  "))
	}
	return err
}

// kebab is the command of an operation: create-vpc for CreateVpc, and for CreateVPC.
func kebab(operation string) string {
	var b strings.Builder
	for i, r := range operation {
		if i > 0 && unicode.IsUpper(r) {
			before, after := rune(operation[i-1]), rune('A')
			if i+1 < len(operation) {
				after = rune(operation[i+1])
			}
			if unicode.IsLower(before) || unicode.IsLower(after) {
				b.WriteByte('-')
			}
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// terminal is where somebody with a key types commands.
type terminal struct {
	t           *testing.T
	environment []string
	exec        func(environment []string, args ...string) child.Result
}

// newAccount gives a terminal of an account of its own.
func newAccount(t *testing.T) *terminal {
	t.Helper()
	return newTerminal(t, server.NewAccount(t))
}

// newTerminal gives a terminal whose AWS CLI is taught the served operations.
func newTerminal(t *testing.T, key harness.Key) *terminal {
	c := newUntaught(t, key)
	c.environment = append(c.environment, "AWS_DATA_PATH="+taught)
	if forks != nil {
		c.exec = forks.Exec
	}
	return c
}

// newUntaught gives a terminal whose AWS CLI is as it is installed.
func newUntaught(t *testing.T, key harness.Key) *terminal {
	return &terminal{t, server.Environment(
		"AWS_ACCESS_KEY_ID="+key.ID, "AWS_SECRET_ACCESS_KEY="+key.Secret, "AWS_DEFAULT_REGION="+harness.Region,
		"AWS_PAGER=", "AWS_MAX_ATTEMPTS=1",
	), alone}
}

// alone starts a process of the AWS CLI.
func alone(environment []string, args ...string) child.Result {
	return child.Exec(environment, aws, args...)
}

// run runs aws with arguments that are separated by spaces, of which none holds
// one.
func (c *terminal) run(format string, values ...any) child.Result {
	c.t.Helper()
	args := append([]string{"--endpoint-url", server.URL, "--output", "json"}, strings.Fields(fmt.Sprintf(format, values...))...)
	return c.exec(c.environment, args...)
}

// ok runs a command that has to go well, and gives its answer.
func (c *terminal) ok(format string, values ...any) answer {
	c.t.Helper()
	r := c.run(format, values...)
	if r.Status != 0 {
		c.t.Fatalf("aws %s: status %d: %s", fmt.Sprintf(format, values...), r.Status, r.Stderr)
	}
	words := strings.Fields(fmt.Sprintf(format, values...))
	calls.Lock()
	calls.made[words[0]+" "+words[1]] = true
	calls.Unlock()
	got := answer{t: c.t}
	if strings.TrimSpace(r.Stdout) != "" {
		if err := json.Unmarshal([]byte(r.Stdout), &got.value); err != nil {
			c.t.Fatalf("aws %s: %v in %s", format, err, r.Stdout)
		}
	}
	return got
}

// refused runs a command that has to be refused, and checks code, operation and
// exit status. Version 1 of the AWS CLI says 255 where version 2 says 254.
func (c *terminal) refused(code, format string, values ...any) {
	c.t.Helper()
	r := c.run(format, values...)
	want := "An error occurred (" + code + ") when calling the "
	if r.Status != 254 && r.Status != 255 || !strings.Contains(r.Stderr, want) {
		c.t.Errorf("aws %s: status %d, %s%s; want %s", fmt.Sprintf(format, values...), r.Status, r.Stdout, r.Stderr, want)
	}
}

// alwaysRefused is refused, of an operation that nothing here can ever be asked for: that
// counts as called.
func (c *terminal) alwaysRefused(code, format string, values ...any) {
	c.t.Helper()
	c.refused(code, format, values...)
	words := strings.Fields(fmt.Sprintf(format, values...))
	calls.Lock()
	defer calls.Unlock()
	calls.made[words[0]+" "+words[1]] = true
}

// answer is JSON.
type answer struct {
	t     *testing.T
	value any
}

// at gives what is at a path of member names and indexes, such as Vpcs.0.VpcId,
// as text.
func (a answer) at(path string) string {
	a.t.Helper()
	value := a.value
	for step := range strings.SplitSeq(path, ".") {
		switch v := value.(type) {
		case map[string]any:
			value = v[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i >= len(v) {
				a.t.Fatalf("there is no %s in %v", path, a.value)
			}
			value = v[i]
		default:
			a.t.Fatalf("there is no %s in %v", path, a.value)
		}
	}
	if text, ok := value.(string); ok {
		return text
	}
	text, err := json.Marshal(value)
	if err != nil {
		a.t.Fatal(err)
	}
	return string(text)
}

// is checks a value.
func (a answer) is(path, want string) {
	a.t.Helper()
	if got := a.at(path); got != want {
		a.t.Errorf("%s is %s, want %s", path, got, want)
	}
}

// has checks how many items a list has.
func (a answer) has(path string, want int) {
	a.t.Helper()
	var list []any
	if err := json.Unmarshal([]byte(a.at(path)), &list); err != nil || len(list) != want {
		a.t.Errorf("%s is %s, want %d of them", path, a.at(path), want)
	}
}

// await runs a command until a value is what it should be.
func (c *terminal) await(path, want, format string, values ...any) {
	c.t.Helper()
	err := instance.Poll(context.Background(), 2*time.Minute, path+" "+want, func() (bool, error) {
		return c.ok(format, values...).at(path) == want, nil
	})
	if err != nil {
		c.t.Fatal(err)
	}
}

// wait runs `aws ec2 wait`.
func (c *terminal) wait(format string, values ...any) {
	c.t.Helper()
	if r := c.run("ec2 wait "+format, values...); r.Status != 0 || r.Stdout != "" {
		c.t.Errorf("aws ec2 wait %s: status %d, %s%s", fmt.Sprintf(format, values...), r.Status, r.Stdout, r.Stderr)
	}
}

// awaitGone runs a command until it is refused with a code.
func (c *terminal) awaitGone(code, format string, values ...any) {
	c.t.Helper()
	err := instance.Poll(context.Background(), 2*time.Minute, code, func() (bool, error) { return c.run(format, values...).Status != 0, nil })
	if err != nil {
		c.t.Fatal(err)
	}
	c.refused(code, format, values...)
}
