// SPDX-License-Identifier: Apache-2.0

package dhcp_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/service/ec2/ec2test"
)

func option(key string, values ...string) shape.NewDhcpConfiguration {
	return shape.NewDhcpConfiguration{Key: &key, Values: values}
}

// text prints options as "key=value,value" in their order.
func text(o shape.DhcpOptions) string {
	var words []string
	for _, c := range o.DhcpConfigurations {
		var values []string
		for _, v := range c.Values {
			values = append(values, *v.Value)
		}
		words = append(words, *c.Key+"="+strings.Join(values, ","))
	}
	return strings.Join(words, " ")
}

// All options come back as they were given, and are found by tags and filters.
func TestOptionsAreKept(t *testing.T) {
	w := ec2test.NewWorld(t)
	specification := shape.TagSpecification{ResourceType: new("dhcp-options"), Tags: []shape.Tag{{Key: new("Name"), Value: new("office")}}}
	made, err := w.API.CreateDhcpOptions(w.Ctx, &shape.CreateDhcpOptionsInput{TagSpecifications: []shape.TagSpecification{specification}, DhcpConfigurations: []shape.NewDhcpConfiguration{
		option("ntp-servers", "10.0.0.4", "fd00:ec2::123"), option("netbios-node-type", "2"), option("domain-name", " corp.example.com  lab.example.com. "),
		option("domain-name-servers", "10.0.0.53, 10.0.1.53", "2001:db8::53", "AmazonProvidedDNS"), option("netbios-name-servers", "10.0.0.5"),
		option("ipv6-address-preferred-lease-time", "3600"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	const want = "domain-name=corp.example.com lab.example.com. domain-name-servers=10.0.0.53,10.0.1.53,2001:db8::53,AmazonProvidedDNS " +
		"ipv6-address-preferred-lease-time=3600 netbios-name-servers=10.0.0.5 netbios-node-type=2 ntp-servers=10.0.0.4,fd00:ec2::123"
	if got := text(*made.DhcpOptions); got != want || *made.DhcpOptions.Tags[0].Value != "office" {
		t.Errorf("got %s, %v", got, made.DhcpOptions.Tags)
	}
	for _, filter := range [][]shape.Filter{ec2test.Filter("tag:Name", "office"), ec2test.Filter("value", "10.0.1.53"), ec2test.Filter("key", "netbios-node-type")} {
		got, err := w.API.DescribeDhcpOptions(w.Ctx, &shape.DescribeDhcpOptionsInput{Filters: filter})
		if err != nil || len(got.DhcpOptions) != 1 {
			t.Fatalf("by %s: %v, %v", *filter[0].Name, got, err)
		}
		if diff := cmp.Diff(*made.DhcpOptions, got.DhcpOptions[0]); diff != "" {
			t.Error(diff)
		}
	}
}

// A VPC has one set, or none; what it has cannot be deleted, and a new VPC has the
// default one whatever others there are.
func TestAVPCHasOptions(t *testing.T) {
	w := ec2test.NewWorld(t)
	create := func() string {
		t.Helper()
		made, err := w.API.CreateDhcpOptions(w.Ctx, &shape.CreateDhcpOptionsInput{DhcpConfigurations: []shape.NewDhcpConfiguration{option("domain-name-servers", "10.0.0.53")}})
		if err != nil {
			t.Fatal(err)
		}
		return *made.DhcpOptions.DhcpOptionsId
	}
	associate := func(options, vpc string) error {
		return ec2test.Failure(w.API.AssociateDhcpOptions(w.Ctx, &shape.AssociateDhcpOptionsInput{DhcpOptionsId: &options, VpcId: &vpc}))
	}
	remove := func(options string) error {
		return ec2test.Failure(w.API.DeleteDhcpOptions(w.Ctx, &shape.DeleteDhcpOptionsInput{DhcpOptionsId: &options}))
	}
	has := func(vpc, want string) {
		t.Helper()
		got, err := w.API.DescribeVpcs(w.Ctx, &shape.DescribeVpcsInput{Filters: ec2test.Filter("dhcp-options-id", want)})
		if err != nil || len(got.Vpcs) != 1 || *got.Vpcs[0].VpcId != vpc || *got.Vpcs[0].DhcpOptionsId != want {
			t.Errorf("with %s: %v, %v; want %s", want, got, err, vpc)
		}
	}
	mine, other := create(), create()
	a := w.VPC(t, "10.0.0.0/16")
	usual := *a.DhcpOptionsId
	if usual == mine || usual == other || usual == "default" {
		t.Fatalf("a new VPC has %s", usual)
	}
	has(*a.VpcId, usual)
	for _, options := range []string{mine, mine, other} {
		if err := associate(options, *a.VpcId); err != nil {
			t.Fatal(err)
		}
		has(*a.VpcId, options)
		w.Refused(t, "delete what is in use", "DependencyViolation", func() error { return remove(options) })
	}
	if err := remove(mine); err != nil {
		t.Fatal(err)
	}
	w.Refused(t, "what was deleted", "InvalidDhcpOptionID.NotFound", func() error { return associate(mine, *a.VpcId) })
	w.Refused(t, "delete again", "InvalidDhcpOptionID.NotFound", func() error { return remove(mine) })
	w.Refused(t, "no such VPC", "InvalidVpcID.NotFound", func() error { return associate(other, "vpc-0123456789abcdef0") })
	has(*a.VpcId, other)
	if err := associate("default", *a.VpcId); err != nil {
		t.Fatal(err)
	}
	has(*a.VpcId, "default")
	for _, options := range []string{other, usual} {
		if err := remove(options); err != nil {
			t.Fatal(err)
		}
	}
	keep := create()
	b := w.VPC(t, "10.1.0.0/16")
	if *b.DhcpOptionsId == keep || *b.DhcpOptionsId == usual || *b.DhcpOptionsId == "default" {
		t.Errorf("a new VPC has %s, after the default options were deleted", *b.DhcpOptionsId)
	}
	if err := ec2test.Failure(w.API.DeleteVpc(w.Ctx, &shape.DeleteVpcInput{VpcId: a.VpcId})); err != nil {
		t.Error(err)
	}
}

// What cannot be an option is refused, by its name, and nothing is made.
func TestWhatIsNoOption(t *testing.T) {
	w := ec2test.NewWorld(t)
	five := []string{"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5"}
	for _, c := range []struct {
		name, code, says string
		options          []shape.NewDhcpConfiguration
	}{
		{"nothing", "MissingParameter", "dhcpConfiguration", nil},
		{"unknown", "InvalidParameterValue", "dns", []shape.NewDhcpConfiguration{option("dns", "10.0.0.1")}},
		{"no name", "InvalidParameterValue", "parameter key", []shape.NewDhcpConfiguration{{Values: []string{"10.0.0.1"}}}},
		{"twice", "InvalidParameterValue", "more than once", []shape.NewDhcpConfiguration{option("domain-name", "a.b"), option("domain-name", "a.c")}},
		{"no value", "MissingParameter", "domain-name-servers", []shape.NewDhcpConfiguration{option("domain-name-servers")}},
		{"empty value", "InvalidParameterValue", "domain-name-servers", []shape.NewDhcpConfiguration{option("domain-name-servers", "")}},
		{"five servers", "InvalidParameterValue", "domain-name-servers", []shape.NewDhcpConfiguration{option("domain-name-servers", five...)}},
		{"five servers in one value", "InvalidParameterValue", "domain-name-servers", []shape.NewDhcpConfiguration{option("domain-name-servers", strings.Join(five, ","))}},
		{"a server by its name", "InvalidParameterValue", "ns.example.com", []shape.NewDhcpConfiguration{option("domain-name-servers", "ns.example.com")}},
		{"another word", "InvalidParameterValue", "amazonprovideddns", []shape.NewDhcpConfiguration{option("domain-name-servers", "amazonprovideddns")}},
		{"a server twice", "InvalidParameterValue", "twice", []shape.NewDhcpConfiguration{option("domain-name-servers", "10.0.0.1", "10.0.0.1")}},
		{"a zone", "InvalidParameterValue", "fe80::1%eth0", []shape.NewDhcpConfiguration{option("domain-name-servers", "fe80::1%eth0")}},
		{"nobody's address", "InvalidParameterValue", "0.0.0.0", []shape.NewDhcpConfiguration{option("domain-name-servers", "0.0.0.0")}},
		{"five clocks", "InvalidParameterValue", "ntp-servers", []shape.NewDhcpConfiguration{option("ntp-servers", five...)}},
		{"a clock of AWS by word", "InvalidParameterValue", "ntp-servers", []shape.NewDhcpConfiguration{option("ntp-servers", "AmazonProvidedDNS")}},
		{"five of NetBIOS", "InvalidParameterValue", "netbios-name-servers", []shape.NewDhcpConfiguration{option("netbios-name-servers", five...)}},
		{"NetBIOS over IPv6", "InvalidParameterValue", "netbios-name-servers", []shape.NewDhcpConfiguration{option("netbios-name-servers", "2001:db8::1")}},
		{"node type", "InvalidParameterValue", "netbios-node-type", []shape.NewDhcpConfiguration{option("netbios-node-type", "3")}},
		{"node types", "InvalidParameterValue", "netbios-node-type", []shape.NewDhcpConfiguration{option("netbios-node-type", "1", "2")}},
		{"short lease", "InvalidParameterValue", "ipv6-address-preferred-lease-time", []shape.NewDhcpConfiguration{option("ipv6-address-preferred-lease-time", "139")}},
		{"long lease", "InvalidParameterValue", "ipv6-address-preferred-lease-time", []shape.NewDhcpConfiguration{option("ipv6-address-preferred-lease-time", "2147483648")}},
		{"two domains", "InvalidParameterValue", "domain-name", []shape.NewDhcpConfiguration{option("domain-name", "a.b", "c.d")}},
		{"a line more", "InvalidParameterValue", "domain-name", []shape.NewDhcpConfiguration{option("domain-name", "a.b\nnameserver\t10.6.6.6;")}},
		{"an empty label", "InvalidParameterValue", "domain-name", []shape.NewDhcpConfiguration{option("domain-name", "a..b")}},
		{"a long label", "InvalidParameterValue", "domain-name", []shape.NewDhcpConfiguration{option("domain-name", strings.Repeat("a", 64)+".b")}},
		{"blanks", "InvalidParameterValue", "domain-name", []shape.NewDhcpConfiguration{option("domain-name", "  ")}},
	} {
		w.Refused(t, c.name, c.code, func() error {
			err := ec2test.Failure(w.API.CreateDhcpOptions(w.Ctx, &shape.CreateDhcpOptionsInput{DhcpConfigurations: c.options}))
			if err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: %v does not say %q", c.name, err, c.says)
			}
			return err
		})
	}
	if all, err := w.API.DescribeDhcpOptions(w.Ctx, &shape.DescribeDhcpOptionsInput{}); err != nil || len(all.DhcpOptions) > 0 {
		t.Errorf("there are %v, %v", all, err)
	}
}

// A set of options more than the quota, which all of a region count for, is refused, and
// one fewer makes room.
func TestOptionSetsHaveAQuota(t *testing.T) {
	w := ec2test.NewWorld(t)
	there, err := w.API.DescribeDhcpOptions(w.Ctx, &shape.DescribeDhcpOptionsInput{})
	if err != nil {
		t.Fatal(err)
	}
	w.Quotas.DHCPOptionsPerRegion = len(there.DhcpOptions) + 1
	in := &shape.CreateDhcpOptionsInput{DhcpConfigurations: []shape.NewDhcpConfiguration{option("domain-name", "corp.example.com")}}
	create := func() error { _, err := w.API.CreateDhcpOptions(w.Ctx, in); return err }
	made, err := w.API.CreateDhcpOptions(w.Ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	w.RefusedAll(t, []ec2test.Refusal{{Name: "one too many", Code: "DhcpOptionsLimitExceeded", Call: create}})
	if _, err := w.API.DeleteDhcpOptions(w.Ctx, &shape.DeleteDhcpOptionsInput{DhcpOptionsId: made.DhcpOptions.DhcpOptionsId}); err != nil {
		t.Fatal(err)
	}
	if err := create(); err != nil {
		t.Errorf("when there is room: %v", err)
	}
}
