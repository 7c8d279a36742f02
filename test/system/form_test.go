// SPDX-License-Identifier: Apache-2.0

package system

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/table"
	"github.com/posternhq/postern/test/postern"
	"github.com/posternhq/postern/test/testnet"
)

// forms is where data folders of earlier versions are.
const forms = "testdata/forms"

// formHost is the name under which their host is in the state.
const formHost = "corpus"

// narrowGroup is the name of a group whose rules refer to another one.
const narrowGroup = "narrow"

// form is what there is to know of a folder: what a test needs to use it, and all
// that the version that made it told of it.
type form struct {
	Consumer, Provider, Gateway, Resource, Endpoint, Address string
	Client, Server                                           string // interfaces
	Described                                                map[string]any
}

// Data folders that earlier versions made open in this one: everything is
// described as it was, the way in them carries a connection, they can be backed
// up and restored, and all that is in them can be deleted.
func TestFoldersOfEarlierVersionsOpen(t *testing.T) {
	archives, err := filepath.Glob(forms + "/*.tar.gz")
	if err != nil || len(archives) == 0 {
		t.Fatalf("no folders of earlier versions: %v", err)
	}
	for _, archive := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(archive), ".tar.gz"), func(t *testing.T) {
			testnet.Require(t)
			data := filepath.Join(t.TempDir(), "data")
			if err := unpack(archive, data); err != nil {
				t.Fatal(err)
			}
			var f form
			text, err := os.ReadFile(strings.TrimSuffix(archive, ".tar.gz") + ".json")
			if err == nil {
				err = json.Unmarshal(text, &f)
			}
			if err != nil {
				t.Fatal(err)
			}
			f.expectRows(t, data)
			first := postern.StartOn(t, data, "--host-name", formHost)
			f.expectDescribed(t, first)
			expectLost(t, first)
			file := backUp(t, first)
			first.Stop()
			// Restored it is the same installation, in whose sandboxes nobody else may be.
			if r := first.Command("clean", "--databases"); r.Status != 0 {
				t.Fatal(r.Stderr)
			}
			p := postern.StartOn(t, restored(t, file))
			f.expectDescribed(t, p)
			f.use(t, p)
		})
	}
}

// expectRows wants every row to be read.
func (f *form) expectRows(t *testing.T, data string) {
	t.Helper()
	inTables(t, data, func(db *table.DB) {
		for row := range db.Snapshot().SetAside() {
			t.Errorf("%v", row.Reason)
		}
	})
}

// expectDescribed wants everything to be told that was told before; there may be
// more of it now. States are another matter: there are no namespaces to attach.
func (f *form) expectDescribed(t *testing.T, p *postern.Postern) {
	t.Helper()
	for operation, text := range described(t, p, f.Resource) {
		var got any
		if want, ok := f.Described[operation]; !ok {
			continue
		} else if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Fatal(err)
		} else if problem := lacks(got, want); problem != "" {
			t.Errorf("%s: %s", operation, problem)
		}
	}
}

// lasting leaves out blocks that were taken away, which are told of for a while only, and
// permissions and parameter groups that are everybody's: those are the program's, and of
// the engines that a machine has.
func lasting(items []any) []any {
	former := func(value any) bool {
		fields, _ := value.(map[string]any)
		return fields["State"] == "disassociated"
	}
	given := func(fields map[string]any, name string) bool {
		text, _ := fields[name].(string)
		return strings.HasPrefix(text, "default.")
	}
	return slices.DeleteFunc(slices.Clone(items), func(item any) bool {
		fields, _ := item.(map[string]any)
		if given(fields, "DBParameterGroupName") || given(fields, "DBClusterParameterGroupName") {
			return true
		}
		return fields["PermissionType"] == "AWS_MANAGED" || former(fields["CidrBlockState"]) || former(fields["Ipv6CidrBlockState"])
	})
}

// states are the fields that say how something is at the moment.
var states = []string{"State", "Status", "DBInstanceStatus", "StatusInfos", "PercentProgress"}

// lacks says what of want is missing or other in got.
func lacks(got, want any) string {
	switch want := want.(type) {
	case map[string]any:
		fields, _ := got.(map[string]any)
		for name, value := range want {
			if slices.Contains(states, name) {
				continue
			}
			if problem := lacks(fields[name], value); problem != "" {
				return "." + name + problem
			}
		}
	case []any:
		items, _ := got.([]any)
		items, want = lasting(items), lasting(want)
		if len(items) != len(want) {
			return fmt.Sprintf(": %d elements, want %d", len(items), len(want))
		}
		for i, value := range want {
			if problem := lacks(items[i], value); problem != "" {
				return fmt.Sprintf("[%d]%s", i, problem)
			}
		}
	default:
		if got != want {
			return fmt.Sprintf(": %v, want %v", got, want)
		}
	}
	return ""
}

// use attaches the interfaces to new namespaces, sends a connection through the
// endpoint, and then deletes everything.
func (f *form) use(t *testing.T, p *postern.Postern) {
	t.Helper()
	s := &pair{
		Postern: p, t: t, consumer: &postern.VPC{ID: f.Consumer}, provider: &postern.VPC{ID: f.Provider}, gateway: &postern.Gateway{ID: f.Gateway},
		client: &postern.Workload{NS: testnet.New(t), ENI: f.Client}, server: &postern.Workload{NS: testnet.New(t), ENI: f.Server},
	}
	for _, w := range []*postern.Workload{s.client, s.server} {
		if r := p.Command("detach", w.ENI); r.Status != 0 {
			t.Fatal(r.Stderr)
		}
		p.Await("the interface to be free", func() (bool, error) {
			err := p.Attach(w.ENI, w.Name)
			return err == nil, nil
		})
	}
	l, err := s.server.NS.Serve("tcp", ":5432")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s.Await("an answer", func() (bool, error) { return answers(s.client, net.JoinHostPort(f.Address, "5432")), nil })
	tagged := []string{f.Consumer, f.Provider, f.Endpoint, f.Client, f.Server}
	postern.Call[ec2.CreateTagsOutput](p, ec2.Service, "CreateTags", &ec2.CreateTagsInput{Resources: tagged, Tags: []ec2.Tag{{Key: new("later"), Value: new("yes")}}})
	for _, g := range postern.Call[ec2.DescribeSecurityGroupsOutput](p, ec2.Service, "DescribeSecurityGroups", &ec2.DescribeSecurityGroupsInput{}).SecurityGroups {
		if *g.GroupName == narrowGroup { // it refers to another one
			p.Revoke(*g.GroupId, g.IpPermissions, nil)
		}
	}
	deleteAll(t, s)
}

// TestMakeForm is no test: with POSTERN_FORM set it makes the data folder of that
// name with the binary under test. CONTRIBUTING.md says when.
func TestMakeForm(t *testing.T) {
	name := os.Getenv("POSTERN_FORM")
	if name == "" {
		t.Skip("it makes a folder of the present form, when POSTERN_FORM names one")
	}
	s := newPair(t, "--host-name", formHost, "--public-pool", "203.0.113.0/24")
	f := form{
		Consumer: s.consumer.ID, Provider: s.provider.ID, Gateway: s.gateway.ID, Resource: s.resource.ID, Endpoint: s.endpoint.ID,
		Address: s.endpoint.Address().String(), Client: s.client.ENI, Server: s.server.ENI, Described: map[string]any{},
	}
	f.fill(s)
	awaitSettled(t, s.Postern)
	for operation, text := range described(t, s.Postern, f.Resource) {
		var told any
		if json.Unmarshal([]byte(text), &told) == nil && operation != "ListAttachments" {
			f.Described[operation] = told
		}
	}
	s.Stop()
	text, err := json.MarshalIndent(f, "", " ")
	if err == nil {
		err = errors.Join(os.MkdirAll(forms, 0o755), os.WriteFile(filepath.Join(forms, name+".json"), append(text, '\n'), 0o644), pack(s.Data, filepath.Join(forms, name+".tar.gz")))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// fill makes what a pair lacks of what rows can have.
func (f *form) fill(s *pair) {
	p := s.Postern
	s.consumer.AddBlock("10.2.0.0/16")
	vpc := postern.Call[ec2.DescribeVpcsOutput](p, ec2.Service, "DescribeVpcs", &ec2.DescribeVpcsInput{VpcIds: []string{s.consumer.ID}}).Vpcs[0]
	s.consumer.AddBlock("10.3.0.0/16")
	for _, b := range vpc.CidrBlockAssociationSet {
		if *b.CidrBlock == "10.2.0.0/16" {
			postern.Call[ec2.DisassociateVpcCidrBlockOutput](p, ec2.Service, "DisassociateVpcCidrBlock", &ec2.DisassociateVpcCidrBlockInput{AssociationId: b.AssociationId})
		}
	}
	postern.Call[ec2.AssignPrivateIpAddressesOutput](p, ec2.Service, "AssignPrivateIpAddresses", &ec2.AssignPrivateIpAddressesInput{
		NetworkInterfaceId: &s.client.ENI, Ipv4PrefixCount: new(int32(1)),
	})
	postern.Call[ec2.AssignPrivateIpAddressesOutput](p, ec2.Service, "AssignPrivateIpAddresses", &ec2.AssignPrivateIpAddressesInput{
		NetworkInterfaceId: &s.server.ENI, SecondaryPrivateIpAddressCount: new(int32(2)),
	})
	narrow := s.consumer.Group(narrowGroup, []ec2.IpPermission{{
		IpProtocol: new("tcp"), FromPort: new(int32(443)), ToPort: new(int32(445)),
		UserIdGroupPairs: []ec2.UserIdGroupPair{{GroupId: &s.openClient, Description: new("a group")}},
	}}, postern.Ports(1, 65535))
	tagged := []string{s.consumer.ID, s.clients.ID, s.client.ENI, s.endpoint.ID, narrow}
	postern.Call[ec2.CreateTagsOutput](p, ec2.Service, "CreateTags", &ec2.CreateTagsInput{Resources: tagged, Tags: []ec2.Tag{{Key: new("Name"), Value: new("thing")}}})
	s.gateway.Configuration(s.server.IP, "80", "8000-8100")
	group := s.gateway.Group("group")
	group.Child("child", s.server.IP, "80")
	s.consumer.Endpoint(group, []*postern.Subnet{s.clients}, narrow)
	postern.Call[ec2.CreateVpcEndpointOutput](p, ec2.Service, "CreateVpcEndpoint", &ec2.CreateVpcEndpointInput{
		VpcId: &s.consumer.ID, VpcEndpointType: new(ec2.VpcEndpointTypeResource), ResourceConfigurationArn: &s.resource.ARN,
		SubnetIds: []string{s.clients.ID}, SecurityGroupIds: []string{narrow}, ClientToken: new("token"),
	})
	options := postern.Call[ec2.CreateDhcpOptionsOutput](p, ec2.Service, "CreateDhcpOptions", &ec2.CreateDhcpOptionsInput{DhcpConfigurations: []ec2.NewDhcpConfiguration{
		{Key: new("domain-name-servers"), Values: []string{"10.0.1.53", "AmazonProvidedDNS"}}, {Key: new("ntp-servers"), Values: []string{"10.0.1.123"}},
	}})
	postern.Call[ec2.AssociateDhcpOptionsOutput](p, ec2.Service, "AssociateDhcpOptions", &ec2.AssociateDhcpOptionsInput{
		VpcId: &s.consumer.ID, DhcpOptionsId: options.DhcpOptions.DhcpOptionsId,
	})
	if r := p.Command("account", "create", "444455556666", "--name", "another"); r.Status != 0 {
		s.t.Fatal(r.Stderr)
	}
	fillKeys(s, "444455556666")
	fillIdentities(s)
	fillShares(s, "444455556666")
	fillOrganization(s, "444455556666")
	f.fillNames(s)
	f.fillRoutes(s)
	f.fillOutside(s)
	fillACLs(s)
	fillPeerings(s, "444455556666")
	fillDatabases(s)
	fillServers(s, "444455556666")
	fillServices(s, "444455556666")
}

// pack puts the files of a folder that matter into an archive. The data of database servers
// is not ours to keep, and would be most of it.
func pack(folder, archive string) error {
	out, err := os.Create(archive)
	if err != nil {
		return err
	}
	defer out.Close()
	zip, _ := gzip.NewWriterLevel(out, gzip.BestCompression) // which is a level
	files := tar.NewWriter(zip)
	err = filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || strings.HasSuffix(path, ".tmp") || d.Name() == "lock" || d.Name() == "ballast" {
			return err
		}
		name, err := filepath.Rel(folder, path)
		if err != nil || serverData(name) {
			return err
		}
		text, err := os.ReadFile(path)
		if err == nil {
			err = files.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(text))})
		}
		if err == nil {
			_, err = files.Write(text)
		}
		return err
	})
	return errors.Join(err, files.Close(), zip.Close())
}

// unpack is the reverse of pack.
func unpack(archive, folder string) error {
	in, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer in.Close()
	zip, err := gzip.NewReader(in)
	if err != nil {
		return err
	}
	files := tar.NewReader(zip)
	for {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		text, err := io.ReadAll(files)
		path := filepath.Join(folder, filepath.FromSlash(h.Name))
		if err == nil {
			err = errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, text, 0o600))
		}
		if err != nil {
			return err
		}
	}
}
