// SPDX-License-Identifier: Apache-2.0

package terraform

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/posternhq/postern/conformance/harness"
	"github.com/posternhq/postern/test/child"
)

// roleVariable makes this program a workload: "serve" answers on port, and
// "ask ADDRESS" asks there.
const roleVariable = "WORKLOAD"

const port = 5432

// patience bounds the wait for the server.
const patience = time.Minute

func play(role string) int {
	act := serve
	if address, ok := strings.CutPrefix(role, "ask "); ok {
		act = func() error { return ask(address) }
	}
	if err := act(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// serve tells each client its address.
func serve() error {
	listener, err := net.Listen("tcp", ":"+strconv.Itoa(port))
	if err != nil {
		return err
	}
	for {
		client, err := listener.Accept()
		if err != nil {
			return err
		}
		fmt.Fprint(client, client.RemoteAddr())
		client.Close()
	}
}

// ask prints what the server says, which may not listen yet.
func ask(address string) error {
	server, err := net.DialTimeout("tcp", address, patience)
	for begun := time.Now(); errors.Is(err, syscall.ECONNREFUSED) && time.Since(begun) < patience; time.Sleep(10 * time.Millisecond) {
		server, err = net.DialTimeout("tcp", address, patience)
	}
	if err != nil {
		return err
	}
	defer server.Close()
	_, err = io.Copy(os.Stdout, server)
	return err
}

// path is an output of the stack: how a client gets to the server.
type path struct {
	Endpoint, Gateway     []string // addresses; subnets of the gateway
	Server, Subnet, Group string
}

// connects attaches a server to the interface that the stack has for it, and
// asks it through each address of the endpoint, as a client in the consumer's
// subnet. What the server sees is an address of the gateway's subnets.
func (w *workspace) connects(key harness.Key, region, output string) {
	w.t.Helper()
	var p path
	w.output(output, &p)
	self, err := os.Executable()
	if err != nil {
		w.t.Fatal(err)
	}
	environment := func(role string) []string {
		return server.Environment("AWS_ENDPOINT_URL="+server.URL, "AWS_REGION="+region,
			"AWS_ACCESS_KEY_ID="+key.ID, "AWS_SECRET_ACCESS_KEY="+key.Secret, roleVariable+"="+role)
	}
	pid, stop, err := harness.Isolate(environment("serve"), self)
	if err != nil {
		w.t.Fatal(err)
	}
	defer stop()
	if r := child.Exec(environment(""), server.Binary, "attach", p.Server, "--pid", strconv.Itoa(pid)); r.Status != 0 {
		w.t.Fatalf("attach the server: %s", r.Stderr)
	}
	for _, address := range p.Endpoint {
		target := net.JoinHostPort(address, strconv.Itoa(port))
		r := child.Exec(environment("ask "+target), server.Binary, "run", "--subnet", p.Subnet, "--security-group", p.Group, "--", self)
		seen, err := netip.ParseAddrPort(r.Stdout)
		within := func(cidr string) bool { return netip.MustParsePrefix(cidr).Contains(seen.Addr()) }
		if r.Status != 0 || err != nil || !slices.ContainsFunc(p.Gateway, within) {
			w.t.Errorf("ask %s through Terraform's endpoint: status %d, %q%s; want an address in %v", target, r.Status, r.Stdout, r.Stderr, p.Gateway)
		}
	}
	if r := child.Exec(environment(""), server.Binary, "detach", p.Server); r.Status != 0 {
		w.t.Errorf("detach the server: %s", r.Stderr)
	}
}
