// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// service is a model made ready for writing Go: every name resolved, every
// input and output a type of its own, every shape with an index in the table.
type service struct {
	servedService
	model     *model
	Title     string
	Signing   string
	Namespace string
	Protocol  string // "json" with its version
	ops       []*operation
	shapes    []*shape // the table, in the order of their Go names
	Unserved  []string
	Global    bool // as access.txt says
}

type operation struct {
	*modelOperation
	in, out     *shape
	inRoot      string
	outRoot     string
	errors      []string
	dryRun      bool
	statusCode  int
	resultWraps string
}

type shape struct {
	*modelShape
	name  string // Go name of a structure, model name of the others
	index int
}

// foldedEnums are the enums whose values AWS takes in any case.
var foldedEnums = map[string]bool{"ec2/VpcEndpointType": true}

// openEnums are the enums of which AWS takes more values than the models list
// (DescribeAccountAttributes documents max-instances and others).
var openEnums = map[string]bool{"ec2/AccountAttributeName": true}

// olderVersions are the versions of an API that AWS has published and serves
// still, beside the one that the model describes.
var olderVersions = map[string]string{
	"ec2": `2006-06-26 2006-10-01 2007-01-03 2007-01-19 2007-03-01 2007-08-29 2008-02-01 2008-05-05 2008-08-08 2008-12-01
		2009-03-01 2009-04-04 2009-07-15 2009-08-15 2009-10-31 2009-11-30 2010-06-15 2010-08-31 2010-11-15
		2011-01-01 2011-02-28 2011-05-15 2011-07-15 2011-11-01 2011-11-15 2011-12-01 2011-12-15
		2012-03-01 2012-04-01 2012-05-01 2012-06-01 2012-06-15 2012-07-20 2012-08-15 2012-10-01 2012-11-15 2012-12-01
		2013-02-01 2013-06-15 2013-07-15 2013-08-15 2013-10-01 2013-10-15
		2014-02-01 2014-05-01 2014-06-15 2014-09-01 2014-10-01 2015-03-01 2015-04-15 2015-10-01 2016-04-01 2016-09-15`,
}

// omittedLists are the members of answers, lists and maps, that AWS leaves out
// when there is nothing in them, or when they were not asked for. Transcripts in
// AWS's documentation and in bug reports of its clients show all others empty.
var omittedLists = map[string]bool{
	"ec2/AssignIpv6AddressesOutput.AssignedIpv6Prefixes":        true,
	"ec2/AssignPrivateIpAddressesOutput.AssignedIpv4Prefixes":   true,
	"ec2/AvailabilityZone.Geography":                            true,
	"ec2/AvailabilityZone.SubGeography":                         true,
	"ec2/DescribeNetworkInterfaceAttributeOutput.Groups":        true, // one attribute is asked for
	"ec2/DnsOptions.PrivateDnsSpecifiedDomains":                 true,
	"ec2/NetworkInterface.AssociatedSubnets":                    true,
	"ec2/NetworkInterface.Ipv4Prefixes":                         true,
	"ec2/NetworkInterface.Ipv6Prefixes":                         true,
	"ec2/Region.Geography":                                      true,
	"ec2/RevokeSecurityGroupEgressOutput.UnknownIpPermissions":  true,
	"ec2/RevokeSecurityGroupIngressOutput.UnknownIpPermissions": true,
	"ec2/UnassignIpv6AddressesOutput.UnassignedIpv6Prefixes":    true,
	"ec2/VpcEndpoint.Ipv4Prefixes":                              true,
	"ec2/VpcEndpoint.Ipv6Prefixes":                              true,
	"ec2/VpcEndpoint.PayerResponsibilities":                     true,
	"iam/Policy.Tags":                                           true, // lists do not tell them
	"iam/Role.Tags":                                             true,
	"iam/User.Tags":                                             true,
	"route53/ResourceRecordSet.ResourceRecords":                 true, // of an alias
}

func resolve(entry servedService, m *model) (*service, error) {
	svc := &service{
		servedService: entry,
		model:         m,
		Title:         m.Metadata.ServiceFullName,
		Signing:       firstOf(m.Metadata.SigningName, m.Metadata.EndpointPrefix),
		Namespace:     m.Metadata.XMLNamespace,
		Protocol:      m.Metadata.Protocol,
	}
	if svc.Protocol == "json" {
		svc.Protocol += m.Metadata.JSONVersion
	}
	// AWS's own answers end the namespace with a slash, the models do not always.
	if svc.Namespace != "" && !strings.HasSuffix(svc.Namespace, "/") {
		svc.Namespace += "/"
	}
	used := map[string]bool{}
	operations := slices.Sorted(slices.Values(entry.Operations))
	for _, name := range operations {
		op, err := svc.resolveOperation(name)
		if err != nil {
			return nil, err
		}
		svc.ops = append(svc.ops, op)
		svc.collect(op.in.modelShape, used)
		svc.collect(op.out.modelShape, used)
	}
	for name := range used {
		svc.shapes = append(svc.shapes, &shape{modelShape: m.Shapes[name], name: goName(name)})
	}
	slices.SortFunc(svc.shapes, func(a, b *shape) int { return strings.Compare(a.name, b.name) })
	for i, s := range svc.shapes {
		s.index = i
		if i > 0 && svc.shapes[i-1].name == s.name {
			return nil, fmt.Errorf("two shapes have the Go name %s", s.name)
		}
	}
	for _, name := range m.AllOperations {
		if !slices.Contains(operations, name) {
			svc.Unserved = append(svc.Unserved, name)
		}
	}
	return svc, nil
}

// resolveOperation makes the operation's input and output shapes: copies under
// the names <Op>Input and <Op>Output, empty where the model has none.
func (svc *service) resolveOperation(name string) (*operation, error) {
	m := svc.model.Operations[name]
	if m == nil {
		return nil, fmt.Errorf("operation %s is not in the trimmed model: run awsgen trim", name)
	}
	op := &operation{modelOperation: m, statusCode: m.HTTP.ResponseCode}
	if op.statusCode == 0 {
		op.statusCode = 200
	}
	op.in = &shape{modelShape: svc.structure(m.Input), name: name + "Input"}
	op.out = &shape{modelShape: svc.structure(m.Output), name: name + "Output"}
	if m.Input != nil {
		op.inRoot = m.Input.LocationName
		if ns := m.Input.XMLNamespace; ns != nil && svc.Namespace == "" {
			svc.Namespace = ns.URI
		}
	}
	if m.Output != nil {
		op.outRoot = m.Output.Shape
		op.resultWraps = m.Output.ResultWrapper
	}
	if svc.Protocol != "rest-xml" {
		op.outRoot = name + "Response"
	}
	for _, ref := range m.Errors {
		op.errors = append(op.errors, errorCode(ref.Shape, svc.model.Shapes[ref.Shape]))
	}
	for _, member := range op.in.Members {
		op.dryRun = op.dryRun || member.Name == "DryRun"
	}
	return op, nil
}

func (svc *service) structure(ref *modelRef) *modelShape {
	if ref == nil {
		return &modelShape{Type: "structure"}
	}
	return svc.model.Shapes[ref.Shape]
}

// collect marks all shapes below s as used.
func (svc *service) collect(s *modelShape, used map[string]bool) {
	for _, ref := range refsOf(s) {
		if !used[ref.Shape] {
			used[ref.Shape] = true
			svc.collect(svc.model.Shapes[ref.Shape], used)
		}
	}
}

func refsOf(s *modelShape) []*modelRef {
	var refs []*modelRef
	for i := range s.Members {
		refs = append(refs, &s.Members[i].modelRef)
	}
	for _, ref := range []*modelRef{s.Member, s.Key, s.Value} {
		if ref != nil {
			refs = append(refs, ref)
		}
	}
	return refs
}

// shape returns the table entry of the model shape with the given name.
func (svc *service) shape(name string) *shape {
	wanted := goName(name)
	i, found := slices.BinarySearchFunc(svc.shapes, wanted, func(s *shape, n string) int { return strings.Compare(s.name, n) })
	if !found {
		panic("shape " + name + " is not in the table")
	}
	return svc.shapes[i]
}

// errorCode is the code that goes over the wire for an exception shape.
func errorCode(name string, s *modelShape) string {
	var e struct {
		Code string `json:"code"`
	}
	if s != nil && len(s.Error) > 0 && json.Unmarshal(s.Error, &e) == nil && e.Code != "" {
		return e.Code
	}
	return name
}

// enumConstants returns the Go constants of an enum, value by name.
func enumConstants(s *shape) (map[string]string, error) {
	constants := map[string]string{}
	for _, value := range s.Enum {
		name := s.name + constantSuffix(value)
		if other, taken := constants[name]; taken {
			return nil, fmt.Errorf("enum %s: %q and %q have the same constant", s.name, other, value)
		}
		constants[name] = value
	}
	return constants, nil
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
