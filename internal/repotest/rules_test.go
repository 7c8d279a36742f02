// SPDX-License-Identifier: Apache-2.0

package repotest

import (
	"go/ast"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	maxFileLines     = 600
	maxFunctionLines = 90
	licence          = "// SPDX-License-Identifier: Apache-2.0\n"
)

func TestFilesAndFunctionsAreSmall(t *testing.T) {
	for _, s := range sources(t) {
		if s.generated() {
			continue
		}
		if lines := strings.Count(s.text, "\n"); lines > maxFileLines {
			t.Errorf("%s has %d lines, more than %d", s.path, lines, maxFileLines)
		}
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			from, to := s.fset.Position(f.Pos()).Line, s.fset.Position(f.End()).Line
			if lines := to - from + 1; lines > maxFunctionLines {
				t.Errorf("%s:%d: %s has %d lines, more than %d", s.path, from, f.Name.Name, lines, maxFunctionLines)
			}
		}
	}
}

func TestEveryFileNamesItsLicence(t *testing.T) {
	for _, s := range sources(t) {
		if !s.generated() && !strings.HasPrefix(s.text, licence) {
			t.Errorf("%s does not begin with %q", s.path, strings.TrimSpace(licence))
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	documented := map[string]bool{}
	for _, s := range sources(t) {
		if s.test() {
			continue
		}
		documented[s.folder()] = documented[s.folder()] || s.file.Doc.Text() != ""
	}
	for folder, ok := range documented {
		if !ok {
			t.Errorf("package %s has no package comment", folder)
		}
	}
}

func TestExportedNamesAreDocumented(t *testing.T) {
	for _, s := range sources(t) {
		if s.test() || s.generated() {
			continue
		}
		for _, d := range s.file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && exportedReceiver(d) && d.Doc == nil {
					t.Errorf("%s: %s has no comment", s.fset.Position(d.Pos()), d.Name.Name)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if name, ok := undocumented(d, spec); ok {
						t.Errorf("%s: %s has no comment", s.fset.Position(spec.Pos()), name)
					}
				}
			}
		}
	}
}

func exportedReceiver(f *ast.FuncDecl) bool {
	if f.Recv == nil {
		return true
	}
	kind := f.Recv.List[0].Type
	for {
		switch k := kind.(type) {
		case *ast.StarExpr:
			kind = k.X
		case *ast.IndexExpr:
			kind = k.X
		case *ast.Ident:
			return k.IsExported()
		default:
			return true
		}
	}
}

func undocumented(d *ast.GenDecl, spec ast.Spec) (string, bool) {
	switch s := spec.(type) {
	case *ast.TypeSpec:
		return s.Name.Name, s.Name.IsExported() && d.Doc == nil && s.Doc == nil
	case *ast.ValueSpec:
		return s.Names[0].Name, s.Names[0].IsExported() && d.Doc == nil && s.Doc == nil && s.Comment == nil
	}
	return "", false
}

func TestPackageNamesSayWhatIsInThem(t *testing.T) {
	forbidden := []string{"util", "utils", "common", "helper", "helpers", "types", "misc", "shared", "base"}
	for _, s := range sources(t) {
		if slices.Contains(forbidden, strings.TrimSuffix(s.file.Name.Name, "_test")) {
			t.Errorf("%s: package %s says nothing of what is in it", s.path, s.file.Name.Name)
		}
	}
}

// foreign is text that has no place in a repository that strangers clone:
// folders of one machine, and hosts of package registries.
var foreign = regexp.MustCompile(`(^|[^\w.~/-])/(work|farm|root)/|proxy\.golang\.org|registry\.npmjs|deb\.debian\.org|pypi\.org`)

func TestNoTextOfOneMachine(t *testing.T) {
	for _, name := range tracked(t) {
		if path.Ext(name) == ".sum" || name == "internal/repotest/rules_test.go" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(root(t), name))
		if err != nil {
			continue // deleted, or a link to nowhere
		}
		for i, line := range strings.Split(string(text), "\n") {
			if found := foreign.FindString(line); found != "" {
				t.Errorf("%s:%d: %q has no place here", name, i+1, strings.TrimSpace(found))
			}
		}
	}
}
