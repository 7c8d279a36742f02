// SPDX-License-Identifier: Apache-2.0

package system

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/test/postern"
)

// A program finds the VPC's resolver in its resolv.conf, and other servers there when
// the VPC is given other DHCP options while it runs. The machine's own file stays.
func TestRunTellsTheVPCsOptions(t *testing.T) {
	s := newPair(t)
	before, err := os.ReadFile("/etc/resolv.conf")
	if err != nil {
		t.Skip("this machine has no resolv.conf, and programs get none")
	}
	shown := filepath.Join(t.TempDir(), "shown")
	r := s.Begin("run", "--lease", "50ms", "--subnet", s.clients.ID, "--security-group", s.openClient, "--",
		"sh", "-c", "while read line; do cat /etc/resolv.conf > "+shown+".new; mv "+shown+".new "+shown+"; done")
	is := func(want ...string) {
		t.Helper()
		s.Await("resolv.conf with "+strings.Join(want, ", "), func() (bool, error) {
			if _, err := io.WriteString(r.Stdin, "x\n"); err != nil {
				return false, err
			}
			text, err := os.ReadFile(shown)
			if err != nil {
				return false, nil
			}
			for _, w := range want {
				if !strings.Contains(string(text), w+"\n") {
					return false, nil
				}
			}
			return strings.Count(string(text), "nameserver") == len(want)-1, nil
		})
	}
	is("search ec2.internal", "nameserver 10.0.0.2")
	made := postern.Call[ec2.CreateDhcpOptionsOutput](s.Postern, ec2.Service, "CreateDhcpOptions", &ec2.CreateDhcpOptionsInput{
		DhcpConfigurations: []ec2.NewDhcpConfiguration{
			{Key: new("domain-name-servers"), Values: []string{"10.0.9.53", "AmazonProvidedDNS"}}, {Key: new("domain-name"), Values: []string{"corp.example.com"}},
		},
	})
	postern.Call[ec2.AssociateDhcpOptionsOutput](s.Postern, ec2.Service, "AssociateDhcpOptions", &ec2.AssociateDhcpOptionsInput{
		VpcId: &s.consumer.ID, DhcpOptionsId: made.DhcpOptions.DhcpOptionsId,
	})
	is("search corp.example.com", "nameserver 10.0.9.53", "nameserver 10.0.0.2")
	r.Stdin.Close()
	if done := r.Wait(); done.Status != 0 {
		t.Errorf("status %d: %s", done.Status, done.Stderr)
	}
	if after, err := os.ReadFile("/etc/resolv.conf"); err != nil || string(after) != string(before) {
		t.Errorf("the machine's resolv.conf is %q, %v; it was %q", after, err, before)
	}
	s.expectNothingLeft()
}
