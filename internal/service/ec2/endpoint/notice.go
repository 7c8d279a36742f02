// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"context"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/model"
)

// What the other side of an endpoint to an endpoint service hears of, in the words of
// connection notifications
// (https://docs.aws.amazon.com/vpc/latest/privatelink/create-notification-endpoint-service.html).
const (
	Connects = "Connect"
	Accepts  = "Accept"
	Rejects  = "Reject"
	Deletes  = "Delete"
)

// Notify has an account hear what became of an endpoint to an endpoint service.
func Notify(ctx context.Context, account, what string, e *model.VPCEndpoint) {
	access.Tell(ctx, access.Notice{Account: account, Event: "VpcEndpoint" + what, Details: []access.Detail{
		{Name: "vpcEndpointId", Value: e.ID}, {Name: "vpcEndpointOwner", Value: e.Account}, {Name: "serviceName", Value: e.ServiceName},
	}})
}
