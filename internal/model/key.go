// SPDX-License-Identifier: Apache-2.0

package model

import (
	"fmt"
	"maps"
	"strings"
	"time"
)

// Ref names a row across accounts and regions.
type Ref struct {
	Account string `json:"account"`
	Region  string `json:"region"`
	ID      string `json:"id"`
}

// IsZero reports whether r names nothing.
func (r Ref) IsZero() bool { return r == Ref{} }

// String prints the reference as account/region/id.
func (r Ref) String() string { return r.Account + "/" + r.Region + "/" + r.ID }

// Meta is what every resource of an account has.
type Meta struct {
	Account   string            `json:"account"`
	Region    string            `json:"region"`
	ID        string            `json:"id"`
	CreatedAt time.Time         `json:"createdAt"`
	UpdatedAt time.Time         `json:"updatedAt,omitzero"`
	Tags      map[string]string `json:"tags,omitempty"`
	// DeletedAt is set when deletion was asked for and the data plane has not
	// let go yet. The row disappears when it has.
	DeletedAt time.Time `json:"deletedAt,omitzero"`
	// Generation counts the requests to update or delete the resource. A Status
	// says about which one it is.
	Generation int64 `json:"generation,omitempty"`
}

// Common gives the part of a resource's row that all of them have, to be read and, in
// a copy, to be changed.
func (m *Meta) Common() *Meta { return m }

// Ref names the resource.
func (m Meta) Ref() Ref { return Ref{m.Account, m.Region, m.ID} }

// Sibling names a resource of the same account and region.
func (m Meta) Sibling(id string) Ref { return Ref{m.Account, m.Region, id} }

// in names a resource of the same region, of another account when one is given.
func (m Meta) in(account, id string) Ref {
	if account == "" {
		account = m.Account
	}
	return Ref{account, m.Region, id}
}

// Deleting reports whether deletion was asked for.
func (m Meta) Deleting() bool { return !m.DeletedAt.IsZero() }

// Update notes a request that changes what the data plane has to do: the
// resource is being updated until the data plane has it.
func (m *Meta) Update(now time.Time) {
	m.UpdatedAt = now
	m.Generation++
}

// Delete notes that deletion was asked for.
func (m *Meta) Delete(now time.Time) {
	m.DeletedAt = now
	m.Generation++
}

// clone copies the parts of m that a row's copy must not share.
func (m Meta) clone() Meta {
	m.Tags = maps.Clone(m.Tags)
	return m
}

// Partition is the ARN partition of everything here.
const Partition = "aws"

// ARN prints an Amazon Resource Name:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
func ARN(service, region, account, resource string) string {
	return "arn:" + Partition + ":" + service + ":" + region + ":" + account + ":" + resource
}

// ParsedARN is an ARN taken apart.
type ParsedARN struct {
	Service, Region, Account string
	// Type and ID are the two sides of the resource part's first slash or colon, which
	// services such as RDS have there; Type is empty when there is none.
	Type, ID string
}

// ParseARN takes an ARN of this partition apart.
func ParseARN(text string) (ParsedARN, error) {
	parts := strings.SplitN(text, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" {
		return ParsedARN{}, fmt.Errorf("parse arn %q: not of the form arn:partition:service:region:account:resource", text)
	}
	if parts[1] != Partition {
		return ParsedARN{}, fmt.Errorf("parse arn %q: partition %q, want %q", text, parts[1], Partition)
	}
	a := ParsedARN{Service: parts[2], Region: parts[3], Account: parts[4], ID: parts[5]}
	if at := strings.IndexAny(parts[5], "/:"); at >= 0 {
		a.Type, a.ID = parts[5][:at], parts[5][at+1:]
	}
	return a, nil
}
