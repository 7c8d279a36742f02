// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
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

// TestEveryOperationSaysWhatItAsksFor takes lines out of access.txt and spoils
// them: nothing is generated then, so that no operation is served without.
func TestEveryOperationSaysWhatItAsksFor(t *testing.T) {
	text, err := os.ReadFile("access.txt")
	if err != nil {
		t.Fatal(err)
	}
	listed, err := readServed(".")
	if err != nil {
		t.Fatal(err)
	}
	services, err := readServices(".", listed)
	if err != nil {
		t.Fatal(err)
	}
	generate := func(text string) error {
		sections, err := parseAccess(text)
		if err != nil {
			return err
		}
		return emitAccess(services, sections, map[string][]byte{})
	}
	for name, change := range map[string][2]string{
		"operation without a line":  {"DeleteVpc                                  vpc=VpcId\n", ""},
		"operation not served":      {"kind vpc vpc-\n", "kind vpc vpc-\nRunInstances -\n"},
		"two lines":                 {"DescribeVpcs                               -\n", "DescribeVpcs -\nDescribeVpcs -\n"},
		"unknown member":            {"vpc=VpcId\n", "vpc=VpcID\n"},
		"member of another type":    {"vpc=VpcId\n", "vpc=DryRun\n"},
		"unknown kind":              {"kind vpc vpc-\n", ""},
		"kind of another service":   {"(vpc-lattice:servicenetwork=", "(route53:servicenetwork="},
		"no resource":               {"DescribeVpcs                               -\n", "DescribeVpcs\n"},
		"tags that nothing is for":  {" ; CreateTags if TagSpecifications: vpc\n", "\n"},
		"condition without member":  {"CreateTags if TagSpecifications: vpc\n", "CreateTags if: vpc\n"},
		"part without action":       {"CreateTags if TagSpecifications: vpc\n", "vpc\n"},
		"one parenthesis":           {"(vpc-lattice:servicenetwork=ServiceNetworkArn)", "(vpc-lattice:servicenetwork=ServiceNetworkArn"},
		"section twice":             {"[sts global]", "[sts global]\n[ec2]"},
		"section that is not there": {"[cloudtrail]\nLookupEvents                               -\n", ""},
		"global by its model":       {"[sts global]", "[sts]"},
		"condition key of nothing":  {"vpc-endpoint=VpcEndpointId{VpcePrivateDnsPreference=DnsOptions.PrivateDnsPreference,", "vpc-endpoint=VpcEndpointId{VpcePrivateDnsPreference=DnsOptions.Preference,"},
		"condition key of no kind":  {"=subnet.Vpc(SubnetId)", "=net.Vpc(SubnetId)"},
		"condition key not of kind": {"=subnet.Vpc(SubnetId)", "=subnet.Tenancy(SubnetId)"},
		"one brace":                 {"{Tenancy=InstanceTenancy}", "{Tenancy=InstanceTenancy"},
		"keys of no kind":           {"keys vpc ", "keys net "},
		"unknown word":              {"[sts global]", "[sts everywhere]"},
	} {
		t.Run(name, func(t *testing.T) {
			spoilt := strings.Replace(string(text), change[0], change[1], 1)
			if spoilt == string(text) {
				t.Fatalf("access.txt does not have %q", change[0])
			}
			if err := generate(spoilt); err == nil {
				t.Error("it was generated")
			}
		})
	}
	if err := generate(string(text)); err != nil {
		t.Errorf("unchanged: %v", err)
	}
}
