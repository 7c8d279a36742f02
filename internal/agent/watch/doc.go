// SPDX-License-Identifier: Apache-2.0

// Package watch finds out who writes in databases that exist without Postern. It asks each
// of their servers over a connection that it keeps, by the way that connections to them go,
// and changes nothing of them: it promotes nobody, and stays with the writer that it has
// while nobody else alone says to be it.
//
// A server must answer in its protocol: one whose processes are stopped still takes
// connections. Each is asked every half second. When one is in doubt, because it does not
// answer, hangs up or says what does not fit, all are asked twenty times a second for a
// while.
//
// What follows from answers is a plain state machine (judge) without input, output or
// time; a Watcher does the asking, and says what the roles are.
package watch
