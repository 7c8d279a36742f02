// SPDX-License-Identifier: Apache-2.0

package ec2_test

import (
	_ "embed"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/aws/codec"
	"github.com/posternhq/postern/internal/aws/fault"
	"github.com/posternhq/postern/internal/aws/schema"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/ec2/ec2test"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

//go:embed testdata/filters.txt
var documentedFilters string

// documented gives the names of filters by operation.
func documented(t *testing.T) map[string][]string {
	t.Helper()
	out, operation := map[string][]string{}, ""
	for line := range strings.Lines(documentedFilters) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		if name, rest, ok := strings.Cut(line, ": "); ok && !strings.HasPrefix(line, " ") {
			operation, line = name, rest
		}
		for name := range strings.FieldsSeq(strings.ReplaceAll(line, ";", " ")) {
			out[operation] = append(out[operation], name)
		}
	}
	return out
}

// everything has something of each kind that can be listed, with a tag.
type everything struct {
	*ec2test.Network
	inSubnet, web, other, eni, leads string
	described                        shape.NetworkInterface
	offered                          *model.EndpointService
	attachment                       *model.Attachment
	free                             int32
}

func newEverything(t *testing.T) *everything {
	t.Helper()
	n := ec2test.NewNetwork(t)
	e := &everything{Network: n, inSubnet: n.AddSubnet(t, n.Net, "a", "10.0.1.0/24", 1)}
	n.AddSubnet(t, n.Net, "b", "", 2)
	e.web, e.other = n.AddGroup(t, n.Net, "web"), n.AddGroup(t, n.Net, "clients")
	e.rules(t)
	e.eni = *n.CreateInterface(t, &shape.CreateNetworkInterfaceInput{
		SubnetId: &e.inSubnet, Description: new("mine"), Groups: []string{e.web}, Ipv6AddressCount: new(int32(1)),
		PrivateIpAddresses: []shape.PrivateIpAddressSpecification{{PrivateIpAddress: new("10.0.1.10"), Primary: new(true)}, {PrivateIpAddress: new("10.0.1.11")}},
	}).NetworkInterfaceId
	e.attachment = n.Attach(t, e.eni)
	e.described = n.DescribeInterface(t, e.eni)
	p := n.AddProvider(t, "databases", "IPV4", "10.0.1.50")
	e.leads = *n.AddEndpoint(t, n.EndpointInput(p, e.inSubnet)).VpcEndpointId
	subnets, err := n.API.DescribeSubnets(n.Ctx, &shape.DescribeSubnetsInput{SubnetIds: []string{e.inSubnet}})
	if err != nil {
		t.Fatal(err)
	}
	e.free = *subnets.Subnets[0].AvailableIpAddressCount
	e.offered = &model.EndpointService{
		Meta:     model.Meta{Account: servicetest.Account, Region: servicetest.Region, ID: "vpce-svc-0123456789abcdef0", Tags: map[string]string{"team": "data"}},
		Name:     "com.amazonaws.vpce.us-east-1.vpce-svc-0123456789abcdef0",
		Families: []string{"ipv4"}, Principals: []model.ServicePrincipal{{ID: "vpce-svc-perm-0123456789abcdef0", ARN: "*", Tags: map[string]string{"team": "data"}}},
	}
	n.Put(t, func(tx *table.Txn) {
		state.EndpointServices.Put(tx, e.offered)
		state.VPCEndpoints.Put(tx, &model.VPCEndpoint{
			Meta: model.Meta{Account: servicetest.Account, Region: servicetest.Region, ID: "vpce-offered"}, Type: model.EndpointInterface, VPC: *n.Net.VpcId, IPAddressType: "ipv4",
			ServiceName: e.offered.Name, Service: e.offered.Ref(), Acceptance: model.AcceptancePending,
		})
	})
	tx := n.DB.Snapshot()
	v, _ := state.VPCs.Get(tx, servicetest.Account, servicetest.Region, *n.Net.VpcId)
	in := &shape.CreateTagsInput{Tags: []shape.Tag{{Key: new("team"), Value: new("data")}}}
	in.Resources = []string{v.ID, e.inSubnet, e.web, e.eni, e.leads, v.MainTable, v.DefaultACL, v.DHCPOptions, e.ruleID(tx)}
	if _, err := n.API.CreateTags(n.Ctx, in); err != nil {
		t.Fatal(err)
	}
	return e
}

// rules gives the group one rule for a block of each family and one for another
// group, in both directions.
func (e *everything) rules(t *testing.T) {
	t.Helper()
	permission := []shape.IpPermission{{
		IpProtocol: new("tcp"), FromPort: new(int32(80)), ToPort: new(int32(81)),
		IpRanges: []shape.IpRange{{CidrIp: new("192.0.2.0/24")}}, Ipv6Ranges: []shape.Ipv6Range{{CidrIpv6: new("2001:db8:7::/48")}},
		UserIdGroupPairs: []shape.UserIdGroupPair{{GroupId: &e.other}},
	}}
	_, errIn := e.API.AuthorizeSecurityGroupIngress(e.Ctx, &shape.AuthorizeSecurityGroupIngressInput{GroupId: &e.web, IpPermissions: permission})
	_, errOut := e.API.AuthorizeSecurityGroupEgress(e.Ctx, &shape.AuthorizeSecurityGroupEgressInput{GroupId: &e.web, IpPermissions: permission})
	if err := errors.Join(errIn, errOut); err != nil {
		t.Fatal(err)
	}
}

func (e *everything) ruleID(tx *table.Txn) string {
	g, _ := state.SecurityGroups.Get(tx, servicetest.Account, servicetest.Region, e.web)
	return g.Rules[0].ID
}

// hits gives, by operation, a value for each filter that something here has.
// What is not in it matches nothing, because nothing here has it.
func (e *everything) hits() map[string]map[string]string {
	tx := e.DB.Snapshot()
	v, _ := state.VPCs.Get(tx, servicetest.Account, servicetest.Region, *e.Net.VpcId)
	s, _ := state.Subnets.Get(tx, servicetest.Account, servicetest.Region, e.inSubnet)
	r, _ := state.RouteTables.Get(tx, servicetest.Account, servicetest.Region, v.MainTable)
	acl, _ := state.NetworkACLs.Get(tx, servicetest.Account, servicetest.Region, v.DefaultACL)
	owner, zone, group := servicetest.Account, "us-east-1a", "us-east-1-zg-1"
	block, block6 := v.CIDRs[0], v.CIDRs6[0]
	hits := map[string]map[string]string{
		"DescribeAvailabilityZones": {"group-name": group, "opt-in-status": "opt-in-not-required", "region-name": "us-east-1", "state": "available", "zone-id": "use1-az1", "zone-name": zone, "zone-type": "availability-zone"},
		"DescribeRegions":           {"endpoint": "ec2.eu-west-1.amazonaws.com", "opt-in-status": "opt-in-not-required", "region-name": "eu-west-1"},
		"DescribeDhcpOptions":       {"dhcp-options-id": v.DHCPOptions, "key": "domain-name", "owner-id": owner, "value": "AmazonProvidedDNS"},
		"DescribeVpcs": {
			"cidr": "10.0.0.0/16", "cidr-block": "10.0.0.0/16", "cidrBlock": "10.0.0.0/16", "cidr-block-association.association-id": block.ID,
			"cidr-block-association.cidr-block": "10.0.*", "cidr-block-association.state": "associated", "dhcp-options-id": v.DHCPOptions,
			"ipv6-cidr-block-association.association-id": block6.ID, "ipv6-cidr-block-association.ipv6-cidr-block": block6.Prefix.String(),
			"ipv6-cidr-block-association.ipv6-pool": "Amazon", "ipv6-cidr-block-association.state": "associated",
			"is-default": "false", "isDefault": "false", "owner-id": owner, "state": "available", "vpc-id": v.ID,
		},
		"DescribeSubnets": {
			"availability-zone": zone, "availabilityZone": zone, "availability-zone-id": "use1-az1", "availabilityZoneId": "use1-az1",
			"available-ip-address-count": fmt.Sprint(e.free), "cidr-block": "10.0.1.0/24", "cidr": "10.0.1.0/24", "cidrBlock": "10.0.1.0/24",
			"default-for-az": "false", "defaultForAz": "false", "enable-dns64": "false", "ipv6-cidr-block-association.association-id": s.CIDR6.ID,
			"ipv6-cidr-block-association.ipv6-cidr-block": s.CIDR6.Prefix.String(), "ipv6-cidr-block-association.state": "associated",
			"ipv6-native": "true", "map-customer-owned-ip-on-launch": "false", "map-public-ip-on-launch": "false", "owner-id": owner,
			"private-dns-name-options-on-launch.hostname-type": "ip-name", "private-dns-name-options-on-launch.enable-resource-name-dns-a-record": "false",
			"private-dns-name-options-on-launch.enable-resource-name-dns-aaaa-record": "false", "state": "available",
			"subnet-arn": "arn:aws:ec2:us-east-1:" + owner + ":subnet/" + s.ID, "subnet-id": s.ID, "vpc-id": v.ID,
		},
		"DescribeSecurityGroups":     {"description": "*", "group-id": e.web, "group-name": "web", "owner-id": owner, "vpc-id": v.ID},
		"DescribeSecurityGroupRules": {"group-id": e.web, "security-group-rule-id": e.ruleID(tx)},
		"DescribeNetworkAcls": {
			"association.association-id": "aclassoc-*", "association.network-acl-id": acl.ID, "association.subnet-id": e.inSubnet,
			"default": "true", "entry.cidr": "0.0.0.0/0", "entry.egress": "true", "entry.ipv6-cidr": "::/0", "entry.protocol": "-1",
			"entry.rule-action": "deny", "entry.rule-number": "100", "network-acl-id": acl.ID, "owner-id": owner, "vpc-id": v.ID,
		},
		"DescribeRouteTables": {
			"association.main": "true", "association.route-table-association-id": r.MainAssociation, "association.route-table-id": r.ID, "owner-id": owner,
			"route-table-id": r.ID, "route.destination-cidr-block": "10.0.0.0/16", "route.destination-ipv6-cidr-block": block6.Prefix.String(),
			"route.gateway-id": "local", "route.origin": "CreateRouteTable", "route.state": "active", "vpc-id": v.ID,
		},
		"DescribeTags":         {"key": "team", "resource-id": e.inSubnet, "resource-type": "subnet", "value": "data"},
		"DescribePrefixLists":  {"prefix-list-id": "pl-*", "prefix-list-name": "com.amazonaws.us-east-1.s3"},
		"DescribeVpcEndpoints": {"ip-address-type": "ipv4", "vpc-id": v.ID, "vpc-endpoint-id": e.leads, "vpc-endpoint-state": "pending", "vpc-endpoint-type": "Resource", "service-name": e.offered.Name, "service-region": "us-east-1"},
		"DescribeVpcEndpointServices": {
			"owner": "amazon", "service-name": "com.amazonaws.us-east-1.ec2", "service-region": "us-east-1", "service-type": "Interface", "supported-ip-address-types": "ipv4",
		},
		"DescribeVpcEndpointServiceConfigurations": {
			"service-id": e.offered.ID, "service-name": e.offered.Name, "service-state": "Available", "supported-ip-address-types": "ipv4",
		},
		"DescribeVpcEndpointServicePermissions": {"principal": "*", "principal-type": "All"},
		"DescribeVpcEndpointConnections": {
			"ip-address-type": "ipv4", "service-id": e.offered.ID, "vpc-endpoint-id": "vpce-offered", "vpc-endpoint-owner": owner,
			"vpc-endpoint-region": "us-east-1", "vpc-endpoint-state": "pendingAcceptance",
		},
		"DescribeVpcEndpointAssociations": {
			"vpc-endpoint-id": e.leads, "associated-resource-accessibility": "PENDING", "associated-resource-id": "rcfg-*", "association-id": "vpce-rsc-asc-*",
		},
		"DescribeManagedPrefixLists": {"owner-id": "AWS", "prefix-list-id": "pl-*", "prefix-list-name": "*.dynamodb"},
		"DescribeNetworkInterfaces":  e.interfaceHits(),
	}
	for name, value := range map[string]string{
		"cidr": "192.0.2.0/24", "ipv6-cidr": "2001:db8:7::/48", "from-port": "80", "to-port": "81", "protocol": "tcp",
		"group-id": e.other, "group-name": "clients", "user-id": owner,
	} {
		hits["DescribeSecurityGroups"]["ip-permission."+name] = value
		hits["DescribeSecurityGroups"]["egress.ip-permission."+name] = value
	}
	return hits
}

func (e *everything) interfaceHits() map[string]string {
	d := e.described
	return map[string]string{
		"addresses.primary": "true", "addresses.private-ip-address": "10.0.1.11", "attachment.attach-time": d.Attachment.AttachTime.UTC().Format(time.RFC3339),
		"attachment.attachment-id": e.attachment.ID, "attachment.delete-on-termination": "false", "attachment.device-index": "0",
		"attachment.instance-owner-id": servicetest.Account, "attachment.status": "attaching", "availability-zone": "us-east-1a", "availability-zone-id": "use1-az1",
		"description": "mine", "group-id": e.web, "group-name": "web", "interface-type": "vpc_endpoint", "ipv6-addresses.ipv6-address": *d.Ipv6Address,
		"mac-address": *d.MacAddress, "network-interface-id": e.eni, "operator.managed": "false", "owner-id": servicetest.Account,
		"private-dns-name": "ip-10-0-1-10.ec2.internal", "private-ip-address": "10.0.1.10", "requester-id": servicetest.Account, "requester-managed": "true",
		"source-dest-check": "true", "status": "in-use", "subnet-id": e.inSubnet, "vpc-id": *e.Net.VpcId,
	}
}

// list calls an operation with one filter and counts what it gives.
func (e *everything) list(op *schema.Operation, name, value string) (int, error) {
	in := op.NewInput()
	v := reflect.ValueOf(in).Elem()
	for i := range op.Input.Members {
		m := &op.Input.Members[i]
		switch {
		case m.Name == "Filters" || m.Name == "Filter":
			codec.Field(v, m).Set(reflect.ValueOf([]shape.Filter{{Name: &name, Values: []string{value}}}))
		case m.Name == "ServiceId": // required of DescribeVpcEndpointServicePermissions
			codec.Field(v, m).Set(reflect.ValueOf(&e.offered.ID))
		case m.Name == "SubnetId": // required of GetSubnetCidrReservations
			codec.Field(v, m).Set(reflect.ValueOf(&e.inSubnet))
		}
	}
	out, err := op.Call(e.Ctx, e.API, in)
	if err != nil {
		return 0, err
	}
	n, v := 0, reflect.ValueOf(out).Elem()
	for i := range op.Output.Members {
		if m := &op.Output.Members[i]; m.Shape.Kind == schema.List {
			n += codec.Field(v, m).Len()
		}
	}
	return n, nil
}

// TestEveryDocumentedFilterIsTaken asks every operation that has filters with
// each of those that AWS documents, for a value that something has and for one
// that nothing has.
func TestEveryDocumentedFilterIsTaken(t *testing.T) {
	e := newEverything(t)
	filters, hits := documented(t), e.hits()
	for _, op := range shape.Service.Operations {
		if op.Input.Member("Filters") == nil && op.Input.Member("Filter") == nil {
			continue
		}
		if filters[op.Name] == nil {
			t.Errorf("%s: its filters are not in testdata/filters.txt", op.Name)
		}
		for _, name := range filters[op.Name] {
			value, has := hits[op.Name][name]
			if len(hits[op.Name]) > 0 && !has && strings.HasPrefix(name, "tag") && !strings.HasSuffix(op.Name, "PrefixLists") {
				value, has = map[string]string{"tag": "data", "tag-key": "team", "tag-value": "data"}[name], true
			}
			if name == "tag" {
				name = "tag:team"
			}
			if n, err := e.list(op, name, "no such value"); err != nil || n != 0 {
				t.Errorf("%s: filter %s with a value that nothing has: %d found, %v", op.Name, name, n, err)
			}
			if !has {
				value = "*"
			}
			if n, err := e.list(op, name, value); err != nil || (n > 0) != has {
				t.Errorf("%s: filter %s = %s: %d found, %v; want some: %v", op.Name, name, value, n, err, has)
			}
		}
		_, err := e.list(op, "no such filter", "x")
		var f *fault.Error
		if !errors.As(err, &f) || f.Code != "InvalidParameterValue" {
			t.Errorf("%s: a filter that does not exist: %v", op.Name, err)
		}
	}
}
