// SPDX-License-Identifier: Apache-2.0

package system

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/test/cluster"
	"github.com/posternhq/postern/test/postern"
)

// refusedUp runs `postern up` on a data folder of its own and gives what it says
// when it ends.
func refusedUp(t *testing.T, flags ...string) string {
	t.Helper()
	args := append([]string{"up", "--listen", "127.0.0.1:0", "--unsafe-no-fsync", "--data", filepath.Join(t.TempDir(), "data")}, flags...)
	r := postern.Begin(t, nil, args...).Wait()
	if r.Status != 1 {
		t.Errorf("postern %s ends with status %d, want 1", strings.Join(args, " "), r.Status)
	}
	return r.Stdout + r.Stderr
}

// One host uses a cluster, and one process of it: others are refused, whether the
// first one runs, was killed or was stopped, because its kernel forwards all the
// time. Itself is back at once, also after it was killed.
func TestOneHostUsesACluster(t *testing.T) {
	etcd := cluster.Start(t, 0)
	p := postern.Start(t, "--etcd", etcd, "--host-name", "alpha")
	v := p.VPC("10.0.0.0/16")
	refuse := func(when, host, want string) {
		t.Helper()
		if said := refusedUp(t, "--etcd", etcd, "--host-name", host); !strings.Contains(said, want) {
			t.Errorf("%s, host %s is told %q, want %q in it", when, host, said, want)
		}
	}
	refuse("while the first one runs", "beta", "in use by process")
	refuse("while the first one runs", "alpha", "in use by process")
	const atOnce, tries = 8 * time.Second, 8 // which is less than the lease; a busy machine is late now and then
	fastest := time.Minute
	for i := 0; i < 2 || i < tries && fastest > atOnce; i++ {
		p.Kill()
		begun := time.Now()
		p.Up()
		fastest = min(fastest, time.Since(begun))
		subnet := ec2.CreateSubnetInput{VpcId: &v.ID, CidrBlock: new("10.0.7.0/24")}
		made := postern.Call[ec2.CreateSubnetOutput](p, ec2.Service, "CreateSubnet", &subnet)
		postern.Call[ec2.DeleteSubnetOutput](p, ec2.Service, "DeleteSubnet", &ec2.DeleteSubnetInput{SubnetId: made.Subnet.SubnetId})
	}
	if fastest > atOnce {
		t.Errorf("the first one is back after %v each time", fastest)
	}
	refuse("while the first one runs again", "beta", "in use by process")
	for _, host := range []string{"beta", "alpha"} { // each soon enough for the lease
		p.Kill()
		refuse("when the first one was just killed", host, "in use by process")
		p.Up()
	}
	p.Stop()
	refuse("when the first one was stopped", "beta", "--host-name alpha")
	p.Up()
}
