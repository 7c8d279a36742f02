// SPDX-License-Identifier: Apache-2.0

package express_test

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// icmp returns the type, the code and the rest of the header of an ICMP
// message.
func icmp(packet []byte) (typ, code byte, rest uint32, ok bool) {
	var m []byte
	switch {
	case packet[0]>>4 == 4:
		ok, m = packet[9] == unix.IPPROTO_ICMP, packet[20:]
	case len(packet) >= 40:
		ok, m = packet[6] == unix.IPPROTO_ICMPV6, packet[40:]
	}
	if !ok || len(m) < 8 {
		return 0, 0, 0, false
	}
	return m[0], m[1], binary.BigEndian.Uint32(m[4:]), true
}
