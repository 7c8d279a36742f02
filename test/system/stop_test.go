// SPDX-License-Identifier: Apache-2.0

package system

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/client"
	"github.com/posternhq/postern/test/postern"
	"github.com/posternhq/postern/test/testnet"
)

// A request that is under way when Postern is told to stop gets its answer, although
// nobody listens any more, and what it says is done.
func TestRequestsUnderWayAreAnsweredAtAStop(t *testing.T) {
	p := postern.Start(t)
	at := p.Access()
	c := client.New(at.URL, at.Region, at.AccessKeyID, at.SecretAccessKey)
	request, err := c.NewRequest(t.Context(), ec2.Service, "CreateVpc", &ec2.CreateVpcInput{CidrBlock: new("10.9.0.0/16")})
	if err != nil {
		t.Fatal(err)
	}
	text, err := httputil.DumpRequestOut(request, true)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(at.URL)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(testnet.Patience)); err != nil {
		t.Fatal(err)
	}
	rest := len(text) - 5
	if _, err := conn.Write(text[:rest]); err != nil {
		t.Fatal(err)
	}
	p.Signal(syscall.SIGTERM)
	p.Await("that nobody listens", func() (bool, error) {
		other, err := net.Dial("tcp", u.Host)
		if err == nil {
			err = other.Close()
		}
		return errors.Is(err, syscall.ECONNREFUSED), nil
	})
	if _, err := conn.Write(text[rest:]); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), request)
	if err != nil {
		t.Fatalf("the request under way got no answer: %v", err)
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK || !strings.Contains(string(body), "10.9.0.0/16") {
		t.Errorf("the request under way got %s, %v:\n%s", answer.Status, err, body)
	}
	if result, err := p.Process().Wait(testnet.Patience); err != nil || result != 0 {
		t.Errorf("postern up ended with status %d, %v", result, err)
	}
	p.Up()
	made := postern.Call[ec2.DescribeVpcsOutput](p, ec2.Service, "DescribeVpcs", &ec2.DescribeVpcsInput{
		Filters: []ec2.Filter{{Name: new("cidr"), Values: []string{"10.9.0.0/16"}}},
	})
	if len(made.Vpcs) != 1 {
		t.Errorf("after the next start there are %d of the VPC", len(made.Vpcs))
	}
}
