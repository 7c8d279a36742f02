// SPDX-License-Identifier: Apache-2.0

// Package desired says what one host should look like, as plain values.
//
// A host's desired state is a set of entries. Each entry lives in a realm (the router
// of one VPC, the host, or a zone of names), has a key that stays the same for as
// long as the thing exists, and prints as one line of text. Two entries with the same
// line are the same state: the line is what reconcilers compare and what tests keep
// as goldens. With the entry's notes it is also what is stored and sent, and Parse
// reads it. Entries are immutable once made; whoever builds one hands over the slices
// in it.
//
// What there is to say of a sort of entry is said in one place, its Description.
//
// The same entries are what the data plane reports when it reads the kernel
// back, so "wanted" and "there" are compared without a second vocabulary.
package desired
