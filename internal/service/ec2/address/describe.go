// SPDX-License-Identifier: Apache-2.0

package address

import (
	"context"
	"slices"

	"github.com/posternhq/postern/internal/access"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/request"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// DescribeAddresses lists the caller's elastic addresses, all of them at once, as AWS does.
func (a Addresses) DescribeAddresses(ctx context.Context, in *shape.DescribeAddressesInput) (*shape.DescribeAddressesOutput, error) {
	who := access.From(ctx)
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	filters := addressFilters(tx)
	filters.Tags = func(e *model.ElasticAddress) map[string]string { return e.Tags }
	holds, err := filters.Compile(request.FiltersOf(in.Filters))
	if err != nil {
		return nil, request.Fault(err)
	}
	rows := slices.Collect(view.All(tx, who, state.ElasticAddresses))
	for _, id := range in.AllocationIds {
		if _, err := request.Get(tx, who, state.ElasticAddresses, id); err != nil {
			return nil, err
		}
	}
	for _, addr := range in.PublicIps {
		if !slices.ContainsFunc(rows, func(e *model.ElasticAddress) bool { return e.Addr.String() == addr }) {
			return nil, notFound(addr)
		}
	}
	out := &shape.DescribeAddressesOutput{Addresses: []shape.Address{}}
	for _, e := range rows {
		all := len(in.AllocationIds)+len(in.PublicIps) == 0
		named := slices.Contains(in.AllocationIds, e.ID) || slices.Contains(in.PublicIps, e.Addr.String())
		if (all || named) && holds(e) {
			out.Addresses = append(out.Addresses, addressShape(tx, e))
		}
	}
	return out, nil
}

func addressFilters(tx *table.Txn) service.Filters[*model.ElasticAddress] {
	type row = *model.ElasticAddress
	return service.Filters[row]{Properties: map[string]func(row) []string{
		"allocation-id":              func(e row) []string { return request.One(e.ID) },
		"association-id":             func(e row) []string { return request.One(e.Association) },
		"domain":                     func(row) []string { return request.One(shape.DomainTypeVpc) },
		"instance-id":                func(row) []string { return nil },
		"network-border-group":       func(e row) []string { return request.One(e.Region) },
		"network-interface-id":       func(e row) []string { return request.One(e.Interface) },
		"network-interface-owner-id": func(e row) []string { return request.One(service.Value(addressShape(tx, e).NetworkInterfaceOwnerId)) },
		"private-ip-address":         func(e row) []string { return request.One(service.Value(addressShape(tx, e).PrivateIpAddress)) },
		"public-ip":                  func(e row) []string { return request.One(e.Addr.String()) },
	}}
}

func addressShape(tx *table.Txn, e *model.ElasticAddress) shape.Address {
	out := shape.Address{
		AllocationId: new(e.ID), PublicIp: new(e.Addr.String()), Domain: new(shape.DomainTypeVpc), Tags: request.TagList(e.Tags),
		PublicIpv4Pool: new(amazonPool), NetworkBorderGroup: new(e.Region),
	}
	if e.Association == "" {
		return out
	}
	out.AssociationId, out.NetworkInterfaceId, out.PrivateIpAddress = new(e.Association), new(e.Interface), new(e.Private.String())
	out.NetworkInterfaceOwnerId = new(e.Account)
	return out
}

// DescribeAddressesAttribute tells the domain names of addresses, which have none here.
func (a Addresses) DescribeAddressesAttribute(ctx context.Context, in *shape.DescribeAddressesAttributeInput) (*shape.DescribeAddressesAttributeOutput, error) {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	who := access.From(ctx)
	for _, id := range in.AllocationIds {
		if _, err := request.Get(tx, who, state.ElasticAddresses, id); err != nil {
			return nil, err
		}
	}
	none := func(func(shape.AddressAttribute) bool) {}
	_, next, err := request.Paginate(who, "DescribeAddressesAttribute",
		request.Query{IDs: in.AllocationIds, Token: in.NextToken, Max: in.MaxResults}, none,
		service.Filters[shape.AddressAttribute]{}, func(shape.AddressAttribute) string { return "" })
	if err != nil {
		return nil, err
	}
	return &shape.DescribeAddressesAttributeOutput{NextToken: next, Addresses: []shape.AddressAttribute{}}, nil
}
