// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"log/slog"
	"maps"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/store/memstore"
	"github.com/posternhq/postern/internal/table"
)

const account, region = "111122223333", "us-east-1"

func meta(id string) model.Meta { return model.Meta{Account: account, Region: region, ID: id} }

func ref(id string) model.Ref { return model.Ref{Account: account, Region: region, ID: id} }

var addr = netip.MustParseAddr("10.0.1.10")

func world(tx *table.Txn) {
	state.Accounts.Put(tx, &model.Account{ID: account})
	state.Hosts.Put(tx, &model.Host{Name: "host"})
	state.VPCs.Put(tx, &model.VPC{Meta: meta("vpc-1"), MainTable: "rtb-1", DefaultACL: "acl-1", DefaultGroup: "sg-1", DHCPOptions: "dopt-1", TransitIndex: 7,
		CIDRs6: []model.CIDRAssociation{{ID: "a", Pool: model.AmazonPool}}})
	state.DHCPOptions.Put(tx, &model.DHCPOptions{Meta: meta("dopt-1")})
	state.RouteTables.Put(tx, &model.RouteTable{Meta: meta("rtb-1"), VPC: "vpc-1", Main: true, MainAssociation: "rtbassoc-1"})
	state.NetworkACLs.Put(tx, &model.NetworkACL{Meta: meta("acl-1"), VPC: "vpc-1"})
	state.SecurityGroups.Put(tx, &model.SecurityGroup{Meta: meta("sg-1"), VPC: "vpc-1", Rules: []model.SecurityGroupRule{{Group: "sg-1"}}})
	state.Subnets.Put(tx, &model.Subnet{Meta: meta("subnet-1"), VPC: "vpc-1"})
	state.TransitClaims.Put(tx, &model.TransitClaim{Space: model.SpaceSource, Index: 7, Owner: ref("vpc-1")})
	state.TransitClaims.Put(tx, &model.TransitClaim{Space: model.SpacePool6, Index: 3, Owner: ref("vpc-1")})
	state.TransitClaims.Put(tx, &model.TransitClaim{Space: model.SpaceTarget, Index: 5, Owner: ref("rcfg-1")})
	state.NetworkInterfaces.Put(tx, &model.NetworkInterface{Meta: meta("eni-1"), VPC: "vpc-1", Subnet: "subnet-1", Groups: []string{"sg-1"}, Addresses: []netip.Addr{addr}, Owner: "rgw-1"})
	state.AddressClaims.Put(tx, &model.AddressClaim{Account: account, Region: region, Subnet: "subnet-1", Addr: addr, Interface: "eni-1"})
	state.ResourceGateways.Put(tx, &model.ResourceGateway{Meta: meta("rgw-1"), VPC: "vpc-1", Interfaces: []string{"eni-1"}})
	state.ResourceConfigurations.Put(tx, &model.ResourceConfiguration{Meta: meta("rcfg-1"), Gateway: "rgw-1", Targets: []model.TransitTarget{{Interface: "eni-1", Index: 5}}})
	state.VPCEndpoints.Put(tx, &model.VPCEndpoint{Meta: meta("vpce-1"), VPC: "vpc-1", Configuration: ref("rcfg-1")})
	state.EndpointAssociations.Put(tx, &model.EndpointAssociation{Meta: meta("rea-1"), Endpoint: ref("vpce-1"), Configuration: ref("rcfg-1")})
	state.Attachments.Put(tx, &model.Attachment{Account: account, Region: region, Interface: "eni-1", Host: "host"})
	state.Statuses.Put(tx, &model.Status{Account: account, Region: region, ID: "vpce-1"})
	state.HostedZones.Put(tx, &model.HostedZone{Meta: model.Meta{Account: account, ID: "Z1"}, Name: "example.com.", VPCs: []model.Ref{ref("vpc-1")}})
	putSet(tx, "example.com.", "NS", "", "ns-0.awsdns-00.com.")
	putSet(tx, "example.com.", "SOA", "", "ns-0.awsdns-00.com. a.example.com. 1 7200 900 1209600 86400")
	putSet(tx, "www.example.com.", "A", "", "10.0.0.1")
}

// putSet puts a record set of the zone.
func putSet(tx *table.Txn, name, kind, set string, values ...string) {
	state.RecordSets.Put(tx, &model.RecordSet{Account: account, Zone: "Z1", Name: name, Type: kind, Set: set, Values: values})
}

func dropSet(tx *table.Txn, name, kind string) {
	state.RecordSets.Delete(tx, account, "", model.RecordSetID("Z1", name, kind, ""))
}

// owning is an association with an address of its own.
func owning(id string, own netip.Addr) *model.EndpointAssociation {
	return &model.EndpointAssociation{
		Meta: meta(id), Endpoint: ref("vpce-1"), Configuration: ref("rcfg-1"),
		Addresses: []model.InterfaceAddress{{Interface: "eni-1", Addr: own}},
	}
}

// elastic makes an elastic address that an address of the interface has, and somebody's
// claim on it.
func elastic(tx *table.Txn, id string, private netip.Addr, claimant string) {
	e := &model.ElasticAddress{Meta: meta(id), Addr: netip.MustParseAddr("203.0.113.1"), Association: "eipassoc-1", Interface: "eni-1", Private: private}
	state.ElasticAddresses.Put(tx, e)
	state.PublicClaims.Put(tx, &model.PublicClaim{Addr: e.Addr, Owner: ref(claimant)})
}

// ours makes the interface one of the endpoint.
func ours(tx *table.Txn) {
	ni, _ := state.NetworkInterfaces.Get(tx, account, region, "eni-1")
	ni = ni.Clone()
	ni.Owner = "vpce-1"
	state.NetworkInterfaces.Put(tx, ni)
}

// mistake is something that is wrong in a world after a change.
type mistake struct {
	change func(tx *table.Txn)
	says   string // of some finding; none when empty
}

// Each thing that is wrong in a world is found and named, and in a whole one
// nothing is.
func TestRowsFindsWhatIsWrong(t *testing.T) {
	claim := model.AddressClaim{Account: account, Region: region, Subnet: "subnet-1", Addr: addr, Interface: "eni-1"}
	tests := map[string]mistake{
		"nothing":                            {func(*table.Txn) {}, ""},
		"a claim is missing":                 {func(tx *table.Txn) { state.AddressClaims.Delete(tx, account, region, claim.Ref().ID) }, "nothing claims its address"},
		"a claim of somebody else":           {func(tx *table.Txn) { c := claim; c.Interface = "eni-2"; state.AddressClaims.Put(tx, &c) }, "is claimed by eni-2"},
		"a claim that was given up":          {func(tx *table.Txn) { c := claim; c.ReleasedAt = time.Unix(1, 0); state.AddressClaims.Put(tx, &c) }, "claimed as given up"},
		"a claim of no address":              {func(tx *table.Txn) { c := claim; c.Addr = addr.Next(); state.AddressClaims.Put(tx, &c) }, "which does not have the address"},
		"an interface of another account":    {func(tx *table.Txn) { guest(tx, "444455556666") }, ""},
		"a claim that is not that account's": {func(tx *table.Txn) { guest(tx, "") }, "is claimed by eni-2"},
		"no options":                         {func(tx *table.Txn) { state.DHCPOptions.Delete(tx, account, region, "dopt-1") }, "it refers to dhcp-options dopt-1"},
		"no interface":                       {func(tx *table.Txn) { state.NetworkInterfaces.Delete(tx, account, region, "eni-1") }, "it refers to network-interface eni-1"},
		"no owner":                           {func(tx *table.Txn) { state.ResourceGateways.Delete(tx, account, region, "rgw-1") }, "it refers to vpc-endpoint or resource-gateway or nat-gateway or db-instance or load-balancer rgw-1, which does not exist"},
		"an owner without it": {func(tx *table.Txn) {
			state.ResourceGateways.Put(tx, &model.ResourceGateway{Meta: meta("rgw-1"), VPC: "vpc-1"})
		}, "which does not have it"},
		"no group":             {func(tx *table.Txn) { state.SecurityGroups.Delete(tx, account, region, "sg-1") }, "it refers to security-group sg-1"},
		"no VPC":               {func(tx *table.Txn) { state.VPCs.Delete(tx, account, region, "vpc-1") }, "it refers to vpc vpc-1"},
		"no subnet":            {func(tx *table.Txn) { state.Subnets.Delete(tx, account, region, "subnet-1") }, "it refers to subnet subnet-1"},
		"no place of a VPC":    {func(tx *table.Txn) { state.TransitClaims.Delete(tx, "", "", "source/7") }, "nothing claims its place source/7"},
		"no place of a target": {func(tx *table.Txn) { state.TransitClaims.Delete(tx, "", "", "target/5") }, "nothing claims its place target/5"},
		"a place of nobody": {func(tx *table.Txn) {
			state.TransitClaims.Put(tx, &model.TransitClaim{Space: "target", Index: 6, Owner: ref("rcfg-1")})
		}, "transit-claim/-/-/target%2F6"},
		"a place of two":       {func(tx *table.Txn) { state.VPCs.Put(tx, &model.VPC{Meta: meta("vpc-2"), TransitIndex: 7}) }, "is that of vpc-1 too"},
		"no block of the pool": {func(tx *table.Txn) { state.TransitClaims.Delete(tx, "", "", "ipv6-pool/3") }, "it has 1 blocks of the IPv6 pool, and claims 0"},
		"a block of nobody": {func(tx *table.Txn) {
			state.TransitClaims.Put(tx, &model.TransitClaim{Space: "ipv6-pool", Index: 9, Owner: ref("vpc-9")})
		}, "claimed by vpc-9"},
		"no endpoint": {func(tx *table.Txn) { state.VPCEndpoints.Delete(tx, account, region, "vpce-1") }, "it refers to vpc-endpoint vpce-1"},
		"a state of nothing": {func(tx *table.Txn) {
			state.Statuses.Put(tx, &model.Status{Account: account, Region: region, ID: "vpce-9"})
		}, "the state of something that does not exist"},
		"no configuration":         {func(tx *table.Txn) { state.ResourceConfigurations.Delete(tx, account, region, "rcfg-1") }, "it refers to resource-configuration rcfg-1"},
		"no host of an attachment": {func(tx *table.Txn) { state.Hosts.Delete(tx, "", "", "host") }, "it refers to host host"},
		"no host of a target": {func(tx *table.Txn) {
			r, _ := state.ResourceConfigurations.Get(tx, account, region, "rcfg-1")
			r = r.Clone()
			r.Targets[0].Host = 1
			state.ResourceConfigurations.Put(tx, r)
		}, "it has a target on host 1, which does not exist"},
		"no zone":                  {func(tx *table.Txn) { state.HostedZones.Delete(tx, account, "", "Z1") }, "it refers to hosted-zone Z1"},
		"a zone without an SOA":    {func(tx *table.Txn) { dropSet(tx, "example.com.", "SOA") }, "it has no SOA record of its own"},
		"a record of another zone": {func(tx *table.Txn) { putSet(tx, "www.example.net.", "A", "", "10.0.0.1") }, "is not in its zone, example.com."},
		"a record of nothing":      {func(tx *table.Txn) { putSet(tx, "www.example.com.", "A", "") }, "it has values and an alias, or neither"},
		"a set that is not alone":  {func(tx *table.Txn) { putSet(tx, "www.example.com.", "A", "two", "10.0.0.1") }, "there are others of its name and type"},
		"an alias of one more type": {func(tx *table.Txn) {
			putSet(tx, "www.example.com.", "CNAME", "", "x.example.com")
		}, "its name has records of type A too"},
		"two zones of one name": {func(tx *table.Txn) {
			state.HostedZones.Put(tx, &model.HostedZone{Meta: model.Meta{Account: account, ID: "Z2"}, Name: "example.com.", VPCs: []model.Ref{ref("vpc-1")}})
		}, "vpc-1 sees Z1 too, which has the same name"},
		"the state of names": {func(tx *table.Txn) {
			state.Statuses.Put(tx, &model.Status{Account: account, Region: region, ID: "rea-1", Names: model.NamesStatus{State: model.StatusReady}})
			state.Statuses.Put(tx, &model.Status{Account: account, ID: "Z1"})
		}, ""},
		"the state of an association that is not there": {func(tx *table.Txn) {
			state.Statuses.Put(tx, &model.Status{Account: account, Region: region, ID: "rea-9"})
		}, "the state of something that does not exist"},
		"an association taken away": {func(tx *table.Txn) { state.EndpointAssociations.Delete(tx, account, region, "rea-1") }, ""},
		"an association taken away, and the configuration": {func(tx *table.Txn) {
			state.EndpointAssociations.Delete(tx, account, region, "rea-1")
			state.TransitClaims.Delete(tx, "", "", "target/5")
			state.ResourceConfigurations.Delete(tx, account, region, "rcfg-1")
		}, ""},
		"an address that an association has twice over": {func(tx *table.Txn) {
			for _, id := range []string{"rea-2", "rea-3"} {
				state.EndpointAssociations.Put(tx, owning(id, addr))
			}
			ours(tx)
		}, "10.0.1.10 of eni-1 is another association's too"},
		"an address that an association has not":     {func(tx *table.Txn) { state.EndpointAssociations.Put(tx, owning("rea-2", addr.Next())); ours(tx) }, "10.0.1.11 of eni-1, which does not have it"},
		"an association with an interface of others": {func(tx *table.Txn) { state.EndpointAssociations.Put(tx, owning("rea-2", addr)) }, "10.0.1.10 of eni-1, which is no interface of its endpoint"},
		"an account that is missing":                 {func(tx *table.Txn) { state.Accounts.Delete(tx, "", "", account) }, "it refers to account 111122223333"},
	}
	maps.Copy(tests, mistakesOfEgress())
	maps.Copy(tests, mistakesOfDatabases())
	maps.Copy(tests, mistakesOfBalancers())
	maps.Copy(tests, mistakesOfServices())
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if said := findings(t, test.change); test.says == "" && said != "" || !strings.Contains(said, test.says) {
				t.Errorf("findings:\n%s\nwant %q", said, test.says)
			}
		})
	}
}

// guest puts an interface of another account into the subnet, with a claim that says whose the
// interface is.
func guest(tx *table.Txn, holder string) {
	const other = "444455556666"
	of := func(id string) model.Meta { return model.Meta{Account: other, Region: region, ID: id} }
	state.Accounts.Put(tx, &model.Account{ID: other})
	state.SecurityGroups.Put(tx, &model.SecurityGroup{Meta: of("sg-2"), VPC: "vpc-1", Network: account, Rules: []model.SecurityGroupRule{{Group: "sg-1", GroupAccount: account}}})
	state.NetworkInterfaces.Put(tx, &model.NetworkInterface{Meta: of("eni-2"), VPC: "vpc-1", Subnet: "subnet-1", Network: account, Groups: []string{"sg-2"}, Addresses: []netip.Addr{addr.Next()}})
	state.AddressClaims.Put(tx, &model.AddressClaim{Account: account, Region: region, Subnet: "subnet-1", Addr: addr.Next(), Interface: "eni-2", Holder: holder})
}

// findings gives what is found in a world after a change.
func findings(t *testing.T, change func(*table.Txn)) string {
	t.Helper()
	db, err := state.Open(t.Context(), memstore.New(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Update(t.Context(), func(tx *table.Txn) error { world(tx); change(tx); return nil }); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, f := range Rows(db.Snapshot()) {
		lines = append(lines, f.String())
	}
	return strings.Join(lines, "\n")
}

// What the kernel has too much, too little or otherwise is named.
func TestKernelIsComparedBothWays(t *testing.T) {
	router := func(vpc, gateway string) desired.Entry {
		return desired.Router{VPC: vpc, Gateways: []netip.Addr{netip.MustParseAddr(gateway)}}
	}
	got := Kernel(
		[]desired.Entry{router("vpc-1", "10.0.0.1"), router("vpc-2", "10.0.0.1"), router("vpc-3", "10.0.0.1")},
		[]desired.Entry{router("vpc-1", "10.0.0.1"), router("vpc-2", "10.0.0.2"), router("vpc-4", "10.0.0.1")},
	)
	var lines []string
	for _, f := range got {
		lines = append(lines, f.String())
	}
	want := []string{"router vpc-2 self: the kernel has", "router vpc-3 self: it is wanted, and the kernel does not have it", "router vpc-4 self: the kernel has it, and nobody wants it"}
	if len(lines) != len(want) {
		t.Fatalf("findings %q, want %q", lines, want)
	}
	for i := range want {
		if !strings.HasPrefix(lines[i], want[i]) {
			t.Errorf("finding %q, want %q", lines[i], want[i])
		}
	}
}

// A target is in the place of a name, as the name wants it but for its addresses.
func TestATargetIsInThePlaceOfAName(t *testing.T) {
	name := desired.Follow{VPC: "vpc-1", Addr: netip.MustParseAddr("240.8.0.1"), Name: "db.example.com.", Gateway: netip.MustParseAddr("10.0.1.50")}
	of := func(addrs ...string) (target desired.Target) {
		for _, a := range addrs {
			target.Several = append(target.Several, netip.MustParseAddr(a))
		}
		return name.Target(target.Several)
	}
	cut, elsewhere := of("10.0.1.10"), of("10.0.1.10")
	cut.Cut, elsewhere.Gateway = true, netip.MustParseAddr("10.0.1.60")
	for _, c := range []struct {
		there desired.Target
		right bool
	}{{of(), true}, {of("10.0.1.10"), true}, {of("10.0.1.10", "10.0.1.11"), true}, {of("127.0.0.1"), false}, {cut, false}, {elsewhere, false}} {
		found := Kernel([]desired.Entry{name}, []desired.Entry{c.there})
		if (len(found) == 0) != c.right {
			t.Errorf("%s for %s: %v", c.there, name, found)
		}
	}
	if found := Kernel([]desired.Entry{name}, nil); len(found) != 1 {
		t.Errorf("a name without a target: %v", found)
	}
}

// A target with forwards is in the place of a balance, whoever of its members is healthy.
func TestATargetIsInThePlaceOfABalance(t *testing.T) {
	at := func(list ...string) (all []netip.AddrPort) {
		for _, a := range list {
			all = append(all, netip.MustParseAddrPort(a))
		}
		return all
	}
	balance := desired.Balance{
		VPC: "vpc-1", Addr: netip.MustParseAddr("240.8.0.1"), Gateway: netip.MustParseAddr("10.0.1.50"), Listeners: []desired.Listener{{Port: 443, Group: "tg"}},
		Groups: []desired.TargetGroup{{ID: "tg", Members: at("10.0.1.10:80", "10.0.1.11:80")}},
	}
	for _, c := range []struct {
		forward desired.Forward
		right   bool
	}{
		{desired.Forward{Port: 443, To: at("10.0.1.10:80", "10.0.1.11:80")}, true},
		{desired.Forward{Port: 443, To: at("10.0.1.11:80"), Except: at("10.0.1.10:80")}, true},
		{desired.Forward{Port: 443, To: at("10.0.1.10:81")}, false},
		{desired.Forward{Port: 443, To: at("10.0.1.10:80"), Cut: true}, false},
		{desired.Forward{Port: 80, To: at("10.0.1.10:80")}, false},
	} {
		there := balance.Target([]desired.Forward{c.forward})
		if found := Kernel([]desired.Entry{balance}, []desired.Entry{there}); (len(found) == 0) != c.right {
			t.Errorf("%s for %s: %v", there, balance, found)
		}
	}
}
