// SPDX-License-Identifier: Apache-2.0

package access

import "context"

// Notice is what an account hears of because somebody of another one did it.
type Notice struct {
	// Account is who hears of it, and Event what happened.
	Account, Event string
	// Details are what it is about, in order.
	Details []Detail
}

// Detail is a word about an event.
type Detail struct{ Name, Value string }

// NoticesKey is the key of contexts under which notices are collected, a *[]Notice.
type NoticesKey struct{}

// Tell has an account hear of something that the request of a context did. Handlers call it
// when it is done.
func Tell(ctx context.Context, n Notice) {
	if all, ok := ctx.Value(NoticesKey{}).(*[]Notice); ok {
		*all = append(*all, n)
	}
}

// Told gives what was told with a context.
func Told(ctx context.Context) []Notice {
	if all, ok := ctx.Value(NoticesKey{}).(*[]Notice); ok {
		return *all
	}
	return nil
}
