// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"strings"
)

var kinds = map[string]string{
	"structure": "Structure", "list": "List", "map": "Map", "string": "String", "character": "String",
	"integer": "Integer", "long": "Long", "float": "Float", "double": "Double", "boolean": "Boolean",
	"timestamp": "Timestamp", "blob": "Blob",
}

var locations = map[string]string{
	"uri": "URI", "querystring": "Query", "header": "Header", "headers": "Headers", "statusCode": "StatusCode",
}

// emitSchema writes the tables. They are filled by a function, because shapes
// may refer to each other in circles, which initialisers must not.
func emitSchema(svc *service) *source {
	src := &source{}
	body := &source{}
	for _, s := range svc.shapes {
		body.line("t[%d] = schema.Shape%s", s.index, svc.shapeLiteral(s))
	}
	src.line("package %s\n", svc.Package)
	src.line("import (")
	src.line("\"context\"\n")
	src.line("\"github.com/posternhq/postern/internal/aws/schema\"")
	src.line(")\n")
	src.line("// Service describes %s: the served operations and all that they reach.", svc.Title)
	src.line("var Service = newService()\n")
	src.line("func newService() *schema.Service {")
	src.line("t := newShapes()")
	src.line("return &schema.Service{")
	meta := svc.model.Metadata
	src.line("Name: %q, SigningName: %q, Protocol: %q, Version: %q, Namespace: %q, Global: %v,",
		svc.Model, svc.Signing, svc.Protocol, meta.APIVersion, svc.Namespace, svc.Global)
	if meta.TargetPrefix != "" {
		src.line("TargetPrefix: %q,", meta.TargetPrefix)
	}
	if older := strings.Fields(olderVersions[svc.Model]); len(older) > 0 {
		src.line("OlderVersions: %#v,", older)
	}
	src.line("Operations: []*schema.Operation{")
	for _, op := range svc.ops {
		svc.emitOperation(src, op)
	}
	src.line("},")
	if len(svc.Unserved) > 0 {
		src.line("Unserved: []string{")
		for _, name := range svc.Unserved {
			src.line("%q,", name)
		}
		src.line("},")
	}
	src.line("}\n}\n")
	src.line("// newShapes returns the shapes below inputs and outputs; they refer to each other by index.")
	src.line("func newShapes() []schema.Shape {")
	src.line("t := make([]schema.Shape, %d)", len(svc.shapes))
	src.Write(body.Bytes())
	src.line("return t\n}\n")
	src.line("func ptr(n int64) *int64 { return &n }")
	return src
}

func (svc *service) emitOperation(src *source, op *operation) {
	src.line("{")
	src.line("Name: %q, Method: %q, Path: %q, Status: %d,", op.Name, op.HTTP.Method, op.HTTP.RequestURI, op.statusCode)
	src.line("Input: &schema.Shape%s,", svc.shapeLiteral(op.in))
	src.line("Output: &schema.Shape%s,", svc.shapeLiteral(op.out))
	if op.inRoot != "" {
		src.line("InputRoot: %q,", op.inRoot)
	}
	src.line("OutputRoot: %q,", op.outRoot)
	if op.resultWraps != "" {
		src.line("ResultWrapper: %q,", op.resultWraps)
	}
	if len(op.errors) > 0 {
		src.line("Errors: %#v,", op.errors)
	}
	if op.dryRun {
		src.line("DryRun: true,")
	}
	if op.Output == nil {
		src.line("NoOutput: true,")
	}
	src.line("NewInput: func() any { return new(%s) },", op.in.name)
	src.line("NewOutput: func() any { return new(%s) },", op.out.name)
	src.line("Call: func(ctx context.Context, api, in any) (any, error) { return api.(API).%s(ctx, in.(*%s)) },", op.Name, op.in.name)
	src.line("},")
}

// shapeLiteral is the composite literal of a shape without its type.
func (svc *service) shapeLiteral(s *shape) string {
	var out strings.Builder
	fmt.Fprintf(&out, "{Name: %q, Kind: schema.%s", s.name, kinds[s.Type])
	if len(s.Members) > 0 {
		out.WriteString(", Members: []schema.Member{\n")
		for i, m := range s.Members {
			out.WriteString(svc.memberLiteral(s.name, m.Name, i, &m.modelRef, slices.Contains(s.Required, m.Name)) + ",\n")
		}
		out.WriteString("}")
	}
	if s.Member != nil {
		out.WriteString(", Element: &schema.Member" + svc.memberLiteral("", "member", 0, s.Member, false))
	}
	if s.Key != nil {
		out.WriteString(", MapKey: &schema.Member" + svc.memberLiteral("", "key", 0, s.Key, false))
		out.WriteString(", Element: &schema.Member" + svc.memberLiteral("", "value", 0, s.Value, false))
	}
	if len(s.Enum) > 0 && !openEnums[svc.Model+"/"+s.name] {
		fmt.Fprintf(&out, ", Enum: %#v", s.Enum)
		if foldedEnums[svc.Model+"/"+s.name] {
			out.WriteString(", EnumFold: true")
		}
	}
	if s.Min != nil {
		fmt.Fprintf(&out, ", Min: ptr(%s)", *s.Min)
	}
	if s.Max != nil {
		fmt.Fprintf(&out, ", Max: ptr(%s)", *s.Max)
	}
	if s.Pattern != "" {
		fmt.Fprintf(&out, ", Pattern: schema.NewPattern(%q)", patternOf(s.Pattern))
	}
	if s.Payload != "" {
		fmt.Fprintf(&out, ", Payload: %q", s.Payload)
	}
	for _, flag := range []struct {
		name string
		set  bool
	}{{"Union", s.Union}, {"Flattened", s.Flattened}, {"Sensitive", s.Sensitive}} {
		if flag.set {
			fmt.Fprintf(&out, ", %s: true", flag.name)
		}
	}
	out.WriteString("}")
	return out.String()
}

// memberLiteral is the composite literal of a member of the shape owner, which
// is empty for the parts of lists and maps.
func (svc *service) memberLiteral(owner, name string, index int, ref *modelRef, required bool) string {
	target := svc.shape(ref.Shape)
	var out strings.Builder
	wire := firstOf(ref.LocationName, name)
	if target.Flattened && target.Member != nil && svc.Protocol == "query" {
		// Items of a flattened list replace the list's own name.
		wire = firstOf(target.Member.LocationName, wire)
	}
	fmt.Fprintf(&out, "{Name: %q, Index: %d, Shape: &t[%d], Wire: %q", name, index, target.index, wire)
	switch svc.Protocol {
	case "ec2":
		fmt.Fprintf(&out, ", QueryName: %q", firstOf(ref.QueryName, goName(wire)))
	case "query":
		fmt.Fprintf(&out, ", QueryName: %q", wire)
	}
	if ref.Location != "" {
		fmt.Fprintf(&out, ", Location: schema.%s", locations[ref.Location])
	}
	if target.Type == "timestamp" {
		fmt.Fprintf(&out, ", TimestampFormat: schema.%s", timestampFormat(svc.Protocol, ref, target))
	}
	for _, flag := range []struct {
		name string
		set  bool
	}{
		{"Required", required}, {"IdempotencyToken", ref.IdempotencyToken},
		{"Sensitive", target.Sensitive}, {"XMLAttribute", ref.XMLAttribute},
		{"OmitNil", omittedLists[svc.Model+"/"+owner+"."+name]},
	} {
		if flag.set {
			fmt.Fprintf(&out, ", %s: true", flag.name)
		}
	}
	out.WriteString("}")
	return out.String()
}

// timestampFormat follows the defaults of the AWS protocols: HTTP dates in
// headers, seconds in JSON bodies, ISO 8601 everywhere else.
func timestampFormat(protocol string, ref *modelRef, target *shape) string {
	switch format := firstOf(ref.TimestampFormat, target.TimestampFormat); {
	case format == "rfc822" || format == "" && ref.Location == "header":
		return "RFC822"
	case format == "unixTimestamp" || format == "" && ref.Location == "" && (protocol == "rest-json" || protocol == "json1.1"):
		return "UnixTimestamp"
	}
	return "ISO8601"
}

// asLookahead writes patterns that look ahead in their middle, which regular expressions of
// Go do not have, as equal ones that do so at their beginning, which package schema reads.
var asLookahead = map[string]string{
	"^[a-z0-9]([a-z0-9]|-(?!-)){1,61}[a-z0-9]$": "(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]",
}

func patternOf(model string) string {
	if equal := asLookahead[model]; equal != "" {
		return equal
	}
	return model
}
