// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"maps"
	"time"
)

// saved is what a keeper must remember of a database over its own end. What servers know
// themselves is not in it.
type saved struct {
	// Epoch and Writer are the last decision that was made or heard of.
	Epoch  int64  `json:"epoch"`
	Writer string `json:"writer,omitempty"`
	// Asking is an election of which it is not known whether it was made. Nobody begins to
	// write before it is.
	Asking *Election `json:"asking,omitempty"`
	// Made says that there is a database, so that nobody makes an empty one in its place.
	Made bool `json:"made,omitempty"`
	// Verifier is what the master's password is checked with, and Secret which change of it
	// that is. Set is the change that the database has.
	Verifier string `json:"verifier,omitempty"`
	Secret   int64  `json:"secret,omitempty"`
	Set      int64  `json:"set,omitempty"`
	// Replication is the password with which members replicate.
	Replication string `json:"replication,omitempty"`
	// Upstream is the password with which a read replica comes to its source; it is empty of
	// others.
	Upstream string `json:"upstream,omitempty"`
	// Turned is the last request for another writer that was answered.
	Turned int64 `json:"turned,omitempty"`
	// Failed is when another writer was last elected that nobody had asked for, and Moved
	// when one was for any other reason.
	Failed time.Time `json:"failed,omitzero"`
	Moved  time.Time `json:"moved,omitzero"`
	// Volume says that the last member is gone and its data kept.
	Volume  bool                   `json:"volume,omitempty"`
	Members map[string]savedMember `json:"members,omitempty"`
}

// savedMember is the like of a member.
type savedMember struct {
	// Reboot is the last request to start the server anew that was seen to.
	Reboot int64 `json:"reboot,omitempty"`
	// Certified is what the certificate is for, and Until when it is to be renewed.
	Certified string    `json:"certified,omitempty"`
	Until     time.Time `json:"until,omitzero"`
	// Served says that it was available once.
	Served bool `json:"served,omitempty"`
}

func (s saved) clone() saved {
	s.Members = maps.Clone(s.Members)
	return s
}
