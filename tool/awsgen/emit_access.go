// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"go/format"
	"strings"
)

// emitAccess adds the table of actions of all services.
func emitAccess(services []*service, sections map[string]*accessSection, files map[string][]byte) error {
	kinds, first := &source{}, map[string]int{}
	for _, svc := range services {
		if sections[svc.Model] == nil {
			return fmt.Errorf("access.txt has no section [%s]", svc.Model)
		}
		for _, k := range sections[svc.Model].kinds {
			first[k.service+":"+k.name] = len(first)
			keys := ""
			if len(k.keys) > 0 {
				keys = fmt.Sprintf(", Keys: %#v", k.keys)
			}
			if k.colon {
				keys += ", Colon: true"
			}
			kinds.line("{Service: %q, Type: %q, Prefix: %q, NoRegion: %v, NoAccount: %v%s},", k.service, k.name, k.prefix, k.noRegion, k.noAccount, keys)
		}
	}
	src := &source{}
	src.line("package access\n")
	src.line("// Services is the table of all that is served, by the names of the models and")
	src.line("// operations.")
	src.line("var Services = map[string]*Service{")
	for _, svc := range services {
		operations, err := resolveAccess(svc, sections)
		if err != nil {
			return err
		}
		src.line("%q: {Hides: %v, Operations: map[string]*Operation{", svc.Model, sections[svc.Model].hides)
		for _, op := range svc.ops {
			management := ""
			if operations[op.Name].management {
				management = "Management: true, "
			}
			if operations[op.Name].free {
				management += "Free: true, "
			}
			src.line("%q: {%sNeeds: []Need{", op.Name, management)
			for _, n := range operations[op.Name].needs {
				src.line("%s,", needLiteral(n, first))
			}
			tags := ""
			if paths := operations[op.Name].tags; len(paths) > 0 {
				tags = ", Tags: [][]int{" + strings.ReplaceAll(strings.Trim(fmt.Sprintf("%#v", paths)[len("[][]int{"):], " "), "[]int", "")
			}
			src.line("}%s},", tags)
		}
		src.line("}},")
	}
	src.line("}\n")
	src.line("// kinds are all kinds of resources.")
	src.line("var kinds = [...]Kind{")
	src.Write(kinds.Bytes())
	src.line("}")
	formatted, err := format.Source(append([]byte(strings.Replace(header, "tool/awsgen/models", "tool/awsgen/access.txt", 1)), src.Bytes()...))
	if err != nil {
		return fmt.Errorf("format table of actions: %w", err)
	}
	files["internal/access/table.go"] = formatted
	return nil
}

func needLiteral(n accessNeed, first map[string]int) string {
	var out strings.Builder
	fmt.Fprintf(&out, "{Action: %q", n.action)
	if n.when != nil {
		fmt.Fprintf(&out, ", When: %#v", n.when)
	}
	if len(n.targets) > 0 {
		out.WriteString(", Targets: []Target{")
		for _, t := range n.targets {
			out.WriteString(targetLiteral(t, first) + ",")
		}
		out.WriteString("}")
	}
	return out.String() + keysLiteral(n.keys, first) + "}"
}

func keysLiteral(keys []accessKey, first map[string]int) string {
	if len(keys) == 0 {
		return ""
	}
	var out strings.Builder
	for _, k := range keys {
		fmt.Fprintf(&out, "{Name: %q, Path: %#v", k.name, k.path)
		if k.form != "Plain" {
			out.WriteString(", Form: " + k.form)
		}
		if k.kind != nil {
			fmt.Fprintf(&out, ", Kind: &kinds[%d]", first[k.kind.service+":"+k.kind.name])
		}
		if k.of != "" {
			fmt.Fprintf(&out, ", Of: %q", k.of)
		}
		out.WriteString("},")
	}
	return ", Keys: []Key{" + out.String() + "}"
}

func targetLiteral(t accessTarget, first map[string]int) string {
	var kinds []string
	for _, k := range t.kinds {
		kinds = append(kinds, fmt.Sprintf("&kinds[%d]", first[k.service+":"+k.name]))
	}
	text := fmt.Sprintf("{Kinds: []*Kind{%s}", strings.Join(kinds, ", "))
	if t.path != nil {
		text += fmt.Sprintf(", Path: %#v", t.path)
	}
	if t.before != nil {
		text += fmt.Sprintf(", Before: %#v", t.before)
	}
	if t.newName != nil {
		text += fmt.Sprintf(", NewPath: %#v, NewName: %#v", t.newPath, t.newName)
	}
	if t.caller {
		text += ", OrCaller: true"
	}
	if t.all {
		text += ", OrAll: true"
	}
	if t.trusts {
		text += ", Trusts: true"
	}
	if t.byOther {
		text += ", ByOther: true"
	}
	if t.mentioned {
		text += ", Mentioned: true"
	}
	return text + keysLiteral(t.keys, first) + "}"
}
