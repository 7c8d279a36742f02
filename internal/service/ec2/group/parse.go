// SPDX-License-Identifier: Apache-2.0

package group

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/block"
)

// flatRule is the older form of a permission: one range and one source, given
// as parameters of the request itself.
type flatRule struct {
	protocol          *string
	from, to          *int32
	cidr              *string
	group, groupOwner *string
}

// permissions gives the permissions of a request, in whichever form they are,
// with ids for groups that are told by their names.
func (a Groups) permissions(ctx context.Context, f flatRule, list []shape.IpPermission) ([]shape.IpPermission, error) {
	if f == (flatRule{}) {
		return a.withGroupIDs(ctx, list)
	}
	if len(list) > 0 {
		return nil, fault.EC2("InvalidParameterCombination", "ipPermissions and the parameters of a single permission exclude each other")
	}
	list, err := f.list()
	if err != nil {
		return nil, err
	}
	return a.withGroupIDs(ctx, list)
}

// list gives the form of today. A source group without a protocol stands for
// all of TCP, UDP and ICMP
// (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AuthorizeSecurityGroupIngress.html).
func (f flatRule) list() ([]shape.IpPermission, error) {
	p := shape.IpPermission{IpProtocol: f.protocol, FromPort: f.from, ToPort: f.to}
	switch {
	case f.group != nil && f.cidr != nil:
		return nil, fault.EC2("InvalidParameterCombination", "sourceSecurityGroupName and cidrIp exclude each other")
	case f.cidr != nil:
		p.IpRanges = []shape.IpRange{{CidrIp: f.cidr}}
		return []shape.IpPermission{p}, nil
	case f.group == nil && f.groupOwner != nil:
		return nil, noSourceGroup()
	case f.group == nil:
		return nil, noSource()
	}
	p.UserIdGroupPairs = []shape.UserIdGroupPair{{GroupName: f.group, UserId: f.groupOwner}}
	if f.protocol != nil || f.from != nil || f.to != nil {
		return []shape.IpPermission{p}, nil
	}
	var all []shape.IpPermission
	for _, traffic := range []struct {
		protocol string
		from, to int32
	}{{"tcp", 0, 65535}, {"udp", 0, 65535}, {"icmp", -1, -1}} {
		p.IpProtocol, p.FromPort, p.ToPort = &traffic.protocol, &traffic.from, &traffic.to
		all = append(all, p)
	}
	return all, nil
}

func noSource() error {
	return fault.EC2("MissingParameter", "Missing source specification: include source security group or CIDR information")
}

func noSourceGroup() error {
	return fault.EC2("MissingParameter", "Source group ID missing.")
}

// parseRules makes rules, without ids, out of permissions: one for each source.
// Whether the groups they refer to exist is not looked at.
func parseRules(who access.View, permissions []shape.IpPermission, egress bool) ([]model.SecurityGroupRule, error) {
	var rules []model.SecurityGroupRule
	for _, p := range permissions {
		base, err := parseTraffic(service.Value(p.IpProtocol), p.FromPort, p.ToPort)
		if err != nil {
			return nil, err
		}
		base.Egress = egress
		more, err := parseSources(who, base, p)
		if err != nil {
			return nil, err
		}
		rules = append(rules, more...)
	}
	for i, r := range rules {
		if slices.ContainsFunc(rules[:i], r.Same) {
			return nil, fault.EC2("InvalidParameterValue", "The same permission must not appear multiple times: %s", ruleText(r))
		}
	}
	return rules, nil
}

func parseSources(who access.View, base model.SecurityGroupRule, p shape.IpPermission) ([]model.SecurityGroupRule, error) {
	var rules []model.SecurityGroupRule
	add := func(r model.SecurityGroupRule, description *string, err error) error {
		if r.Description = service.Value(description); err == nil {
			err = checkRuleDescription(r.Description)
		}
		rules = append(rules, r)
		return err
	}
	for _, source := range p.IpRanges {
		r, err := withCIDR(base, service.Value(source.CidrIp), 4)
		if err := add(r, source.Description, err); err != nil {
			return nil, err
		}
	}
	for _, source := range p.Ipv6Ranges {
		r, err := withCIDR(base, service.Value(source.CidrIpv6), 6)
		if err := add(r, source.Description, err); err != nil {
			return nil, err
		}
	}
	for _, source := range p.UserIdGroupPairs {
		r, err := withGroup(who, base, source)
		if err := add(r, source.Description, err); err != nil {
			return nil, err
		}
	}
	for _, source := range p.PrefixListIds {
		r, err := withList(base, source)
		if err := add(r, source.Description, err); err != nil {
			return nil, err
		}
	}
	if len(rules) == 0 {
		return nil, noSource()
	}
	return rules, nil
}

func withList(r model.SecurityGroupRule, source shape.PrefixListId) (model.SecurityGroupRule, error) {
	if r.PrefixList = service.Value(source.PrefixListId); r.PrefixList == "" {
		return r, fault.EC2("MissingParameter", "Prefix list ID missing.")
	}
	return r, nil
}

func withCIDR(r model.SecurityGroupRule, text string, family int) (model.SecurityGroupRule, error) {
	prefix, err := netip.ParsePrefix(text)
	if err != nil || block.Family(prefix) != family {
		return r, fault.EC2("InvalidParameterValue", "CIDR block %s is malformed: want an IPv%d block such as %s", text, family, exampleBlock(family))
	}
	r.CIDR = prefix.Masked()
	return r, nil
}

func exampleBlock(family int) string {
	if family == 4 {
		return "10.0.0.0/16"
	}
	return "2001:db8::/64"
}

func withGroup(who access.View, r model.SecurityGroupRule, pair shape.UserIdGroupPair) (model.SecurityGroupRule, error) {
	if service.Value(pair.GroupId) == "" {
		return r, noSourceGroup()
	}
	r.Group, r.Peering = *pair.GroupId, service.Value(pair.VpcPeeringConnectionId)
	if owner := service.Value(pair.UserId); owner != "" && !who.Owns(owner) {
		r.GroupAccount = owner
	}
	return r, nil
}

func checkRuleDescription(text string) error {
	if groupText.MatchString(text) {
		return nil
	}
	return fault.EC2("InvalidParameterValue", "Invalid rule description. Valid descriptions are strings less than 256 characters from the following set: a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*")
}

// protocols are the names that EC2 has for protocol numbers.
var protocols = map[string]string{
	"1": "icmp", "6": "tcp", "17": "udp", "58": "icmpv6",
	"icmp": "icmp", "tcp": "tcp", "udp": "udp", "icmpv6": "icmpv6", "-1": "-1", "all": "-1",
}

// parseTraffic reads protocol and ports. Ports of protocols that have none are
// ignored, as on AWS.
func parseTraffic(protocol string, from, to *int32) (model.SecurityGroupRule, error) {
	if protocol == "" {
		return model.SecurityGroupRule{}, fault.EC2("InvalidParameterValue", "Invalid value 'null' for protocol. VPC security group rules must specify protocols explicitly.")
	}
	name, known := protocols[strings.ToLower(protocol)]
	if !known {
		n, err := strconv.ParseUint(protocol, 10, 8)
		if err != nil {
			return model.SecurityGroupRule{}, fault.EC2("InvalidParameterValue", "Invalid value '%s' for IP protocol. Unknown protocol.", protocol)
		}
		name = strconv.FormatUint(n, 10)
		if byNumber, ok := protocols[name]; ok { // such as 06
			name = byNumber
		}
	}
	r := model.SecurityGroupRule{Protocol: name, From: -1, To: -1}
	switch name {
	case "tcp", "udp":
		if from == nil || to == nil {
			return r, fault.EC2("InvalidParameterValue", "Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange.")
		}
		r.From, r.To = int(*from), int(*to)
		if r.From < 0 || r.From > r.To || r.To > 65535 {
			return r, fault.EC2("InvalidParameterValue", "Invalid TCP/UDP port range (%d:%d): want 0 to 65535, the lower one first", r.From, r.To)
		}
	case "icmp", "icmpv6":
		if name == "icmp" && (from == nil || to == nil) {
			return r, fault.EC2("InvalidParameterValue", "Invalid value 'Must specify both from and to ports with ICMP.' for portRange: they are type and code, -1 is any")
		}
		if from != nil {
			r.From = int(*from)
		}
		if to != nil {
			r.To = int(*to)
		}
		if r.From < -1 || r.From > 255 || r.To < -1 || r.To > 255 || r.From == -1 && r.To != -1 {
			return r, fault.EC2("InvalidParameterValue", "Invalid ICMP type and code (%d:%d): want -1 for any, or 0 to 255, and no code without a type", r.From, r.To)
		}
	}
	return r, nil
}

// ruleText is a rule for messages, in the form that AWS has.
func ruleText(r model.SecurityGroupRule) string {
	peer := cmp.Or(r.Group, r.PrefixList)
	if peer == "" {
		peer = r.CIDR.String()
	}
	protocol := strings.ToUpper(r.Protocol)
	if r.Protocol == "-1" {
		protocol = "ALL"
	}
	text := "peer: " + peer + ", " + protocol
	if r.From >= 0 {
		text += ", from port: " + strconv.Itoa(r.From) + ", to port: " + strconv.Itoa(r.To)
	}
	return text + ", ALLOW"
}

// findRule gives the place of the rule that admits the same traffic, or -1.
func findRule(g *model.SecurityGroup, r model.SecurityGroupRule) int {
	return slices.IndexFunc(g.Rules, r.Same)
}
