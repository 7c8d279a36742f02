// SPDX-License-Identifier: Apache-2.0

package postern

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	postern "github.com/posternhq/postern/internal/aws/shape/postern"
	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/test/instance"
	"github.com/posternhq/postern/test/testnet"
)

// Workload is a namespace with a network interface of a subnet.
type Workload struct {
	*testnet.NS
	Subnet *Subnet
	ENI    string
	IP     netip.Addr
	IP6    netip.Addr
}

// Workload makes a namespace with the address in the subnet, and with the IPv6
// address of the same last byte; without an address Postern chooses both. A test
// names addresses before it makes endpoints and gateways, which take free ones.
// It waits until packets pass.
func (s *Subnet) Workload(ip string, groups ...string) *Workload {
	p := s.VPC.p
	p.T.Helper()
	in := &ec2.CreateNetworkInterfaceInput{SubnetId: &s.ID, Groups: groups, Ipv6AddressCount: new(int32(1))}
	if ip != "" {
		same := s.Address6(uint16(netip.MustParseAddr(ip).As4()[3]))
		in.PrivateIpAddress, in.Ipv6AddressCount = &ip, nil
		in.Ipv6Addresses = []ec2.InstanceIpv6Address{{Ipv6Address: new(same.String())}}
	}
	made := Call[ec2.CreateNetworkInterfaceOutput](p, ec2.Service, "CreateNetworkInterface", in)
	w := &Workload{
		NS: testnet.New(p.T), Subnet: s,
		IP:  netip.MustParseAddr(*made.NetworkInterface.PrivateIpAddress),
		IP6: netip.MustParseAddr(*made.NetworkInterface.Ipv6Addresses[0].Ipv6Address),
	}
	w.ENI = *made.NetworkInterface.NetworkInterfaceId
	if err := p.Attach(w.ENI, w.Name); err != nil {
		p.T.Fatal(err)
	}
	return w
}

// Attach puts an interface into a namespace and waits until it is there.
func (p *Postern) Attach(eni, namespace string) error {
	var stat unix.Stat_t
	path := network.Directory + "/" + namespace
	if err := unix.Stat(path, &stat); err != nil {
		return &os.PathError{Op: "stat", Path: path, Err: err}
	}
	in := &postern.AttachNetworkInterfaceInput{NetworkInterfaceId: &eni, NetnsName: &namespace, NetnsInode: new(int64(stat.Ino))}
	if err := p.Do(postern.Service, "AttachNetworkInterface", in, nil); err != nil {
		return err
	}
	return instance.Poll(context.Background(), testnet.Patience, "attachment of "+eni, func() (bool, error) {
		var out postern.GetAttachmentOutput
		err := p.Do(postern.Service, "GetAttachment", &postern.GetAttachmentInput{NetworkInterfaceId: &eni}, &out)
		if err == nil && *out.Status == postern.AttachmentStatusFailed {
			err = fmt.Errorf("%s", *out.Reason)
		}
		return err == nil && *out.Status == postern.AttachmentStatusAttached, err
	})
}

// Serve answers every connection to a port, of both families, with one line
// (its remote address) and then with what it receives, until the test ends.
func (w *Workload) Serve(port int) net.Listener {
	p := w.Subnet.VPC.p
	p.T.Helper()
	l, err := w.NS.Serve("tcp", fmt.Sprintf(":%d", port))
	if err != nil {
		p.T.Fatal(err)
	}
	p.T.Cleanup(func() { l.Close() })
	return l
}
