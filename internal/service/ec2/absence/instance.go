// SPDX-License-Identifier: Apache-2.0

package absence

import (
	"context"
	"strings"

	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/service/ec2/request"
)

// DescribeInstances lists no instances: workloads are network namespaces, which
// the service postern attaches to interfaces.
func (a Lists) DescribeInstances(ctx context.Context, in *shape.DescribeInstancesInput) (*shape.DescribeInstancesOutput, error) {
	return Of[shape.DescribeInstancesOutput](ctx, Kind{
		Operation: "DescribeInstances", Missing: request.Missing("InvalidInstanceID.NotFound", "instance"),
		Filters: instanceFilters + " network-interface." + strings.Join(strings.Fields(instanceInterfaceFilters), " network-interface."),
	}, request.Query{Filters: in.Filters, IDs: in.InstanceIds, Token: in.NextToken, Max: in.MaxResults})
}

// The filters of instances, and those of their interfaces, which begin with
// "network-interface.".
const (
	instanceFilters = `affinity architecture availability-zone availability-zone-id block-device-mapping.attach-time
	block-device-mapping.delete-on-termination block-device-mapping.device-name block-device-mapping.status
	block-device-mapping.volume-id boot-mode capacity-reservation-id
	capacity-reservation-specification.capacity-reservation-preference
	capacity-reservation-specification.capacity-reservation-target.capacity-reservation-id
	capacity-reservation-specification.capacity-reservation-target.capacity-reservation-resource-group-arn client-token
	current-instance-boot-mode dns-name ebs-optimized ena-support enclave-options.enabled hibernation-options.configured host-id
	hypervisor iam-instance-profile.arn iam-instance-profile.id image-id instance-id instance-lifecycle instance-state-code
	instance-state-name instance-type instance.group-id instance.group-name ip-address ipv6-address kernel-id key-name launch-index
	launch-time maintenance-options.auto-recovery metadata-options.http-endpoint metadata-options.http-protocol-ipv4
	metadata-options.http-protocol-ipv6 metadata-options.http-put-response-hop-limit metadata-options.http-tokens
	metadata-options.instance-metadata-tags metadata-options.state monitoring-state network-performance-options.bandwidth-weighting
	operator.managed operator.principal outpost-arn owner-id placement-group-name placement-partition-number platform platform-details
	private-dns-name private-dns-name-options.enable-resource-name-dns-a-record
	private-dns-name-options.enable-resource-name-dns-aaaa-record private-dns-name-options.hostname-type private-ip-address
	product-code product-code.type ramdisk-id reason requester-id reservation-id root-device-name root-device-type source-dest-check
	spot-instance-request-id state-reason-code state-reason-message subnet-id tenancy tpm-support usage-operation
	usage-operation-update-time virtualization-type vpc-id`
	instanceInterfaceFilters = `addresses.association.allocation-id addresses.association.association-id addresses.association.carrier-ip
	addresses.association.customer-owned-ip addresses.association.ip-owner-id addresses.association.public-dns-name
	addresses.association.public-ip addresses.primary addresses.private-dns-name addresses.private-ip-address
	association.allocation-id association.association-id association.carrier-ip association.customer-owned-ip association.ip-owner-id
	association.public-dns-name association.public-ip attachment.attach-time attachment.attachment-id attachment.delete-on-termination
	attachment.device-index attachment.instance-id attachment.instance-owner-id attachment.network-card-index attachment.status
	availability-zone deny-all-igw-traffic description group-id group-name ipv4-prefixes.ipv4-prefix ipv6-address
	ipv6-addresses.ipv6-address ipv6-addresses.is-primary-ipv6 ipv6-native ipv6-prefixes.ipv6-prefix mac-address network-interface-id
	operator.managed operator.principal outpost-arn owner-id private-dns-name private-ip-address public-dns-name requester-id
	requester-managed status source-dest-check subnet-id tag-key tag-value vpc-id`
)
