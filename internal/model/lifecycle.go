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
	// Updating: an update was asked for that the data plane has not acknowledged.
	Updating Lifecycle = "updating"
	// UpdateFailed: the resource was ready before, and the data plane could not
	// program what it has become since and says why; it keeps trying.
	UpdateFailed Lifecycle = "update-failed"
	// Deleting: deletion was asked for and the data plane has not let go.
	Deleting Lifecycle = "deleting"
	// DeleteFailed: the data plane cannot let go and says why; it keeps trying.
	DeleteFailed Lifecycle = "deletion-failed"
)

// LifecycleOf derives the life cycle of a resource from its row and what the
// data plane acknowledged; status is nil when it has said nothing. What it said
// of an earlier generation of the resource is not believed of this one.
func LifecycleOf(m *Meta, status *Status) Lifecycle {
	if status != nil && status.State == StatusUnsaid {
		status = nil
	}
	current := status != nil && status.Generation >= m.Generation
	failed := current && status.State == StatusFailed
	switch {
	case m.Deleting() && failed:
		return DeleteFailed
	case m.Deleting():
		return Deleting
	case status == nil:
		return Pending
	case !current:
		return Updating
	case failed && status.Established:
		return UpdateFailed
	case failed:
		return Failed
	}
	return Ready
}

// InError reports whether the data plane could not do what was asked for last; the
// status has the reason.
func (l Lifecycle) InError() bool { return l == Failed || l == UpdateFailed || l == DeleteFailed }
