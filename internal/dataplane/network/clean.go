// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// Clean removes the routers of an instance, or of all instances when it is
// empty, and with them everything that was made for it: what Postern makes
// elsewhere is only the other ends of their interfaces. It returns the names of
// the namespaces that it removed. A namespace that has the name of a router and
// not the mark in it is left alone and is part of the error.
func Clean(ctx context.Context, instance string) (removed []string, err error) {
	if instance != "" {
		if err := CheckInstance(instance); err != nil {
			return nil, fmt.Errorf("clean: %w", err)
		}
	}
	all, err := marked(instance)
	if err != nil {
		return nil, fmt.Errorf("clean: %w", err)
	}
	var errs []error
	for _, m := range all {
		if err := ctx.Err(); err != nil {
			return removed, fmt.Errorf("clean: %w", err)
		}
		if err := cleanOne(m); err != nil {
			errs = append(errs, err)
			continue
		}
		removed = append(removed, m.name)
	}
	return removed, errors.Join(append(errs, cleanUnfinished(instance))...)
}

// Instances returns the marks of all instances that have a router on this host,
// sorted.
func Instances() ([]string, error) {
	all, err := marked("")
	if err != nil {
		return nil, fmt.Errorf("list instances: %w", err)
	}
	var out []string
	for _, m := range all {
		out = append(out, m.instance)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

func cleanOne(m mark) error {
	rs, err := NewRouters(m.instance, 0, nil)
	if err != nil {
		return err
	}
	defer rs.Close()
	return rs.Remove(m.vpc)
}

// cleanUnfinished removes the empty files that a crash between making a name
// and binding a namespace to it leaves.
func cleanUnfinished(instance string) error {
	files, err := os.ReadDir(Directory)
	if err != nil {
		return nil
	}
	var errs []error
	for _, f := range files {
		owner, _, ok := parseNamespaceName(f.Name())
		if !ok || instance != "" && owner != instance || isNamespace(filepath.Join(Directory, f.Name())) {
			continue
		}
		if info, err := f.Info(); err == nil && info.Mode().IsRegular() && info.Size() == 0 {
			errs = append(errs, DeleteNamespace(f.Name()))
		}
	}
	return errors.Join(errs...)
}
