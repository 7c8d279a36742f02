// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"unicode"
)

// goName is the exported Go name of a model's shape or member.
func goName(name string) string {
	return strings.ToUpper(name[:1]) + name[1:]
}

// constantSuffix turns an enum value into the end of a Go constant's name:
// CREATE_FAILED becomes CreateFailed, vpc-endpoint becomes VpcEndpoint.
func constantSuffix(value string) string {
	words := strings.FieldsFunc(value, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	var out strings.Builder
	for _, word := range words {
		if word == strings.ToUpper(word) {
			word = strings.ToLower(word)
		}
		out.WriteString(goName(word))
	}
	return out.String()
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// goType is the Go type of a shape as list element or map value.
func (svc *service) goType(name string) string {
	s := svc.shape(name)
	switch s.Type {
	case "structure":
		return s.name
	case "list":
		return "[]" + svc.goType(s.Member.Shape)
	case "map":
		return "map[string]" + svc.goType(s.Value.Shape)
	case "blob":
		return "[]byte"
	case "integer":
		return "int32"
	case "long":
		return "int64"
	case "float", "double":
		return "float64"
	case "boolean":
		return "bool"
	case "timestamp":
		return "time.Time"
	}
	return "string"
}

// fieldType is the Go type of a structure's member: a pointer unless nil can
// already say that the member is not set.
func (svc *service) fieldType(name string) string {
	t := svc.goType(name)
	if strings.HasPrefix(t, "[]") || strings.HasPrefix(t, "map[") {
		return t
	}
	return "*" + t
}
