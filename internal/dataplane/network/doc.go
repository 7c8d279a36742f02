// SPDX-License-Identifier: Apache-2.0

// Package network makes the part of a VPC router that is not filtering: its
// network namespace, the veth pairs of workloads and of the fabric, addresses,
// routes, neighbours and sysctls.
//
// Everything made carries the mark of one Postern instance: a namespace by its
// name, an interface by its alias, a route by its protocol number, an address
// of the router by its label. What does not carry the mark is left alone, even
// inside a namespace of ours.
//
// Calls are idempotent: they compare what is there with what is asked for, add
// before they delete, and return nil when nothing is left to do. Deleting what
// is absent is not an error.
package network
