// SPDX-License-Identifier: Apache-2.0

package model

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// The rows of Elastic Load Balancing have for ids what their ARNs have behind the kind:
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_elasticloadbalancingv2.html

// LoadBalancer is a network load balancer: addresses in subnets, whose listeners lead to
// target groups.
type LoadBalancer struct {
	// Meta.ID is net/NAME/ and 16 digits.
	Meta
	Name    string   `json:"name"`
	VPC     string   `json:"vpc"`
	Subnets []string `json:"subnets"`
	// Groups are its security groups. One that was made without any admits everybody, and
	// gets none later.
	Groups []string `json:"groups,omitempty"`
	// Interfaces are its network interfaces, one per subnet, in the order of Subnets.
	Interfaces []string `json:"interfaces"`
	// Chosen are those of their addresses that the user chose.
	Chosen []netip.Addr `json:"chosen,omitempty"`
	// Targets are its transit targets, one per interface, by which endpoints of other VPCs
	// come to it.
	Targets []TransitTarget `json:"targets"`
	// CrossZone says that connections which come in in a zone go to targets of all zones.
	CrossZone bool `json:"crossZone,omitempty"`
	// Protected says that it is not to be deleted.
	Protected bool `json:"protected,omitempty"`
}

// Clone copies the row so that the copy can be changed.
func (b *LoadBalancer) Clone() *LoadBalancer {
	c := *b
	c.Meta = b.Meta.clone()
	c.Subnets = slices.Clone(b.Subnets)
	c.Groups = slices.Clone(b.Groups)
	c.Interfaces = slices.Clone(b.Interfaces)
	c.Chosen = slices.Clone(b.Chosen)
	c.Targets = slices.Clone(b.Targets)
	return &c
}

// ARN names the load balancer.
func (b *LoadBalancer) ARN() string {
	return ARN("elasticloadbalancing", b.Region, b.Account, "loadbalancer/"+b.ID)
}

// BalancerDomain is the domain of the names of a region's load balancers, in normal form
// like the suffix, which takes the place of AWS's amazonaws.com.
func BalancerDomain(region, suffix string) string { return "elb." + region + "." + suffix }

// NameIn is the load balancer's name in a domain of load balancers. It has no case.
func (b *LoadBalancer) NameIn(domain string) string {
	_, id, _ := strings.Cut(strings.TrimPrefix(b.ID, "net/"), "/")
	return strings.ToLower(b.Name) + "-" + id + "." + domain
}

// ZonalNameIn is the name of its address in an availability zone.
func (b *LoadBalancer) ZonalNameIn(domain, zone string) string { return zone + "." + b.NameIn(domain) }

// Where the targets are that a connection goes to which comes in in a zone, as a target group
// says.
const (
	CrossZoneAsBalancer = "use_load_balancer_configuration"
	CrossZoneOn         = "true"
	CrossZoneOff        = "false"
)

// TargetGroup is addresses that connections are spread over, and how it is found out which of
// them answer.
type TargetGroup struct {
	// Meta.ID is NAME/ and 16 digits.
	Meta
	Name string `json:"name"`
	VPC  string `json:"vpc"`
	// Port is that of targets which are registered without one.
	Port uint16 `json:"port"`
	// Check is how targets are asked whether they answer.
	Check HealthCheck `json:"check"`
	// DrainSeconds is for how long a target that was taken away is shown as draining.
	DrainSeconds int `json:"drainSeconds"`
	// CutDrained says that its connections are cut then, and KeepUnhealthy that those of
	// targets that do not answer any more are not.
	CutDrained    bool `json:"cutDrained,omitempty"`
	KeepUnhealthy bool `json:"keepUnhealthy,omitempty"`
	// CrossZone is one of the CrossZone constants; empty is CrossZoneAsBalancer.
	CrossZone string `json:"crossZone,omitempty"`
	// Targets are in the order of Compare.
	Targets []BalancedTarget `json:"registered,omitempty"`
}

// HealthCheck is how targets are asked whether they answer.
type HealthCheck struct {
	// Protocol is TCP, HTTP or HTTPS. Path and Codes are those of the last two: what is asked
	// for, and which answers are good, such as 200-399.
	Protocol string `json:"protocol"`
	Path     string `json:"path,omitempty"`
	Codes    string `json:"codes,omitempty"`
	// Port is where; zero is the target's own.
	Port uint16 `json:"port,omitempty"`
	// Interval and Timeout are in seconds.
	Interval int `json:"interval"`
	Timeout  int `json:"timeout"`
	// Healthy and Unhealthy are after how many answers of the other sort a target changes.
	Healthy   int `json:"healthy"`
	Unhealthy int `json:"unhealthy"`
}

// BalancedTarget is one address and port of a target group.
type BalancedTarget struct {
	Addr netip.Addr `json:"addr"`
	Port uint16     `json:"port"`
	// Anywhere says that the target is of all zones, as one outside of the VPC is.
	Anywhere bool `json:"anywhere,omitempty"`
	// Since is when it was registered.
	Since time.Time `json:"since,omitzero"`
	// DrainsUntil is set when it was taken away: it gets no new connections, and is shown
	// until then.
	DrainsUntil time.Time `json:"drainsUntil,omitzero"`
}

// Compare orders targets by address and port.
func (t BalancedTarget) Compare(o BalancedTarget) int {
	return cmp.Or(t.Addr.Compare(o.Addr), cmp.Compare(t.Port, o.Port))
}

// Draining reports whether the target was taken away.
func (t BalancedTarget) Draining() bool { return !t.DrainsUntil.IsZero() }

// Clone copies the row so that the copy can be changed.
func (g *TargetGroup) Clone() *TargetGroup {
	c := *g
	c.Meta = g.Meta.clone()
	c.Targets = slices.Clone(g.Targets)
	return &c
}

// ARN names the target group.
func (g *TargetGroup) ARN() string {
	return ARN("elasticloadbalancing", g.Region, g.Account, "targetgroup/"+g.ID)
}

// DrainsAt is when the next of its targets that were taken away has drained; zero for never.
func (g *TargetGroup) DrainsAt() (next time.Time) {
	for _, t := range g.Targets {
		if t.Draining() && (next.IsZero() || t.DrainsUntil.Before(next)) {
			next = t.DrainsUntil
		}
	}
	return next
}

// CrossesZones reports whether connections that come to a load balancer in a zone go to the
// group's targets of all zones.
func (g *TargetGroup) CrossesZones(b *LoadBalancer) bool {
	switch g.CrossZone {
	case CrossZoneOn, CrossZoneOff:
		return g.CrossZone == CrossZoneOn
	}
	return b.CrossZone
}

// Listener is a TCP port of a load balancer, which leads to a target group.
type Listener struct {
	// Meta.ID is the load balancer's, and another 16 digits.
	Meta
	LoadBalancer string `json:"loadBalancer"`
	Port         uint16 `json:"port"`
	TargetGroup  string `json:"targetGroup"`
}

// Clone copies the row so that the copy can be changed.
func (l *Listener) Clone() *Listener {
	c := *l
	c.Meta = l.Meta.clone()
	return &c
}

// ARN names the listener.
func (l *Listener) ARN() string {
	return ARN("elasticloadbalancing", l.Region, l.Account, "listener/"+l.ID)
}
