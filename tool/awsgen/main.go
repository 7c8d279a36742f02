// SPDX-License-Identifier: Apache-2.0

// Command awsgen turns AWS service models into the Go types, tables and
// coverage pages of the AWS face.
//
//	awsgen trim -from DIR   cut the models of DIR (botocore format, SERVICE.json)
//	                        down to the operations listed in served.txt
//	awsgen generate         write internal/aws/shape/…, internal/access/table.go
//	                        and docs/coverage/… from served.txt, access.txt and
//	                        models/ alone
//
// The trimmed models stay valid for botocore: copied to
// SERVICE/VERSION/service-2.json below a folder named by AWS_DATA_PATH, they
// serve the AWS command line as well.
package main

//go:generate go run . generate

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

func main() {
	if err := run(os.Args[1:], os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "awsgen:", err)
		os.Exit(1)
	}
}

func run(args []string, usage io.Writer) error {
	if len(args) == 0 {
		return errors.New("say trim or generate")
	}
	flags := flag.NewFlagSet("awsgen "+args[0], flag.ContinueOnError)
	flags.SetOutput(usage)
	dir := flags.String("dir", ".", "folder of served.txt, access.txt and models/")
	from := flags.String("from", "", "trim: folder of the full models")
	root := flags.String("root", filepath.Join("..", ".."), "generate: root of the repository")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	switch args[0] {
	case "trim":
		if *from == "" {
			return errors.New("trim: -from names no folder")
		}
		return trimAll(*dir, *from)
	case "generate":
		files, err := generate(*dir)
		if err != nil {
			return err
		}
		return writeFiles(*root, files)
	}
	return fmt.Errorf("unknown command %s: say trim or generate", args[0])
}

// generate returns the content of every generated file by its path below the
// root of the repository.
func generate(dir string) (map[string][]byte, error) {
	listed, err := readServed(dir)
	if err != nil {
		return nil, err
	}
	sections, err := readAccess(dir)
	if err != nil {
		return nil, err
	}
	services, err := readServices(dir, listed)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	if err := emitAccess(services, sections, files); err != nil {
		return nil, err
	}
	for _, svc := range services {
		svc.Global = sections[svc.Model].global
		if err := emitPackage(svc, files); err != nil {
			return nil, fmt.Errorf("service %s: %w", svc.Model, err)
		}
	}
	emitCoverage(services, files)
	return files, nil
}

// readServices reads the models of the listed services.
func readServices(dir string, listed []servedService) ([]*service, error) {
	var services []*service
	for _, entry := range listed {
		m, err := readModel(filepath.Join(dir, "models"), entry.Model)
		if err != nil {
			return nil, err
		}
		svc, err := resolve(entry, m)
		if err != nil {
			return nil, fmt.Errorf("service %s: %w", entry.Model, err)
		}
		services = append(services, svc)
	}
	return services, nil
}

func writeFiles(root string, files map[string][]byte) error {
	for name, data := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("write generated files: %w", err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			return fmt.Errorf("write generated files: %w", err)
		}
	}
	return nil
}
