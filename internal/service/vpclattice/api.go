// SPDX-License-Identifier: Apache-2.0

// Package vpclattice is the part of Amazon VPC Lattice that resource gateways
// need: gateways, the resource configurations behind them, and the associations
// of endpoints with those.
//
// References are to the VPC Lattice API Reference,
// https://docs.aws.amazon.com/vpc-lattice/latest/APIReference/, and the user
// guide, https://docs.aws.amazon.com/vpc-lattice/latest/ug/.
package vpclattice

import (
	"errors"
	"iter"
	"strings"
	"time"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/alloc"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// API implements the operations of VPC Lattice on the tables of its
// environment.
type API struct{ *service.Env }

var _ shape.API = (*API)(nil)

// The kinds of resources, as errors name them.
const (
	kindGateway       = "ResourceGateway"
	kindConfiguration = "ResourceConfiguration"
	kindAssociation   = "ResourceEndpointAssociation"
	kindVerification  = "DomainVerification"
	kindVPC           = "VPC"
	kindSubnet        = "Subnet"
	kindGroup         = "SecurityGroup"
)

// arnType is the type that ARNs of a kind have.
func arnType(kind string) string { return strings.ToLower(kind) }

// kindOf gives the kind whose ARNs have a type.
func kindOf(typeOfARN string) string {
	for _, kind := range []string{kindGateway, kindConfiguration, kindAssociation, kindVerification} {
		if arnType(kind) == typeOfARN {
			return kind
		}
	}
	return typeOfARN
}

// identify gives the name of a resource that a request names by id or by ARN. What
// is not in the view, such as what is in another region, does not exist.
func identify(tx *table.Txn, who access.View, kind, identifier string) (model.Ref, error) {
	ref, err := refer(who, kind, identifier)
	if err == nil && strings.HasPrefix(identifier, "arn:") && !view.Sees(tx, who, ref) {
		err = fault.NotFound(kind, identifier)
	}
	return ref, err
}

// refer is identify without the view.
func refer(who access.View, kind, identifier string) (model.Ref, error) {
	if !strings.HasPrefix(identifier, "arn:") {
		return who.Own(identifier), nil
	}
	arn, err := model.ParseARN(identifier)
	if err != nil || arn.Service != "vpc-lattice" || arn.Type != arnType(kind) {
		return model.Ref{}, fault.Validation("identifier", "%s is not the ARN of a %s", identifier, kind)
	}
	return model.Ref{Account: arn.Account, Region: arn.Region, ID: arn.ID}, nil
}

// find reads a row that a request names by id or by ARN.
func find[T table.Row](tx *table.Txn, rows *table.Table[T], who access.View, kind, identifier string) (T, error) {
	ref, err := identify(tx, who, kind, identifier)
	if err != nil {
		var none T
		return none, err
	}
	row, ok := view.At(tx, who, rows, ref)
	if !ok {
		return row, fault.NotFound(kind, identifier)
	}
	return row, nil
}

// status gives the life cycle of a resource in the words of VPC Lattice, and
// the reason of a failure.
func status(tx *table.Txn, m *model.Meta) (state string, reason *string) {
	row := statusRow(tx, m)
	life := model.LifecycleOf(m, row)
	if life.InError() {
		reason = service.Optional(row.Reason)
	}
	return lifecycleWords[life], reason
}

// lifecycleWords are the same for all kinds of resources.
var lifecycleWords = map[model.Lifecycle]string{
	model.Pending:      shape.ResourceGatewayStatusCreateInProgress,
	model.Ready:        shape.ResourceGatewayStatusActive,
	model.Failed:       shape.ResourceGatewayStatusCreateFailed,
	model.Updating:     shape.ResourceGatewayStatusUpdateInProgress,
	model.UpdateFailed: shape.ResourceGatewayStatusUpdateFailed,
	model.Deleting:     shape.ResourceGatewayStatusDeleteInProgress,
	model.DeleteFailed: shape.ResourceGatewayStatusDeleteFailed,
}

func statusRow(tx *table.Txn, m *model.Meta) *model.Status {
	row, _ := state.Statuses.Get(tx, m.Account, m.Region, m.ID)
	return row
}

// asFault gives the errors of packages service and eni their VPC Lattice form;
// others it returns as they are.
func asFault(err error) error {
	var tag *service.TagError
	var full *alloc.ExhaustedError
	var family *alloc.FamilyError
	var quota *alloc.QuotaError
	switch {
	case errors.As(err, &tag):
		return fault.Validation("tags", "%s", tag.Problem)
	case errors.As(err, &full):
		return fault.Validation("subnetIds", "%v", full)
	case errors.As(err, &family):
		return fault.Validation("subnetIds", "%v", family)
	case errors.As(err, &quota):
		return fault.QuotaExceeded("NetworkInterface", "", "interfaces-per-region", "%v", quota)
	case errors.Is(err, service.ErrTokenReused):
		return fault.Conflict("ClientToken", "", "clientToken: %v", service.ErrTokenReused)
	case errors.Is(err, service.ErrPageToken):
		return fault.Validation("nextToken", "%v", service.ErrPageToken)
	case errors.Is(err, alloc.ErrTransitFull):
		return fault.QuotaExceeded(kindConfiguration, "", "transit-targets", "%v", err)
	}
	return err
}

// replayed checks what a repeated create request made before: it still is, or
// the token cannot be answered any more.
func replayed[T table.Row](tx *table.Txn, rows *table.Table[T], who access.View, kind, id string) (T, error) {
	row, ok := view.Get(tx, who, rows, id)
	if !ok {
		return row, fault.Conflict(kind, id, "the client token was used to create %s %s, which has been deleted", kind, id)
	}
	return row, nil
}

// pageLimit is the largest page of VPC Lattice's lists.
const pageLimit = 100

// paginate gives one page of rows, which come in ascending order of their ids.
func paginate[T table.Row](who access.View, operation string, parameters any, token *string, limit *int32, rows iter.Seq[T]) ([]T, *string, error) {
	page := service.NewPage(who, operation, parameters, token, limit, pageLimit)
	out, next, err := service.Paginate(page, rows, func(row T) string {
		_, _, id := row.RowKey()
		return id
	})
	return out, service.Optional(next), asFault(err)
}

// lastUpdated is the time of the last change, which creation is one of.
func lastUpdated(m *model.Meta) *time.Time {
	if m.UpdatedAt.IsZero() {
		return new(m.CreatedAt)
	}
	return new(m.UpdatedAt)
}
