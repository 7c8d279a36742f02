// SPDX-License-Identifier: Apache-2.0

package network

import (
	"encoding/binary"
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// The attributes of linux/netconf.h that are read here.
const (
	confIndex      = 1
	confForwarding = 2
	confRPFilter   = 3
	confProxy      = 5
)

// confAll is the index by which rtnetlink calls the settings of all interfaces
// together (NETCONFA_IFINDEX_ALL in linux/netconf.h).
const confAll = -1

type confKey struct{ family, link int }

// netconf is what matters of an interface's settings (linux/netconf.h).
type netconf struct {
	forwarding bool
	strict     bool // rp_filter is 1
	open       bool // it is 0
	proxy      bool // proxy_arp
}

// netconfs reads the settings of all interfaces. It asks rtnetlink, because the
// files under /proc/sys are slow to find when there are many namespaces.
func (r *Router) netconfs() (map[confKey]netconf, error) {
	var socket *nl.NetlinkSocket
	err := r.Inside(func() (err error) {
		socket, err = nl.GetNetlinkSocketAt(netns.None(), netns.None(), unix.NETLINK_ROUTE)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open rtnetlink socket: %w", err)
	}
	handle := &nl.SocketHandle{Socket: socket}
	defer handle.Close()
	confs := map[confKey]netconf{}
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		messages, err := fetch(func() ([][]byte, error) {
			request := nl.NewNetlinkRequest(unix.RTM_GETNETCONF, unix.NLM_F_DUMP)
			request.Sockets = map[int]*nl.SocketHandle{unix.NETLINK_ROUTE: handle}
			request.AddRawData([]byte{byte(family), 0, 0, 0})
			return request.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWNETCONF)
		})
		if err == unix.EOPNOTSUPP && family == unix.AF_INET6 {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("list settings of interfaces: %w", err)
		}
		for _, m := range messages {
			link, c, err := parseNetconf(m)
			if err != nil {
				return nil, err
			}
			confs[confKey{family, link}] = c
		}
	}
	return confs, nil
}

// parseNetconf reads one message: four bytes of header, then attributes that
// begin with their length and type and are padded to four bytes (netlink(7)).
func parseNetconf(message []byte) (link int, c netconf, err error) {
	const header = 4
	rest := message[min(header, len(message)):]
	for len(rest) >= header {
		length := int(binary.NativeEndian.Uint16(rest))
		if length < header || length > len(rest) {
			return 0, c, fmt.Errorf("settings of an interface: attribute of %d bytes in %d", length, len(rest))
		}
		if length == header+4 {
			c.take(&link, binary.NativeEndian.Uint16(rest[2:]), int32(binary.NativeEndian.Uint32(rest[header:])))
		}
		rest = rest[min((length+3)&^3, len(rest)):]
	}
	return link, c, nil
}

func (c *netconf) take(link *int, attribute uint16, value int32) {
	switch attribute {
	case confIndex:
		*link = int(value)
	case confForwarding:
		c.forwarding = value != 0
	case confRPFilter:
		c.strict, c.open = value == 1, value == 0
	case confProxy:
		c.proxy = value != 0
	}
}
