// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestCommittedOutputIsCurrent fails when somebody changed the models or the
// generator without running go generate, or edited what it wrote.
func TestCommittedOutputIsCurrent(t *testing.T) {
	files, err := generate(".")
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join("..", "..")
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Errorf("%s is not committed: run go generate ./tool/awsgen", name)
			continue
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s differs from what the generator writes: run go generate ./tool/awsgen", name)
		}
	}
	for _, pattern := range []string{"internal/aws/shape/*/*.go", "docs/coverage/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(pattern)))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range found {
			name, err := filepath.Rel(root, path)
			if err != nil {
				t.Fatal(err)
			}
			if _, generated := files[filepath.ToSlash(name)]; !generated {
				t.Errorf("%s is not written by the generator any more: delete it", name)
			}
		}
	}
}

// TestTrimIsStable trims the trimmed models once more: nothing may be missing,
// and nothing may be left that the served operations do not reach.
func TestTrimIsStable(t *testing.T) {
	services, err := readServed(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, service := range services {
		m, err := readModel("models", service.Model)
		if err != nil {
			t.Fatal(err)
		}
		again, err := trim(m, service.Operations)
		if err != nil {
			t.Errorf("%s: %v", service.Model, err)
			continue
		}
		if got, want := sortedKeys(m.Shapes), sortedKeys(again.Shapes); !slices.Equal(got, want) {
			t.Errorf("%s: shapes are %v, the served operations reach %v", service.Model, got, want)
		}
		if got, want := sortedKeys(m.Operations), slices.Sorted(slices.Values(service.Operations)); !slices.Equal(got, want) {
			t.Errorf("%s: operations are %v, served.txt lists %v", service.Model, got, want)
		}
	}
}

func TestConstantSuffix(t *testing.T) {
	for value, want := range map[string]string{
		"available": "Available", "CREATE_FAILED": "CreateFailed", "vpc-endpoint": "VpcEndpoint",
		"PendingAcceptance": "PendingAcceptance", "IPV4": "Ipv4", "efs.x": "EfsX",
	} {
		if got := constantSuffix(value); got != want {
			t.Errorf("constantSuffix(%q) = %q, want %q", value, got, want)
		}
	}
}

func TestServedListErrors(t *testing.T) {
	for name, text := range map[string]string{
		"operation first": "CreateVpc\n", "one word": "[ec2]\n", "unknown word": "[ec2 ec2 other]\n",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "served.txt"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := readServed(dir); err == nil {
				t.Errorf("readServed(%q) succeeded", text)
			}
		})
	}
}
