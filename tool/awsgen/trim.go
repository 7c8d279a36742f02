// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// trimAll reads the full models in from and writes what the served operations
// need of them to dir/models.
func trimAll(dir, from string) error {
	services, err := readServed(dir)
	if err != nil {
		return err
	}
	for _, service := range services {
		if service.Handwritten {
			continue
		}
		full, err := readModel(from, service.Model)
		if err != nil {
			return err
		}
		trimmed, err := trim(full, service.Operations)
		if err != nil {
			return fmt.Errorf("trim model %s: %w", service.Model, err)
		}
		if err := writeModel(filepath.Join(dir, "models", service.Model+".json"), trimmed); err != nil {
			return err
		}
	}
	return nil
}

// trim returns a model with the given operations only, the shapes that they
// reach, and the names of all operations of the full model.
func trim(full *model, operations []string) (*model, error) {
	out := &model{
		Version:       full.Version,
		Metadata:      full.Metadata,
		Operations:    map[string]*modelOperation{},
		Shapes:        map[string]*modelShape{},
		AllOperations: slices.Sorted(maps.Keys(full.Operations)),
	}
	for _, name := range operations {
		op := full.Operations[name]
		if op == nil {
			return nil, fmt.Errorf("operation %s is not in the model", name)
		}
		out.Operations[name] = op
		for _, ref := range append([]*modelRef{op.Input, op.Output}, op.Errors...) {
			if err := reach(full, out, ref); err != nil {
				return nil, fmt.Errorf("operation %s: %w", name, err)
			}
		}
	}
	return out, nil
}

// reach copies the shape that ref names, and all below it, from full to out.
func reach(full, out *model, ref *modelRef) error {
	if ref == nil || out.Shapes[ref.Shape] != nil {
		return nil
	}
	shape := full.Shapes[ref.Shape]
	if shape == nil {
		return fmt.Errorf("shape %s is not in the model", ref.Shape)
	}
	out.Shapes[ref.Shape] = shape
	for _, below := range []*modelRef{shape.Member, shape.Key, shape.Value} {
		if err := reach(full, out, below); err != nil {
			return err
		}
	}
	for i := range shape.Members {
		if err := reach(full, out, &shape.Members[i].modelRef); err != nil {
			return err
		}
	}
	return nil
}

func writeModel(path string, m *model) error {
	var data bytes.Buffer
	enc := json.NewEncoder(&data)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(m); err != nil {
		return fmt.Errorf("encode model %s: %w", path, err)
	}
	if err := os.WriteFile(path, data.Bytes(), 0o644); err != nil {
		return fmt.Errorf("write model: %w", err)
	}
	return nil
}
