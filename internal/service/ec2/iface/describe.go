// SPDX-License-Identifier: Apache-2.0

package iface

import (
	"context"
	"maps"
	"net/netip"
	"strconv"
	"strings"
	"time"

	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/request"
	"github.com/posternhq/postern/internal/service/ec2/vpc"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// DescribeNetworkInterfaces lists the caller's interfaces, including those of
// endpoints and resource gateways.
func (a Interfaces) DescribeNetworkInterfaces(ctx context.Context, in *shape.DescribeNetworkInterfacesInput) (*shape.DescribeNetworkInterfacesOutput, error) {
	rows, tx, next, err := request.Describe(ctx, a.DB, request.Listing[*model.NetworkInterface]{
		Operation: "DescribeNetworkInterfaces", Table: state.NetworkInterfaces, Filters: interfaceFilters, Others: view.OthersInterfaces,
	}, request.Query{Filters: in.Filters, IDs: in.NetworkInterfaceIds, Token: in.NextToken, Max: in.MaxResults})
	if err != nil {
		return nil, err
	}
	out := &shape.DescribeNetworkInterfacesOutput{NextToken: next, NetworkInterfaces: []shape.NetworkInterface{}}
	for _, ni := range rows {
		out.NetworkInterfaces = append(out.NetworkInterfaces, *interfaceShape(tx, ni))
	}
	return out, nil
}

func interfaceFilters(tx *table.Txn) service.Filters[*model.NetworkInterface] {
	type row = *model.NetworkInterface
	attachment := func(value func(*shape.NetworkInterfaceAttachment) []string) func(row) []string {
		return func(ni row) []string {
			if a := attachmentShape(tx, ni); a != nil {
				return value(a)
			}
			return nil
		}
	}
	properties := map[string]func(row) []string{
		"addresses.primary":            func(ni row) []string { return primaries(ni) },
		"addresses.private-ip-address": func(ni row) []string { return texts(ni.Addresses) },
		"attachment.attach-time": attachment(func(s *shape.NetworkInterfaceAttachment) []string {
			return request.One(service.Value(s.AttachTime).UTC().Format(time.RFC3339))
		}),
		"attachment.attachment-id": attachment(func(s *shape.NetworkInterfaceAttachment) []string { return request.One(service.Value(s.AttachmentId)) }),
		"attachment.delete-on-termination": attachment(func(s *shape.NetworkInterfaceAttachment) []string {
			return request.YesNo(service.Value(s.DeleteOnTermination))
		}),
		"attachment.device-index": attachment(func(s *shape.NetworkInterfaceAttachment) []string {
			return request.One(strconv.Itoa(int(service.Value(s.DeviceIndex))))
		}),
		"attachment.instance-id": attachment(func(s *shape.NetworkInterfaceAttachment) []string { return request.One(service.Value(s.InstanceId)) }),
		"attachment.instance-owner-id": attachment(func(s *shape.NetworkInterfaceAttachment) []string {
			return request.One(service.Value(s.InstanceOwnerId))
		}),
		"attachment.status":           attachment(func(s *shape.NetworkInterfaceAttachment) []string { return request.One(service.Value(s.Status)) }),
		"availability-zone":           func(ni row) []string { return request.One(ni.Zone) },
		"availability-zone-id":        func(ni row) []string { return request.One(ni.ZoneID) },
		"description":                 func(ni row) []string { return []string{ni.Description} },
		"group-id":                    func(ni row) []string { return ni.Groups },
		"group-name":                  func(ni row) []string { return groupNames(tx, ni) },
		"interface-type":              func(ni row) []string { return request.One(interfaceType(ni)) },
		"ipv6-addresses.ipv6-address": func(ni row) []string { return texts(ni.Addresses6) },
		"mac-address":                 func(ni row) []string { return request.One(ni.MAC) },
		"network-interface-id":        func(ni row) []string { return request.One(ni.ID) },
		"operator.managed":            func(row) []string { return request.YesNo(false) },
		"owner-id":                    func(ni row) []string { return request.One(ni.Account) },
		"private-dns-name":            func(ni row) []string { return request.One(service.Value(privateName(ni))) },
		"private-ip-address":          func(ni row) []string { return texts(ni.Addresses) },
		"requester-id":                func(ni row) []string { return request.One(requesterID(ni)) },
		"requester-managed":           func(ni row) []string { return request.YesNo(ni.Owner != "") },
		"source-dest-check":           func(ni row) []string { return request.YesNo(ni.SourceDestCheck) },
		"status":                      func(ni row) []string { return request.One(interfaceStatus(tx, ni)) },
		"subnet-id":                   func(ni row) []string { return request.One(ni.Subnet) },
		"vpc-id":                      func(ni row) []string { return request.One(ni.VPC) },
	}
	maps.Copy(properties, associationFilters(tx))
	// Properties that EC2 knows and no interface has here.
	for _, name := range []string{"attachment.nat-gateway-id", "operator.principal"} {
		properties[name] = func(row) []string { return nil }
	}
	return service.Filters[row]{Properties: properties}
}

// primaries are the values that the addresses of an interface have for "is this
// the primary one".
func primaries(ni *model.NetworkInterface) []string {
	switch len(ni.Addresses) {
	case 0:
		return nil
	case 1:
		return request.YesNo(true)
	}
	return []string{"true", "false"}
}

func groupNames(tx *table.Txn, ni *model.NetworkInterface) []string {
	var names []string
	for _, g := range groupShapes(tx, ni) {
		names = append(names, service.Value(g.GroupName))
	}
	return names
}

func groupShapes(tx *table.Txn, ni *model.NetworkInterface) []shape.GroupIdentifier {
	groups := []shape.GroupIdentifier{}
	for _, id := range ni.Groups {
		g := shape.GroupIdentifier{GroupId: new(id)}
		if row, ok := state.SecurityGroups.Get(tx, ni.Account, ni.Region, id); ok {
			g.GroupName = new(row.Name)
		}
		groups = append(groups, g)
	}
	return groups
}

// interfaceType is how EC2 shows what an interface is for: no word is published
// for those of resource gateways.
func interfaceType(ni *model.NetworkInterface) string {
	switch ni.Type {
	case model.InterfaceEndpoint:
		return shape.NetworkInterfaceTypeVpcEndpoint
	case model.InterfaceBalancer:
		return shape.NetworkInterfaceTypeNetworkLoadBalancer
	case model.InterfaceNAT: // the model spells it in another way than replies do
		return string(ni.Type)
	}
	return shape.NetworkInterfaceTypeInterface
}

func interfaceStatus(tx *table.Txn, ni *model.NetworkInterface) string {
	if attachmentShape(tx, ni) != nil {
		return shape.NetworkInterfaceStatusInUse
	}
	return shape.NetworkInterfaceStatusAvailable
}

// attachmentShape tells what an interface is attached to: a network namespace
// on a host, or the endpoint or gateway that it belongs to; nil for nothing.
func attachmentShape(tx *table.Txn, ni *model.NetworkInterface) *shape.NetworkInterfaceAttachment {
	if ni.Owner != "" {
		return &shape.NetworkInterfaceAttachment{
			AttachmentId: new("ela-attach-" + strings.TrimPrefix(ni.ID, "eni-")), AttachTime: new(ni.CreatedAt),
			DeviceIndex: new(int32(1)), InstanceOwnerId: new(instanceOwner(ni)),
			Status: new(shape.AttachmentStatusAttached), DeleteOnTermination: new(false),
		}
	}
	row, ok := attachmentOf(tx, ni)
	if !ok {
		return nil
	}
	return &shape.NetworkInterfaceAttachment{
		AttachmentId: new(row.ID), AttachTime: new(row.CreatedAt), DeviceIndex: new(int32(0)), NetworkCardIndex: new(int32(0)),
		InstanceOwnerId: new(row.Account), Status: new(attachmentStatus(tx, row)), DeleteOnTermination: new(row.DeleteOnTermination),
	}
}

// attachmentStatus has no word for an attachment that fails: it is being tried
// still. The service postern tells more.
func attachmentStatus(tx *table.Txn, row *model.Attachment) string {
	status, _ := state.Statuses.Get(tx, row.Account, row.Region, row.Interface)
	switch model.LifecycleOf(row.Meta(), status) {
	case model.Deleting, model.DeleteFailed:
		return shape.AttachmentStatusDetaching
	case model.Ready:
		return shape.AttachmentStatusAttached
	}
	return shape.AttachmentStatusAttaching
}

func interfaceShape(tx *table.Txn, ni *model.NetworkInterface) *shape.NetworkInterface {
	out := &shape.NetworkInterface{
		NetworkInterfaceId: new(ni.ID), OwnerId: new(ni.Account), VpcId: new(ni.VPC), SubnetId: new(ni.Subnet),
		AvailabilityZone: new(ni.Zone), AvailabilityZoneId: new(ni.ZoneID), Description: new(ni.Description),
		InterfaceType: new(interfaceType(ni)), MacAddress: new(ni.MAC), Groups: groupShapes(tx, ni),
		RequesterManaged: new(ni.Owner != ""), SourceDestCheck: new(ni.SourceDestCheck),
		Status: new(interfaceStatus(tx, ni)), Attachment: attachmentShape(tx, ni), TagSet: request.TagList(ni.Tags),
		Operator: &shape.OperatorResponse{Managed: new(false)}, RequesterId: new(requesterID(ni)), PrivateDnsName: privateName(ni),
	}
	for i, addr := range ni.Addresses {
		out.PrivateIpAddresses = append(out.PrivateIpAddresses, shape.NetworkInterfacePrivateIpAddress{
			PrivateIpAddress: new(addr.String()), Primary: new(i == 0), PrivateDnsName: new(addressName(ni.Region, addr)),
			Association: associationShape(tx, ni, addr),
		})
	}
	for _, addr := range ni.Addresses6 {
		out.Ipv6Addresses = append(out.Ipv6Addresses, shape.NetworkInterfaceIpv6Address{
			Ipv6Address: new(addr.String()), IsPrimaryIpv6: new(false),
		})
	}
	if len(ni.Addresses) > 0 {
		if out.Association = out.PrivateIpAddresses[0].Association; out.Association != nil {
			out.PublicDnsName = service.Optional(*out.Association.PublicDnsName)
		}
	}
	out.PrivateIpAddress, out.Ipv6Address = first(ni.Addresses), first(ni.Addresses6)
	out.Ipv4Prefixes, out.Ipv6Prefixes = prefixShapes4(ni.Prefixes4), prefixShapes6(ni.Prefixes6)
	if ni.Prefix6.IsValid() {
		out.Ipv6Prefixes = prefixShapes6([]netip.Prefix{ni.Prefix6})
	}
	if ni.Type == model.InterfaceEndpoint {
		out.DenyAllIgwTraffic = new(len(ni.Addresses6) > 0)
	}
	return out
}

// Who asked for an interface that a service manages: RDS asks as itself
// (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/requester-managed-eni.html).
const (
	serviceRequester  = "amazon-aws"
	balancerRequester = "amazon-elb"
	databaseRequester = "amazon-rds"
)

// requesterID is who asked for an interface: a service, or the account itself,
// whose keys are all those of its root user.
func requesterID(ni *model.NetworkInterface) string {
	switch {
	case ni.Type == model.InterfaceDatabase:
		return databaseRequester
	case ni.Type == model.InterfaceBalancer:
		return balancerRequester
	case ni.Owner != "":
		return serviceRequester
	}
	return ni.Account
}

// instanceOwner is whose the instance is that an interface of a service is attached to: that of
// a load balancer is not its requester's.
func instanceOwner(ni *model.NetworkInterface) string {
	if ni.Type == model.InterfaceBalancer {
		return serviceRequester
	}
	return requesterID(ni)
}

// privateName is the name that EC2 gives the first IPv4 address of an interface;
// nil without one.
func privateName(ni *model.NetworkInterface) *string {
	if len(ni.Addresses) == 0 {
		return nil
	}
	return new(addressName(ni.Region, ni.Addresses[0]))
}

// addressName is the name of an IPv4 address by itself
// (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/hostname-types.html).
func addressName(region string, addr netip.Addr) string {
	return "ip-" + strings.ReplaceAll(addr.String(), ".", "-") + "." + vpc.DefaultDomain(region)
}

// createdInterface is an interface as the reply to its creation shows it: not
// yet available, though nothing is in its way
// (https://docs.aws.amazon.com/cli/latest/reference/ec2/create-network-interface.html).
func createdInterface(tx *table.Txn, ni *model.NetworkInterface) *shape.NetworkInterface {
	out := interfaceShape(tx, ni)
	if *out.Status == shape.NetworkInterfaceStatusAvailable {
		out.Status = new(statusPending)
	}
	return out
}

// statusPending is not in the model's enumeration, but in replies.
const statusPending = "pending"

func first(addresses []netip.Addr) *string {
	if len(addresses) == 0 {
		return nil
	}
	return new(addresses[0].String())
}
