// SPDX-License-Identifier: Apache-2.0

package route53

import (
	"context"
	"strconv"

	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/route53"
	"github.com/posternhq/postern/internal/service"
)

// Reusable delegation sets are of public zones, of which there are none.

func noSuchDelegationSet(id string) error {
	return fault.Route53("NoSuchDelegationSet", "There is no reusable delegation set %s: they are for public hosted zones, which are not served here.", id)
}

// CreateReusableDelegationSet is refused.
func (a *API) CreateReusableDelegationSet(context.Context, *shape.CreateReusableDelegationSetInput) (*shape.CreateReusableDelegationSetOutput, error) {
	return nil, fault.Route53("DelegationSetNotAvailable", "Reusable delegation sets are for public hosted zones, which are not served here.")
}

// GetReusableDelegationSet finds none.
func (a *API) GetReusableDelegationSet(_ context.Context, in *shape.GetReusableDelegationSetInput) (*shape.GetReusableDelegationSetOutput, error) {
	return nil, noSuchDelegationSet(*in.Id)
}

// DeleteReusableDelegationSet finds none.
func (a *API) DeleteReusableDelegationSet(_ context.Context, in *shape.DeleteReusableDelegationSetInput) (*shape.DeleteReusableDelegationSetOutput, error) {
	return nil, noSuchDelegationSet(*in.Id)
}

// ListReusableDelegationSets lists none.
func (a *API) ListReusableDelegationSets(_ context.Context, in *shape.ListReusableDelegationSetsInput) (*shape.ListReusableDelegationSetsOutput, error) {
	size, err := pageSize("MaxItems", in.MaxItems, zonesPerPage)
	if err != nil {
		return nil, err
	}
	return &shape.ListReusableDelegationSetsOutput{
		DelegationSets: []shape.DelegationSet{}, Marker: new(service.Value(in.Marker)), MaxItems: new(strconv.Itoa(size)), IsTruncated: new(false),
	}, nil
}
