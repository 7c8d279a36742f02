// SPDX-License-Identifier: Apache-2.0

// Package model holds the resources of Postern as rows: what is kept about a
// VPC, a subnet, a resource gateway, and what must always hold for it.
//
// A row is a plain struct that is stored as JSON. Rows are immutable once they
// are in a table: a change makes a copy (see the Clone methods of rows that
// hold slices or maps) and stores that. References between rows are
// identifiers; within one account and region they are plain ids, across
// accounts they are keys.
//
// The package imports nothing of this project.
package model
