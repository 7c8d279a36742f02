// SPDX-License-Identifier: Apache-2.0

package resolver

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/internal/desired"
)

// port is that of the domain name system.
const port = 53

// socket is an open one. It keeps the namespace alive in which it was opened.
type socket struct {
	VPC    string     `json:"vpc"`
	Addr   netip.Addr `json:"addr"`
	Stream bool       `json:"stream,omitempty"`
	Inode  uint64     `json:"inode"` // of the namespace
	// Port is set when the socket is the host's own, see outside; otherwise it is 53.
	Port  uint16 `json:"port,omitempty"`
	fd    int
	front int // the descriptor that the front reads; zero when it has none
}

// site is where a VPC is served.
type site struct {
	vpc     string
	addrs   []netip.Addr
	inode   uint64 // of the namespace that the sockets are in
	router  uint64 // its cookie; zero if the kernel does not tell
	sockets []socket
	problem error // why they are not open, or not all of them
}

// namespaceOf opens the router's namespace of a VPC.
func namespaceOf(instance, vpc string) (*os.File, uint64, error) {
	ns, err := network.OpenNamespace(network.NamespaceName(instance, vpc))
	if errors.Is(err, network.ErrNamespaceGone) {
		err = network.ErrNoRouter
	}
	if err != nil {
		return nil, 0, err
	}
	inode, err := network.Inode(ns)
	if err != nil {
		ns.Close()
		return nil, 0, err
	}
	return ns, inode, nil
}

// inodeOf is that of the namespace which has a router's name; zero says that none has.
func inodeOf(instance, vpc string) uint64 {
	var st unix.Stat_t
	if unix.Stat(filepath.Join(network.Directory, network.NamespaceName(instance, vpc)), &st) != nil {
		return 0
	}
	return st.Ino
}

// openSockets opens the sockets of a VPC in its router.
func openSockets(instance, vpc string, addrs []netip.Addr) (list []socket, inode uint64, err error) {
	ns, inode, err := namespaceOf(instance, vpc)
	if err != nil {
		return nil, 0, err
	}
	defer ns.Close()
	err = network.Inside(ns, func() error {
		for _, a := range addrs {
			for _, stream := range []bool{false, true} {
				fd, err := bind(netip.AddrPortFrom(a, port), stream, true)
				if err != nil {
					return fmt.Errorf("open a socket on %s: %w", a, err)
				}
				list = append(list, socket{VPC: vpc, Addr: a, Stream: stream, Inode: inode, fd: fd})
			}
		}
		return nil
	})
	if err != nil {
		closeAll(list)
		return nil, 0, err
	}
	return list, inode, nil
}

func closeAll(list []socket) {
	for _, s := range list {
		unix.Close(s.fd)
	}
}

// received is how much a socket holds of what has not been read yet, in bytes: some
// hundred questions.
const received = 512 << 10

// bind opens a socket of the calling thread's namespace. With early, the address need not
// be there yet.
func bind(at netip.AddrPort, stream, early bool) (fd int, err error) {
	a, port := at.Addr(), int(at.Port())
	family, level, option := unix.AF_INET, unix.SOL_IP, unix.IP_FREEBIND
	var to unix.Sockaddr = &unix.SockaddrInet4{Port: port, Addr: [4]byte(a.AsSlice()[:4])}
	if a.Is6() {
		family, level, option = unix.AF_INET6, unix.SOL_IPV6, unix.IPV6_FREEBIND
		to = &unix.SockaddrInet6{Port: port, Addr: a.As16()}
	}
	kind := unix.SOCK_DGRAM
	if stream {
		kind = unix.SOCK_STREAM
	}
	if fd, err = unix.Socket(family, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0); err != nil {
		return 0, err
	}
	if early {
		err = unix.SetsockoptInt(fd, level, option, 1)
	}
	if err == nil && a.Is6() {
		err = unix.SetsockoptInt(fd, unix.SOL_IPV6, unix.IPV6_V6ONLY, 1)
	}
	if err == nil && stream {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	}
	if err == nil && !stream {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, received)
	}
	if err == nil {
		err = unix.Bind(fd, to)
	}
	if err == nil && stream {
		err = unix.Listen(fd, 1024)
	}
	if err != nil {
		unix.Close(fd)
		return 0, err
	}
	return fd, nil
}

// cookieOf is the number by which the kernel knows the namespace of a socket
// (SO_NETNS_COOKIE in socket(7)); zero if it does not tell.
func cookieOf(fd int) uint64 {
	cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	if err != nil {
		return 0
	}
	return cookie
}

// wantedSite says where a VPC is to be served.
func wantedSite(r desired.Resolver) site {
	return site{vpc: r.VPC, addrs: desired.NewNameserver(r.VPC, r.Networks...).Addrs}
}

func (s site) same(o site) bool { return slices.Equal(s.addrs, o.addrs) }
