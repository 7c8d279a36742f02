// SPDX-License-Identifier: Apache-2.0

// Package handover lets the owner of a network namespace hand it to the Postern
// of this host, so that an API call can have a network interface put there.
//
// The owner connects to a Unix socket and sends one message: an [Offer], with the
// open namespace itself beside it (SCM_RIGHTS in unix(7)). A [Door] asks the
// kernel who is at the other end and who owns the namespace, refuses what is not
// a workload's, and answers with a handle. The handle is good for one API call
// that is signed with the access key of the offer, for a few seconds.
//
// A handle is the description of the namespace, sealed with a key that this
// process alone has. So nothing is kept for handles that were given out, and
// nobody can fill a table with them; what is kept is the handles that were used,
// until they would have expired anyway.
package handover
