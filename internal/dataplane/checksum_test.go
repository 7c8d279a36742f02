// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/test/testnet"
)

// A veth pair passes packets on whose checksum nobody has worked out yet, and
// nobody checks it then. With that switched off at both ends each packet
// carries its checksum through all translations, and its receiver checks it, as
// behind a real network card.
func TestTranslatedPacketsHaveRightChecksums(t *testing.T) {
	each(t, func(s *scenario) {
		s.apply()
		s.serve()
		for _, ns := range []*testnet.NS{s.client, s.server} {
			if err := ns.Run(func() error { return checksumByHand("eth0") }); err != nil {
				s.t.Fatal(err)
			}
		}
		before := badChecksums(s.t, s.server) + badChecksums(s.t, s.client)
		s.checkTraffic()
		if after := badChecksums(s.t, s.server) + badChecksums(s.t, s.client); after != before {
			s.t.Errorf("%d packets arrived with a wrong checksum", after-before)
		}
	})
}

// checksumByHand makes the kernel work out transmitted checksums itself
// (ETHTOOL_STXCSUM of linux/ethtool.h), in the namespace of this thread.
func checksumByHand(device string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	value := &struct{ command, on uint32 }{unix.ETHTOOL_STXCSUM, 0}
	request := struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}{data: unsafe.Pointer(value)}
	copy(request.name[:], device)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request)))
	runtime.KeepAlive(value)
	if errno != 0 {
		return fmt.Errorf("switch checksum offload of %s off: %w", device, errno)
	}
	return nil
}

// badChecksums reads how many TCP segments a namespace refused for their
// checksum.
func badChecksums(t testing.TB, ns *testnet.NS) (n int) {
	t.Helper()
	var text []byte
	if err := ns.Run(func() (err error) {
		text, err = os.ReadFile("/proc/thread-self/net/snmp")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if fields[0] != "Tcp:" {
			continue
		}
		if names == nil {
			names = fields
			continue
		}
		for i, name := range names {
			if name == "InCsumErrors" {
				fmt.Sscan(fields[i], &n)
			}
		}
	}
	return n
}
