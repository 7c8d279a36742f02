// SPDX-License-Identifier: Apache-2.0

package model

// Lifecycle is where a resource stands between being asked for and being gone.
type Lifecycle string

// The life cycle that resources with a part in the data plane go through.
const (
	// Pending: not yet acknowledged by the data plane.
	Pending Lifecycle = "pending"
	// Ready: the data plane has acknowledged all of it.
	Ready Lifecycle = "ready"
	// Failed: the data plane could not program it and says why; it keeps trying.
	Failed Lifecycle = "failed"
	// Deleting: deletion was asked for and the data plane has not let go.
	Deleting Lifecycle = "deleting"
)

// LifecycleOf derives the life cycle of a resource from its row and what the
// data plane acknowledged; status is nil when it has said nothing.
func LifecycleOf(m *Meta, status *Status) Lifecycle {
	switch {
	case m.Deleting():
		return Deleting
	case status == nil:
		return Pending
	case status.State == StatusFailed:
		return Failed
	}
	return Ready
}
