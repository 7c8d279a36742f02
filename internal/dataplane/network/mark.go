// SPDX-License-Identifier: Apache-2.0

package network

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"regexp"
	"strings"

	"github.com/vishvananda/netlink"
)

// Protocol is the protocol number of every route that Postern makes (the field
// rtm_protocol of rtnetlink(7)). Numbers above 4 are free for routing daemons;
// none that is registered in iproute2's rt_protos uses this one.
const Protocol netlink.RouteProtocol = 78

const (
	project = "postern"
	// gatewayLabel marks the router's own addresses on its loopback device. A
	// label must begin with the device's name and has at most 15 characters.
	gatewayLabel = "lo:" + project
	// nameserverLabel marks those of the VPC's resolver there.
	nameserverLabel = gatewayLabel + "-dns"
	// maxAlias is IFALIASZ of the kernel without its terminating zero.
	maxAlias = 255
)

var (
	instancePattern  = regexp.MustCompile(`^[a-z0-9]{1,8}$`)
	namespacePattern = regexp.MustCompile(`^` + project + `-([a-z0-9]{1,8})-((?:vpc|nat)-[0-9a-z]+|edge-[0-9a-z][0-9a-z-]*|sandbox-[0-9A-Za-z][0-9A-Za-z-]*)$`)
	hexPattern       = regexp.MustCompile(`^(?:vpc|eni)-([0-9a-f]{14,})$`)
)

// CheckInstance says whether name can be the name of an instance: one to eight
// lower-case letters and digits.
func CheckInstance(name string) error {
	if !instancePattern.MatchString(name) {
		return fmt.Errorf("instance name %q: want 1 to 8 lower-case letters or digits", name)
	}
	return nil
}

// NamespaceName is the name under /run/netns of the router of a VPC, or of what NameOf
// gives a name to.
func NamespaceName(instance, vpc string) string {
	return project + "-" + instance + "-" + vpc
}

// parseNamespaceName takes the name of a namespace of ours apart; ok is false for the
// names of others.
func parseNamespaceName(name string) (instance, vpc string, ok bool) {
	m := namespacePattern.FindStringSubmatch(name)
	if m == nil {
		return "", "", false
	}
	return m[1], m[2], true
}

// What an interface alias says about the interface, in the order of its parts:
// the project, the instance, what the interface is, and of what.
const (
	isRouter   = "router"
	isLink     = "link"
	isWorkload = "workload"
	isDevice   = "eni"
	isSink     = "sink"
	isExit     = "exit"   // a router's end of its link with an edge, and of which uplink
	isEntry    = "entry"  // the other end, and of which VPC
	isUplink   = "uplink" // the way out of an edge, of which uplink, and what the operator gave
)

func alias(instance, what string, parts ...string) string {
	return strings.Join(append([]string{project, instance, what}, parts...), ":")
}

// parseAlias returns the parts after what, or ok false when the alias is not
// of that instance and sort. At most n parts are cut, so that the last one may
// contain colons.
func parseAlias(text, instance, what string, n int) (parts []string, ok bool) {
	rest, ok := strings.CutPrefix(text, alias(instance, what)+":")
	if !ok {
		return nil, false
	}
	parts = strings.SplitN(rest, ":", n)
	return parts, len(parts) == n
}

// interfaceName builds a name of at most 15 characters: a letter and fourteen
// hexadecimal digits of the identifier, or of its hash when it has no such
// digits or when those are taken.
func interfaceName(letter, id string, hashed bool) string {
	if m := hexPattern.FindStringSubmatch(id); m != nil && !hashed {
		return letter + m[1][:14]
	}
	sum := sha256.Sum256([]byte(id))
	return letter + hex.EncodeToString(sum[:7])
}

// hardwareAddr derives a locally administered unicast address from names, so
// that an interface made anew has the address that its neighbours remember.
func hardwareAddr(names ...string) net.HardwareAddr {
	sum := sha256.Sum256([]byte(strings.Join(names, "\x00")))
	mac := net.HardwareAddr(sum[:6:6])
	mac[0] = mac[0]&^1 | 2
	return mac
}
