// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/aws/server"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/aws/sigv4"
	"github.com/posternhq/postern/internal/client"
	"github.com/posternhq/postern/internal/daemon/metrics"
	"github.com/posternhq/postern/internal/httplane"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/account"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
	"github.com/posternhq/postern/internal/trail"
)

// BenchmarkDescribeOne asks for one endpoint over a connection that stays open: all of
// what a request costs, on either side, with the least that it could cost for
// comparison. What the client allocates is next to nothing.
func BenchmarkDescribeOne(b *testing.B) {
	w := servicetest.New(b)
	w.DB.OnlyWriter()
	key, secret, err := account.Bootstrap(b.Context(), w.Env, firstAccount)
	if err != nil {
		b.Fatal(err)
	}
	meta := func(id string) model.Meta {
		return model.Meta{Account: firstAccount, Region: servicetest.Region, ID: id, CreatedAt: w.Now(), UpdatedAt: w.Now()}
	}
	e := &model.VPCEndpoint{
		Meta: meta("vpce-0123456789abcdef0"), Type: shape.VpcEndpointTypeResource, VPC: "vpc-0123456789abcdef0", Subnets: []string{"subnet-0123456789abcdef0"},
		Groups: []string{"sg-0123456789abcdef0"}, Interfaces: []string{"eni-0123456789abcdef0"}, IPAddressType: "ipv4", Configuration: meta("rcfg-0123456789abcdef0").Ref(),
	}
	_, err = w.DB.Update(b.Context(), func(tx *table.Txn) error {
		state.VPCEndpoints.Put(tx, e)
		state.SecurityGroups.Put(tx, &model.SecurityGroup{Meta: meta(e.Groups[0]), VPC: e.VPC, Name: "default"})
		state.Statuses.Put(tx, &model.Status{Account: e.Account, Region: e.Region, ID: e.ID, State: model.StatusReady})
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	d := &daemon{db: w.DB, env: w.Env, config: Config{Regions: w.Regions, Log: slog.New(slog.DiscardHandler)}}
	kept := trail.Open(b.TempDir(), trail.DefaultLimits())
	handler, err := d.handler(d.services(nil, nil, kept), kept, metrics.New("test", metrics.Sources{}).Request)
	if err != nil {
		b.Fatal(err)
	}
	request, err := client.New("http://127.0.0.1", servicetest.Region, key, secret).
		NewRequest(b.Context(), shape.Service, "DescribeVpcEndpoints", &shape.DescribeVpcEndpointsInput{VpcEndpointIds: []string{e.ID}})
	if err != nil {
		b.Fatal(err)
	}
	var wire bytes.Buffer
	if err := request.Write(&wire); err != nil {
		b.Fatal(err)
	}
	answer := func(handler http.Handler) func(*testing.B) {
		return func(b *testing.B) { benchmarkAnswer(b, handler, wire.Bytes()) }
	}
	b.Run("postern", answer(handler))
	b.Run("floor", answer(floorOf(secret)))
}

// floorOf is a server that verifies signatures and always says the same.
func floorOf(secret string) http.Handler {
	verifier, text := new(sigv4.Verifier), string(make([]byte, 1200))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s, err := sigv4.Parse(r)
		if err == nil {
			err = verifier.Verify(s, r, body, secret, time.Now())
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		w.Header().Set("Content-Type", "text/xml;charset=UTF-8")
		_, _ = io.WriteString(w, text)
	})
}

// benchmarkAnswer sends a request again and again.
func benchmarkAnswer(b *testing.B, handler http.Handler, request []byte) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	s := server.HTTPServer(handler, nil)
	go func() { _ = s.Serve(server.Strict(httplane.New(s, listener, 0))) }()
	b.Cleanup(func() { _ = s.Close() })
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close() })
	in := bufio.NewReaderSize(conn, 64<<10)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := conn.Write(request); err != nil {
			b.Fatal(err)
		}
		if err := skipAnswer(in); err != nil {
			b.Fatal(err)
		}
	}
}

// skipAnswer reads an answer, which must be a good one.
func skipAnswer(in *bufio.Reader) error {
	length := 0
	for first := true; ; first = false {
		line, err := in.ReadSlice('\n')
		switch value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); {
		case err != nil:
			return err
		case first && !bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")):
			return fmt.Errorf("answer begins with %q", line)
		case len(bytes.TrimSpace(line)) == 0:
			_, err := in.Discard(length)
			return err
		case ok:
			for _, digit := range bytes.TrimSpace(value) {
				length = length*10 + int(digit-'0')
			}
		}
	}
}
