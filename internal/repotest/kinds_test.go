// SPDX-License-Identifier: Apache-2.0

package repotest

import (
	"go/ast"
	"testing"
)

// Kinds of entries are described in package desired, which registers them: one that is
// defined elsewhere would be missing from what every kind is tested for, and could not
// be read.
func TestKindsAreDescribedInOnePlace(t *testing.T) {
	for _, s := range sources(t) {
		if s.test() || s.folder() == "internal/desired" {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if call, ok := n.(*ast.SelectorExpr); ok && call.Sel.Name == "Define" {
				if of, ok := call.X.(*ast.Ident); ok && of.Name == "desired" {
					t.Errorf("%s defines a kind of entry of its own", s.path)
				}
			}
			return true
		})
	}
}
