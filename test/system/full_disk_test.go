// SPDX-License-Identifier: Apache-2.0

package system

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/daemon"
	"github.com/posternhq/postern/test/postern"
	"github.com/posternhq/postern/test/testnet"
)

// smallDisk mounts a disk of its own for a data folder.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	testnet.Require(t)
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Fatalf("mount a small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount the small disk: %v", err)
		}
	})
	return dir
}

// fill writes a file until the disk has nothing left, and returns its name.
func fill(t *testing.T, dir string) string {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size >= 1; size /= 16 {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, size))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
	}
	return f.Name()
}

// vpcs are the ids of all VPCs that are shown.
func vpcs(p *postern.Postern) (map[string]bool, error) {
	var out ec2.DescribeVpcsOutput
	err := p.Do(ec2.Service, "DescribeVpcs", &ec2.DescribeVpcsInput{}, &out)
	ids := map[string]bool{}
	for _, v := range out.Vpcs {
		ids[*v.VpcId] = true
	}
	return ids, err
}

func createVPC(p *postern.Postern) (string, error) {
	var out ec2.CreateVpcOutput
	if err := p.Do(ec2.Service, "CreateVpc", &ec2.CreateVpcInput{CidrBlock: new("10.0.0.0/16")}, &out); err != nil {
		return "", err
	}
	return *out.Vpc.VpcId, nil
}

// expectReadOnly checks that reading goes on and changes are refused.
func expectReadOnly(t *testing.T, p *postern.Postern, vpc string) {
	t.Helper()
	if got, err := vpcs(p); err != nil || !got[vpc] {
		t.Errorf("on a full disk the VPCs are %v, %v; want %s among them", got, err, vpc)
	}
	if _, err := createVPC(p); postern.Code(err) != "ServiceUnavailable" || !strings.Contains(err.Error(), "disk") {
		t.Errorf("CreateVpc on a full disk: %v, want ServiceUnavailable that says why", err)
	}
	absent := "vpc-0123456789abcdef0"
	if err := p.Do(ec2.Service, "DeleteVpc", &ec2.DeleteVpcInput{VpcId: &absent}, nil); postern.Code(err) != "InvalidVpcID.NotFound" {
		t.Errorf("deleting what is not there on a full disk: %v, want InvalidVpcID.NotFound", err)
	}
	if r := p.Command("status"); r.Status != 0 || !strings.Contains(r.Stdout, "the disk of the store is full") {
		t.Errorf("postern status on a full disk: %+v", r)
	}
}

// A full disk refuses changes and nothing else, also at a start, and heals by
// itself.
func TestFullDiskRefusesChangesOnly(t *testing.T) {
	dir := smallDisk(t, "96m")
	p := postern.StartOn(t, filepath.Join(dir, "data"))
	vpc, err := createVPC(p)
	if err != nil {
		t.Fatal(err)
	}
	filler := fill(t, dir)
	expectReadOnly(t, p, vpc)
	for _, end := range []func(){p.Kill, p.Stop, p.Stop, p.Kill} {
		end()
		fill(t, dir)
		p.Up()
		expectReadOnly(t, p, vpc)
	}
	if n := strings.Count(p.Log(), `msg="no room on the disk of data folder `+p.Data); n == 0 || n > 5 {
		t.Errorf("the log of five runs says %d times that there is no room", n)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if _, err := createVPC(p); err != nil {
		t.Errorf("CreateVpc when there is room again: %v", err)
	}
	p.Await("the desired state on disk", func() (bool, error) {
		text, err := daemon.Folder(p.Data).Desired()
		return err == nil && text == p.Desired(), nil
	})
}

// A disk that others fill while changes are made loses nothing that was
// acknowledged, whatever the store was doing.
func TestDiskFilledUnderChanges(t *testing.T) {
	dir := smallDisk(t, "96m")
	p := postern.StartOn(t, filepath.Join(dir, "data"), "--quota", "vpcs-per-region=100000")
	acknowledged := map[string]bool{}
	pid := p.PID()
	for round := range 3 {
		filled := make(chan string)
		go func() { filled <- fill(t, dir) }()
		for refused := false; !refused; {
			id, err := createVPC(p)
			if refused = err != nil; !refused {
				acknowledged[id] = true
			}
		}
		filler := <-filled
		if got, err := vpcs(p); err != nil || len(got) < len(acknowledged) {
			t.Errorf("round %d: %d VPCs are shown on a full disk, %d were acknowledged: %v", round, len(got), len(acknowledged), err)
		}
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
		p.Await("changes to be taken again", func() (bool, error) {
			id, err := createVPC(p)
			if err != nil {
				_ = p.Connect() // it may have a new port
				return false, nil
			}
			acknowledged[id] = true
			return true, nil
		})
	}
	got, err := vpcs(p)
	if err != nil {
		t.Fatal(err)
	}
	for id := range acknowledged {
		if !got[id] {
			t.Errorf("%s was acknowledged and is gone", id)
		}
	}
	if p.PID() != pid {
		t.Error("the process is another one")
	}
}

// A store that runs into a full disk in the middle of its own work freezes:
// reading goes on in the same process, and it starts anew when there is room.
func TestFrozenStoreIsReadAndStartsAnew(t *testing.T) {
	dir := smallDisk(t, "96m")
	p := postern.StartOn(t, filepath.Join(dir, "data"), "--quota", "vpcs-per-region=100000")
	vpc, err := createVPC(p)
	if err != nil {
		t.Fatal(err)
	}
	p.Stop()
	// Files that cannot grow fail as on a full disk, and nothing tells before.
	p.Up()
	if err := p.SetFileLimit(256 << 10); err != nil {
		t.Fatal(err)
	}
	var refusal error
	for i := 0; refusal == nil && i < 5000; i++ {
		_, refusal = createVPC(p)
	}
	if code := postern.Code(refusal); code != "ServiceUnavailable" {
		t.Fatalf("CreateVpc with files that cannot grow: %v", refusal)
	}
	p.Await("the store to freeze", func() (bool, error) {
		return strings.Contains(p.Log(), "cannot be written"), nil
	})
	if got, err := vpcs(p); err != nil || !got[vpc] {
		t.Errorf("VPCs of a frozen store: %v, %v", got, err)
	}
	p.Stop() // a frozen store does not hinder the end, and reads what it had at the next start
	p.Up()
	if got, err := vpcs(p); err != nil || !got[vpc] {
		t.Errorf("VPCs after a frozen store was stopped: %v, %v", got, err)
	}
	if err := p.SetFileLimit(256 << 10); err != nil {
		t.Fatal(err)
	}
	for refusal = nil; refusal == nil; {
		_, refusal = createVPC(p)
	}
	if err := p.SetFileLimit(1 << 40); err != nil {
		t.Fatal(err)
	}
	p.Await("changes to be taken again", func() (bool, error) {
		if err := p.Connect(); err != nil {
			return false, nil
		}
		_, err := createVPC(p)
		return err == nil, nil
	})
}
