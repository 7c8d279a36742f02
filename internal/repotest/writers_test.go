// SPDX-License-Identifier: Apache-2.0

package repotest

import (
	"go/ast"
	"slices"
	"testing"
)

// writers says, for tables of package state that not everybody may write to, by which
// methods only one folder does: what is there only once has one place where it is
// handed out and taken back. Whoever has an interface may change its row.
var writers = []struct {
	table   string
	methods []string
	folder  string
}{
	{"AddressClaims", []string{"Put", "Insert", "Delete"}, "internal/alloc"},
	{"TransitClaims", []string{"Put", "Insert", "Delete"}, "internal/alloc"},
	{"PublicClaims", []string{"Put", "Insert", "Delete"}, "internal/alloc"},
	{"NetworkInterfaces", []string{"Insert", "Delete"}, "internal/alloc"},
}

// TestClaimsHaveOneWriter looks at calls by name. Tests make worlds of all kinds and
// may write what they like.
func TestClaimsHaveOneWriter(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range sources(t) {
		if s.test() || within(s.folder(), []string{"internal/state"}) {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			method, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			for _, w := range writers {
				if !isTable(method.X, w.table) || !slices.Contains(w.methods, method.Sel.Name) {
					continue
				}
				seen[w.table] = true
				if !within(s.folder(), []string{w.folder}) {
					t.Errorf("%s writes to state.%s by %s; only %s does", s.path, w.table, method.Sel.Name, w.folder)
				}
			}
			return true
		})
	}
	for _, w := range writers {
		if !seen[w.table] {
			t.Errorf("nobody writes to state.%s: is it called so?", w.table)
		}
	}
}

func isTable(e ast.Expr, name string) bool {
	s, ok := e.(*ast.SelectorExpr)
	if !ok || s.Sel.Name != name {
		return false
	}
	pkg, ok := s.X.(*ast.Ident)
	return ok && pkg.Name == "state"
}
