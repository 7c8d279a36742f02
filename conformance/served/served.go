// SPDX-License-Identifier: Apache-2.0

// Package served knows which operations Postern serves, from the list that its
// AWS face is generated from.
package served

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// File is the path of the list from a folder directly below conformance/.
var File = filepath.FromSlash("../../tool/awsgen/served.txt")

// Read gives the served operations by service, which is named as its model is:
// ec2, vpc-lattice, sts, postern.
func Read(path string) (map[string][]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read served operations: %w", err)
	}
	defer f.Close()
	operations, service := map[string][]string{}, ""
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		switch line := strings.TrimSpace(lines.Text()); {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "["):
			service, _, _ = strings.Cut(strings.Trim(line, "[]"), " ")
		default:
			operations[service] = append(operations[service], line)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read served operations: %w", err)
	}
	return operations, nil
}

// Missing gives the served operations of the services that are not among the
// calls, as "service Operation", sorted. Calls are written in the same way.
func Missing(path string, services []string, calls map[string]bool) ([]string, error) {
	operations, err := Read(path)
	if err != nil {
		return nil, err
	}
	var missing []string
	for _, service := range services {
		if len(operations[service]) == 0 {
			return nil, fmt.Errorf("read served operations: %s names none of service %s", path, service)
		}
		for _, operation := range operations[service] {
			if call := service + " " + operation; !calls[call] {
				missing = append(missing, call)
			}
		}
	}
	slices.Sort(missing)
	return missing, nil
}
