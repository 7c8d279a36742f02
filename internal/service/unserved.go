// SPDX-License-Identifier: Apache-2.0

package service

import (
	"reflect"
	"slices"
	"strings"
)

// Unserved looks at all that a request has, a pointer to a struct, and names a member that the
// operation does not see to, if there is one that does not ask for what is so anyway: for no,
// zero, nothing, or one of the usual values of the member. Served are the members that the
// operation sees to.
func Unserved(in any, usual map[string][]string, served ...string) (member string, has bool) {
	v := reflect.ValueOf(in).Elem()
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		if !slices.Contains(served, name) && !asIs(v.Field(i), usual[name]) {
			return name, true
		}
	}
	return "", false
}

// asIs reports whether a member is not there, or asks for what is so anyway.
func asIs(v reflect.Value, usual []string) bool {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return true
		}
		v = v.Elem()
	}
	if v.Kind() == reflect.String && slices.ContainsFunc(usual, func(usual string) bool { return strings.EqualFold(usual, v.String()) }) {
		return true
	}
	return v.IsZero() || v.Kind() == reflect.Slice && v.Len() == 0
}
