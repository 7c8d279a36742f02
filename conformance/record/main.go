// SPDX-License-Identifier: Apache-2.0

// Command record writes down the requests that AWS SDK for Go v2 sends for the
// operations that Postern serves, with every member of the input filled. They
// are the golden requests of the codec tests. Nothing is sent: the client's
// transport only takes the request apart. Run it in the folder conformance:
//
//	go run ./record
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/ram"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice"

	"github.com/posternhq/postern/conformance/served"
)

func main() {
	list := flag.String("served", filepath.FromSlash("../tool/awsgen/served.txt"), "list of served operations")
	out := flag.String("out", filepath.FromSlash("../internal/aws/codec/testdata/recorded"), "folder for the requests")
	flag.Parse()
	if err := run(*list, *out); err != nil {
		fmt.Fprintln(os.Stderr, "record:", err)
		os.Exit(1)
	}
}

// run records every operation in the list of every service that the SDK has.
func run(list, out string) error {
	operations, err := served.Read(list)
	if err != nil {
		return err
	}
	transport := &capture{}
	for service, client := range clients(transport) {
		for _, operation := range operations[service] {
			request, err := record(client, transport, operation)
			if err != nil {
				return fmt.Errorf("record %s %s: %w", service, operation, err)
			}
			path := filepath.Join(out, service, operation+".http")
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				return err
			}
			if err := os.WriteFile(path, request, 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

// clients returns a client of the SDK for each service, by the model's name.
func clients(transport aws.HTTPClient) map[string]any {
	config := aws.Config{
		Region:       "us-east-1",
		Credentials:  credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "example", ""),
		BaseEndpoint: aws.String("http://postern.test"),
		HTTPClient:   transport,
		Retryer:      func() aws.Retryer { return aws.NopRetryer{} },
	}
	return map[string]any{
		"ec2":           ec2.NewFromConfig(config),
		"vpc-lattice":   vpclattice.NewFromConfig(config),
		"ram":           ram.NewFromConfig(config),
		"rds":           rds.NewFromConfig(config),
		"route53":       route53.NewFromConfig(config),
		"sts":           sts.NewFromConfig(config),
		"iam":           iam.NewFromConfig(config),
		"cloudtrail":    cloudtrail.NewFromConfig(config),
		"organizations": organizations.NewFromConfig(config),

		"elasticloadbalancing": elb.NewFromConfig(config),
	}
}

var errCaptured = errors.New("the request was captured")

// capture is a transport that keeps the last request and answers nothing.
type capture struct{ request []byte }

// Do writes the request down as it would go over the wire, but for what changes
// from run to run: signature, date and the SDK's own headers.
func (c *capture) Do(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n", r.Method, r.URL.RequestURI(), r.URL.Host, len(body))
	dropped := []string{"Accept-Encoding", "Amz-Sdk-Invocation-Id", "Amz-Sdk-Request", "Authorization", "Content-Length", "User-Agent", "X-Amz-Date"}
	names := make([]string, 0, len(r.Header))
	for name := range r.Header {
		if !slices.Contains(dropped, http.CanonicalHeaderKey(name)) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range r.Header[name] {
			fmt.Fprintf(&out, "%s: %s\r\n", name, value)
		}
	}
	out.WriteString("\r\n")
	out.Write(body)
	c.request = out.Bytes()
	return nil, errCaptured
}

// record calls the operation with an input that has every member filled.
func record(client any, transport *capture, operation string) ([]byte, error) {
	method := reflect.ValueOf(client).MethodByName(operation)
	if !method.IsValid() {
		return nil, errors.New("the SDK has no such operation")
	}
	in := reflect.New(method.Type().In(1).Elem())
	if err := fill(in.Elem(), operation, 0); err != nil {
		return nil, err
	}
	transport.request = nil
	results := method.Call([]reflect.Value{reflect.ValueOf(context.Background()), in})
	if err, _ := results[1].Interface().(error); !errors.Is(err, errCaptured) {
		return nil, fmt.Errorf("the request was not sent: %w", err)
	}
	return transport.request, nil
}
