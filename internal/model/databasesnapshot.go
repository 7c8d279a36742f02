// SPDX-License-Identifier: Apache-2.0

package model

import (
	"slices"
	"time"
)

// DBSnapshot is a copy of a database's data, of a cluster or of an instance.
type DBSnapshot struct {
	Meta
	// Identifier is the name that users gave it, in lower case; clusters' and instances'
	// are told apart by OfCluster.
	Identifier string `json:"identifier"`
	OfCluster  bool   `json:"ofCluster,omitempty"`
	// Source is the id of what it is of, which may be gone, and Was what that was.
	Source string   `json:"source"`
	Was    Database `json:"was"`
	// Class is that of the instance it is of; empty for a cluster's, and in rows of versions
	// that did not keep it.
	Class string `json:"class,omitempty"`
	// Final says that it was taken when its source was deleted.
	Final bool `json:"final,omitempty"`
	// Copied says of which other snapshot it is a copy; zero when it was taken itself.
	Copied CopiedSnapshot `json:"copied,omitzero"`
	// Shared are the accounts that may restore and copy it besides its own, sorted; Everybody
	// stands for all.
	Shared []string `json:"shared,omitempty"`
}

// CopiedSnapshot is a snapshot that was copied, which may be gone.
type CopiedSnapshot struct {
	Ref
	Identifier string `json:"identifier"`
	// Taken is when the first one was taken, if it is a copy of copies.
	Taken time.Time `json:"taken"`
}

// Everybody stands for all accounts among those that something is shared with.
const Everybody = "all"

// Clone copies the row so that the copy can be changed.
func (s *DBSnapshot) Clone() *DBSnapshot {
	c := *s
	c.Meta, c.Was = s.Meta.clone(), s.Was.clone()
	c.Shared = slices.Clone(s.Shared)
	return &c
}

// IsPublic reports whether everybody may restore and copy it.
func (s *DBSnapshot) IsPublic() bool { return slices.Contains(s.Shared, Everybody) }

// IsSharedWith reports whether another account may restore and copy it.
func (s *DBSnapshot) IsSharedWith(account string) bool {
	return s.IsPublic() || slices.Contains(s.Shared, account)
}

// Taken is when the data was as it is in the snapshot.
func (s *DBSnapshot) Taken() time.Time {
	if !s.Copied.IsZero() {
		return s.Copied.Taken
	}
	return s.CreatedAt
}

// ARN names the snapshot.
func (s *DBSnapshot) ARN() string { return s.arn(s.Ref(), s.Identifier) }

// CopiedARN names the snapshot that it is a copy of.
func (s *DBSnapshot) CopiedARN() string { return s.arn(s.Copied.Ref, s.Copied.Identifier) }

func (s *DBSnapshot) arn(of Ref, identifier string) string {
	kind := "snapshot:"
	if s.OfCluster {
		kind = "cluster-snapshot:"
	}
	return ARN("rds", of.Region, of.Account, kind+identifier)
}
