// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/aws/schema"
)

// commandLine writes a call as the AWS CLI would be asked for it, from the very
// input that is sent. in is a pointer to the operation's input.
func commandLine(service *schema.Service, operation string, in any) string {
	words := []string{"aws", service.Name, kebab(operation)}
	v := reflect.ValueOf(in).Elem()
	for _, m := range service.Operation(operation).Input.Members {
		words = append(words, option(m, v.Field(m.Index))...)
	}
	return strings.Join(words, " ")
}

// option writes one parameter; nothing when it is not set.
func option(m schema.Member, v reflect.Value) []string {
	if v.IsZero() {
		return nil
	}
	name := "--" + kebab(m.Name)
	switch m.Shape.Kind {
	case schema.Boolean:
		if !v.Elem().Bool() {
			name = "--no-" + kebab(m.Name)
		}
		return []string{name}
	case schema.List:
		words := []string{name}
		for i := range v.Len() {
			words = append(words, quote(argument(m.Shape.Element.Shape, v.Index(i))))
		}
		return words
	}
	return []string{name, quote(argument(m.Shape, v))}
}

// argument writes a value as the CLI's shorthand has it at the top.
func argument(s *schema.Shape, v reflect.Value) string {
	text := shorthand(s, v)
	if s.Kind == schema.Structure || s.Kind == schema.Map {
		return text[1 : len(text)-1]
	}
	return text
}

// shorthand writes a nested value:
// https://docs.aws.amazon.com/cli/latest/userguide/cli-usage-shorthand.html
func shorthand(s *schema.Shape, v reflect.Value) string {
	v = reflect.Indirect(v)
	var parts []string
	switch s.Kind {
	case schema.Structure:
		for _, m := range s.Members {
			if f := v.Field(m.Index); !f.IsZero() {
				parts = append(parts, m.Name+"="+shorthand(m.Shape, f))
			}
		}
	case schema.Map:
		for _, key := range slices.Sorted(maps.Keys(v.Interface().(map[string]string))) {
			parts = append(parts, key+"="+v.MapIndex(reflect.ValueOf(key)).String())
		}
	case schema.List:
		for i := range v.Len() {
			parts = append(parts, shorthand(s.Element.Shape, v.Index(i)))
		}
		return "[" + strings.Join(parts, ",") + "]"
	default:
		return fmt.Sprint(v.Interface())
	}
	return "{" + strings.Join(parts, ",") + "}"
}

var (
	wordStart = regexp.MustCompile(`(.)([A-Z][a-z]+)`)
	wordEnd   = regexp.MustCompile(`([a-z0-9])([A-Z])`)
)

// kebab turns CreateVpcEndpoint into create-vpc-endpoint.
func kebab(name string) string {
	name = wordStart.ReplaceAllString(name, "$1-$2")
	return strings.ToLower(wordEnd.ReplaceAllString(name, "$1-$2"))
}

var plain = regexp.MustCompile(`^[A-Za-z0-9_./:=,@%+-]+$`)

// quote makes one word of a shell of any text.
func quote(text string) string {
	if plain.MatchString(text) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
