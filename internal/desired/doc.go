// SPDX-License-Identifier: Apache-2.0

// Package desired says what one host should look like, as plain values.
//
// A host's desired state is a set of entries. Each entry belongs to the router
// of one VPC, has a key that stays the same for as long as the thing exists,
// and prints as one line of text. Two entries with the same line are the same
// state: the line is what reconcilers compare, what `postern desired` shows and
// what tests keep as goldens. Entries are immutable once made; whoever builds
// one hands over the slices in it.
//
// The same entries are what the data plane reports when it reads the kernel
// back, so "wanted" and "there" are compared without a second vocabulary.
package desired
