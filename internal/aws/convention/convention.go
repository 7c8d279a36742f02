// SPDX-License-Identifier: Apache-2.0

// Package convention has the rules of EC2 that hold for all its operations and
// that the models do not know: what ids look like, how many values filters may
// have, what does not go together.
package convention

import (
	"reflect"
	"strings"
	"unicode"

	"github.com/posternhq/postern/internal/aws/codec"
	"github.com/posternhq/postern/internal/aws/fault"
	"github.com/posternhq/postern/internal/aws/schema"
	"github.com/posternhq/postern/internal/aws/shape/ec2"
)

// EC2 holds an input of any of EC2's operations against the rules that they have
// in common. The error is EC2's own, nil for an input that may go to the handler.
func EC2(op *schema.Operation, in any) error {
	v := reflect.ValueOf(in).Elem()
	if err := checkIDs(v, op.Input, ""); err != nil {
		return err
	}
	if err := checkFilters(op, v); err != nil {
		return err
	}
	if err := checkOnePage(op, v); err != nil {
		return err
	}
	if err := checkToken(op, v); err != nil {
		return err
	}
	return checkTagSpecifications(op, v)
}

// maxToken is how many characters a token of idempotency may have, all of ASCII (Ensuring
// idempotency in Amazon EC2 API requests, in the EC2 Developer Guide).
const maxToken = 64

func checkToken(op *schema.Operation, v reflect.Value) error {
	token, ok := member[*string](op, v, "ClientToken")
	if !ok {
		return nil
	}
	value := text(token)
	ascii := !strings.ContainsFunc(value, func(r rune) bool { return r > unicode.MaxASCII })
	if len(value) > maxToken || !ascii {
		return fault.EC2("InvalidParameterValue", "ClientToken: want at most %d characters of ASCII", maxToken)
	}
	return nil
}

// checkIDs walks all parameters and looks at those that are ids. The name is
// that of the member that holds the value, also for the elements of a list.
func checkIDs(v reflect.Value, shape *schema.Shape, name string) error {
	switch shape.Kind {
	case schema.Structure:
		for i := range shape.Members {
			m := &shape.Members[i]
			field := codec.Field(v, m)
			if codec.IsUnset(field) {
				continue
			}
			if err := checkIDs(codec.Deref(field), m.Shape, m.Name); err != nil {
				return err
			}
		}
	case schema.List:
		for i := range v.Len() {
			if err := checkIDs(v.Index(i), shape.Element.Shape, name); err != nil {
				return err
			}
		}
	case schema.String:
		if k := idKindOf(shape, name); k != nil {
			return k.check(v.String())
		}
	}
	return nil
}

// The limits of filters: what AWS says to a request that is beyond them is in
// bug reports of its clients, not in its reference.
const (
	maxFilterValues = 200 // of all filters of a request
	maxFilterValue  = 255 // characters of one value
)

func checkFilters(op *schema.Operation, v reflect.Value) error {
	filters, _ := member[[]ec2.Filter](op, v, "Filters")
	if older, ok := member[[]ec2.Filter](op, v, "Filter"); ok { // so called by some operations
		filters = older
	}
	n := 0
	for _, f := range filters {
		n += len(f.Values)
		for _, value := range f.Values {
			if len([]rune(value)) > maxFilterValue {
				return fault.EC2("FilterLimitExceeded", "The maximum length for a filter value is %d characters", maxFilterValue)
			}
		}
	}
	if n > maxFilterValues {
		return fault.EC2("FilterLimitExceeded", "The maximum number of filter values specified on a single call is %d", maxFilterValues)
	}
	if op.Name == "DescribeSecurityGroupRules" {
		return checkRuleFilters(filters)
	}
	return nil
}

// checkRuleFilters looks at the ids that rules are searched by. Other
// operations take any text in a filter: what is no id matches nothing.
func checkRuleFilters(filters []ec2.Filter) error {
	for _, f := range filters {
		k := map[string]*idKind{"group-id": groupIDs, "security-group-rule-id": ruleIDs}[text(f.Name)]
		for _, value := range f.Values {
			if k == nil || strings.ContainsAny(value, "*?\\") {
				continue
			}
			if err := k.check(value); err != nil {
				return err
			}
		}
	}
	return nil
}

// wholeLists are the operations whose reference says that MaxResults and ids
// exclude each other, with the list of ids as AWS's error calls it.
var wholeLists = map[string]struct{ member, text string }{
	"DescribeInstances":         {"InstanceIds", "instancesSet"},
	"DescribeNetworkInterfaces": {"NetworkInterfaceIds", "networkInterfaceIdSet"},
}

func checkOnePage(op *schema.Operation, v reflect.Value) error {
	list, ok := wholeLists[op.Name]
	if !ok {
		return nil
	}
	ids, _ := member[[]string](op, v, list.member)
	if max, _ := member[*int32](op, v, "MaxResults"); len(ids) > 0 && max != nil {
		return fault.EC2("InvalidParameterCombination", "The parameter %s cannot be used with the parameter maxResults", list.text)
	}
	return nil
}

// checkTagSpecifications sees that a request has one specification for each
// type of resource at most.
func checkTagSpecifications(op *schema.Operation, v reflect.Value) error {
	specifications, _ := member[[]ec2.TagSpecification](op, v, "TagSpecifications")
	seen := make(map[string]bool)
	for _, s := range specifications {
		t := text(s.ResourceType)
		if seen[t] {
			return fault.EC2("InvalidParameterValue", "Resource type '%s' is specified more than once in TagSpecification; put all its tags into one", t)
		}
		seen[t] = true
	}
	return nil
}

func text(p *string) string {
	if p == nil {
		return ""
	}
	return *p
}

// member reads a member of an input that not every operation has.
func member[T any](op *schema.Operation, v reflect.Value, name string) (T, bool) {
	var none T
	m := op.Input.Member(name)
	if m == nil {
		return none, false
	}
	value, ok := codec.Field(v, m).Addr().Interface().(*T)
	if !ok {
		return none, false
	}
	return *value, true
}
