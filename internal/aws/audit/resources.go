// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"strings"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/model"
)

// found collects the resources that an event is about: those that the request named,
// and those that the answer gives the names of, in place of asks for what is made.
type found struct {
	asks  []access.Ask
	named []access.Resource
}

func wanted(asks []access.Ask) *found {
	f := &found{asks: asks}
	for _, a := range asks {
		if a.Resource.Known() {
			f.add(a.Resource)
		}
	}
	return f
}

func (f *found) add(r access.Resource) {
	for _, known := range f.named {
		if known.Kind == r.Kind && known.Ref == r.Ref {
			return
		}
	}
	if len(f.named) < maxResource {
		f.named = append(f.named, r)
	}
}

// see looks whether a text of the answer names something that was asked to be made.
func (f *found) see(text string) {
	for _, a := range f.asks {
		if a.Resource.Kind == nil || a.Resource.Known() {
			continue
		}
		if id, ok := names(a.Resource.Kind, text); ok {
			r := a.Resource
			r.ID = id
			f.add(r)
			return
		}
	}
}

// names gives the id in a text that names a resource of a kind: by id, by ARN, or as
// Route 53 does.
func names(k *access.Kind, text string) (id string, ok bool) {
	switch {
	case strings.HasPrefix(text, "arn:"):
		arn, err := model.ParseARN(text)
		return arn.ID, err == nil && arn.Service == k.Service && arn.Type == k.Type
	case strings.HasPrefix(text, "/"):
		return strings.CutPrefix(text, "/"+k.Type+"/")
	case strings.HasSuffix(k.Prefix, "-"):
		digits, ok := strings.CutPrefix(text, k.Prefix)
		return text, ok && digits != "" && strings.Trim(digits, "0123456789abcdef") == ""
	}
	return "", false
}

func (w *writer) resources(all []access.Resource) {
	if len(all) == 0 {
		return
	}
	w.name("resources")
	w.b = append(w.b, '[')
	for i, r := range all {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		w.open()
		w.some("accountId", cut(r.Account, maxName))
		w.text("type", TypeOf(r.Kind.Service, r.Kind.Type))
		w.text("ARN", cut(r.ARN(), maxText))
		w.close()
	}
	w.b = append(w.b, ']')
}

// services are how CloudFormation, whose names CloudTrail has for types, writes those
// of services.
var services = map[string]string{
	"ec2": "EC2", "vpc-lattice": "VpcLattice", "route53": "Route53", "iam": "IAM", "sts": "STS", "ram": "RAM", "rds": "RDS",
	"elasticloadbalancing": "ElasticLoadBalancingV2",
	"organizations":        "Organizations", "cloudtrail": "CloudTrail", own: "Postern",
}

// types are those that are not written as their words say
// (https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-template-resource-type-ref.html).
var types = map[string]string{
	"dhcp-options": "DHCPOptions", "egress-only-internet-gateway": "EgressOnlyInternetGateway", "elastic-ip": "EIP",
	"natgateway": "NatGateway", "vpc": "VPC", "vpc-endpoint": "VPCEndpoint", "hostedzone": "HostedZone", "delegationset": "DelegationSet",
	"accesslogsubscription": "AccessLogSubscription", "domainverification": "DomainVerification",
	"resourceconfiguration": "ResourceConfiguration", "resourceendpointassociation": "ResourceEndpointAssociation",
	"resourcegateway": "ResourceGateway", "servicenetwork": "ServiceNetwork",
	"servicenetworkresourceassociation": "ServiceNetworkResourceAssociation",
	"servicenetworkserviceassociation":  "ServiceNetworkServiceAssociation",
	"servicenetworkvpcassociation":      "ServiceNetworkVpcAssociation", "targetgroup": "TargetGroup",
	"ou": "OrganizationalUnit", "policy": "ManagedPolicy",
	"cluster": "DBCluster", "cluster-endpoint": "DBClusterEndpoint", "cluster-pg": "DBClusterParameterGroup", "cluster-snapshot": "DBClusterSnapshot",
	"loadbalancer": "LoadBalancer", "listener": "Listener",
	"db": "DBInstance", "og": "OptionGroup", "pg": "DBParameterGroup", "snapshot": "DBSnapshot", "subgrp": "DBSubnetGroup",
}

// TypeOf writes a kind of resources as CloudTrail does, such as AWS::EC2::RouteTable.
func TypeOf(service, kind string) string {
	name, ok := types[kind]
	if !ok {
		for word := range strings.SplitSeq(kind, "-") {
			name += strings.ToUpper(cut(word, 1)) + word[min(1, len(word)):]
		}
	}
	known := services[service]
	if known == "" {
		known = service
	}
	return "AWS::" + known + "::" + name
}
