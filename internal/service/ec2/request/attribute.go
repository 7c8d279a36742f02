// SPDX-License-Identifier: Apache-2.0

package request

import (
	"maps"
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
)

// SetBool makes the change that a request for a boolean attribute asks for; nil
// when it is not there.
func SetBool[T any](wanted *shape.AttributeBooleanValue, set func(T, bool)) func(T) {
	if wanted == nil || wanted.Value == nil {
		return nil
	}
	return func(row T) { set(row, *wanted.Value) }
}

// Bool gives the value of a boolean attribute in a request, nil when it is not
// there.
func Bool(wanted *shape.AttributeBooleanValue) *bool {
	if wanted == nil {
		return nil
	}
	return wanted.Value
}

// TheOne gives the one change that a request asks for. EC2 modifies one
// attribute a request.
func TheOne[T any](changes map[string]func(T)) (func(T), error) {
	var found []string
	for _, name := range slices.Sorted(maps.Keys(changes)) {
		if changes[name] != nil {
			found = append(found, name)
		}
	}
	switch len(found) {
	case 0:
		return nil, fault.EC2("MissingParameter", "The request must contain one of the parameters %s", strings.Join(slices.Sorted(maps.Keys(changes)), ", "))
	case 1:
		return changes[found[0]], nil
	}
	return nil, fault.EC2("InvalidParameterCombination", "Fields for multiple attribute types specified: %s; only one can be modified at a time", strings.Join(found, ", "))
}
