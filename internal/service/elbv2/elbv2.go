// SPDX-License-Identifier: Apache-2.0

// Package elbv2 is Elastic Load Balancing, version 2: network load balancers with listeners
// of TCP, and target groups of addresses. What is done with connections is planned from the
// rows that the handlers change; a load balancer of another type, and what asks for a process
// in the way of packets, is refused.
//
// References are to the API Reference,
// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/, and the guide of
// network load balancers, https://docs.aws.amazon.com/elasticloadbalancing/latest/network/.
package elbv2

import (
	"errors"
	"iter"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/alloc"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/elbv2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// API implements the operations of Elastic Load Balancing on the tables of its environment.
type API struct {
	*service.Env
	// Findings gives how the host finds the targets of a group, by its id: each of them once
	// for each address that asks. It answers from memory; nil when nobody asks.
	Findings func(group string) []Finding
}

// Finding is how a target is found from one address of a load balancer.
type Finding struct {
	At netip.AddrPort
	// Healthy and Unhealthy are both false while nothing is known. Why is what was wrong last.
	Healthy, Unhealthy bool
	Why                string
}

var _ shape.API = (*API)(nil)

// Codes that several nouns have.
const (
	badValue   = "ValidationError"
	badSetting = "InvalidConfigurationRequest"
	inUse      = "ResourceInUse"
)

func invalid(format string, args ...any) error { return fault.ELB(badValue, format, args...) }

// unserved is a request for something that is not here.
func unserved(format string, args ...any) error { return fault.ELB(badSetting, format, args...) }

// asFault gives the errors of packages service and alloc the form of this service; others it
// returns as they are.
func asFault(err error) error {
	var tag *service.TagError
	var named *alloc.AddressError
	var full *alloc.ExhaustedError
	var family *alloc.FamilyError
	var quota *alloc.QuotaError
	switch {
	case errors.As(err, &tag) && tag.Limit:
		return fault.ELB("TooManyTags", "Tags: %s", tag.Problem)
	case errors.As(err, &tag):
		return invalid("Tags: %s", tag.Problem)
	case errors.Is(err, service.ErrPageToken):
		return invalid("Marker: it is none that this operation gave for these parameters")
	case errors.As(err, &named):
		return unserved("SubnetMappings: PrivateIPv4Address: %s", named)
	case errors.As(err, &full):
		return fault.ELB("InvalidSubnet", "Subnets: %s", full)
	case errors.As(err, &family):
		return fault.ELB("InvalidSubnet", "Subnets: %s", family)
	case errors.As(err, &quota):
		return unserved("Subnets: %s", quota)
	case errors.Is(err, alloc.ErrTransitFull):
		return unserved("Subnets: %s", err)
	}
	return err
}

// refuseOthers refuses what a request has besides the members that the operation sees to,
// unless it asks for what is so anyway. So nothing is accepted and forgotten.
func refuseOthers(in any, served ...string) error {
	if name, has := service.Unserved(in, asUsual, served...); has {
		why := reasons[name]
		if why == "" {
			why = "it is not served for network load balancers here"
		}
		return unserved("%s: %s", name, why)
	}
	return nil
}

// asUsual are values of members that say what is so without them.
var asUsual = map[string][]string{
	"EnablePrefixForIpv6SourceNat":                         {shape.EnablePrefixForIpv6SourceNatEnumOff},
	"EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic": {shape.EnforceSecurityGroupInboundRulesOnPrivateLinkTrafficEnumOff},
	"IpAddressType": {shape.IpAddressTypeIpv4},
	"Type":          {shape.LoadBalancerTypeEnumNetwork},
	"TargetType":    {shape.TargetTypeEnumIp},
}

const onlyTCP = "listeners speak TCP only, so there are no certificates"

// reasons say for people why members are refused.
var reasons = map[string]string{
	"AlpnPolicy":                   onlyTCP,
	"AllocationId":                 "load balancers are internal; they have no elastic addresses",
	"Certificates":                 onlyTCP,
	"CustomerOwnedIpv4Pool":        "there are no Outposts here",
	"EnablePrefixForIpv6SourceNat": "load balancers have IPv4 addresses only",
	"EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic": "connections by endpoints are asked about by the endpoint's security groups and those of the targets, not by the load balancer's",
	"IPv6Address":          "load balancers have IPv4 addresses only",
	"IpAddressType":        "load balancers have IPv4 addresses only, and lead to IPv4 addresses",
	"IpamPools":            "there is no IPAM here",
	"MutualAuthentication": onlyTCP,
	"ProtocolVersion":      "target groups are of TCP, which has no versions",
	"QuicServerId":         "listeners speak TCP only",
	"SourceNatIpv6Prefix":  "load balancers have IPv4 addresses only",
	"SslPolicy":            onlyTCP,
	"TargetControlPort":    "targets do not control a load balancer of type network",
	"Type":                 "load balancers are of type network only",
	"TargetType":           "targets are addresses; use the target type ip",
}

// idIn gives the id in an ARN of a kind of the caller's own; what is none is no id of
// anything.
func idIn(who access.View, kind, arn string) string {
	a, err := model.ParseARN(arn)
	if err != nil || a.Service != state.Balancing || a.Type != kind || !view.Own(who, model.Ref{Account: a.Account, Region: a.Region, ID: a.ID}) {
		return ""
	}
	return a.ID
}

// checkARN refuses what is not the ARN of a kind of this service.
func checkARN(kind, noun, text string) error {
	if a, err := model.ParseARN(text); err != nil || a.Service != state.Balancing || a.Type != kind {
		return invalid("'%s' is not a valid %s ARN", text, noun)
	}
	return nil
}

// findBalancer finds a load balancer of the caller's by its ARN. One that is being deleted is
// there no more.
func findBalancer(tx *table.Txn, who access.View, arn string) (*model.LoadBalancer, error) {
	if err := checkARN("loadbalancer", "load balancer", arn); err != nil {
		return nil, err
	}
	if b, ok := view.Get(tx, who, state.LoadBalancers, idIn(who, "loadbalancer", arn)); ok && !b.Deleting() {
		return b, nil
	}
	return nil, fault.ELB("LoadBalancerNotFound", "Load balancer '%s' not found", arn)
}

func findTargetGroup(tx *table.Txn, who access.View, arn string) (*model.TargetGroup, error) {
	if err := checkARN("targetgroup", "target group", arn); err != nil {
		return nil, err
	}
	if g, ok := view.Get(tx, who, state.TargetGroups, idIn(who, "targetgroup", arn)); ok {
		return g, nil
	}
	return nil, fault.ELB("TargetGroupNotFound", "Target group '%s' not found", arn)
}

func findListener(tx *table.Txn, who access.View, arn string) (*model.Listener, error) {
	if err := checkARN("listener", "listener", arn); err != nil {
		return nil, err
	}
	if l, ok := view.Get(tx, who, state.Listeners, idIn(who, "listener", arn)); ok {
		return l, nil
	}
	return nil, fault.ELB("ListenerNotFound", "Listener '%s' not found", arn)
}

// checkName sees to a name: letters, digits and hyphens, none at the ends.
func checkName(noun, name string) error {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"
	switch {
	case len(name) > 32:
		return invalid("%s name '%s' cannot be longer than '32' characters", noun, name)
	case name == "" || strings.Trim(name, letters) != "":
		return invalid("%s name '%s' can only contain characters that are alphanumeric characters and hyphens(-)", noun, name)
	case strings.HasPrefix(name, "-") || strings.HasSuffix(name, "-"):
		return invalid("%s name '%s' cannot begin or end with a hyphen(-)", noun, name)
	}
	return nil
}

// makeTags reads the tags of a request.
func makeTags(list []shape.Tag) (map[string]string, error) {
	tags, err := service.MakeTags(service.Each(list, func(t shape.Tag) service.Tag {
		return service.Tag{Key: service.Value(t.Key), Value: service.Value(t.Value)}
	}))
	return tags, asFault(err)
}

// tagList shows tags, sorted by key; never nil.
func tagList(tags map[string]string) []shape.Tag {
	list := make([]shape.Tag, 0, len(tags))
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		list = append(list, shape.Tag{Key: &key, Value: new(tags[key])})
	}
	return list
}

// mostOnPage is how many items a page of a list has at most:
// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DescribeLoadBalancers.html
const mostOnPage = 400

// query is what the lists have in common.
type query struct {
	who       access.View
	operation string
	// choice is the parameters that choose items.
	choice any
	marker *string
	size   *int32
}

// paginate cuts a page out of items in the order of their keys.
func paginate[T any](q query, items []T, key func(T) string) (page []T, marker *string, err error) {
	slices.SortFunc(items, func(a, b T) int { return strings.Compare(key(a), key(b)) })
	page, next, err := service.Paginate(service.NewPage(q.who, q.operation, q.choice, q.marker, q.size, mostOnPage), slices.Values(items), key)
	if err != nil {
		return nil, nil, asFault(err)
	}
	return page, service.Optional(next), nil
}

// chosen gives the rows that a request names by ARNs or by names, each once, or else all of them.
func chosen[T state.Resource[T]](arns, names []string, find func(arn string) (T, error), named func(name string) (T, error), all iter.Seq[T]) ([]T, error) {
	if len(arns) == 0 && len(names) == 0 {
		return slices.Collect(all), nil
	}
	var rows []T
	add := func(row T, err error) error {
		if err == nil && !slices.ContainsFunc(rows, func(r T) bool { return r.Common().ID == row.Common().ID }) {
			rows = append(rows, row)
		}
		return err
	}
	for _, arn := range arns {
		if err := add(find(arn)); err != nil {
			return nil, err
		}
	}
	for _, name := range names {
		if err := add(named(name)); err != nil {
			return nil, err
		}
	}
	return rows, nil
}
