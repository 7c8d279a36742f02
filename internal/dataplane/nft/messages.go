// SPDX-License-Identifier: Apache-2.0

package nft

import (
	"slices"
	"strings"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/dataplane/nft/nfnl"
)

// elementsPerMessage keeps the list of elements, an attribute with a length of
// 16 bits, short enough.
const elementsPerMessage = 400

// The types by which the nft program shows the keys of a set (libnftables'
// datatype numbers); the kernel only hands them back.
const (
	typeIPv4Addr = 7
	typeIPv6Addr = 8
)

// setID is a name for a set within its transaction; the kernel wants one, and
// nothing here uses it.
const setID = 1

// message begins a message about our table.
func message(b *nfnl.Builder, typ uint8, flags uint16) {
	b.Message(unix.NFNL_SUBSYS_NFTABLES, typ, flags, unix.NFPROTO_INET)
}

func (b *batch) message(typ uint8, flags uint16) {
	message(&b.Builder, typ, flags)
	b.owners = append(b.owners, b.owner)
}

func (b *batch) addSet(name string) {
	f, _, _ := memberGroup(name)
	typ := uint32(typeIPv4Addr)
	if f.number == unix.NFPROTO_IPV6 {
		typ = typeIPv6Addr
	}
	b.message(unix.NFT_MSG_NEWSET, nfnl.Create)
	b.String(unix.NFTA_SET_TABLE, tableName)
	b.String(unix.NFTA_SET_NAME, name)
	b.Uint32(unix.NFTA_SET_FLAGS, 0)
	b.Uint32(unix.NFTA_SET_KEY_TYPE, typ)
	b.Uint32(unix.NFTA_SET_KEY_LEN, f.size)
	b.Uint32(unix.NFTA_SET_ID, setID)
}

func (b *batch) deleteSet(name string) {
	b.message(unix.NFT_MSG_DELSET, 0)
	b.String(unix.NFTA_SET_TABLE, tableName)
	b.String(unix.NFTA_SET_NAME, name)
}

func (b *batch) addChain(name string) {
	b.message(unix.NFT_MSG_NEWCHAIN, nfnl.Create)
	b.String(unix.NFTA_CHAIN_TABLE, tableName)
	b.String(unix.NFTA_CHAIN_NAME, name)
}

func (b *batch) deleteChain(name string) {
	b.message(unix.NFT_MSG_DELCHAIN, 0)
	b.String(unix.NFTA_CHAIN_TABLE, tableName)
	b.String(unix.NFTA_CHAIN_NAME, name)
}

// flushChain deletes all rules of a chain.
func (b *batch) flushChain(name string) {
	b.message(unix.NFT_MSG_DELRULE, 0)
	b.String(unix.NFTA_RULE_TABLE, tableName)
	b.String(unix.NFTA_RULE_CHAIN, name)
}

func (b *batch) addRule(chain string, r rule) {
	b.message(unix.NFT_MSG_NEWRULE, nfnl.Create|nfnl.Append)
	b.String(unix.NFTA_RULE_TABLE, tableName)
	b.String(unix.NFTA_RULE_CHAIN, chain)
	b.Nest(unix.NFTA_RULE_EXPRESSIONS, func() {
		for _, e := range r.exprs {
			b.Nest(unix.NFTA_LIST_ELEM, func() { b.Raw(marshal(e)) })
		}
	})
	b.Bytes(unix.NFTA_RULE_USERDATA, comment(r.text))
}

// marshal encodes an expression of this package's making, which cannot fail; if
// it does the kernel will refuse the empty expression.
func marshal(e expr.Any) []byte {
	data, err := expr.Marshal(unix.NFPROTO_INET, e)
	if err != nil {
		return nil
	}
	return data
}

// comment makes user data of a rule that the nft program shows as its comment:
// a list of type, length and value, of which type 0 is the comment.
func comment(text string) []byte {
	return append(append([]byte{0, byte(len(text) + 1)}, text...), 0)
}

// commentOf reads the comment from a rule's user data, or "".
func commentOf(data []byte) string {
	for len(data) >= 2 && len(data) >= 2+int(data[1]) {
		value := data[2 : 2+int(data[1])]
		if data[0] == 0 {
			return strings.TrimRight(string(value), "\x00")
		}
		data = data[2+len(value):]
	}
	return ""
}

// elements adds or deletes elements, which are sorted by set.
func (b *batch) elements(typ uint8, elements []element) {
	elements = withEnds(elements)
	for len(elements) > 0 {
		set := elements[0].set
		n := 0
		for n < len(elements) && n < elementsPerMessage && elements[n].set == set {
			n++
		}
		flags := uint16(0)
		if typ == unix.NFT_MSG_NEWSETELEM {
			flags = nfnl.Create
		}
		b.message(typ, flags)
		b.String(unix.NFTA_SET_ELEM_LIST_TABLE, tableName)
		b.String(unix.NFTA_SET_ELEM_LIST_SET, set)
		b.Nest(unix.NFTA_SET_ELEM_LIST_ELEMENTS, func() {
			for _, e := range elements[:n] {
				b.Nest(unix.NFTA_LIST_ELEM, func() { b.element(e, typ == unix.NFT_MSG_NEWSETELEM) })
			}
		})
		elements = elements[n:]
	}
}

// withEnds takes intervals apart.
func withEnds(elements []element) []element {
	if !slices.ContainsFunc(elements, func(e element) bool { return e.end != "" }) {
		return elements
	}
	var all []element
	for _, e := range elements {
		all = append(all, e)
		if e.end != "" {
			all = append(all, element{set: e.set, key: e.end, ends: true})
		}
	}
	return all
}

// element encodes one element, with its value when it is to be added.
func (b *batch) element(e element, whole bool) {
	b.Nest(unix.NFTA_SET_ELEM_KEY, func() { b.Bytes(unix.NFTA_DATA_VALUE, []byte(e.key)) })
	if e.ends {
		b.Uint32(unix.NFTA_SET_ELEM_FLAGS, unix.NFT_SET_ELEM_INTERVAL_END)
		return
	}
	if whole && e.note != "" {
		b.Bytes(unix.NFTA_SET_ELEM_USERDATA, comment(e.note))
	}
	switch {
	case !whole:
	case e.target != "":
		code := int32(unix.NFT_GOTO)
		if e.jump {
			code = unix.NFT_JUMP
		}
		b.Nest(unix.NFTA_SET_ELEM_DATA, func() {
			b.Nest(unix.NFTA_DATA_VERDICT, func() {
				b.Uint32(unix.NFTA_VERDICT_CODE, uint32(code))
				b.String(unix.NFTA_VERDICT_CHAIN, e.target)
			})
		})
	case e.value != "":
		b.Nest(unix.NFTA_SET_ELEM_DATA, func() { b.Bytes(unix.NFTA_DATA_VALUE, []byte(e.value)) })
	}
}
