// SPDX-License-Identifier: Apache-2.0

// Package dhcp is EC2's DHCP options.
package dhcp

import (
	"context"

	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/request"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// Options are the operations on DHCP options.
type Options struct{ *service.Env }

// DescribeDhcpOptions lists the caller's DHCP options.
func (a Options) DescribeDhcpOptions(ctx context.Context, in *shape.DescribeDhcpOptionsInput) (*shape.DescribeDhcpOptionsOutput, error) {
	rows, _, next, err := request.Describe(ctx, a.DB, request.Listing[*model.DHCPOptions]{
		Operation: "DescribeDhcpOptions", Table: state.DHCPOptions, Filters: optionsFilters,
	}, request.Query{Filters: in.Filters, IDs: in.DhcpOptionsIds, Token: in.NextToken, Max: in.MaxResults})
	if err != nil {
		return nil, err
	}
	out := &shape.DescribeDhcpOptionsOutput{NextToken: next, DhcpOptions: []shape.DhcpOptions{}}
	for _, o := range rows {
		out.DhcpOptions = append(out.DhcpOptions, optionsShape(o))
	}
	return out, nil
}

// option is one DHCP option by its name.
type option struct {
	key    string
	values []string
}

// options gives the DHCP options that are set, in the order of their names.
func options(o *model.DHCPOptions) []option {
	var set []option
	if o.DomainName != "" {
		set = append(set, option{keyDomain, []string{o.DomainName}})
	}
	for _, each := range []option{
		{keyServers, o.DomainNameServers}, {keyLease, one(o.IPv6Lease)}, {keyNetBIOS, o.NetBIOSNameServers},
		{keyNodeType, one(o.NetBIOSNodeType)}, {keyTime, o.NTPServers},
	} {
		if len(each.values) > 0 {
			set = append(set, each)
		}
	}
	return set
}

func one(value string) []string {
	if value == "" {
		return nil
	}
	return []string{value}
}

func optionsFilters(*table.Txn) service.Filters[*model.DHCPOptions] {
	return service.Filters[*model.DHCPOptions]{
		Properties: map[string]func(*model.DHCPOptions) []string{
			"dhcp-options-id": func(o *model.DHCPOptions) []string { return request.One(o.ID) },
			"key": func(o *model.DHCPOptions) []string {
				var keys []string
				for _, each := range options(o) {
					keys = append(keys, each.key)
				}
				return keys
			},
			"owner-id": func(o *model.DHCPOptions) []string { return request.One(o.Account) },
			"value": func(o *model.DHCPOptions) []string {
				var values []string
				for _, each := range options(o) {
					values = append(values, each.values...)
				}
				return values
			},
		},
	}
}

func optionsShape(o *model.DHCPOptions) shape.DhcpOptions {
	out := shape.DhcpOptions{DhcpOptionsId: new(o.ID), OwnerId: new(o.Account), Tags: request.TagList(o.Tags)}
	for _, each := range options(o) {
		configuration := shape.DhcpConfiguration{Key: new(each.key)}
		for _, value := range each.values {
			configuration.Values = append(configuration.Values, shape.AttributeValue{Value: new(value)})
		}
		out.DhcpConfigurations = append(out.DhcpConfigurations, configuration)
	}
	return out
}
