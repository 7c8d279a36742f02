// SPDX-License-Identifier: Apache-2.0

// Package keeper keeps the databases of a host as their entries say: it has their servers
// made, started and stopped, decides which member of a database writes, and tells what it
// sees.
//
// Each database has a machine, which is a value without input and output: it is told what
// is wanted, what members answer and what became of what it had asked for, and says what is
// to be done next. It goes by what is, not by what it has begun, so that a keeper that was
// killed goes on where things are. Whoever runs the machine carries out what it says, one
// thing at a time for each member.
//
// # Who writes
//
// Two servers of a database never write where anybody can reach them:
//
//   - A member that may be writing is closed before another one may: it was stopped, or its
//     network was sealed and it was killed.
//   - Who is to write is decided by Control.Elect, in one transaction, before it is
//     promoted or started as a writer. A decision that was made elsewhere counts when it is
//     later.
//   - No name leads to a writer from the moment when the old one is given up until the new
//     one writes.
//
// Of the members that answer, the one that has most is promoted; what was asked for and
// the tiers decide among those that have the same.
package keeper
