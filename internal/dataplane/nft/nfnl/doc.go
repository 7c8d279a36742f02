// SPDX-License-Identifier: Apache-2.0

// Package nfnl speaks NETLINK_NETFILTER, the netlink family of nftables and
// connection tracking, in a network namespace of the caller's choice.
//
// It exists because the two things that Postern does a thousand times a second,
// changing a few set elements and reading ten thousand of them back, need
// neither a description of every object nor one answer per message. A
// transaction is one datagram; the kernel has handled it when the send returns,
// so the verdict is already in the receive queue and nothing can hang.
//
// Formats: linux/netlink.h, linux/netfilter/nfnetlink.h and the kernel's
// Documentation/netlink.
package nfnl
