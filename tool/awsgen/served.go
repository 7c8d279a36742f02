// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// servedService is one section of served.txt.
type servedService struct {
	Model       string // name of the model file, without .json
	Package     string // Go package below internal/aws/shape
	Handwritten bool   // the model is our own: it is never trimmed
	Operations  []string
}

// readServed reads the list of served operations in dir/served.txt.
func readServed(dir string) ([]servedService, error) {
	f, err := os.Open(filepath.Join(dir, "served.txt"))
	if err != nil {
		return nil, fmt.Errorf("read served operations: %w", err)
	}
	defer f.Close()
	var services []servedService
	lines := bufio.NewScanner(f)
	for number := 1; lines.Scan(); number++ {
		line := strings.TrimSpace(lines.Text())
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "["):
			service, err := parseSection(line)
			if err != nil {
				return nil, fmt.Errorf("served.txt line %d: %w", number, err)
			}
			services = append(services, service)
		case len(services) == 0:
			return nil, fmt.Errorf("served.txt line %d: operation %s stands before any service", number, line)
		default:
			last := &services[len(services)-1]
			last.Operations = append(last.Operations, line)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read served operations: %w", err)
	}
	return services, nil
}

func parseSection(line string) (servedService, error) {
	words := strings.Fields(strings.TrimSuffix(strings.TrimPrefix(line, "["), "]"))
	if len(words) < 2 || len(words) > 3 || (len(words) == 3 && words[2] != "handwritten") {
		return servedService{}, fmt.Errorf("section %s is not [model package] or [model package handwritten]", line)
	}
	return servedService{Model: words[0], Package: words[1], Handwritten: len(words) == 3}, nil
}
