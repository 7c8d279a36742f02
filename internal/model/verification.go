// SPDX-License-Identifier: Apache-2.0

package model

import "time"

// The states of a domain's verification, in VPC Lattice's words.
const (
	DomainPending  = "PENDING"
	DomainVerified = "VERIFIED"
	DomainTimedOut = "VERIFICATION_TIMED_OUT"
)

// Proof is what is known of a TXT record by which an account shows that a name is its own.
type Proof struct {
	// State is one of DomainPending, DomainVerified and DomainTimedOut.
	State string `json:"state"`
	// Since is when it became pending, the last time that it did.
	Since time.Time `json:"since"`
	// VerifiedAt is when the record was last found, and LapsedAt when it was last missed
	// after it had been there.
	VerifiedAt time.Time `json:"verifiedAt,omitzero"`
	LapsedAt   time.Time `json:"lapsedAt,omitzero"`
	// LookedAt is when it was last looked for; NextAt is when it is looked for again,
	// zero when never.
	LookedAt time.Time `json:"lookedAt,omitzero"`
	NextAt   time.Time `json:"nextAt,omitzero"`
	// Problem is why it was not found then; empty when it was.
	Problem string `json:"problem,omitempty"`
}

// DomainVerification is how an account shows that a domain and all below it are its own: by
// a TXT record that the public names have.
// https://docs.aws.amazon.com/vpc-lattice/latest/ug/create-and-verify.html
type DomainVerification struct {
	Meta
	// Domain is as the user wrote it, and a name by NormalName.
	Domain string `json:"domain"`
	// Label is the first label of the record's name, and Value its text.
	Label string `json:"label"`
	Value string `json:"value"`
	Proof
}

// Clone copies the row so that the copy can be changed.
func (v *DomainVerification) Clone() *DomainVerification {
	c := *v
	c.Meta = v.Meta.clone()
	return &c
}

// ARN names the verification.
func (v *DomainVerification) ARN() string {
	return ARN("vpc-lattice", v.Region, v.Account, "domainverification/"+v.ID)
}

// RecordName is the name of the TXT record, without the final dot.
func (v *DomainVerification) RecordName() string { return v.Label + "." + v.Domain }

// The record is looked for again after a time that doubles each time it is not found,
// from the first to the last of these, until the verification gives up. What is verified
// is looked at daily. AWS does not say how often it does, nor when it gives up.
const (
	lookFirst = 10 * time.Second
	lookLast  = time.Hour
	lookAgain = 24 * time.Hour
	// DomainPatience is how long a domain can be pending.
	DomainPatience = 72 * time.Hour
)

// Looked notes what was seen at a time: nothing wrong, or why the record was not found,
// and whether somebody who must know said that it is not there. Then a verified domain is
// pending again.
func (v *Proof) Looked(now time.Time, problem string, missing bool) {
	v.LookedAt, v.Problem = now, problem
	switch {
	case problem == "":
		v.State, v.VerifiedAt, v.NextAt = DomainVerified, now, now.Add(lookAgain)
	case v.State == DomainVerified && !missing:
		v.NextAt = now.Add(lookLast)
	case v.State == DomainVerified:
		v.LapsedAt = now
		v.Await(now)
	case now.Sub(v.Since) >= DomainPatience:
		v.State, v.NextAt = DomainTimedOut, time.Time{}
	default:
		wait := min(max(now.Sub(v.Since), lookFirst), lookLast)
		v.NextAt = now.Add(min(wait, DomainPatience-now.Sub(v.Since)))
	}
}

// Await makes the domain pending from a time on.
func (v *Proof) Await(now time.Time) {
	v.State, v.Since, v.NextAt = DomainPending, now, now.Add(lookFirst)
}

// HoldsFor reports whether the domain is verified for an endpoint that was made at a time.
// Those that were there when the record went keep what they have:
// https://docs.aws.amazon.com/vpc-lattice/latest/ug/create-and-verify.html
func (v *DomainVerification) HoldsFor(made time.Time) bool {
	return v.State == DomainVerified || made.Before(v.LapsedAt)
}
