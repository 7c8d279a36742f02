// SPDX-License-Identifier: Apache-2.0

package postern

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/postern"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/account"
	"github.com/posternhq/postern/internal/service/ec2/iface"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

type fixture struct {
	*servicetest.World
	api        *API
	spaces     *spaces
	ctx, other context.Context
}

type observer struct{}

func (observer) Desired() string { return "router vpc-1 self\n" }
func (observer) Status() DataplaneStatus {
	return DataplaneStatus{State: "ready", Desired: 3, Programmed: 2, Failed: 1, Counters: map[string]int64{"passes": 7},
		Shares: []Share{{VPC: "vpc-1", Of: "client", Holder: "10.0.1.10", Used: 90, Limit: 100, Refused: 2}},
		Makers: []StuckMaker{{Name: "expiry", Reason: "failed 3 times"}},
		Names: []FollowedName{
			{Name: "db.example.com.", VPC: "vpc-1", Target: "240.8.0.1", Addresses: []FollowedAddress{{Address: "10.0.1.10", Used: true}}, Answered: asked, Asked: asked},
			{Name: "www.example.com.", VPC: "vpc-other", Target: "240.8.0.2", Problem: "no answer", Failures: 3},
		}}
}

// asked is when a name was looked up.
var asked = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// spaces are the namespaces of a host: handles that are good once for one key,
// and any name or process but process 1.
type spaces struct {
	handles map[string]desired.Namespace
	key     string
}

func (s *spaces) Redeem(handle, accessKeyID string) (desired.Namespace, error) {
	ns, ok := s.handles[handle]
	if !ok || accessKeyID != s.key {
		return ns, errors.New("handle is not good")
	}
	delete(s.handles, handle)
	return ns, nil
}

func (*spaces) Find(n desired.Namespace) (desired.Namespace, error) {
	if n.PID == 1 {
		return n, errors.New("it is the host's own")
	}
	return n, nil
}

// newFixture makes an installation with a host and the interfaces eni-1 and
// eni-2 of a workload and eni-gate of a gateway.
func newFixture(t *testing.T) *fixture {
	t.Helper()
	w := servicetest.New(t)
	f := &fixture{
		World: w, spaces: &spaces{handles: map[string]desired.Namespace{}, key: "AKIATEST"},
		ctx:   servicetest.As(t, servicetest.Account, servicetest.Region),
		other: servicetest.As(t, servicetest.OtherAccount, servicetest.Region),
	}
	f.api = &API{Env: w.Env, Observer: observer{}, Namespaces: f.spaces, Interfaces: iface.Interfaces{Env: w.Env}, Version: "v1"}
	if _, _, err := account.Bootstrap(t.Context(), w.Env, servicetest.Account); err != nil {
		t.Fatal(err)
	}
	meta := func(id string) model.Meta {
		return model.Meta{Account: servicetest.Account, Region: servicetest.Region, ID: id}
	}
	f.put(t, func(tx *table.Txn) {
		state.Hosts.Put(tx, &model.Host{Name: "here", Instance: "p7k2"})
		state.VPCs.Put(tx, &model.VPC{Meta: meta("vpc-1"), DNSSupport: true, DHCPOptions: "dopt-1", CIDRs: []model.CIDRAssociation{{Prefix: netip.MustParsePrefix("10.0.0.0/16")}}})
		state.DHCPOptions.Put(tx, &model.DHCPOptions{Meta: meta("dopt-1"), DomainName: "ec2.internal lab", DomainNameServers: []string{"AmazonProvidedDNS"}})
		state.Subnets.Put(tx, &model.Subnet{Meta: meta("subnet-1"), VPC: "vpc-1", CIDR: netip.MustParsePrefix("10.0.1.0/24")})
		for id, kind := range map[string]model.InterfaceType{"eni-1": model.InterfaceWorkload, "eni-2": model.InterfaceWorkload, "eni-gate": model.InterfaceGateway} {
			state.NetworkInterfaces.Put(tx, &model.NetworkInterface{
				Meta: meta(id), VPC: "vpc-1", Subnet: "subnet-1", Type: kind, MAC: "02:00:00:00:00:01",
				Addresses: []netip.Addr{netip.MustParseAddr("10.0.1.10")}, Addresses6: []netip.Addr{netip.MustParseAddr("2001:db8::10")},
				Prefixes4: []netip.Prefix{netip.MustParsePrefix("10.0.1.16/28")}, Prefixes6: []netip.Prefix{netip.MustParsePrefix("2001:db8:0:0:2::/80")},
			})
		}
	})
	return f
}

func (f *fixture) put(t *testing.T, fn func(*table.Txn)) {
	t.Helper()
	if _, err := f.DB.Update(t.Context(), func(tx *table.Txn) error { fn(tx); return nil }); err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) refused(t *testing.T, name, code string, call func() error) {
	t.Helper()
	before := f.Dump(t)
	if err := call(); !fault.Is(err, code) {
		t.Errorf("%s: got %v, want %s", name, err, code)
	}
	if diff := cmp.Diff(before, f.Dump(t)); diff != "" {
		t.Errorf("%s: the refused call changed the state:\n%s", name, diff)
	}
}

// decided asks package access, as the server does before it calls a handler.
func decided(ctx context.Context, operation string, in any) error {
	op, who := access.Services[shape.Service.Name].Operations[operation], access.From(ctx).Caller
	d := access.Decide(&access.Request{Asked: access.Asked{Caller: &who, Management: op.Management, Asks: op.Ask(nil, &who, in)}}, nil)
	if d.Allowed {
		return nil
	}
	return fault.AccessDenied("%s", d.Text(&who))
}

func (f *fixture) attach(ctx context.Context, in shape.AttachNetworkInterfaceInput) (*shape.AttachNetworkInterfaceOutput, error) {
	return f.api.AttachNetworkInterface(ctx, &in)
}

func TestAttachmentTellsTheWorkloadItsNetwork(t *testing.T) {
	f := newFixture(t)
	got, err := f.attach(f.ctx, shape.AttachNetworkInterfaceInput{NetworkInterfaceId: new("eni-1"), NetnsName: new("ns")})
	if err != nil {
		t.Fatal(err)
	}
	want := &shape.AttachNetworkInterfaceOutput{
		NetworkInterfaceId: new("eni-1"), Status: new("attaching"), Host: new("here"), NetnsName: new("ns"), DeviceName: new("eth0"),
		MacAddress: new("02:00:00:00:00:01"), DeleteOnTermination: new(false), Addresses: []string{"10.0.1.10", "2001:db8::10"},
		Prefixes: []string{"10.0.1.16/28", "2001:db8:0:0:2::/80"},
		Gateways: []string{"10.0.1.1", "fe80::1"}, DnsServers: []string{"10.0.0.2"}, DnsSearch: []string{"ec2.internal", "lab"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("attachment (-want +got):\n%s", diff)
	}
	row, _ := state.Attachments.Get(f.DB.Snapshot(), servicetest.Account, servicetest.Region, "eni-1")
	if !regexp.MustCompile(`^eni-attach-[0-9a-f]{17}$`).MatchString(row.ID) {
		t.Errorf("attachment id %s", row.ID)
	}
	second, err := f.attach(f.ctx, shape.AttachNetworkInterfaceInput{NetworkInterfaceId: new("eni-2"), NetnsName: new("ns")})
	if err != nil || *second.DeviceName != "eth1" {
		t.Errorf("second interface of the namespace: %+v, %v", second, err)
	}
}

// What a workload is told of names follows the DHCP options of its VPC.
func TestAttachmentTellsTheVPCsOptions(t *testing.T) {
	f := newFixture(t)
	if _, err := f.attach(f.ctx, shape.AttachNetworkInterfaceInput{NetworkInterfaceId: new("eni-1"), NetnsName: new("ns")}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		options *model.DHCPOptions
		only6   bool
		want    string
	}{
		{&model.DHCPOptions{DomainName: "corp.example.com", DomainNameServers: []string{"10.9.0.53", model.AmazonDNS, "2001:db8::53"}}, false, "[10.9.0.53 10.0.0.2 2001:db8::53] [corp.example.com]"},
		{&model.DHCPOptions{DomainNameServers: []string{model.AmazonDNS}}, true, "[fd00:ec2::253] []"},
		{&model.DHCPOptions{DomainName: "corp.example.com"}, false, "[] [corp.example.com]"},
		{nil, false, "[] []"},
	} {
		f.put(t, func(tx *table.Txn) {
			v, _ := state.VPCs.Get(tx, servicetest.Account, servicetest.Region, "vpc-1")
			v = v.Clone()
			v.DHCPOptions = ""
			if c.options != nil {
				v.DHCPOptions = "dopt-2"
				c.options.Meta = model.Meta{Account: v.Account, Region: v.Region, ID: "dopt-2"}
				state.DHCPOptions.Put(tx, c.options)
			}
			state.VPCs.Put(tx, v)
			ni, _ := state.NetworkInterfaces.Get(tx, servicetest.Account, servicetest.Region, "eni-1")
			if ni = ni.Clone(); c.only6 {
				ni.Addresses, ni.Prefixes4 = nil, nil
			} else {
				ni.Addresses = []netip.Addr{netip.MustParseAddr("10.0.1.10")}
			}
			state.NetworkInterfaces.Put(tx, ni)
		})
		got, err := f.api.GetAttachment(f.ctx, &shape.GetAttachmentInput{NetworkInterfaceId: new("eni-1")})
		if err != nil || fmt.Sprint(got.DnsServers, got.DnsSearch) != c.want {
			t.Errorf("with %+v: %v %v, %v; want %s", c.options, got.DnsServers, got.DnsSearch, err, c.want)
		}
	}
}

func TestBadAttachmentsAreRefused(t *testing.T) {
	f := newFixture(t)
	if _, err := f.attach(f.ctx, shape.AttachNetworkInterfaceInput{NetworkInterfaceId: new("eni-2"), NetnsName: new("ns")}); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		code string
		ctx  context.Context
		in   shape.AttachNetworkInterfaceInput
	}{
		"neither name nor process":                 {"ValidationException", f.ctx, shape.AttachNetworkInterfaceInput{NetworkInterfaceId: new("eni-1")}},
		"both name and handle":                     {"ValidationException", f.ctx, shape.AttachNetworkInterfaceInput{NetworkInterfaceId: new("eni-1"), NetnsName: new("ns"), NetnsHandle: new("h")}},
		"handle and inode":                         {"ValidationException", f.ctx, shape.AttachNetworkInterfaceInput{NetworkInterfaceId: new("eni-1"), NetnsHandle: new("h"), NetnsInode: new(int64(1))}},
		"handle that nobody gave":                  {"AccessDeniedException", f.ctx, shape.AttachNetworkInterfaceInput{NetworkInterfaceId: new("eni-1"), NetnsHandle: new("h")}},
		"the host's namespace":                     {"ValidationException", f.ctx, shape.AttachNetworkInterfaceInput{NetworkInterfaceId: new("eni-1"), Pid: new(int64(1))}},
		"no interface":                             {"ValidationException", f.ctx, shape.AttachNetworkInterfaceInput{NetnsName: new("ns")}},
		"an old and a new interface":               {"ValidationException", f.ctx, shape.AttachNetworkInterfaceInput{NetworkInterfaceId: new("eni-1"), NewNetworkInterface: &shape.NewNetworkInterface{SubnetId: new("subnet-1")}, NetnsName: new("ns")}},
		"a new one in no subnet":                   {"InvalidSubnetID.NotFound", f.ctx, shape.AttachNetworkInterfaceInput{NewNetworkInterface: &shape.NewNetworkInterface{SubnetId: new("subnet-9")}, NetnsName: new("ns")}},
		"both name and process":                    {"ValidationException", f.ctx, shape.AttachNetworkInterfaceInput{NetworkInterfaceId: new("eni-1"), NetnsName: new("ns"), Pid: new(int64(1))}},
		"name that ends by itself":                 {"ValidationException", f.ctx, shape.AttachNetworkInterfaceInput{NetworkInterfaceId: new("eni-1"), NetnsName: new("ns"), DeleteOnTermination: new(true)}},
		"unknown interface":                        {"ResourceNotFoundException", f.ctx, shape.AttachNetworkInterfaceInput{NetworkInterfaceId: new("eni-9"), NetnsName: new("ns")}},
		"a name of an account that is not trusted": {"AccessDeniedException", f.other, shape.AttachNetworkInterfaceInput{NetworkInterfaceId: new("eni-1"), NetnsName: new("ns")}},
		"interface of a gateway":                   {"ValidationException", f.ctx, shape.AttachNetworkInterfaceInput{NetworkInterfaceId: new("eni-gate"), NetnsName: new("ns")}},
		"attached interface":                       {"ConflictException", f.ctx, shape.AttachNetworkInterfaceInput{NetworkInterfaceId: new("eni-2"), NetnsName: new("other")}},
		"device that is there":                     {"ConflictException", f.ctx, shape.AttachNetworkInterfaceInput{NetworkInterfaceId: new("eni-1"), NetnsName: new("ns"), DeviceName: new("eth0")}},
	} {
		f.refused(t, name, c.code, func() error { _, err := f.attach(c.ctx, c.in); return err })
	}
	f.put(t, func(tx *table.Txn) { state.Hosts.Delete(tx, "", "", "here") })
	f.refused(t, "no host", "ConflictException", func() error {
		_, err := f.attach(f.ctx, shape.AttachNetworkInterfaceInput{NetworkInterfaceId: new("eni-1"), NetnsName: new("ns")})
		return err
	})
}

func TestAttachmentStatesAreTrue(t *testing.T) {
	f := newFixture(t)
	say := func(s model.StatusState, reason string) {
		f.put(t, func(tx *table.Txn) {
			state.Statuses.Put(tx, &model.Status{Account: servicetest.Account, Region: servicetest.Region, ID: "eni-1", State: s, Reason: reason})
		})
	}
	check := func(want, reason string) {
		t.Helper()
		got, err := f.api.GetAttachment(f.ctx, &shape.GetAttachmentInput{NetworkInterfaceId: new("eni-1")})
		if err != nil || *got.Status != want || service.Value(got.Reason) != reason {
			t.Errorf("got %+v, %v, want %s %s", got, err, want, reason)
		}
	}
	say(model.StatusReady, "") // of an attachment before
	in := shape.AttachNetworkInterfaceInput{NetworkInterfaceId: new("eni-1"), Pid: new(int64(17)), NetnsInode: new(int64(4026532008)), DeleteOnTermination: new(true)}
	if _, err := f.attach(f.ctx, in); err != nil {
		t.Fatal(err)
	}
	if row, _ := state.Attachments.Get(f.DB.Snapshot(), servicetest.Account, servicetest.Region, "eni-1"); row.PID != 17 || row.Inode != 4026532008 {
		t.Errorf("the row has process %d, inode %d", row.PID, row.Inode)
	}
	check("attaching", "")
	say(model.StatusFailed, "no such process")
	check("failed", "no such process")
	say(model.StatusReady, "")
	check("attached", "")
	for range 2 {
		out, err := f.api.DetachNetworkInterface(f.ctx, &shape.DetachNetworkInterfaceInput{NetworkInterfaceId: new("eni-1")})
		if err != nil || *out.Status != "detaching" {
			t.Fatalf("detach: %+v, %v", out, err)
		}
	}
	check("detaching", "")
	f.refused(t, "attach while detaching", "ConflictException", func() error { _, err := f.attach(f.ctx, in); return err })
	f.refused(t, "detach from elsewhere", "ResourceNotFoundException", func() error {
		_, err := f.api.DetachNetworkInterface(f.other, &shape.DetachNetworkInterfaceInput{NetworkInterfaceId: new("eni-1")})
		return err
	})
	for ctx, want := range map[context.Context]int{f.ctx: 1, f.other: 0} {
		if out, err := f.api.ListAttachments(ctx, &shape.ListAttachmentsInput{}); err != nil || len(out.Attachments) != want {
			t.Errorf("list: %+v, %v, want %d", out, err, want)
		}
	}
}

func TestAccountsAreMadeByTheFirstOne(t *testing.T) {
	f := newFixture(t)
	out, err := f.api.CreateAccount(f.ctx, &shape.CreateAccountInput{AccountId: new(servicetest.OtherAccount), Name: new("other")})
	if err != nil {
		t.Fatal(err)
	}
	key, ok := state.AccessKeys.Get(f.DB.Snapshot(), "", "", *out.AccessKeyId)
	if !ok || key.Account != servicetest.OtherAccount {
		t.Fatalf("the key is %+v, %t", key, ok)
	}
	if secret, err := account.Secret(f.Seal, key); err != nil || secret != *out.SecretAccessKey {
		t.Errorf("the secret of the key is another one, %v", err)
	}
	f.refused(t, "the account again", "ConflictException", func() error {
		_, err := f.api.CreateAccount(f.ctx, &shape.CreateAccountInput{AccountId: new(servicetest.OtherAccount)})
		return err
	})
	random, err := f.api.CreateAccount(f.ctx, &shape.CreateAccountInput{})
	if err != nil || !regexp.MustCompile(`^[1-9]\d{11}$`).MatchString(*random.AccountId) {
		t.Errorf("account without an id: %+v, %v", random.AccountId, err)
	}
	for ctx, want := range map[context.Context]int{f.ctx: 3, f.other: 1} {
		if out, err := f.api.ListAccounts(ctx, &shape.ListAccountsInput{}); err != nil || len(out.Accounts) != want {
			t.Errorf("list: %+v, %v, want %d", out, err, want)
		}
	}
}

func TestTheInstallationIsForTheManagementAccount(t *testing.T) {
	f := newFixture(t)
	for operation, in := range map[string]any{
		"CreateAccount": &shape.CreateAccountInput{AccountId: new(servicetest.OtherAccount)},
		"UpdateAccount": &shape.UpdateAccountInput{AccountId: new(servicetest.OtherAccount), Trusted: new(true)},
		"GetDesired":    &shape.GetDesiredInput{},
	} {
		err := decided(f.other, operation, in)
		if !fault.Is(err, "AccessDeniedException") || !strings.Contains(err.Error(), "it is for the management account") {
			t.Errorf("%s by another account: %v", operation, err)
		}
		if err := decided(f.ctx, operation, in); err != nil {
			t.Errorf("%s by the management account: %v", operation, err)
		}
	}
	for _, operation := range []string{"ListAccounts", "GetStatus"} {
		if err := decided(f.other, operation, shape.Service.Operation(operation).NewInput()); err != nil {
			t.Errorf("%s by another account: %v", operation, err)
		}
	}
}

func TestStatusShowsWhatTheCallerMaySee(t *testing.T) {
	f := newFixture(t)
	f.api.Outside = model.Outside{}
	f.put(t, func(tx *table.Txn) {
		m := model.Meta{Account: servicetest.OtherAccount, Region: servicetest.Region, ID: "rgw-1"}
		state.ResourceGateways.Put(tx, &model.ResourceGateway{Meta: m, Name: "gate"})
		state.Statuses.Put(tx, &model.Status{Account: m.Account, Region: m.Region, ID: m.ID, State: model.StatusFailed, Reason: "no room"})
		m.ID = "vpc-other"
		state.VPCs.Put(tx, &model.VPC{Meta: m})
	})
	net := shape.Resource{Kind: new("vpc"), Id: new("vpc-other"), Account: new(servicetest.OtherAccount), Region: new(servicetest.Region), State: new("ready")}
	www := shape.FollowedName{
		Name: new("www.example.com."), Vpc: new("vpc-other"), Target: new("240.8.0.2"), InVpc: new(false), LeftOut: new(int64(0)),
		Problem: new("no answer"), Failures: new(int64(3)),
	}
	gate := shape.Resource{
		Kind: new("resource-gateway"), Id: new("rgw-1"), Account: new(servicetest.OtherAccount), Region: new(servicetest.Region),
		Name: new("gate"), State: new("failed"), Reason: new("no room"),
	}
	got, err := f.api.GetStatus(f.other, &shape.GetStatusInput{})
	got.Resolvers = nil // the VPC's
	if diff := cmp.Diff(&shape.GetStatusOutput{Version: new("v1"), Resources: []shape.Resource{net, gate}, Names: []shape.FollowedName{www}}, got); err != nil || diff != "" {
		t.Errorf("status of the other account: %v (-want +got):\n%s", err, diff)
	}
	got, err = f.api.GetStatus(f.ctx, &shape.GetStatusInput{})
	if err != nil || len(got.Resources) != 5 || *got.Instance != "p7k2" || *got.Hosts[0].State != "ready" || *got.FailedEntries != 1 || got.Counters["passes"] != 7 {
		t.Errorf("status of the first account: %+v, %v", got, err)
	}
	stuck := shape.Resource{Kind: new("maker"), Id: new("expiry"), State: new("failed"), Reason: new("failed 3 times")}
	if diff := cmp.Diff(stuck, got.Resources[4]); diff != "" {
		t.Errorf("a maker that fails (-want +got):\n%s", diff)
	}
	share := shape.Share{Vpc: new("vpc-1"), Of: new("client"), Holder: new("10.0.1.10"), Used: new(int64(90)), Limit: new(int64(100)), Refused: new(int64(2))}
	if diff := cmp.Diff([]shape.Share{share}, got.Shares); diff != "" {
		t.Errorf("shares (-want +got):\n%s", diff)
	}
	if len(got.Names) != 2 || *got.Names[0].AnsweredAt != "2026-01-02T03:04:05Z" || *got.Names[0].Addresses[0].Address != "10.0.1.10" || got.Names[0].NextAt != nil {
		t.Errorf("names are %+v", got.Names)
	}
	if text, err := f.api.GetDesired(f.ctx, &shape.GetDesiredInput{}); err != nil || *text.Text != "router vpc-1 self\n" {
		t.Errorf("desired state: %+v, %v", text, err)
	}
}

// TestStatusOfTheOutside: the uplink shows how it is and why, the pool how much of it is
// claimed, and gateways that are attached when nothing is behind them.
func TestStatusOfTheOutside(t *testing.T) {
	const none, wan = "nothing is behind it: this installation has no uplink (postern up --uplink)", "uplink wan netns:outside "
	pool := []netip.Prefix{netip.MustParsePrefix("198.51.100.0/28"), netip.MustParsePrefix("203.0.113.8/32")}
	up := model.Outside{Pool: pool, Uplink: model.Uplink{Name: "wan", Device: "netns:outside"}}
	pools := []string{"public-pool 198.51.100.0/28  ready 2 of 16 addresses are claimed", "public-pool 203.0.113.8/32  ready 0 of 1 addresses are claimed"}
	const lost = "public-pool -  failed 2 addresses are claimed that are in no --public-pool any more"
	gateways := func(reason string) []string {
		return []string{"internet-gateway igw-1  ready " + reason, "internet-gateway igw-2  ready ", "egress-only-internet-gateway eigw-1  ready " + reason}
	}
	for name, c := range map[string]struct {
		outside model.Outside
		edge    EdgeStatus
		want    []string
	}{
		"nothing":      {model.Outside{}, EdgeStatus{}, append(gateways(none), lost)},
		"only a pool":  {model.Outside{Pool: pool}, EdgeStatus{}, append(gateways(none), pools...)},
		"nobody there": {up, EdgeStatus{}, append(append(gateways(""), wan+"unused "), pools...)},
		"on its way":   {up, EdgeStatus{Wanted: true}, append(append(gateways(""), wan+"creating "), pools...)},
		"joined":       {up, EdgeStatus{Wanted: true, Done: true}, append(append(gateways(""), wan+"ready "), pools...)},
		"gone": {up, EdgeStatus{Wanted: true, Problem: "namespace has gone"},
			append(append(gateways("nothing is behind it: uplink wan is in error"), wan+"failed namespace has gone"), pools...)},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.api.Outside, f.api.Observer = c.outside, standing{c.edge}
			meta := func(id string) model.Meta {
				return model.Meta{Account: servicetest.Account, Region: servicetest.Region, ID: id}
			}
			f.put(t, func(tx *table.Txn) {
				state.InternetGateways.Put(tx, &model.InternetGateway{Meta: meta("igw-1"), VPC: "vpc-1"})
				state.InternetGateways.Put(tx, &model.InternetGateway{Meta: meta("igw-2")})
				state.EgressOnlyGateways.Put(tx, &model.EgressOnlyGateway{Meta: meta("eigw-1"), VPC: "vpc-1"})
				for _, a := range []string{"198.51.100.3", "198.51.100.4"} {
					state.PublicClaims.Put(tx, &model.PublicClaim{Addr: netip.MustParseAddr(a)})
				}
			})
			out, err := f.api.GetStatus(f.ctx, &shape.GetStatusInput{})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, r := range out.Resources {
				if k := *r.Kind; k == "uplink" || k == "public-pool" || strings.Contains(k, "internet-gateway") {
					got = append(got, strings.Join([]string{k, *r.Id, service.Value(r.Name), *r.State, service.Value(r.Reason)}, " "))
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("status (-want +got):\n%s", diff)
			}
			others, err := f.api.GetStatus(f.other, &shape.GetStatusInput{})
			if err != nil || len(others.Resources) > 0 {
				t.Errorf("another account sees %+v, %v", others.Resources, err)
			}
		})
	}
}

// standing is an observer of an uplink.
type standing struct{ edge EdgeStatus }

func (standing) Desired() string           { return "" }
func (s standing) Status() DataplaneStatus { return DataplaneStatus{State: "ready", Edge: s.edge} }
