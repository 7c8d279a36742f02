// SPDX-License-Identifier: Apache-2.0

package nft

import (
	"errors"
	"fmt"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/dataplane/nft/nfnl"
)

// sealName is the table of a namespace that no data enters or leaves.
const sealName = "postern-seal"

// verdictDrop is NF_DROP of netfilter.h.
const verdictDrop = 0

// sealPriority is before all that is filtered, and before connections are tracked.
const sealPriority = -400

// Seal has nothing be delivered in the network namespace that nsFD refers to, nor sent from
// it, on whatever interface. Connections are refused by resets, as are packets of those
// that there are, so that clients need not find out by waiting: no more than resets leaves
// the namespace, which carry no data. It is for namespaces that forward nothing. Repeating
// it is no error.
func Seal(nsFD int) error {
	var b nfnl.Builder
	message(&b, unix.NFT_MSG_NEWTABLE, nfnl.Create)
	b.String(unix.NFTA_TABLE_NAME, sealName)
	sealChain(&b, "in", unix.NF_INET_LOCAL_IN, append(matchProtocol(unix.IPPROTO_TCP), &expr.Reject{Type: unix.NFT_REJECT_TCP_RST}))
	sealChain(&b, "out", unix.NF_INET_LOCAL_OUT, append(matchProtocol(unix.IPPROTO_TCP),
		loadTransport(tcpFlags, 1),
		&expr.Bitwise{SourceRegister: unix.NFT_REG_1, DestRegister: unix.NFT_REG_1, Len: 1, Mask: []byte{tcpReset}, Xor: []byte{0}},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: unix.NFT_REG_1, Data: []byte{0}},
		&expr.Verdict{Kind: expr.VerdictAccept}))
	if err := commitSeal(nsFD, &b); err != nil {
		return fmt.Errorf("seal a network namespace: %w", err)
	}
	return nil
}

// Where a TCP header has its flags, and the one of a reset (RFC 9293, section 3.1).
const (
	tcpFlags = 13
	tcpReset = 0x04
)

// sealChain adds a chain with one rule, which drops what the rule says nothing of.
func sealChain(b *nfnl.Builder, name string, hook uint32, rule []expr.Any) {
	message(b, unix.NFT_MSG_NEWCHAIN, nfnl.Create)
	b.String(unix.NFTA_CHAIN_TABLE, sealName)
	b.String(unix.NFTA_CHAIN_NAME, name)
	b.Nest(unix.NFTA_CHAIN_HOOK, func() {
		b.Uint32(unix.NFTA_HOOK_HOOKNUM, hook)
		b.Uint32(unix.NFTA_HOOK_PRIORITY, ^uint32(-sealPriority-1))
	})
	b.Uint32(unix.NFTA_CHAIN_POLICY, verdictDrop)
	b.String(unix.NFTA_CHAIN_TYPE, "filter")
	message(b, unix.NFT_MSG_DELRULE, 0) // those of a seal that there was
	b.String(unix.NFTA_RULE_TABLE, sealName)
	b.String(unix.NFTA_RULE_CHAIN, name)
	message(b, unix.NFT_MSG_NEWRULE, nfnl.Create|nfnl.Append)
	b.String(unix.NFTA_RULE_TABLE, sealName)
	b.String(unix.NFTA_RULE_CHAIN, name)
	b.Nest(unix.NFTA_RULE_EXPRESSIONS, func() {
		for _, e := range rule {
			b.Nest(unix.NFTA_LIST_ELEM, func() { b.Raw(marshal(e)) })
		}
	})
}

// Unseal ends what Seal did. Repeating it is no error.
func Unseal(nsFD int) error {
	var b nfnl.Builder
	message(&b, unix.NFT_MSG_DELTABLE, 0)
	b.String(unix.NFTA_TABLE_NAME, sealName)
	if err := commitSeal(nsFD, &b); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("unseal a network namespace: %w", err)
	}
	return nil
}

func commitSeal(nsFD int, b *nfnl.Builder) error {
	conn, err := nfnl.Dial(nsFD)
	if err != nil {
		return err
	}
	failures, err := conn.Commit(unix.NFNL_SUBSYS_NFTABLES, b)
	for _, f := range failures {
		err = errors.Join(err, f.Err)
	}
	return errors.Join(err, conn.Close())
}
