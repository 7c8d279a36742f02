// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/table"
)

// What the owner of a service is told of the endpoints to it.

// State gives the life cycle of an endpoint as EC2 spells it in most places.
func State(tx *table.Txn, e *model.VPCEndpoint) string {
	state, _ := endpointState(tx, e)
	return lowered[state]
}

// Names gives the names of an endpoint.
func (a Endpoints) Names(tx *table.Txn, e *model.VPCEndpoint) []shape.DnsEntry {
	return a.dnsEntries(tx, e)
}
