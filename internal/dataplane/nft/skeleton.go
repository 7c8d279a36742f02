// SPDX-License-Identifier: Apache-2.0

package nft

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"text/template"

	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/internal/model"
)

// NudgeMark marks the packets that wake the ends of a connection that was cut; the
// skeleton neither tracks nor filters them. It names no route table, and has the bit of
// what goes outside: an end that is nowhere in the VPC is woken there.
const NudgeMark = 0x10007374

const (
	tableName    = "postern"
	markerPrefix = "skeleton-"
	source4Bits  = 26
	source6Bits  = 64
)

//go:embed skeleton.nft
var skeletonText string

var skeletonTemplate = template.Must(template.New("skeleton.nft").Parse(skeletonText))

// skeleton is the rendered text and what it makes.
type skeleton struct {
	text   string
	marker string
	// rules is the number of rules of each chain.
	rules map[string]int
}

// values are what differs between the rules of routers.
type values struct {
	Marker, Nudge                                    string
	Source4, Base4, Source6, Base6                   string
	Client, NAT, Association, Fabric, Outside, Ports census
	Queries, Burst                                   int
	Unchecked, NATGroup                              uint32
	ExitMark                                         string
	// The largest segments of TCP, by the frames of workloads and of what joins routers.
	Segment4, Segment6, Across4, Across6 int
	Transit4, Transit6                   string
	blocks
}

// headers4 and headers6 are what the headers of IP and TCP take of a frame, without options.
const (
	headers4 = 40
	headers6 = 60
)

// newSkeleton renders the rules of a router whose connections leave from the
// given transit prefixes; an invalid one leaves its family out. No share is zero.
func newSkeleton(source4, source6 netip.Prefix, shares Shares, b blocks) (*skeleton, error) {
	if source4.IsValid() && (!source4.Addr().Is4() || source4.Bits() != source4Bits || source4 != source4.Masked()) {
		return nil, fmt.Errorf("transit source %s is not an IPv4 /%d", source4, source4Bits)
	}
	if source6.IsValid() && (!source6.Addr().Is6() || source6.Bits() != source6Bits || source6 != source6.Masked()) {
		return nil, fmt.Errorf("transit source %s is not an IPv6 /%d", source6, source6Bits)
	}
	v := values{
		Marker: markerPrefix, Nudge: fmt.Sprintf("%#x", NudgeMark),
		Client: newCensus(shares.Client), NAT: newCensus(shares.NAT), Association: newCensus(shares.Association),
		Fabric: newCensus(shares.Fabric), Outside: newCensus(shares.Outside), Ports: newCensus(shares.Ports),
		Queries: shares.Queries, Burst: Burst(shares.Queries),
		Unchecked: network.UncheckedGroup, NATGroup: network.NATGroup, ExitMark: fmt.Sprintf("%#x", network.ExitMark), Transit4: model.Transit4.String(), Transit6: model.Transit6.String(), blocks: b,
		Segment4: network.WorkloadMTU - headers4, Segment6: network.WorkloadMTU - headers6,
		Across4: network.LinkMTU - headers4, Across6: network.LinkMTU - headers6,
	}
	if source4.IsValid() {
		v.Source4, v.Base4 = source4.String(), source4.Addr().String()
	}
	if source6.IsValid() {
		v.Source6, v.Base6 = source6.String(), source6.Addr().String()
	}
	var unmarked strings.Builder
	if err := skeletonTemplate.Execute(&unmarked, v); err != nil {
		return nil, fmt.Errorf("render skeleton: %w", err)
	}
	sum := sha256.Sum256([]byte(unmarked.String()))
	s := &skeleton{marker: markerPrefix + hex.EncodeToString(sum[:6])}
	s.text = strings.Replace(unmarked.String(), markerPrefix, s.marker, 1)
	s.rules = countRules(s.text)
	return s, nil
}

// chainIn gives the name of the chain that begins with a line of a skeleton.
func chainIn(line string) (name string, begins bool) {
	line, begins = strings.CutPrefix(line, "\tchain ")
	name, _, opens := strings.Cut(line, " {")
	return name, begins && opens
}

// countRules counts the rules of each chain in a skeleton, which has one rule a
// line and indents by tabs.
func countRules(text string) map[string]int {
	rules := map[string]int{}
	chain := ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if name, begins := chainIn(line); begins {
			chain = name
			rules[chain] = 0
		}
		rule, indented := strings.CutPrefix(line, "\t\t")
		if indented && !strings.HasPrefix(rule, "type ") && !strings.HasPrefix(rule, "#") {
			rules[chain]++
		}
	}
	return rules
}

// transaction is the text that puts the skeleton in place of one whose chains
// are given, keeping all elements and the chains that elements point to.
func (s *skeleton) transaction(present []string) string {
	// What packets have left there goes by the pace that there was before.
	return s.over(present) + fmt.Sprintf("flush set inet %s %s\n", tableName, setQueries)
}

// over is the text that puts the rules in place of those whose chains are given.
func (s *skeleton) over(present []string) string {
	var b strings.Builder
	for _, chain := range present {
		fmt.Fprintf(&b, "flush chain inet %s %s\n", tableName, chain)
	}
	b.WriteString(s.text)
	s.shrink(&b)
	for _, chain := range present {
		if _, stays := s.rules[chain]; !stays {
			fmt.Fprintf(&b, "delete chain inet %s %s\n", tableName, chain)
		}
	}
	return b.String()
}

var dynamicSet = regexp.MustCompile(`(?m)^\tset (\w+) \{ typeof ([^;]+); flags dynamic`)

// shrink writes what makes the kernel give back the room of the sets that packets add to.
// One that has a size is made with room for all of it, some MiB, and the kernel looks
// at all that room once a second; the first element that goes makes it fit what is there
// (nft_rhash_gc and rhashtable's automatic_shrinking, Linux 6.18). So one comes and goes.
func (s *skeleton) shrink(b *strings.Builder) {
	for _, operation := range []string{"add", "delete"} {
		for _, set := range dynamicSet.FindAllStringSubmatch(s.text, -1) {
			parts := strings.Split(set[2], " . ")
			for i, part := range parts {
				switch {
				case strings.HasPrefix(part, "ip6 "):
					parts[i] = "::"
				case strings.HasPrefix(part, "ip "):
					parts[i] = "0.0.0.0"
				default:
					parts[i] = "0"
				}
			}
			fmt.Fprintf(b, "%s element inet %s %s { %s }\n", operation, tableName, set[1], strings.Join(parts, " . "))
		}
	}
}
