// SPDX-License-Identifier: Apache-2.0

package nft

import (
	_ "embed"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"github.com/posternhq/postern/internal/desired"
)

//go:embed edge.nft
var edgeText string

var edgeTemplate = template.Must(template.New("edge.nft").Parse(edgeText))

// edgeValue is what the rules of an edge are made of. Lists are elements of sets.
type edgeValue struct {
	Device                               string
	Allowed4, Allowed6, Denied4, Denied6 string
}

// EdgeRules are those of an edge whose way out has the given name. They say the whole
// entry, in pieces.
func EdgeRules(e desired.Edge, device string) (Fixed, error) {
	v := edgeValue{Device: device}
	for _, list := range []struct {
		of     []netip.Prefix
		v4, v6 *string
	}{{e.Allowed, &v.Allowed4, &v.Allowed6}, {e.Denied, &v.Denied4, &v.Denied6}} {
		for _, p := range widest(list.of) {
			text := list.v4
			if p.Addr().Is6() {
				text = list.v6
			}
			if *text != "" {
				*text += ", "
			}
			*text += p.String()
		}
	}
	const piece = 100
	record := desired.Record(e)
	var said []string
	for i := 0; i*piece < len(record); i++ {
		said = append(said, fmt.Sprintf("%d:%s", i, record[i*piece:min(len(record), (i+1)*piece)]))
	}
	return fixed(edgeTemplate, v, said...)
}

// widest leaves out of prefixes those that lie in others of them: a set has none twice.
// Whatever order they are in, the result has one, so that equal entries have equal rules.
func widest(list []netip.Prefix) (kept []netip.Prefix) {
	list = slices.SortedFunc(slices.Values(list), netip.Prefix.Compare)
	for i, p := range list {
		within := false
		for k, o := range list {
			within = within || k != i && o.Overlaps(p) && (o.Bits() < p.Bits() || o.Bits() == p.Bits() && k < i)
		}
		if !within {
			kept = append(kept, p.Masked())
		}
	}
	return kept
}

// ParseEdge reads what the rules of an edge say; ok is false when they are not of one.
func ParseEdge(uplink string, said []string) (e desired.Edge, ok bool) {
	record := ""
	for i, s := range said {
		number, piece, _ := strings.Cut(s, ":")
		if number != strconv.Itoa(i) {
			return desired.Edge{Name: uplink}, false
		}
		record += piece
	}
	parsed, err := desired.Parse(record, desired.KindEdge)
	if e, ok = parsed.(desired.Edge); err != nil || !ok || e.Name != uplink {
		return desired.Edge{Name: uplink}, false
	}
	return e, true
}
