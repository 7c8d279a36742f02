// SPDX-License-Identifier: Apache-2.0

package subnet

import (
	"context"

	"github.com/posternhq/postern/internal/access"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/absence"
	"github.com/posternhq/postern/internal/service/ec2/request"
	"github.com/posternhq/postern/internal/state"
)

// GetSubnetCidrReservations lists no reservations of blocks in a subnet.
func (a Subnets) GetSubnetCidrReservations(ctx context.Context, in *shape.GetSubnetCidrReservationsInput) (*shape.GetSubnetCidrReservationsOutput, error) {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := request.Get(tx, access.From(ctx), state.Subnets, service.Value(in.SubnetId)); err != nil {
		return nil, err
	}
	return absence.Of[shape.GetSubnetCidrReservationsOutput](ctx, absence.Kind{
		Operation: "GetSubnetCidrReservations", Filters: "reservationType subnet-id",
	}, request.Query{Filters: in.Filters, Token: in.NextToken, Max: in.MaxResults})
}
