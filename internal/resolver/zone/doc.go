// SPDX-License-Identifier: Apache-2.0

// Package zone has the names that the resolvers of all VPCs answer for, as one value
// that never changes: a World. The next one shares with it whatever is the same. It
// asks nobody and knows no sockets.
package zone
