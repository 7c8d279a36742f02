// SPDX-License-Identifier: Apache-2.0

package repotest

import (
	"go/ast"
	"go/token"
	"strings"
	"testing"
)

// TestHandlersFindRowsThroughTheirView keeps decisions about accounts out of the
// services: nobody there makes up a caller, compares account numbers, or looks
// rows up by the caller's account. Package access and service/view do that.
func TestHandlersFindRowsThroughTheirView(t *testing.T) {
	for _, s := range sources(t) {
		if s.test() || !handlers(s.folder()) {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if problem := aboutAccounts(n); problem != "" {
				t.Errorf("%s %s: package service/view is for that", s.fset.Position(n.Pos()), problem)
			}
			return true
		})
	}
}

// handlers reports whether a folder has handlers: services but for those that make
// accounts, the view, and the decision.
func handlers(folder string) bool {
	return strings.HasPrefix(folder, "internal/service/") && !strings.HasSuffix(folder, "test") &&
		!within(folder, []string{"internal/service/view", "internal/service/account", "internal/service/identity"})
}

func aboutAccounts(n ast.Node) string {
	switch n := n.(type) {
	case *ast.CompositeLit:
		if isAccess(n.Type, "View", "Caller") {
			return "makes up a caller"
		}
	case *ast.CallExpr:
		if isAccess(n.Fun, "With") {
			return "makes up a view"
		}
		if f, ok := n.Fun.(*ast.SelectorExpr); ok && len(n.Args) > 2 && isAccountOfCaller(n.Args[1]) {
			switch f.Sel.Name {
			case "Get", "Scope", "CountScope":
				return "reads rows by the caller's account"
			}
		}
	case *ast.BinaryExpr:
		if (n.Op == token.EQL || n.Op == token.NEQ) && (isAccount(n.X) && !isText(n.Y) || isAccount(n.Y) && !isText(n.X)) {
			return "compares accounts"
		}
	}
	return ""
}

// isAccess reports whether an expression is one of these names of package access.
func isAccess(e ast.Expr, names ...string) bool {
	f, ok := e.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	pkg, ok := f.X.(*ast.Ident)
	return ok && pkg.Name == "access" && within(f.Sel.Name, names)
}

func isAccount(e ast.Expr) bool {
	if star, ok := e.(*ast.StarExpr); ok {
		e = star.X
	}
	f, ok := e.(*ast.SelectorExpr)
	return ok && (f.Sel.Name == "Account" || f.Sel.Name == "OwnerId")
}

// isAccountOfCaller goes by the name that a view always has.
func isAccountOfCaller(e ast.Expr) bool {
	f, ok := e.(*ast.SelectorExpr)
	if !ok || f.Sel.Name != "Account" {
		return false
	}
	switch of := f.X.(type) {
	case *ast.Ident:
		return of.Name == "who"
	case *ast.SelectorExpr:
		return of.Sel.Name == "who"
	}
	return false
}

// isText reports whether an expression is a literal, as in a check for emptiness.
func isText(e ast.Expr) bool {
	_, ok := e.(*ast.BasicLit)
	return ok
}
