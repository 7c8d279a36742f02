// SPDX-License-Identifier: Apache-2.0

// Package route53 is the part of Amazon Route 53 that private hosted zones need: zones,
// the VPCs that see them, their record sets, and the changes of these.
//
// References are to the Route 53 API Reference,
// https://docs.aws.amazon.com/Route53/latest/APIReference/, and the developer guide,
// https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/.
package route53

import (
	"errors"
	"strconv"
	"strings"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/route53"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// API implements the operations of Route 53 on the tables of its environment.
type API struct{ *service.Env }

var _ shape.API = (*API)(nil)

// What ids are shown with, and may be sent with.
const (
	zonePrefix   = "/hostedzone/"
	changePrefix = "/change/"
)

// bareID gives an id without what it may be sent with.
func bareID(prefix, text string) string {
	return strings.TrimPrefix(strings.TrimPrefix(text, prefix), strings.TrimPrefix(prefix, "/"))
}

// newID makes the id of a zone or a change: a letter and 19 more letters and digits. With
// what it is shown with, that of a zone has 32 characters, the most that requests can have.
func (a *API) newID(letter string) string {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	id := []byte(letter)
	for range 19 {
		id = append(id, digits[a.Intn(len(digits))])
	}
	return string(id)
}

func invalidInput(format string, args ...any) error {
	return fault.Route53("InvalidInput", format, args...)
}

func noSuchZone(id string) error {
	return fault.Route53("NoSuchHostedZone", "No hosted zone found with ID: %s", id)
}

// findZone finds a zone of the caller's by what a request names it by.
func findZone(tx *table.Txn, who access.View, text string) (*model.HostedZone, error) {
	id := bareID(zonePrefix, text)
	zone, ok := view.Get(tx, who, state.HostedZones, id)
	if !ok {
		return nil, noSuchZone(id)
	}
	return zone, nil
}

// pageSize reads how many items a page is to have; what a page cannot have is cut off.
func pageSize(member string, text *string, most int) (int, error) {
	if text == nil {
		return most, nil
	}
	n, err := strconv.Atoi(*text)
	if err != nil || n < 1 {
		return 0, invalidInput("%s is %q; it is a number from 1 to %d", member, *text, most)
	}
	return min(n, most), nil
}

// fatal says what is wrong with a name or a value in the words of Route 53.
func fatal(err error) string {
	code, problem, text := "", "", ""
	var name *model.NameError
	var data *model.DataError
	switch {
	case errors.As(err, &name):
		code, problem, text = string(name.Problem), name.Problem.String(), name.Text
	case errors.As(err, &data):
		code, problem, text = data.Code, data.Problem, data.Text
	}
	return "FATAL problem: " + code + " (" + problem + ") encountered with '" + text + "'"
}

// asFault gives the errors of package service the form of Route 53; others it returns as
// they are.
func asFault(err error) error {
	var tag *service.TagError
	switch {
	case errors.As(err, &tag):
		return invalidInput("%s", tag.Problem)
	case errors.Is(err, service.ErrPageToken):
		return fault.Route53("InvalidPaginationToken", "NextToken: %v", service.ErrPageToken)
	}
	return err
}
