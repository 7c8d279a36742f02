// SPDX-License-Identifier: Apache-2.0

package codec_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/posternhq/postern/internal/aws/codec"
	"github.com/posternhq/postern/internal/aws/codec/protocols"
	"github.com/posternhq/postern/internal/aws/codec/xmlbody"
	"github.com/posternhq/postern/internal/aws/schema"
	"github.com/posternhq/postern/internal/aws/shape/cloudtrail"
	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/aws/shape/elbv2"
	"github.com/posternhq/postern/internal/aws/shape/iam"
	"github.com/posternhq/postern/internal/aws/shape/organizations"
	"github.com/posternhq/postern/internal/aws/shape/ram"
	"github.com/posternhq/postern/internal/aws/shape/rds"
	"github.com/posternhq/postern/internal/aws/shape/route53"
	"github.com/posternhq/postern/internal/aws/shape/sts"
	"github.com/posternhq/postern/internal/aws/shape/vpclattice"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestRecordedRequests decodes the requests that AWS SDK for Go v2 sends with
// every member filled (recorded by conformance/record) and compares the inputs
// with what stands in the golden files. Every served operation must be there.
func TestRecordedRequests(t *testing.T) {
	root := filepath.Join("testdata", "recorded")
	if _, err := os.Stat(root); errors.Is(err, os.ErrNotExist) {
		if os.Getenv("CI") != "" {
			t.Fatalf("%s does not exist", root)
		}
		t.Skipf("%s does not exist: run go run ./record in the folder conformance", root)
	}
	for _, svc := range []*schema.Service{ec2.Service, vpclattice.Service, ram.Service, rds.Service, elbv2.Service, route53.Service, sts.Service, iam.Service, cloudtrail.Service, organizations.Service} {
		c, err := protocols.For(svc)
		if err != nil {
			t.Fatal(err)
		}
		for _, op := range svc.Operations {
			t.Run(svc.Name+"/"+op.Name, func(t *testing.T) {
				base := filepath.Join(root, svc.Name, op.Name)
				checkRecorded(t, c, op, base)
			})
		}
	}
}

func checkRecorded(t *testing.T, c codec.Codec, op *schema.Operation, base string) {
	t.Helper()
	recorded := readRecorded(t, base+".http")
	if strings.HasSuffix(op.Path, "/") && !strings.HasSuffix(recorded.Path, "/") {
		recorded.Path += "/" // which routing does
	}
	in, err := c.DecodeRequest(op, recorded)
	if err != nil {
		t.Fatal(err)
	}
	checkSentAgain(t, c, op, in, recorded)
	var printed strings.Builder
	printValue(&printed, reflect.ValueOf(in).Elem(), "")
	if *update {
		if err := os.WriteFile(base+".golden", []byte(printed.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(base + ".golden")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), printed.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// checkSentAgain writes the decoded input as a request of our own: it must say
// just what the SDK said, so nothing was lost and our client speaks the same.
func checkSentAgain(t *testing.T, c codec.Codec, op *schema.Operation, in any, recorded *codec.Request) {
	t.Helper()
	sent, err := c.EncodeRequest(op, in)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(meaning(t, recorded), meaning(t, sent)); diff != "" {
		t.Errorf("-SDK +ours:\n%s", diff)
	}
}

// meaning returns method, path, query and body in a form that can be compared.
func meaning(t *testing.T, r *codec.Request) []any {
	t.Helper()
	var body any
	var err error
	switch contentType := r.Header.Get("Content-Type"); {
	case len(r.Body) == 0:
	case strings.HasPrefix(contentType, "application/json"), strings.HasPrefix(contentType, "application/x-amz-json"):
		err = json.Unmarshal(r.Body, &body)
	case strings.HasPrefix(contentType, "application/xml"), strings.HasPrefix(contentType, "text/xml"):
		var root *xmlbody.Node
		root, err = xmlbody.Parse(r.Body)
		body = bare(root)
	default:
		body, err = url.ParseQuery(string(r.Body))
	}
	if err != nil {
		t.Fatalf("body %s: %v", r.Body, err)
	}
	return []any{r.Method, r.Path, r.Query.Encode(), body}
}

// bare gives what an element means: its children in any order, without namespaces.
func bare(n *xmlbody.Node) *xmlbody.Node {
	if n == nil {
		return nil
	}
	out := &xmlbody.Node{Name: n.Name, Text: n.Text}
	for _, child := range n.Children {
		out.Children = append(out.Children, bare(child))
	}
	slices.SortStableFunc(out.Children, func(a, b *xmlbody.Node) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func readRecorded(t *testing.T, path string) *codec.Request {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(data)))
	if err != nil {
		t.Fatalf("read %s: %v", path, err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatalf("read %s: %v", path, err)
	}
	return &codec.Request{Method: r.Method, Path: r.URL.EscapedPath(), Query: r.URL.Query(), Header: r.Header, Body: body}
}

// printValue writes one line for each scalar that is set: its path and value.
func printValue(out io.Writer, v reflect.Value, path string) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			printValue(out, v.Elem(), path)
		}
	case reflect.Struct:
		if at, isTime := v.Interface().(time.Time); isTime {
			fmt.Fprintf(out, "%s = %s\n", path, at.Format(time.RFC3339Nano))
			return
		}
		for i := range v.NumField() {
			printValue(out, v.Field(i), codec.JoinPath(path, v.Type().Field(i).Name))
		}
	case reflect.Slice:
		for i := range v.Len() {
			printValue(out, v.Index(i), codec.IndexPath(path, i))
		}
	case reflect.Map:
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, key := range keys {
			printValue(out, v.MapIndex(key), fmt.Sprintf("%s[%q]", path, key))
		}
	case reflect.String:
		fmt.Fprintf(out, "%s = %q\n", path, v.String())
	default:
		fmt.Fprintf(out, "%s = %v\n", path, v)
	}
}
