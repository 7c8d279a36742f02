// SPDX-License-Identifier: Apache-2.0

package system

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	shape "github.com/posternhq/postern/internal/aws/shape/postern"
	"github.com/posternhq/postern/internal/aws/shape/sts"
	"github.com/posternhq/postern/internal/client"
	"github.com/posternhq/postern/internal/daemon"
	"github.com/posternhq/postern/test/child"
	"github.com/posternhq/postern/test/postern"
	"github.com/posternhq/postern/test/testnet"
)

// expectCommand runs a command and wants its status and a part of what it
// prints, on standard output when it works and else on the other.
func expectCommand(t *testing.T, p *postern.Postern, status int, text string, args ...string) string {
	t.Helper()
	r := p.Command(args...)
	where := r.Stdout
	if status != 0 {
		where = r.Stderr
	}
	if r.Status != status || !strings.Contains(where, text) {
		t.Errorf("postern %s: status %d, %q, %q; want %d and %q", strings.Join(args, " "), r.Status, r.Stdout, r.Stderr, status, text)
	}
	return r.Stdout
}

func TestEnvIsForEval(t *testing.T) {
	p := postern.Start(t)
	exports := expectCommand(t, p, 0, "export AWS_ENDPOINT_URL=http://127.0.0.1:", "env")
	out, err := exec.Command("sh", "-c", exports+`echo "$AWS_ENDPOINT_URL $AWS_DEFAULT_REGION $AWS_ACCESS_KEY_ID $AWS_SECRET_ACCESS_KEY"`).Output()
	words := strings.Fields(string(out))
	if err != nil || len(words) != 4 {
		t.Fatalf("eval gives %q, %v", out, err)
	}
	var who sts.GetCallerIdentityOutput
	if err := client.New(words[0], words[1], words[2], words[3]).Do(t.Context(), sts.Service, "GetCallerIdentity", &sts.GetCallerIdentityInput{}, &who); err != nil {
		t.Fatal(err)
	}
	if *who.Account != "111122223333" {
		t.Errorf("the key is of account %s", *who.Account)
	}
}

func TestAttachAndDetach(t *testing.T) {
	s := newPair(t)
	other := testnet.New(t)
	eni := s.clients.Workload("", s.openClient).ENI
	expectCommand(t, s.Postern, 1, "", "attach", eni, "--netns", other.Name) // it is attached already
	expectCommand(t, s.Postern, 0, "", "detach", eni)
	given := postern.Call[ec2.AssignIpv6AddressesOutput](s.Postern, ec2.Service, "AssignIpv6Addresses",
		&ec2.AssignIpv6AddressesInput{NetworkInterfaceId: &eni, Ipv6PrefixCount: new(int32(1))})
	out := expectCommand(t, s.Postern, 0, eni+" is net7 with ", "attach", eni, "--netns", other.Name, "--device", "net7")
	if !strings.Contains(out, " "+given.AssignedIpv6Prefixes[0]) {
		t.Errorf("attach says %q, not %s", out, given.AssignedIpv6Prefixes[0])
	}
	inNamespace(t, other.Name, "ip link show net7")
	expectCommand(t, s.Postern, 0, "", "detach", eni)
	if names := inNamespace(t, other.Name, "ip -o link"); strings.Contains(names, "net7") {
		t.Errorf("after detach the namespace has %s", names)
	}
	cmd := exec.Command("sleep", "60")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	sleeper, err := child.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer sleeper.Kill()
	expectCommand(t, s.Postern, 0, "eth0", "attach", eni, "--pid", strconv.Itoa(sleeper.PID))
	sleeper.Kill()
	s.Await("detachment", func() (bool, error) { // the process has ended
		return *s.Interfaces("network-interface-id", eni)[0].Status == "available", nil
	})
	expectCommand(t, s.Postern, 1, "namespace", "attach", eni, "--netns", "no-such-namespace")
	expectCommand(t, s.Postern, 2, "", "attach", eni)
	expectCommand(t, s.Postern, 1, "eni-0123456789abcdef0", "attach", "eni-0123456789abcdef0", "--netns", other.Name)
}

func TestStatusAndDesired(t *testing.T) {
	s := newPair(t)
	var status shape.GetStatusOutput
	if err := json.Unmarshal([]byte(expectCommand(t, s.Postern, 0, "", "status", "-o", "json")), &status); err != nil {
		t.Fatal(err)
	}
	if *status.Instance != s.Mark() || *status.FailedEntries != 0 || len(status.Hosts) != 1 {
		t.Errorf("status %+v", status)
	}
	for _, id := range []string{s.endpoint.ID, s.gateway.ID, s.resource.ID, s.client.ENI} {
		expectCommand(t, s.Postern, 0, id, "status")
	}
	running := expectCommand(t, s.Postern, 0, "endpoint "+s.consumer.ID+" "+s.endpoint.Address().String(), "desired")
	s.Await("the copy on disk", func() (bool, error) {
		kept, err := daemon.Folder(s.Data).Desired()
		return err == nil && kept == running, nil
	})
	s.Kill()
	expectCommand(t, s.Postern, 1, "", "status")
	if down := expectCommand(t, s.Postern, 0, "", "desired"); down != running {
		t.Errorf("desired while Postern is away:\n%s\nwant:\n%s", down, running)
	}
}

func TestDoctor(t *testing.T) {
	testnet.Require(t)
	r := postern.Begin(t, nil, "doctor").Wait()
	if r.Status != 0 || !strings.Contains(r.Stdout, "nft") {
		t.Errorf("doctor: status %d, %s%s", r.Status, r.Stdout, r.Stderr)
	}
}

func TestCleanLeavesNoTrace(t *testing.T) {
	s := newPair(t)
	bystander := testnet.New(t)
	expectCommand(t, s.Postern, 1, "stop", "clean")
	if len(s.Routers()) != 2 {
		t.Errorf("routers %v after a refused clean", s.Routers())
	}
	s.Stop()
	if len(s.Routers()) != 2 {
		t.Errorf("routers %v after the stop: they must stay", s.Routers())
	}
	expectCommand(t, s.Postern, 0, "removed", "clean")
	if left := s.Routers(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	for _, w := range []*postern.Workload{s.client, s.server} {
		if links := inNamespace(t, w.Name, "ip -o link"); strings.Contains(links, "eth0") {
			t.Errorf("left in a workload: %s", links)
		}
	}
	inNamespace(t, bystander.Name, "true")
	expectCommand(t, s.Postern, 0, "nothing to remove", "clean")
	s.Up() // makes all of it again
	s.Await("an answer", func() (bool, error) { return answers(s.client, at(s.endpoint.Address())), nil })
}

// All users may pass through the data folder to the socket, and that is all.
func TestDataFolderIsPrivate(t *testing.T) {
	s := newPair(t)
	open := map[string]fs.FileMode{s.Data: 0o711, filepath.Join(s.Data, "attach.sock"): 0o666}
	err := filepath.WalkDir(s.Data, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) { // the store puts files into their place
			return nil
		}
		if err != nil {
			return err
		}
		mode, expected := info.Mode().Perm(), open[path]
		if mode&0o077 != 0 && mode != expected {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		delete(open, path)
		return nil
	})
	if err != nil || len(open) > 0 {
		t.Errorf("%v; not found: %v", err, open)
	}
}

// What cannot work is said in a sentence.
func TestUpRefusals(t *testing.T) {
	p := postern.Start(t)
	held, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { held.Close() })
	up := func(args ...string) []string { return append([]string{"up", "--listen", "127.0.0.1:0"}, args...) }
	for name, c := range map[string]struct {
		args   []string
		status int
		reason string
	}{
		"folder in use":    {up("--data", p.Data), 1, p.Data},
		"unknown flag":     {up("--data", t.TempDir(), "--no-such-flag"), 2, "--no-such-flag"},
		"region":           {up("--data", t.TempDir(), "--region", "moon"), 1, "moon"},
		"region twice":     {up("--data", t.TempDir(), "--region", "us-east-1,us-east-1"), 1, "twice"},
		"quota":            {up("--data", t.TempDir(), "--quota", "no-such=1"), 1, "no-such"},
		"address":          {[]string{"up", "--data", t.TempDir(), "--listen", "nowhere"}, 1, "nowhere"},
		"address in use":   {[]string{"up", "--data", t.TempDir(), "--listen", endpointOf(t, p)}, 1, "in use"},
		"names' address":   {up("--data", t.TempDir(), "--dns-listen", "0.0.0.0:53"), 1, "--dns-listen \"0.0.0.0:53\": want the addresses one by one"},
		"names in use":     {up("--data", t.TempDir(), "--dns-listen", held.LocalAddr().String()), 1, held.LocalAddr().String() + ": address already in use"},
		"names elsewhere":  {up("--data", t.TempDir(), "--dns-listen", "192.0.2.1"), 1, "192.0.2.1:53: cannot assign requested address"},
		"log level":        {up("--data", t.TempDir(), "--log-level", "loud"), 2, "loud"},
		"certificate":      {up("--data", t.TempDir(), "--tls", "--tls-listen", "127.0.0.1:0", "--tls-cert", "/no/cert", "--tls-key", "/no/key"), 1, "--tls-cert: open /no/cert"},
		"key":              {up("--data", t.TempDir(), "--tls", "--tls-cert", "/no/cert"), 1, "--tls-cert, --tls-key: want both or none"},
		"pool":             {up("--data", t.TempDir(), "--ipv6-pool", "10.0.0.0/8"), 1, "--ipv6-pool"},
		"unknown command":  {[]string{"upp"}, 2, "upp"},
		"no Postern there": {[]string{"status", "--data", t.TempDir()}, 1, "no Postern is running"},
	} {
		r := postern.Begin(t, nil, c.args...).Wait()
		said := lastLines(r.Stderr)
		if r.Status != c.status || !strings.Contains(said, c.reason) || strings.Contains(said, "goroutine") {
			t.Errorf("%s: status %d, %q; want %d and %q", name, r.Status, r.Stderr, c.status, c.reason)
		}
	}
	expectCommand(t, p, 0, "instance", "status") // the one that runs does not mind
}

// lastLines are the last two lines: before them there may be a log.
func lastLines(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-2):], "\n")
}

func endpointOf(t *testing.T, p *postern.Postern) string {
	t.Helper()
	env := expectCommand(t, p, 0, "", "env")
	_, rest, _ := strings.Cut(env, "http://")
	return strings.Fields(rest)[0]
}

func TestWithoutRoot(t *testing.T) {
	p := postern.Start(t)
	for _, args := range [][]string{{"up"}, {"status"}, {"clean"}, {"doctor"}, {"run", "--subnet", "subnet-1", "--", "true"}} {
		r := p.CommandAs(65534, nil, args...)
		if r.Status == 0 || !strings.Contains(r.Stderr, "root") || strings.Count(r.Stderr, "\n") != 1 {
			t.Errorf("%v as nobody: status %d, %q; want a sentence that names root", args, r.Status, r.Stderr)
		}
	}
}

func TestHelpAndVersion(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"up", "--help"}, {"run", "--help"}, {"version"}, {"completion", "bash"}, {"completion", "zsh"}, {"completion", "fish"}} {
		r := postern.Begin(t, nil, args...).Wait()
		if r.Status != 0 || r.Stdout == "" || r.Stderr != "" {
			t.Errorf("%v: status %d, %d bytes, %q", args, r.Status, len(r.Stdout), r.Stderr)
		}
	}
}
