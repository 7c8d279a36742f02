// SPDX-License-Identifier: Apache-2.0

package service

// Value gives what a member of a request is, or the zero value when the request
// does not have it.
func Value[T any](member *T) T {
	if member == nil {
		var zero T
		return zero
	}
	return *member
}

// Or gives what a member of a request is, or another value when the request does not have it.
func Or[T any](member *T, other T) T {
	if member == nil {
		return other
	}
	return *member
}

// Optional makes a member of an answer that is left out when v is the zero value.
func Optional[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}
