// SPDX-License-Identifier: Apache-2.0

// Package follow has transit targets lead to what names resolve to. It turns each
// entry that follows a name (desired.Follow) into a desired.Target of the same key, and
// gives that other addresses whenever the name has.
//
// A name is asked for at once and then whenever its answer has had its time. What a
// failed look-up does not know stays as it was, for as long as that takes; that a name
// is not there is believed when it was heard several times. While a name has several
// addresses each is probed, and one that does not answer is left out until it does; if
// none does, all are used.
//
// Each name is a plain state machine without input or output; a Follower does the
// asking. After a restart what the kernel has is the last good answer.
package follow
