// SPDX-License-Identifier: Apache-2.0

package nft

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/dataplane/nft/nfnl"
)

// sealName is the table of a namespace that nothing enters or leaves.
const sealName = "postern-seal"

// verdictDrop is NF_DROP of netfilter.h.
const verdictDrop = 0

// sealPriority is before all that is filtered, and before connections are tracked.
const sealPriority = -400

// Seal has nothing be delivered in the network namespace that nsFD refers to, nor sent from
// it, on whatever interface. It is for namespaces that forward nothing. Repeating it is no
// error.
func Seal(nsFD int) error {
	var b nfnl.Builder
	message(&b, unix.NFT_MSG_NEWTABLE, nfnl.Create)
	b.String(unix.NFTA_TABLE_NAME, sealName)
	for name, hook := range map[string]uint32{"in": unix.NF_INET_LOCAL_IN, "out": unix.NF_INET_LOCAL_OUT} {
		message(&b, unix.NFT_MSG_NEWCHAIN, nfnl.Create)
		b.String(unix.NFTA_CHAIN_TABLE, sealName)
		b.String(unix.NFTA_CHAIN_NAME, name)
		b.Nest(unix.NFTA_CHAIN_HOOK, func() {
			b.Uint32(unix.NFTA_HOOK_HOOKNUM, hook)
			b.Uint32(unix.NFTA_HOOK_PRIORITY, ^uint32(-sealPriority-1))
		})
		b.Uint32(unix.NFTA_CHAIN_POLICY, verdictDrop)
		b.String(unix.NFTA_CHAIN_TYPE, "filter")
	}
	if err := commitSeal(nsFD, &b); err != nil {
		return fmt.Errorf("seal a network namespace: %w", err)
	}
	return nil
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
