// SPDX-License-Identifier: Apache-2.0

package system

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/posternhq/postern/internal/aws/schema"
	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/aws/shape/elbv2"
	"github.com/posternhq/postern/internal/aws/shape/iam"
	posternshape "github.com/posternhq/postern/internal/aws/shape/postern"
	"github.com/posternhq/postern/internal/aws/shape/ram"
	"github.com/posternhq/postern/internal/aws/shape/rds"
	lattice "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/test/cluster"
	"github.com/posternhq/postern/test/postern"
	"github.com/posternhq/postern/test/testnet"
)

// described is all that the API tells of a Postern, by operation, and its desired
// state.
func described(t *testing.T, p *postern.Postern, configuration string) map[string]string {
	t.Helper()
	all := map[string]string{"desired": p.Desired()}
	add := func(s *schema.Service, operation string, in, out any) {
		if err := p.Do(s, operation, in, out); err != nil {
			t.Fatal(err)
		}
		text, err := json.MarshalIndent(out, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		all[operation] = string(text)
	}
	add(ec2.Service, "DescribeVpcs", &ec2.DescribeVpcsInput{}, &ec2.DescribeVpcsOutput{})
	add(ec2.Service, "DescribeSubnets", &ec2.DescribeSubnetsInput{}, &ec2.DescribeSubnetsOutput{})
	add(ec2.Service, "DescribeSecurityGroups", &ec2.DescribeSecurityGroupsInput{}, &ec2.DescribeSecurityGroupsOutput{})
	add(ec2.Service, "DescribeNetworkInterfaces", &ec2.DescribeNetworkInterfacesInput{}, &ec2.DescribeNetworkInterfacesOutput{})
	add(ec2.Service, "DescribeVpcEndpoints", &ec2.DescribeVpcEndpointsInput{}, &ec2.DescribeVpcEndpointsOutput{})
	add(ec2.Service, "DescribeRouteTables", &ec2.DescribeRouteTablesInput{}, &ec2.DescribeRouteTablesOutput{})
	add(ec2.Service, "DescribeManagedPrefixLists", &ec2.DescribeManagedPrefixListsInput{}, &ec2.DescribeManagedPrefixListsOutput{})
	add(ec2.Service, "DescribeVpcPeeringConnections", &ec2.DescribeVpcPeeringConnectionsInput{}, &ec2.DescribeVpcPeeringConnectionsOutput{})
	add(ec2.Service, "DescribeInternetGateways", &ec2.DescribeInternetGatewaysInput{}, &ec2.DescribeInternetGatewaysOutput{})
	add(ec2.Service, "DescribeEgressOnlyInternetGateways", &ec2.DescribeEgressOnlyInternetGatewaysInput{}, &ec2.DescribeEgressOnlyInternetGatewaysOutput{})
	add(ec2.Service, "DescribeNatGateways", &ec2.DescribeNatGatewaysInput{}, &ec2.DescribeNatGatewaysOutput{})
	add(ec2.Service, "DescribeAddresses", &ec2.DescribeAddressesInput{}, &ec2.DescribeAddressesOutput{})
	add(ec2.Service, "DescribeTags", &ec2.DescribeTagsInput{}, &ec2.DescribeTagsOutput{})
	add(lattice.Service, "ListResourceGateways", &lattice.ListResourceGatewaysInput{}, &lattice.ListResourceGatewaysOutput{})
	add(lattice.Service, "ListResourceConfigurations", &lattice.ListResourceConfigurationsInput{}, &lattice.ListResourceConfigurationsOutput{})
	add(lattice.Service, "ListResourceEndpointAssociations", &lattice.ListResourceEndpointAssociationsInput{ResourceConfigurationIdentifier: &configuration}, &lattice.ListResourceEndpointAssociationsOutput{})
	add(rds.Service, "DescribeDBSubnetGroups", &rds.DescribeDBSubnetGroupsInput{}, &rds.DescribeDBSubnetGroupsOutput{})
	add(rds.Service, "DescribeDBParameterGroups", &rds.DescribeDBParameterGroupsInput{}, &rds.DescribeDBParameterGroupsOutput{})
	add(rds.Service, "DescribeDBClusterParameterGroups", &rds.DescribeDBClusterParameterGroupsInput{}, &rds.DescribeDBClusterParameterGroupsOutput{})
	add(iam.Service, "GetAccountAuthorizationDetails", &iam.GetAccountAuthorizationDetailsInput{}, &iam.GetAccountAuthorizationDetailsOutput{})
	add(ram.Service, "GetResourceShares", &ram.GetResourceSharesInput{ResourceOwner: new(ram.ResourceOwnerSelf), ResourceShareStatus: new(ram.ResourceShareStatusActive)}, &ram.GetResourceSharesOutput{})
	add(ram.Service, "ListPermissions", &ram.ListPermissionsInput{}, &ram.ListPermissionsOutput{})
	add(rds.Service, "DescribeDBClusters", &rds.DescribeDBClustersInput{}, &rds.DescribeDBClustersOutput{})
	add(rds.Service, "DescribeDBClusterEndpoints", &rds.DescribeDBClusterEndpointsInput{}, &rds.DescribeDBClusterEndpointsOutput{})
	add(rds.Service, "DescribeDBInstances", &rds.DescribeDBInstancesInput{}, &rds.DescribeDBInstancesOutput{})
	add(rds.Service, "DescribeDBSnapshots", &rds.DescribeDBSnapshotsInput{}, &rds.DescribeDBSnapshotsOutput{})
	add(rds.Service, "DescribeDBClusterSnapshots", &rds.DescribeDBClusterSnapshotsInput{}, &rds.DescribeDBClusterSnapshotsOutput{})
	add(rds.Service, "DescribeCertificates", &rds.DescribeCertificatesInput{}, &rds.DescribeCertificatesOutput{})
	add(elbv2.Service, "DescribeLoadBalancers", &elbv2.DescribeLoadBalancersInput{}, &elbv2.DescribeLoadBalancersOutput{})
	add(elbv2.Service, "DescribeTargetGroups", &elbv2.DescribeTargetGroupsInput{}, &elbv2.DescribeTargetGroupsOutput{})
	add(ec2.Service, "DescribeVpcEndpointServiceConfigurations", &ec2.DescribeVpcEndpointServiceConfigurationsInput{}, &ec2.DescribeVpcEndpointServiceConfigurationsOutput{})
	add(ec2.Service, "DescribeVpcEndpointServices", onlyStore(), &ec2.DescribeVpcEndpointServicesOutput{})
	add(posternshape.Service, "ListAttachments", &posternshape.ListAttachmentsInput{}, &posternshape.ListAttachmentsOutput{})
	add(posternshape.Service, "ListAccounts", &posternshape.ListAccountsInput{}, &posternshape.ListAccountsOutput{})
	add(posternshape.Service, "ListAccessKeys", &posternshape.ListAccessKeysInput{}, &posternshape.ListAccessKeysOutput{})
	return all
}

// awaitSettled waits until the kernel has all that is wanted, which is something: a
// daemon that has just started knows of nothing yet.
func awaitSettled(t *testing.T, p *postern.Postern) {
	t.Helper()
	p.Await("the kernel", func() (bool, error) {
		s := p.Status()
		for _, r := range s.Resources {
			settled := []string{"ready", "created", "available", "pendingAcceptance"}
			if !slices.Contains(settled, *r.State) && *r.Kind != "vpc-peering-connection" { // one may wait for ever
				return false, nil
			}
		}
		return *s.FailedEntries == 0 && *s.DesiredEntries > 0 && *s.ProgrammedEntries == *s.DesiredEntries, nil
	})
}

// backUp makes a backup and gives its path.
func backUp(t *testing.T, p *postern.Postern) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "backup")
	if r := p.Command("backup", file); r.Status != 0 {
		t.Fatalf("backup: %s", r.Stderr)
	}
	return file
}

// restored restores a backup into a new folder and gives that.
func restored(t *testing.T, file string) string {
	t.Helper()
	data := filepath.Join(t.TempDir(), "data")
	if r := postern.Begin(t, nil, "restore", file, "--data", data).Wait(); r.Status != 0 {
		t.Fatalf("restore: %s", r.Stderr)
	}
	return data
}

// create makes groups and endpoints until it is told to stop.
func create(s *pair, stop *atomic.Bool) error {
	for i := 0; !stop.Load(); i++ {
		name := fmt.Sprint("thing-", i)
		err := s.Do(ec2.Service, "CreateSecurityGroup", &ec2.CreateSecurityGroupInput{VpcId: &s.consumer.ID, GroupName: &name, Description: &name}, &ec2.CreateSecurityGroupOutput{})
		if err != nil {
			return err
		}
		err = s.Do(ec2.Service, "CreateVpcEndpoint", &ec2.CreateVpcEndpointInput{
			VpcId: &s.consumer.ID, VpcEndpointType: new(ec2.VpcEndpointTypeResource), ResourceConfigurationArn: &s.resource.ARN, SubnetIds: []string{s.clients.ID},
		}, &ec2.CreateVpcEndpointOutput{})
		if err != nil {
			return err
		}
	}
	return nil
}

// A backup that is made while things are created, and another one when they are,
// become data folders that are whole, beside what is in the kernel already; the
// last one describes everything the same, and no connection notices.
func TestBackupIsRestoredBesideTheKernel(t *testing.T) {
	s := newPair(t, "--host-name", "first-machine")
	conn := dial(t, s.client, at(s.endpoint.Address()))
	var stop atomic.Bool
	var load errgroup.Group
	load.Go(func() error { return create(s, &stop) })
	s.Await("endpoints", func() (bool, error) { return len(s.Interfaces("status", "in-use")) > 8, nil })
	early := backUp(t, s.Postern)
	stop.Store(true)
	if err := load.Wait(); err != nil {
		t.Fatal(err)
	}
	awaitSettled(t, s.Postern)
	want := described(t, s.Postern, s.resource.ID) // which makes the certificate authority that it shows
	late := backUp(t, s.Postern)
	s.Stop()
	stopped := backUp(t, s.Postern)

	p := postern.StartOn(t, restored(t, early)) // which does not say the name of the host
	awaitSettled(t, p)
	if hosts := p.Status().Hosts; len(hosts) != 1 || *hosts[0].Name != "first-machine" {
		t.Errorf("hosts of a restored folder: %+v", hosts)
	}
	expectAnswer(t, s.client, at(s.endpoint.Address()))
	p.Stop()
	for _, file := range []string{late, stopped} {
		if info, err := os.Stat(file); err != nil || info.Mode() != 0o600 {
			t.Errorf("backup: %v, %v", info, err)
		}
		p := postern.StartOn(t, restored(t, file))
		awaitSettled(t, p)
		for operation, got := range described(t, p, s.resource.ID) {
			if got != want[operation] {
				t.Errorf("%s of what was restored:\n%s\nwant\n%s", operation, got, want[operation])
			}
		}
		if err := testnet.Echo(conn, "as before"); err != nil {
			t.Errorf("a connection of before: %v", err)
		}
		expectAnswer(t, s.client, at(s.endpoint.Address()))
		if _, err := createVPC(p); err != nil {
			t.Errorf("a change of what was restored: %v", err)
		}
		p.Stop()
	}
}

// A folder that is restored on a machine whose kernel has nothing of it is
// programmed as it was.
func TestBackupIsRestoredOnEmptyKernel(t *testing.T) {
	s := newPair(t)
	file, want := backUp(t, s.Postern), s.Desired()
	s.Stop()
	if r := s.Command("clean"); r.Status != 0 {
		t.Fatal(r.Stderr)
	}
	p := postern.StartOn(t, restored(t, file))
	awaitSettled(t, p)
	if got := p.Desired(); got != want {
		t.Errorf("desired state of what was restored:\n%s\nwant\n%s", got, want)
	}
	expectAnswer(t, s.client, at(s.endpoint.Address()))
}

// forged is a backup with something else in the place of old, once, and a checksum that is right.
func forged(whole []byte, old, other string) []byte {
	text := bytes.Replace(whole, []byte(old), []byte(other), 1)
	text = text[:bytes.LastIndex(text, []byte(`{"sha256"`))]
	return fmt.Appendf(text, `{"sha256":"%x"}`+"\n", sha256.Sum256(text))
}

// What cannot be restored is refused in a sentence, and changes nothing.
func TestRestoreRefuses(t *testing.T) {
	p := postern.Start(t)
	vpc, err := createVPC(p)
	if err != nil {
		t.Fatal(err)
	}
	file := backUp(t, p)
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	spoilt := func(name string, text []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	changed := append([]byte{}, whole...)
	changed[len(changed)/2] ^= 4
	refuse := func(file, says string, flags ...string) {
		t.Helper()
		r := p.Command(append([]string{"restore", file}, flags...)...)
		if r.Status != 1 || !strings.Contains(r.Stderr, says) || !strings.Contains(r.Stderr, p.Data) {
			t.Errorf("restore %s %v: status %d, %q, want %q", filepath.Base(file), flags, r.Status, r.Stderr, says)
		}
		if _, err := os.Stat(filepath.Join(p.Data, "credentials.json")); err != nil {
			t.Errorf("the folder after restore %s %v was refused: %v", filepath.Base(file), flags, err)
		}
	}
	refuse(file, "is in use by process", "--replace")
	p.Stop()
	refuse(file, "has state")
	refuse(spoilt("cut", whole[:len(whole)/2]), "is cut short", "--replace")
	refuse(spoilt("changed", changed), "is damaged", "--replace")
	refuse(spoilt("other", []byte("no backup\n")), "is no backup of Postern", "--replace")
	refuse(spoilt("empty", nil), "is no backup of Postern", "--replace")
	refuse(spoilt("mark", forged(whole, `"instance":"`+p.Mark()+`"`, `"instance":"../x"`)), "which is none", "--replace")
	refuse(spoilt("key", forged(whole, `"/postern/v1/row/access-key/`, `"/postern/a/`)), "of no row", "--replace")
	refuse(filepath.Join(t.TempDir(), "absent"), "no such file", "--replace")
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(p.Data, link); err != nil {
		t.Fatal(err)
	}
	for _, own := range []string{filepath.Join(p.Data, "instance"), filepath.Join(p.Data, "etcd", "new"), filepath.Join(link, "credentials.json")} {
		if r := p.Command("backup", own); r.Status != 1 || !strings.Contains(r.Stderr, "in the data folder itself") {
			t.Errorf("backup over %s: %+v", own, r)
		}
	}
	if r := p.Command("backup", t.TempDir()); r.Status != 1 || !strings.Contains(r.Stderr, "is no file") {
		t.Errorf("backup into a folder: %+v", r)
	}
	p.Up()
	if got, err := vpcs(p); err != nil || !got[vpc] {
		t.Errorf("VPCs after refusals: %v, %v", got, err)
	}
	if _, err := createVPC(p); err != nil {
		t.Fatal(err)
	}
	p.Stop()
	if r := p.Command("restore", file, "--replace"); r.Status != 0 {
		t.Fatalf("restore with --replace: %s", r.Stderr)
	}
	p.Up()
	if got, err := vpcs(p); err != nil || !got[vpc] || len(got) != 2 {
		t.Errorf("VPCs of the replaced state: %v, %v, want %s and the default one", got, err, vpc)
	}
}

// With an external cluster a backup is of the rows that are there, whether Postern
// runs or not, and is restored into a cluster that has none.
// What a restore leaves that is killed goes at the next start, and where the state is out
// of its place, that is said.
func TestARestoreThatWasKilledIsExplained(t *testing.T) {
	p := postern.Start(t)
	p.Stop()
	unfinished := filepath.Join(p.Data, ".restoring")
	if err := os.MkdirAll(filepath.Join(unfinished, "etcd"), 0o700); err != nil {
		t.Fatal(err)
	}
	p.Up()
	if _, err := os.Stat(unfinished); err == nil {
		t.Error("what a restore had begun is still there")
	}
	if !strings.Contains(p.Log(), "was cut short before it changed anything") {
		t.Errorf("the log says nothing of it: %s", p.Log())
	}
	p.Stop()
	etcd, former := filepath.Join(p.Data, "etcd"), filepath.Join(p.Data, ".replaced")
	if err := os.Rename(etcd, former); err != nil {
		t.Fatal(err)
	}
	r := postern.Begin(t, nil, "up", "--data", p.Data, "--listen", "127.0.0.1:0").Wait()
	if want := "mv " + former + " " + etcd; r.Status != 1 || !strings.Contains(r.Stderr, want) {
		t.Errorf("status %d, %q; want %q", r.Status, r.Stderr, want)
	}
	if err := os.Rename(former, etcd); err != nil {
		t.Fatal(err)
	}
	p.Up()
}

func TestBackupOfAnExternalCluster(t *testing.T) {
	first, second := cluster.Start(t, 0), cluster.Start(t, 0)
	p := postern.Start(t, "--etcd", first, "--host-name", "alpha")
	v := p.VPC("10.0.0.0/16")
	running := backUp(t, p)
	p.Stop()
	stopped := filepath.Join(t.TempDir(), "stopped")
	if r := p.Command("backup", stopped); r.Status != 1 || !strings.Contains(r.Stderr, "--etcd") {
		t.Errorf("backup that does not know the cluster: %+v", r)
	}
	if r := p.Command("backup", stopped, "--etcd", first); r.Status != 0 {
		t.Fatal(r.Stderr)
	}
	if r := p.Command("verify", "--etcd", first); r.Status != 0 {
		t.Errorf("verify of a cluster: %+v", r)
	}
	if err := sameRows(running, stopped); err != nil {
		t.Error(err)
	}
	data := filepath.Join(t.TempDir(), "data")
	if r := postern.Begin(t, nil, "restore", stopped, "--data", data, "--etcd", first).Wait(); r.Status != 1 || !strings.Contains(r.Stderr, "not empty") {
		t.Errorf("restore into a cluster that has rows: %+v", r)
	}
	if r := postern.Begin(t, nil, "restore", stopped, "--data", data, "--etcd", second).Wait(); r.Status != 0 {
		t.Fatal(r.Stderr)
	}
	again := postern.StartOn(t, data, "--etcd", second)
	if got, err := vpcs(again); err != nil || !got[v.ID] || again.Mark() != p.Mark() {
		t.Errorf("VPCs of the other cluster: %v, %v, want %s", got, err, v.ID)
	}
	if hosts := again.Status().Hosts; len(hosts) != 1 || *hosts[0].Name != "alpha" {
		t.Errorf("hosts of the other cluster: %+v", hosts)
	}
}

// sameRows says whether two backups have the same keys.
func sameRows(files ...string) error {
	var first []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		var keys []string
		for line := range strings.Lines(string(text)) {
			var row struct{ Key string }
			if err := json.Unmarshal([]byte(line), &row); err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			if row.Key != "" && !strings.Contains(row.Key, "/status/") { // which come later
				keys = append(keys, row.Key)
			}
		}
		if first == nil {
			first = keys
		} else if !slices.Equal(first, keys) {
			return fmt.Errorf("%s has %d rows, and %s %d", file, len(keys), files[0], len(first))
		}
	}
	return nil
}

// Commands do not wait for a cluster that is away, as a daemon does: they say so.
func TestCommandsTellThatAClusterIsAway(t *testing.T) {
	dir := t.TempDir()
	where := []string{"--data", filepath.Join(dir, "data"), "--etcd", "unix://" + filepath.Join(dir, "nobody")}
	for _, command := range [][]string{{"verify"}, {"backup", filepath.Join(dir, "backup")}} {
		t.Run(command[0], func(t *testing.T) {
			t.Parallel()
			if r := postern.Begin(t, nil, append(command, where...)...).Wait(); r.Status != 1 || !strings.Contains(r.Stderr, "no answer in") {
				t.Errorf("%v of a cluster that is away: %+v", command, r)
			}
		})
	}
}
