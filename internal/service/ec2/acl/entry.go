// SPDX-License-Identifier: Apache-2.0

package acl

import (
	"context"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/request"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// CreateNetworkAclEntry adds a rule under a number that has none in its direction.
func (a ACLs) CreateNetworkAclEntry(ctx context.Context, in *shape.CreateNetworkAclEntryInput) (*shape.CreateNetworkAclEntryOutput, error) {
	e, err := parseEntry(shape.ReplaceNetworkAclEntryInput(*in))
	if err != nil {
		return nil, err
	}
	err = a.change(ctx, in.NetworkAclId, func(entries []model.ACLEntry) ([]model.ACLEntry, error) {
		if place(entries, e.Number, e.Egress) >= 0 {
			return nil, fault.EC2("NetworkAclEntryAlreadyExists", "The network acl entry identified by %d already exists.", e.Number)
		}
		same := 0
		for _, other := range entries {
			if other.Egress == e.Egress {
				same++
			}
		}
		if most := a.Quotas.RulesPerACL; same >= most {
			return nil, fault.EC2("NetworkAclEntryLimitExceeded", "The maximum number of rules (%d) of a network ACL in one direction has been reached.", most)
		}
		return append(entries, e), nil
	})
	return &shape.CreateNetworkAclEntryOutput{}, err
}

// ReplaceNetworkAclEntry puts a rule in the place of the one that has its number.
func (a ACLs) ReplaceNetworkAclEntry(ctx context.Context, in *shape.ReplaceNetworkAclEntryInput) (*shape.ReplaceNetworkAclEntryOutput, error) {
	e, err := parseEntry(*in)
	if err != nil {
		return nil, err
	}
	err = a.change(ctx, in.NetworkAclId, func(entries []model.ACLEntry) ([]model.ACLEntry, error) {
		i := place(entries, e.Number, e.Egress)
		if i < 0 {
			return nil, noEntry(e.Number, e.Egress)
		}
		entries[i] = e
		return entries, nil
	})
	return &shape.ReplaceNetworkAclEntryOutput{}, err
}

// DeleteNetworkAclEntry takes a rule away.
func (a ACLs) DeleteNetworkAclEntry(ctx context.Context, in *shape.DeleteNetworkAclEntryInput) (*shape.DeleteNetworkAclEntryOutput, error) {
	number, egress := int(service.Value(in.RuleNumber)), service.Value(in.Egress)
	if err := checkNumber(number); err != nil {
		return nil, err
	}
	err := a.change(ctx, in.NetworkAclId, func(entries []model.ACLEntry) ([]model.ACLEntry, error) {
		i := place(entries, number, egress)
		if i < 0 {
			return nil, noEntry(number, egress)
		}
		return slices.Delete(entries, i, i+1), nil
	})
	return &shape.DeleteNetworkAclEntryOutput{}, err
}

// change changes the entries of the caller's ACL. Those of a default one are its own
// from then on, and not made from its VPC any more.
func (a ACLs) change(ctx context.Context, id *string, change func([]model.ACLEntry) ([]model.ACLEntry, error)) error {
	_, err := request.Change(ctx, a.Env, state.NetworkACLs, service.Value(id), func(tx *table.Txn, n *model.NetworkACL) error {
		entries, err := change(n.EntriesIn(vpcOf(tx, n)))
		if err != nil {
			return err
		}
		n.Entries, n.Changed = entries, true
		return nil
	})
	return err
}

// place finds the entry with a number, -1 when there is none.
func place(entries []model.ACLEntry, number int, egress bool) int {
	return slices.IndexFunc(entries, func(e model.ACLEntry) bool { return e.Number == number && e.Egress == egress })
}

func noEntry(number int, egress bool) error {
	direction := map[bool]string{true: "egress", false: "ingress"}[egress]
	return fault.EC2("InvalidNetworkAclEntry.NotFound", "The network acl has no %s entry identified by %d", direction, number)
}

func checkNumber(number int) error {
	if number < model.MinACLNumber || number > model.MaxACLNumber {
		return invalid("ruleNumber", strconv.Itoa(number), "want a number from %d to %d", model.MinACLNumber, model.MaxACLNumber)
	}
	return nil
}

func invalid(parameter, value, want string, args ...any) error {
	return fault.EC2("InvalidParameterValue", "Value (%s) for parameter %s is invalid: "+want, append([]any{value, parameter}, args...)...)
}

func parseEntry(in shape.ReplaceNetworkAclEntryInput) (e model.ACLEntry, err error) {
	e = model.ACLEntry{Number: int(service.Value(in.RuleNumber)), Egress: service.Value(in.Egress), From: -1, To: -1}
	if err := checkNumber(e.Number); err != nil {
		return e, err
	}
	switch text := service.Value(in.RuleAction); text {
	case shape.RuleActionAllow:
		e.Allow = true
	case shape.RuleActionDeny:
	default:
		return e, invalid("ruleAction", text, "want allow or deny")
	}
	if e.Protocol, err = parseProtocol(service.Value(in.Protocol)); err != nil {
		return e, err
	}
	if e.CIDR, err = parseBlock(in.CidrBlock, in.Ipv6CidrBlock); err != nil {
		return e, err
	}
	switch {
	case hasPorts(e.Protocol):
		e.From, e.To, err = parsePorts(in.PortRange)
	case hasTypes(e.Protocol):
		// AWS: of ICMPv6 and an IPv4 block any type matches, whatever is given.
		if e.Protocol == protocolICMP6 && e.CIDR.Addr().Is4() {
			break
		}
		e.From, e.To, err = parseTypes(in.IcmpTypeCode)
	}
	return e, err
}

// The protocols that rules say more of
// (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateNetworkAclEntry.html).
const (
	protocolICMP  = 1
	protocolTCP   = 6
	protocolUDP   = 17
	protocolICMP6 = 58
)

// protocolNumbers are the names that are taken in place of numbers; the AWS CLI makes
// numbers of them by itself.
var protocolNumbers = map[string]int{
	"all": model.AllProtocols, "icmp": protocolICMP, "tcp": protocolTCP, "udp": protocolUDP, "icmpv6": protocolICMP6,
}

func hasPorts(protocol int) bool { return protocol == protocolTCP || protocol == protocolUDP }

func hasTypes(protocol int) bool { return protocol == protocolICMP || protocol == protocolICMP6 }

func parseProtocol(text string) (int, error) {
	if number, named := protocolNumbers[strings.ToLower(text)]; named {
		return number, nil
	}
	number, err := strconv.Atoi(text)
	if err != nil || number < model.AllProtocols || number > 255 {
		return 0, invalid("protocol", text, "want the number of a protocol from 0 to 255, or -1 for all")
	}
	return number, nil
}

func parseBlock(four, six *string) (netip.Prefix, error) {
	switch {
	case service.Value(four) != "" && service.Value(six) != "":
		return netip.Prefix{}, fault.EC2("InvalidParameterCombination", "The parameters cidrBlock and ipv6CidrBlock exclude each other")
	case service.Value(four) == "" && service.Value(six) == "":
		return netip.Prefix{}, fault.EC2("MissingParameter", "The request must contain the parameter cidrBlock or ipv6CidrBlock")
	}
	text, parameter, example := service.Value(four), "cidrBlock", "an IPv4 block such as 10.0.0.0/16"
	if text == "" {
		text, parameter, example = service.Value(six), "ipv6CidrBlock", "an IPv6 block such as 2001:db8::/64"
	}
	p, err := netip.ParsePrefix(text)
	if err != nil || p.Addr().Is4() != (parameter == "cidrBlock") || p.Addr().Is4In6() {
		return netip.Prefix{}, invalid(parameter, text, "want "+example)
	}
	return p.Masked(), nil
}

func parsePorts(r *shape.PortRange) (from, to int, err error) {
	if r == nil || r.From == nil || r.To == nil {
		return 0, 0, fault.EC2("MissingParameter", "The request must contain the parameter portRange, with from and to: protocols 6 (TCP) and 17 (UDP) have ports")
	}
	from, to = int(*r.From), int(*r.To)
	if from < 0 || to > 65535 || from > to {
		return 0, 0, invalid("portRange", strconv.Itoa(from)+"-"+strconv.Itoa(to), "want two numbers from 0 to 65535, the first one not above the second")
	}
	return from, to, nil
}

func parseTypes(t *shape.IcmpTypeCode) (typ, code int, err error) {
	if t == nil || t.Type == nil || t.Code == nil {
		return 0, 0, fault.EC2("MissingParameter", "The request must contain the parameter icmpTypeCode, with type and code: protocols 1 (ICMP) and 58 (ICMPv6) have types")
	}
	typ, code = int(*t.Type), int(*t.Code)
	if typ < -1 || typ > 255 || code < -1 || code > 255 || typ == -1 && code != -1 {
		return 0, 0, invalid("icmpTypeCode", strconv.Itoa(typ)+", "+strconv.Itoa(code), "want a type and a code from 0 to 255, or -1 for all; all types have all codes")
	}
	return typ, code, nil
}
