// SPDX-License-Identifier: Apache-2.0

// Package reconcile makes a host look as it should and keeps it so.
//
// A [Reconciler] is given what is wanted, as deltas of entries, and carries it
// out through an [Effects], which is the kernel or a stand-in for it. Errors of
// the kernel live here and nowhere above: what fails is tried again for as long
// as it is wanted, and its reason can be read meanwhile.
//
// # Order
//
// Work is done in passes. A pass takes everything that is due and goes through
// it in steps; a step is finished on every router before the next one begins:
//
//	put     routers │ links │ all that translates and filters │ endpoints
//	                          (and members of groups go)
//	delete  endpoints │ all that translates and filters │ links │ routers
//	prune   as delete, for what was found there and nobody wants
//
// So the far side of a connection is there before the endpoint that leads to
// it, new things are there before old ones go, and a failure on one router
// never keeps another one waiting. Nothing that was ordered by one delta is
// mixed with a later one within a pass.
//
// A router that does not answer keeps the others waiting for Config.Patience, and
// not at all while it stays so: its call goes on alone, the pass and those after it
// go on without it, and what it has to do comes when the call returns. Then the order
// between it and others is not kept. A call that does not end in its time makes all
// that is wanted in its router be in error, until it does.
//
// # Restart
//
// [Reconciler.Run] reads the kernel first. When the first full delta arrives,
// entries that are there with the very text that is wanted are adopted without
// being touched, those that differ are put, and what is unknown is pruned last.
// The same comparison runs from then on, router by router, as verification. It is done
// aside: passes go on meanwhile, and one that has something to do in the router that is
// being read ends the reading, once, so that no change waits for it.
//
// # What is done, and as of when
//
// Each entry remembers the revision of the delta that changed it last. A
// [Report] carries the settled revision S of each router, which is the same for all
// but those that are behind: everything that deltas up to S asked for there is
// either in place (or gone, for a delete) or in error. Reports tell only what
// changed; who adds them up holds the set of failed keys and so knows for a key K
// that was changed at revision R, with the S of its router:
//
//	R > S                  pending
//	K in the failed set    in error, with the reason, and being retried
//	otherwise              done
package reconcile
