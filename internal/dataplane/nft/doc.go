// SPDX-License-Identifier: Apache-2.0

// Package nft keeps the nftables rules of one VPC router.
//
// A router has one table, "inet postern". Its skeleton (skeleton.nft, readable
// and fixed) is loaded once per namespace by the nft program. Everything else
// is written over netlink in one transaction per change: elements of the
// skeleton's maps and sets, and small chains that elements point to (the rules
// of a class of security groups in one direction, the ranges of a port set, the
// range of an IPv6 pool).
//
// What each entry of package desired becomes:
//
//	class     chains in-NAME and out-NAME, their numbers in classin and classout
//	portset   chain ports-NAME, its number in doors
//	pool      64 elements of pool4; for IPv6 chain pool-GATEWAY, its number in pools
//	member    element of member4-GROUP or member6-GROUP; of a prefix, of member80-GROUP
//	address   element of class4 or class6; of a prefix, of class80
//	target    elements of target and gateway
//	allow     element of allow
//	acl       chains aclin-NAME and aclout-NAME
//	filtered  chains from-SUBNET and to-SUBNET, elements of border, borderdev, borderout
//	          and borderin; with the first one comes the border
//	endpoint  elements of door, port and endpoint
//
// Only the few maps from numbers to chains hold verdicts. The kernel walks all
// verdicts of a table whenever one is added, so that maps with an element per
// address must not have any.
//
// The same correspondence is read backwards: each element and chain tells by
// itself to which entry it belongs, an entry is decoded from its parts, and is
// whole when encoding it again gives just those parts.
//
// A Table remembers the parts that the kernel has, so that a change costs the
// elements that differ and nothing is read first.
package nft
