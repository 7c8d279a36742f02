// SPDX-License-Identifier: Apache-2.0

package nft

import (
	"context"
	"encoding/binary"
	"maps"
	"net/netip"
	"slices"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/dataplane/nft/nfnl"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
)

// The border is what asks network ACLs about packets between subnets: three base chains,
// and the maps by which they find the chains of a subnet. All of it is there while any
// subnet of the router is filtered, and no packet meets anything of it otherwise.
//
// A packet has the addresses that a subnet sees in one place on its way: what goes from a
// workload or a peer to an endpoint or to a gateway, before it is translated; what goes from
// workload to workload, to a peer or to the outside, in the forward hook, where it is known
// too through which interface it leaves; what comes over the fabric, behind translation.
const (
	chainLeave         = "border-leave"
	chainEnter         = "border-enter"
	chainPrerouting    = "border-prerouting"
	chainBorderForward = "border-forward"
	chainPostrouting   = "border-postrouting"

	setBorder       = "border"    // by family: an address to the number of its subnet
	setBorderDevice = "borderdev" // an interface that passes on packets of others
	setBorderOut    = "borderout" // a subnet's number to the chain of what leaves it
	setBorderIn     = "borderin"
)

// The hooks of linux/netfilter.h.
const (
	hookPrerouting  = 0
	hookForward     = 2
	hookPostrouting = 4
)

// borderChains are in the order in which they can go.
var borderChains = []string{chainPrerouting, chainBorderForward, chainPostrouting, chainLeave, chainEnter}

// isBorder reports whether a chain of this name is one of the border.
func isBorder(name string) bool { return slices.Contains(borderChains, name) }

// borderChain is a chain of the border; one without a hook is jumped to.
type borderChain struct {
	chain
	base     bool
	hook     uint32
	priority int32
}

// The types by which the nft program shows what maps have besides addresses; see
// messages.go.
const (
	typeMark    = 19
	typeIfname  = 41
	typeVerdict = 0xffffff00
)

// mapType is what a map of the border leads from and to.
type mapType struct{ flags, key, size, data uint32 }

var borderMaps = map[string]mapType{
	setBorder + "4": {unix.NFT_SET_MAP | unix.NFT_SET_INTERVAL, typeIPv4Addr, 4, typeMark},
	setBorder + "6": {unix.NFT_SET_MAP | unix.NFT_SET_INTERVAL, typeIPv6Addr, 16, typeMark},
	setBorderDevice: {unix.NFT_SET_MAP, typeIfname, unix.IFNAMSIZ, typeMark},
	setBorderOut:    {unix.NFT_SET_MAP, typeMark, 4, typeVerdict},
	setBorderIn:     {unix.NFT_SET_MAP, typeMark, 4, typeVerdict},
}

// said makes a rule of expressions one after the other.
func said(text string, exprs ...[]expr.Any) rule { return rule{text, slices.Concat(exprs...)} }

func verdict(kind expr.VerdictKind, chain string) []expr.Any {
	return []expr.Any{&expr.Verdict{Kind: kind, Chain: chain}}
}

func matchName(key expr.MetaKey, name string, whole bool) []expr.Any {
	data := []byte(name)
	if whole {
		data = []byte(deviceKey(name))
	}
	return []expr.Any{&expr.Meta{Key: key, Register: unix.NFT_REG_1}, &expr.Cmp{Op: expr.CmpOpEq, Register: unix.NFT_REG_1, Data: data}}
}

// deviceKey is an interface's name as the kernel has it in a register.
func deviceKey(name string) string {
	var b [unix.IFNAMSIZ]byte
	copy(b[:], name)
	return string(b[:])
}

func matchMark(n uint32) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyMARK, Register: unix.NFT_REG_1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: unix.NFT_REG_1, Data: []byte(mark(n))},
	}
}

func setMark() []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyMARK, SourceRegister: true, Register: unix.NFT_REG_1}}
}

func clearMark() []expr.Any {
	return append([]expr.Any{&expr.Immediate{Register: unix.NFT_REG_1, Data: []byte(mark(0))}}, setMark()...)
}

func lookUp(name string) []expr.Any {
	return []expr.Any{&expr.Lookup{SourceRegister: unix.NFT_REG_1, DestRegister: unix.NFT_REG_1, IsDestRegSet: true, SetName: name}}
}

func (f family) matchFamily() []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: unix.NFT_REG_1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: unix.NFT_REG_1, Data: []byte{f.number}},
	}
}

// find puts what a map has for an address into the mark, if there is nothing yet.
func (f family) find(text, name string, offset uint32) rule {
	load := []expr.Any{loadNetwork(offset, f.size)}
	if f.bits > 0 {
		load = append(load, keepBits(f.bits, int(f.size)))
	}
	return said(text, matchMark(0), f.matchFamily(), load, lookUp(name), setMark())
}

// border lists the chains of the border, those first that others jump to.
func border() []borderChain {
	return []borderChain{
		{chain: side(chainLeave, expr.MetaKeyIIFNAME, family.from, setBorderOut)},
		{chain: side(chainEnter, expr.MetaKeyOIFNAME, family.to, setBorderIn)},
		{chain{chainPrerouting, beforeTranslation()}, true, hookPrerouting, -295},
		{chain{chainBorderForward, forwarded()}, true, hookForward, -5},
		{chain{chainPostrouting, behindTranslation()}, true, hookPostrouting, 120},
	}
}

func (f family) from() uint32 { return f.source }
func (f family) to() uint32   { return f.other }

// side finds the subnet that a packet leaves or enters, and asks it. Interfaces that pass
// on packets of others count for their own subnets.
func side(name string, device expr.MetaKey, offset func(family) uint32, chains string) chain {
	return chain{name, []rule{
		said("of no subnet", clearMark()),
		said("by interface", []expr.Any{&expr.Meta{Key: device, Register: unix.NFT_REG_1}}, lookUp(setBorderDevice), setMark()),
		family4.find("by IPv4 address", setBorder+"4", offset(family4)),
		family6.find("by IPv6 address", setBorder+"6", offset(family6)),
		said("ask", []expr.Any{
			&expr.Meta{Key: expr.MetaKeyMARK, Register: unix.NFT_REG_1},
			&expr.Lookup{SourceRegister: unix.NFT_REG_1, DestRegister: unix.NFT_REG_VERDICT, IsDestRegSet: true, SetName: chains},
		}),
	}}
}

// beforeTranslation asks about what goes to an address of the VPC that is no workload's:
// that of an endpoint, or of a gateway.
func beforeTranslation() []rule {
	return []rule{
		overFabric("over the fabric, IPv4", expr.MetaKeyIIFNAME, model.Transit4),
		overFabric("over the fabric, IPv6", expr.MetaKeyIIFNAME, model.Transit6),
		said("of no class", clearMark()),
		family4.find("class of an IPv4 address", setClass+"4", family4.other),
		family6.find("class of an IPv6 address", setClass+"6", family6.other),
		family80.find("class of an IPv6 prefix", setClass+"80", family80.other),
		said("to nobody of the VPC", matchMark(0), verdict(expr.VerdictAccept, "")),
		said("to a workload",
			[]expr.Any{&expr.Fib{Register: unix.NFT_REG_1, ResultOIFNAME: true, FlagDADDR: true}, &expr.Cmp{Op: expr.CmpOpEq, Register: unix.NFT_REG_1, Data: []byte("w")}},
			clearMark(), verdict(expr.VerdictAccept, "")),
		said("leave", verdict(expr.VerdictJump, chainLeave)),
		said("enter", verdict(expr.VerdictJump, chainEnter)),
		said("done", clearMark()),
	}
}

// overFabric lets pass what crosses the fabric to an address of the transit realm: all but
// what peers send each other.
func overFabric(text string, device expr.MetaKey, realm netip.Prefix) rule {
	f := familyOf(realm.Addr())
	return said(text, matchName(device, "f", false), f.matchFamily(), matchPrefix(f.other, realm), verdict(expr.VerdictAccept, ""))
}

// statusDNAT is the bit of a connection's status that its destination is translated
// (IPS_DST_NAT in linux/netfilter/nf_conntrack_common.h).
const statusDNAT = 1 << 5

func translated() []expr.Any   { return matchStatus(expr.CmpOpNeq) }
func untranslated() []expr.Any { return matchStatus(expr.CmpOpEq) }

func matchStatus(op expr.CmpOp) []expr.Any {
	return []expr.Any{
		&expr.Ct{Key: expr.CtKeySTATUS, Register: unix.NFT_REG_1},
		&expr.Bitwise{SourceRegister: unix.NFT_REG_1, DestRegister: unix.NFT_REG_1, Len: 4, Mask: []byte(mark(statusDNAT)), Xor: make([]byte, 4)},
		&expr.Cmp{Op: op, Register: unix.NFT_REG_1, Data: make([]byte, 4)},
	}
}

// forwarded asks about what comes from workloads, peers or the outside, and goes there.
func forwarded() []rule {
	return []rule{
		said("translated from the fabric", matchName(expr.MetaKeyIIFNAME, "f", false), translated(), verdict(expr.VerdictAccept, "")),
		said("translated to the fabric", matchName(expr.MetaKeyOIFNAME, "f", false), translated(), verdict(expr.VerdictAccept, "")),
		said("leave", verdict(expr.VerdictJump, chainLeave)),
		said("enter", verdict(expr.VerdictJump, chainEnter)),
		said("done", clearMark()),
	}
}

// behindTranslation asks about what came over the fabric, and what the router sends in
// the name of others. What it sends by itself, and the VPC's resolver, is exempt.
func behindTranslation() []rule {
	local := binary.NativeEndian.AppendUint32(nil, unix.RTN_LOCAL)
	return []rule{
		said("from a workload", matchName(expr.MetaKeyIIFNAME, "w", false), verdict(expr.VerdictAccept, "")),
		said("from the outside", matchName(expr.MetaKeyIIFNAME, "u", false), verdict(expr.VerdictAccept, "")),
		overFabric("to the fabric, IPv4", expr.MetaKeyOIFNAME, model.Transit4),
		overFabric("to the fabric, IPv6", expr.MetaKeyOIFNAME, model.Transit6),
		said("from a peer to a workload",
			matchName(expr.MetaKeyIIFNAME, "f", false), matchName(expr.MetaKeyOIFNAME, "w", false), untranslated(), verdict(expr.VerdictAccept, "")),
		said("to wake an end", matchMark(NudgeMark), verdict(expr.VerdictAccept, "")),
		said("of the router",
			[]expr.Any{&expr.Fib{Register: unix.NFT_REG_1, ResultADDRTYPE: true, FlagSADDR: true}, &expr.Cmp{Op: expr.CmpOpEq, Register: unix.NFT_REG_1, Data: local}},
			verdict(expr.VerdictAccept, "")),
		said("leave", verdict(expr.VerdictJump, chainLeave)),
		said("enter", verdict(expr.VerdictJump, chainEnter)),
	}
}

// bordered reports whether the border is as it should be: whole when there are filtered
// subnets, and not there when there are none.
func (p *picture) bordered() bool {
	chains, sets := p.borderParts()
	if p.kinds[desired.KindFiltered] == 0 {
		return len(chains)+len(sets) == 0
	}
	for _, c := range border() {
		if texts, there := p.chains[c.name]; !there || !slices.Equal(texts, c.texts()) {
			return false
		}
	}
	return len(chains) == len(border()) && len(sets) == len(borderMaps)
}

// filteredAfter reports whether any subnet is filtered when changes are made.
func (p *picture) filteredAfter(changes []change) bool {
	n := p.kinds[desired.KindFiltered]
	for _, c := range changes {
		if c.owner.kind != desired.KindFiltered {
			continue
		}
		if !c.old.empty() {
			n--
		}
		if !c.now.empty() {
			n++
		}
	}
	return n > 0
}

// Filtered reports whether any subnet of the router is.
func (t *Table) Filtered(ctx context.Context) (bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.know(ctx); err != nil {
		return false, err
	}
	return t.picture.kinds[desired.KindFiltered] > 0, nil
}

// mendBorder makes the border what it should be, when somebody has changed it.
func (t *Table) mendBorder(ctx context.Context) error {
	if err := t.know(ctx); err != nil {
		return err
	}
	if t.picture.bordered() {
		return nil
	}
	b := t.batch(nil)
	failures, err := t.conn.Commit(unix.NFNL_SUBSYS_NFTABLES, &b.Builder)
	t.forget()
	if err == nil && len(failures) > 0 {
		err = failures[0].Err
	}
	return err
}

// borderParts lists the chains and maps of the border that are there.
func (p *picture) borderParts() (chains, sets []string) {
	for _, name := range borderChains {
		if _, there := p.chains[name]; there {
			chains = append(chains, name)
		}
	}
	for name := range borderMaps {
		if p.sets[name] {
			sets = append(sets, name)
		}
	}
	slices.Sort(sets)
	return chains, sets
}

// raiseBorder makes of the border what is not there, before what refers to it.
func (b *batch) raiseBorder(p *picture) {
	for _, name := range slices.Sorted(maps.Keys(borderMaps)) {
		if !p.sets[name] {
			b.addMap(name, borderMaps[name])
			b.newSets = append(b.newSets, name)
		}
	}
	for _, c := range border() {
		if _, there := p.chains[c.name]; !there {
			b.addBorderChain(c)
		}
	}
	for _, c := range border() {
		texts, there := p.chains[c.name]
		if there && slices.Equal(texts, c.texts()) {
			continue
		}
		if there {
			b.flushChain(c.name)
		}
		for _, r := range c.rules {
			b.addRule(c.name, r)
		}
		b.chainsNow = append(b.chainsNow, c.chain)
	}
}

// lowerBorder takes the border away, behind what refers to it.
func (b *batch) lowerBorder(p *picture) {
	chains, sets := p.borderParts()
	for _, name := range chains {
		b.flushChain(name)
	}
	for _, name := range chains {
		b.deleteChain(name)
		b.chainsGone = append(b.chainsGone, name)
	}
	b.dead = append(b.dead, sets...)
}

func (b *batch) addBorderChain(c borderChain) {
	b.message(unix.NFT_MSG_NEWCHAIN, nfnl.Create)
	b.String(unix.NFTA_CHAIN_TABLE, tableName)
	b.String(unix.NFTA_CHAIN_NAME, c.name)
	if c.base {
		b.Nest(unix.NFTA_CHAIN_HOOK, func() {
			b.Uint32(unix.NFTA_HOOK_HOOKNUM, c.hook)
			b.Uint32(unix.NFTA_HOOK_PRIORITY, uint32(c.priority))
		})
		b.String(unix.NFTA_CHAIN_TYPE, "filter")
	}
}

func (b *batch) addMap(name string, m mapType) {
	b.message(unix.NFT_MSG_NEWSET, nfnl.Create)
	b.String(unix.NFTA_SET_TABLE, tableName)
	b.String(unix.NFTA_SET_NAME, name)
	b.Uint32(unix.NFTA_SET_FLAGS, m.flags)
	b.Uint32(unix.NFTA_SET_KEY_TYPE, m.key)
	b.Uint32(unix.NFTA_SET_KEY_LEN, m.size)
	b.Uint32(unix.NFTA_SET_DATA_TYPE, m.data)
	if m.data != typeVerdict {
		b.Uint32(unix.NFTA_SET_DATA_LEN, 4)
	}
	b.Uint32(unix.NFTA_SET_ID, setID)
}
