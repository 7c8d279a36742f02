// SPDX-License-Identifier: Apache-2.0

// Package rds is Amazon Relational Database Service: databases that Postern runs, or that
// exist already and are watched. Handlers change rows; what is done with servers is done by
// the host that has them, which says in rows of its own how far it is.
//
// References are to the RDS API Reference, https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/,
// and the user guides of RDS and Aurora, https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/
// and https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/.
package rds

import (
	"errors"
	"strings"

	"github.com/posternhq/postern/internal/alloc"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/rds"
	"github.com/posternhq/postern/internal/service"
)

// API implements the operations of RDS on the tables of its environment.
type API struct {
	*service.Env
	// Logs are those of servers; nil when there are none.
	Logs Logs
}

var _ shape.API = (*API)(nil)

// Codes that several nouns have.
const (
	badValue       = "InvalidParameterValue"
	badCombination = "InvalidParameterCombination"
)

func invalid(format string, args ...any) error { return fault.RDS(badValue, format, args...) }

// conflicting is a request whose parts do not go together, or not with what there is.
func conflicting(format string, args ...any) error { return fault.RDS(badCombination, format, args...) }

func missing(parameter string) error {
	return fault.RDS("MissingParameter", "The request must contain the parameter %s", parameter)
}

// asFault gives the errors of packages service and alloc the form of RDS; others it returns
// as they are.
func asFault(err error) error {
	var tag *service.TagError
	var full *alloc.ExhaustedError
	var family *alloc.FamilyError
	var quota *alloc.QuotaError
	switch {
	case errors.As(err, &tag):
		return invalid("Tags: %s", tag.Problem)
	case errors.Is(err, service.ErrPageToken):
		return invalid("The Marker provided in the request is invalid.")
	case errors.As(err, &full):
		return fault.RDS("InsufficientAvailableIPsInSubnetFault", "%s", full)
	case errors.As(err, &family):
		return fault.RDS("InvalidSubnet", "%s", family)
	case errors.As(err, &quota):
		return fault.RDS("InvalidVPCNetworkStateFault", "%s", quota)
	}
	return err
}

// identifier reads what users call a cluster, an instance or a snapshot, which has no case:
// a letter first, then letters, digits and hyphens, no two together and none at the end.
func identifier(parameter, text string, most int) (string, error) {
	name := strings.ToLower(text)
	good := name != "" && len(name) <= most && name[0] >= 'a' && name[0] <= 'z' &&
		!strings.HasSuffix(name, "-") && !strings.Contains(name, "--") &&
		strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
	if !good {
		return "", invalid("The parameter %s is not a valid identifier. Identifiers must begin with a letter; must contain only ASCII letters, digits, and hyphens; "+
			"must not end with a hyphen or contain two consecutive hyphens; and must have at most %d characters.", parameter, most)
	}
	return name, nil
}

// maxIdentifier is how long identifiers of clusters and instances can be. Those of snapshots
// can have maxSnapshot characters.
const (
	maxIdentifier = 63
	maxSnapshot   = 255
)
