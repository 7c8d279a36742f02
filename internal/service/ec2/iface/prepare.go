// SPDX-License-Identifier: Apache-2.0

package iface

import (
	"github.com/posternhq/postern/internal/access"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/ec2/request"
	"github.com/posternhq/postern/internal/table"
)

// PrepareInterface is CreateNetworkInterface for a transaction of the caller's,
// in which more happens: it checks the request and gives the function that makes
// the interface. The client token is not looked at. Errors of both are AWS errors.
func (a Interfaces) PrepareInterface(who access.View, in *shape.CreateNetworkInterfaceInput) (func(*table.Txn) (*model.NetworkInterface, error), error) {
	n, err := a.newInterface(who, in)
	if err != nil {
		return nil, err
	}
	return func(tx *table.Txn) (*model.NetworkInterface, error) {
		ni, err := a.createInterface(tx, n)
		return ni, request.Fault(err)
	}, nil
}
