// SPDX-License-Identifier: Apache-2.0

package system

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	shape "github.com/posternhq/postern/internal/aws/shape/postern"
	"github.com/posternhq/postern/internal/dataplane/handover"
	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/test/child"
	"github.com/posternhq/postern/test/postern"
	"github.com/posternhq/postern/test/testnet"
)

// mallory is a user without rights, and another account's.
const mallory = 65534

// attacker is tenant B, who wants a network interface in a workload of tenant A.
type attacker struct {
	*pair
	*postern.Tenant
	eni string
	pid int // of a process in a namespace of its own
}

func newAttacker(t *testing.T) *attacker {
	t.Helper()
	s := newPair(t)
	postern.Passable(t, filepath.Dir(s.Data))
	b := &attacker{pair: s, Tenant: s.Tenant("444455556666")}
	b.eni, b.pid = b.makeInterface(), testnet.OwnedBy(t, mallory)
	return b
}

// makeInterface makes a VPC with the same addresses as A's, and an interface in it.
func (b *attacker) makeInterface() string {
	b.t.Helper()
	var vpc ec2.CreateVpcOutput
	var subnet ec2.CreateSubnetOutput
	var eni ec2.CreateNetworkInterfaceOutput
	err := b.Tenant.Do(ec2.Service, "CreateVpc", &ec2.CreateVpcInput{CidrBlock: new("10.0.0.0/16")}, &vpc)
	if err == nil {
		err = b.Tenant.Do(ec2.Service, "CreateSubnet", &ec2.CreateSubnetInput{VpcId: vpc.Vpc.VpcId, CidrBlock: new("10.0.1.0/24")}, &subnet)
	}
	if err == nil {
		err = b.Tenant.Do(ec2.Service, "CreateNetworkInterface", &ec2.CreateNetworkInterfaceInput{SubnetId: subnet.Subnet.SubnetId}, &eni)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return *eni.NetworkInterface.NetworkInterfaceId
}

// attach asks for B's interface to be attached.
func (b *attacker) attach(in shape.AttachNetworkInterfaceInput) error {
	in.NetworkInterfaceId = &b.eni
	return b.Tenant.Do(shape.Service, "AttachNetworkInterface", &in, nil)
}

// give hands a namespace over as a user, for a key.
func (b *attacker) give(uid int, ns *os.File, key string, offer handover.Offer) (handle string, err error) {
	offer.AccessKeyID = key
	err = asUser(uid, func() (err error) {
		handle, err = handover.Give(b.t.Context(), b.Data, ns, offer)
		return err
	})
	return handle, err
}

// mustGive is give for what is B's right.
func (b *attacker) mustGive() string {
	b.t.Helper()
	handle, err := b.give(mallory, open(b.t, fmt.Sprintf("/proc/%d/ns/net", b.pid)), b.AccessKeyID, handover.Offer{PID: b.pid})
	if err != nil {
		b.t.Fatal(err)
	}
	return handle
}

// asUser runs fn on a thread of another user. The thread is never used again.
func asUser(uid int, fn func() error) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread()
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)); errno != 0 {
			result <- errno
			return
		}
		result <- fn()
	}()
	return <-result
}

func open(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func named(name string) string { return filepath.Join(network.Directory, name) }

// processIn starts a process in a named namespace.
func processIn(t *testing.T, name string) int {
	t.Helper()
	ns := open(t, named(name))
	inside := func(life func() error) error { return network.Inside(ns, life) }
	p, err := child.StartWithin(inside, exec.Command("sleep", "600"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p.PID
}

// runner is what A runs, and the process by which its interface is attached.
func (s *pair) runner() (r *postern.Running, pid int) {
	s.t.Helper()
	r = s.sleeper()
	found := regexp.MustCompile(`pid:(\d+)@`).FindStringSubmatch(s.Desired())
	if found == nil {
		s.t.Fatalf("no process in the desired state:\n%s", s.Desired())
	}
	pid, err := strconv.Atoi(found[1])
	if err != nil {
		s.t.Fatal(err)
	}
	return r, pid
}

// everything is what must be the same after the attacks: the desired state, and
// the devices of all namespaces.
func (b *attacker) everything(pid int) string {
	b.t.Helper()
	text := b.Desired()
	for _, path := range []string{named(b.client.Name), named(b.server.Name), fmt.Sprintf("/proc/%d/ns/net", pid), fmt.Sprintf("/proc/%d/ns/net", b.pid), "/proc/self/ns/net"} {
		out, err := exec.Command("nsenter", "--net="+path, "sh", "-c", "ip -br link; ip -br -4 addr; ip route").CombinedOutput()
		if err != nil {
			b.t.Fatalf("%s: %v: %s", path, err, out)
		}
		text += string(out)
	}
	return text
}

// refused wants an attempt to fail without a word about what is A's.
func (b *attacker) refused(name string, err error, codes ...string) {
	b.t.Helper()
	var refusal *handover.Refusal
	good := errors.As(err, &refusal)
	for _, code := range codes {
		good = good || postern.Code(err) == code
	}
	if !good {
		b.t.Errorf("%s: %v, want it refused with %v", name, err, codes)
		return
	}
	secrets := []string{b.client.ENI, b.server.ENI, b.consumer.ID, b.provider.ID, "111122223333"}
	for _, own := range b.own() {
		secrets = append(secrets, *own.NetworkInterfaceId)
	}
	for _, secret := range secrets {
		if strings.Contains(err.Error(), secret) {
			b.t.Errorf("%s: the error names %s: %v", name, secret, err)
		}
	}
}

// Tenant B, who has an account, its key and a user of the machine, but not root,
// tries every way into the workloads of tenant A.
func TestATenantCannotReachIntoAnothersWorkload(t *testing.T) {
	b := newAttacker(t)
	old := b.mustGive()
	given := time.Now()
	run, victim := b.runner()
	before := b.everything(victim)
	b.tryNames(victim)
	b.tryHandles()
	b.trySocket(victim)
	b.tryPlaces()
	time.Sleep(time.Until(given.Add(handover.Life))) // the handle must get old
	b.refused("an old handle", b.attach(shape.AttachNetworkInterfaceInput{NetnsHandle: &old}), "AccessDeniedException")
	if diff := cmp.Diff(before, b.everything(victim)); diff != "" {
		t.Errorf("something has changed: %s", diff)
	}
	run.Signal(unix.SIGTERM)
	run.Wait()
	if r := b.CommandAs(mallory, "attach", b.eni, "--pid", strconv.Itoa(b.pid)); r.Status != 0 || !strings.Contains(r.Stdout, "10.0.1.") {
		t.Errorf("what is B's right: status %d, %s%s", r.Status, r.Stdout, r.Stderr)
	}
}

// tryNames names A's namespaces, and those that are nobody's, in API calls.
func (b *attacker) tryNames(victim int) {
	b.t.Helper()
	router := b.Routers()[0]
	inode := int64(b.client.Desired().Inode)
	for name, in := range map[string]shape.AttachNetworkInterfaceInput{
		"a name":                {NetnsName: &b.client.Name},
		"a name and inode":      {NetnsName: &b.client.Name, NetnsInode: &inode},
		"no such name":          {NetnsName: new("ptest-none")},
		"a process":             {Pid: new(int64(victim))},
		"no such process":       {Pid: new(int64(4194303))},
		"process 1":             {Pid: new(int64(1))},
		"its own process":       {Pid: new(int64(b.pid))},
		"a router":              {NetnsName: &router},
		"a path":                {NetnsName: new(fmt.Sprintf("../../proc/%d/ns/net", victim))},
		"a path from above":     {NetnsName: new(fmt.Sprintf("/proc/%d/ns/net", victim))},
		"the folder":            {NetnsName: new("..")},
		"a name, new interface": {NetnsName: &b.client.Name, NewNetworkInterface: &shape.NewNetworkInterface{SubnetId: &b.clients.ID}},
	} {
		b.refused(name, b.attach(in), "AccessDeniedException", "ValidationException")
	}
	known, unknown := b.attach(shape.AttachNetworkInterfaceInput{NetnsName: &b.client.Name}), b.attach(shape.AttachNetworkInterfaceInput{NetnsName: new("ptest-none")})
	if known.Error() != unknown.Error() {
		b.t.Errorf("the error tells what there is: %v; %v", known, unknown)
	}
	b.refused("A's subnet", b.Tenant.Do(shape.Service, "AttachNetworkInterface", &shape.AttachNetworkInterfaceInput{
		NewNetworkInterface: &shape.NewNetworkInterface{SubnetId: &b.clients.ID}, NetnsHandle: new(b.mustGive()),
	}, nil), "InvalidSubnetID.NotFound")
	err := b.Tenant.Do(shape.Service, "AttachNetworkInterface", &shape.AttachNetworkInterfaceInput{NetworkInterfaceId: &b.client.ENI, NetnsHandle: new(b.mustGive())}, nil)
	if postern.Code(err) != "ResourceNotFoundException" {
		b.t.Errorf("A's interface: %v", err)
	}
	b.refused("trust", b.Tenant.Do(shape.Service, "UpdateAccount", &shape.UpdateAccountInput{AccountId: &b.Account, Trusted: new(true)}, nil), "AccessDeniedException")
}

// tryHandles uses handles that are not B's to use.
func (b *attacker) tryHandles() {
	b.t.Helper()
	var key struct{ AccessKeyID string }
	text, err := os.ReadFile(filepath.Join(b.Data, "credentials.json"))
	if err == nil {
		err = json.Unmarshal(text, &key)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	given := time.Now()
	theirs, err := b.give(0, open(b.t, named(b.client.Name)), key.AccessKeyID, handover.Offer{Name: b.client.Name})
	if err != nil {
		b.t.Fatal(err)
	}
	used := b.mustGive()
	if err := b.Tenant.Do(shape.Service, "AttachNetworkInterface", &shape.AttachNetworkInterfaceInput{NetworkInterfaceId: new("eni-0123456789abcdef0"), NetnsHandle: &used}, nil); err == nil {
		b.t.Error("an interface that is not there is attached")
	}
	changed := []byte(b.mustGive())
	middle := &changed[len(changed)/2]
	if *middle != 'A' {
		*middle = 'A'
	} else {
		*middle = 'B'
	}
	for name, handle := range map[string]string{
		"A's handle": theirs, "a used handle": used, "a changed handle": string(changed),
		"a guess": strings.Repeat("A", len(theirs)), "a short guess": "A", "two in one": used + theirs,
	} {
		b.refused(name, b.attach(shape.AttachNetworkInterfaceInput{NetnsHandle: &handle}), "AccessDeniedException")
	}
	// A's handle is as good as before, for A.
	err = b.Postern.Do(shape.Service, "AttachNetworkInterface", &shape.AttachNetworkInterfaceInput{NetworkInterfaceId: new("eni-0123456789abcdef0"), NetnsHandle: &theirs}, nil)
	if old := time.Since(given) >= handover.Life; !old && postern.Code(err) != "ResourceNotFoundException" {
		b.t.Errorf("A's handle after B has tried it: %v", err)
	}
}

// trySocket hands over what is not B's to give: B may have got hold of it open.
func (b *attacker) trySocket(victim int) {
	b.t.Helper()
	own, router := fmt.Sprintf("/proc/%d/ns/net", b.pid), b.Routers()[0]
	theirs := testnet.OwnedBy(b.t, mallory-1)
	for name, c := range map[string]struct {
		path  string
		offer handover.Offer
	}{
		"A's by name":               {named(b.client.Name), handover.Offer{Name: b.client.Name}},
		"A's by process":            {fmt.Sprintf("/proc/%d/ns/net", victim), handover.Offer{PID: victim}},
		"another user's":            {fmt.Sprintf("/proc/%d/ns/net", theirs), handover.Offer{PID: theirs}},
		"a router's":                {named(router), handover.Offer{Name: router}},
		"the host's":                {"/proc/self/ns/net", handover.Offer{PID: 1}},
		"its own as A's name":       {own, handover.Offer{Name: b.client.Name}},
		"its own as A's process":    {own, handover.Offer{PID: victim}},
		"its own as a router":       {own, handover.Offer{Name: router}},
		"its own as process 1":      {own, handover.Offer{PID: 1}},
		"its own by a path":         {own, handover.Offer{Name: fmt.Sprintf("../../proc/%d/ns/net", victim)}},
		"its own as both":           {own, handover.Offer{Name: b.client.Name, PID: b.pid}},
		"no network namespace":      {fmt.Sprintf("/proc/%d/ns/user", b.pid), handover.Offer{PID: b.pid}},
		"no namespace":              {"/etc/passwd", handover.Offer{PID: b.pid}},
		"its own, as nothing":       {own, handover.Offer{}},
		"its own, as another's key": {named(b.client.Name), handover.Offer{PID: victim}},
	} {
		_, err := b.give(mallory, open(b.t, c.path), b.AccessKeyID, c.offer)
		b.refused(name, err)
	}
	for range 500 { // and takes what it may, as often as it can
		b.mustGive()
	}
	if _, err := b.give(mallory-1, open(b.t, fmt.Sprintf("/proc/%d/ns/net", theirs)), "KEY", handover.Offer{PID: theirs}); err != nil {
		b.t.Errorf("another user after that: %v", err)
	}
}

// tryPlaces is for those who may name and give anything: still not the routers and
// the host, by whatever name.
func (b *attacker) tryPlaces() {
	b.t.Helper()
	router := b.Routers()[0]
	again, host := testnet.SecondName(b.t, named(router)), testnet.SecondName(b.t, "/proc/self/ns/net")
	inside := processIn(b.t, router)
	eni := postern.Call[ec2.CreateNetworkInterfaceOutput](b.Postern, ec2.Service, "CreateNetworkInterface", &ec2.CreateNetworkInterfaceInput{SubnetId: &b.clients.ID}).NetworkInterface.NetworkInterfaceId
	for name, c := range map[string]struct {
		path string
		in   shape.AttachNetworkInterfaceInput
	}{
		"a router":                      {named(router), shape.AttachNetworkInterfaceInput{NetnsName: &router}},
		"a router under another name":   {named(again), shape.AttachNetworkInterfaceInput{NetnsName: &again}},
		"a process in a router":         {named(router), shape.AttachNetworkInterfaceInput{Pid: new(int64(inside))}},
		"process 1":                     {"/proc/self/ns/net", shape.AttachNetworkInterfaceInput{Pid: new(int64(1))}},
		"this process":                  {"/proc/self/ns/net", shape.AttachNetworkInterfaceInput{Pid: new(int64(os.Getpid()))}},
		"the host's under another name": {named(host), shape.AttachNetworkInterfaceInput{NetnsName: &host}},
	} {
		c.in.NetworkInterfaceId = eni
		if err := b.Postern.Do(shape.Service, "AttachNetworkInterface", &c.in, nil); postern.Code(err) != "ValidationException" {
			b.t.Errorf("%s, by the trusted account: %v", name, err)
		}
		offer := handover.Offer{}
		if c.in.NetnsName != nil {
			offer.Name = *c.in.NetnsName
		} else {
			offer.PID = int(*c.in.Pid)
		}
		_, err := b.give(0, open(b.t, c.path), "KEY", offer)
		b.refused(name+", by root", err)
	}
	postern.Call[ec2.DeleteNetworkInterfaceOutput](b.Postern, ec2.Service, "DeleteNetworkInterface", &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: eni})
}

// An attachment of a user's namespace outlives Postern, and ends with the process
// also while Postern is away.
func TestAnAttachmentOfAUserIsFoundAgain(t *testing.T) {
	b := newAttacker(t)
	state := func() string {
		var out shape.GetAttachmentOutput
		if err := b.Tenant.Do(shape.Service, "GetAttachment", &shape.GetAttachmentInput{NetworkInterfaceId: &b.eni}, &out); err != nil {
			return postern.Code(err)
		}
		return *out.Status
	}
	devices := func() string {
		out, err := exec.Command("nsenter", "-t", strconv.Itoa(b.pid), "-n", "ip", "-o", "link").CombinedOutput()
		if err != nil {
			t.Fatalf("list devices: %v: %s", err, out)
		}
		return string(out)
	}
	if r := b.CommandAs(mallory, "attach", b.eni, "--pid", strconv.Itoa(b.pid)); r.Status != 0 {
		t.Fatalf("attach: status %d, %s", r.Status, r.Stderr)
	}
	before := devices()
	b.Kill()
	b.Up()
	b.Tenant.Find()
	if got := state(); got != "attached" || devices() != before || !strings.Contains(before, "eth0") {
		t.Errorf("after a restart it is %s, and the devices are\n%s, before\n%s", got, devices(), before)
	}
	b.Kill()
	if err := unix.Kill(b.pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	b.Up()
	b.Tenant.Find()
	b.Await("the attachment to go", func() (bool, error) { return state() == "ResourceNotFoundException", nil })
}

// The first account is trusted, and can do without.
func TestTrustIsForNamesOnly(t *testing.T) {
	s := newPair(t)
	expectCommand(t, s.Postern, 0, "111122223333 management (trusted)\n", "account", "list")
	expectCommand(t, s.Postern, 0, "111122223333 management\n", "account", "trust", "111122223333", "--revoke")
	ns := testnet.New(t)
	eni := *postern.Call[ec2.CreateNetworkInterfaceOutput](s.Postern, ec2.Service, "CreateNetworkInterface", &ec2.CreateNetworkInterfaceInput{SubnetId: &s.clients.ID}).NetworkInterface.NetworkInterfaceId
	if err := s.Attach(eni, ns.Name); postern.Code(err) != "AccessDeniedException" || !strings.Contains(err.Error(), "postern attach") {
		t.Errorf("a name without trust: %v", err)
	}
	expectCommand(t, s.Postern, 0, eni, "attach", eni, "--netns", ns.Name)
	expectCommand(t, s.Postern, 0, "", "detach", eni)
	expectCommand(t, s.Postern, 0, "", s.run("true")...)
	expectCommand(t, s.Postern, 0, "(trusted)", "account", "trust", "111122223333")
	if err := s.Attach(eni, ns.Name); err != nil {
		t.Error(err)
	}
	b := s.Tenant("444455556666")
	expectCommand(t, s.Postern, 0, "444455556666\n", "account", "list")
	if r := b.CommandAs(mallory, "account", "trust", b.Account); r.Status != 1 || !strings.Contains(r.Stderr, "AccessDenied") {
		t.Errorf("an account trusts itself: status %d, %s", r.Status, r.Stderr)
	}
}
