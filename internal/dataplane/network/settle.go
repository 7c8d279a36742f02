// SPDX-License-Identifier: Apache-2.0

package network

import (
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"time"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// settle waits until an interface that is up really sends. When the second end
// of a veth comes up, the kernel starts the queue of the first one in a work
// item of its own; what is sent before is lost, and a lost SYN costs a second.
// Asking for the link state as ethtool does makes the kernel do that work now
// (ethtool_op_get_link in net/ethtool/ioctl.c of Linux).
func settle(ns *os.File, device string) error {
	err := Inside(ns, func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return linkState(fd, device)
	})
	if err != nil {
		return fmt.Errorf("ask for the link state of %s: %w", device, err)
	}
	return nil
}

// awaitLocal waits until the IPv6 addresses of the workload can be used. Also
// without duplicate address detection the kernel makes an address a local one
// in a work item of its own, moments after it has been added; answers that come
// before are not taken (addrconf_dad_start in net/ipv6/addrconf.c of Linux).
func (p pair) awaitLocal(want []netip.Prefix) error {
	for range awaitChecks {
		list, err := fetch(func() ([]netlink.Route, error) {
			return p.in.handle.RouteListFiltered(netlink.FAMILY_V6, &netlink.Route{Table: unix.RT_TABLE_LOCAL}, netlink.RT_FILTER_TABLE)
		})
		if err != nil {
			return fmt.Errorf("list local addresses of the workload: %w", err)
		}
		ready := func(a netip.Prefix) bool {
			return a.Addr().Is4() || slices.ContainsFunc(list, func(r netlink.Route) bool { return toPrefix(r.Dst) == single(a.Addr()) })
		}
		if !slices.ContainsFunc(want, func(a netip.Prefix) bool { return !ready(a) }) {
			return nil
		}
		time.Sleep(awaitPause)
	}
	return fmt.Errorf("addresses of %s do not become local", p.far.Attrs().Name)
}

const (
	awaitChecks = 5000 // on a busy machine the work item waits for the lock of all network configuration
	awaitPause  = time.Millisecond
)

// ethtoolValue is struct ethtool_value of linux/ethtool.h, ifreqData struct
// ifreq of netdevice(7) with its pointer.
type ethtoolValue struct {
	command uint32
	_       uint32 // the kernel writes its answer here
}

type ifreqData struct {
	name [unix.IFNAMSIZ]byte
	data *ethtoolValue
	_    [16]byte
}

func linkState(fd int, device string) error {
	value := &ethtoolValue{command: unix.ETHTOOL_GLINK}
	request := ifreqData{data: value}
	copy(request.name[:unix.IFNAMSIZ-1], device)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request)))
	runtime.KeepAlive(value)
	if errno != 0 {
		return errno
	}
	return nil
}
