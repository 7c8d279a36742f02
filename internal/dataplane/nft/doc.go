// SPDX-License-Identifier: Apache-2.0

// Package nft keeps the nftables rules of one VPC router.
package nft
