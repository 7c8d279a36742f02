// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"os"
	"strconv"
	"strings"
)

// trackingRoom is how many connections each namespace may track, or zero when
// the kernel does not say: the setting is one for all namespaces
// (Documentation/networking/nf_conntrack-sysctl.rst).
func trackingRoom() int {
	text, err := os.ReadFile("/proc/sys/net/netfilter/nf_conntrack_max")
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return n
}
