// SPDX-License-Identifier: Apache-2.0

package model

import (
	"slices"
	"time"
)

// ResourceShare is what an account lets others use: resources of one region, for
// principals, by permissions. Which they are is in rows of ShareAssociation.
// https://docs.aws.amazon.com/ram/latest/userguide/what-is.html
type ResourceShare struct {
	Meta
	Name string `json:"name"`
	// AllowExternal says that principals outside of the owner's organization can be added.
	AllowExternal bool `json:"allowExternal,omitempty"`
	// RetainOnLeave says that those stay who leave the owner's organization.
	RetainOnLeave bool `json:"retainOnLeave,omitempty"`
	// Permissions are one for each type of resources in the share.
	Permissions []SharePermission `json:"permissions,omitempty"`
}

// SharePermission is what principals of a share may do with its resources of one type.
type SharePermission struct {
	ResourceType string `json:"resourceType"`
	// Permission is the name of a permission of the share's account or, with Managed, of
	// one that is everybody's.
	Permission string `json:"permission"`
	Managed    bool   `json:"managed,omitempty"`
	Version    int    `json:"version"`
}

// Clone copies the row so that the copy can be changed.
func (s *ResourceShare) Clone() *ResourceShare {
	c := *s
	c.Meta = s.Meta.clone()
	c.Permissions = slices.Clone(s.Permissions)
	return &c
}

// ARN names the share.
func (s *ResourceShare) ARN() string { return ShareARN(s.Ref()) }

// ShareARN names the share with a reference.
func ShareARN(share Ref) string {
	return ARN("ram", share.Region, share.Account, "resource-share/"+share.ID)
}

// Permission gives the permission for resources of a type, if the share has one.
func (s *ResourceShare) Permission(resourceType string) (SharePermission, bool) {
	for _, p := range s.Permissions {
		if p.ResourceType == resourceType {
			return p, true
		}
	}
	return SharePermission{}, false
}

// shownDeleted is how long a share is shown that was deleted:
// https://docs.aws.amazon.com/ram/latest/userguide/working-with-sharing-delete.html
const shownDeleted = 2 * time.Hour

// ShownUntil is when a share that was deleted is not shown any more; zero for one that
// was not.
func (s *ResourceShare) ShownUntil() time.Time {
	if !s.Deleting() {
		return time.Time{}
	}
	return s.DeletedAt.Add(shownDeleted)
}

// ShareAssociation is that a share has a resource or a principal.
type ShareAssociation struct {
	// Account and Region are those of the share, and Share is its id.
	Account string `json:"account"`
	Region  string `json:"region"`
	Share   string `json:"share"`
	// Principal is an account, or the ARN of an organization or of a unit of one; empty
	// for a resource.
	Principal string `json:"principal,omitempty"`
	// ResourceARN and ResourceType name the resource for users, Resource in the tables;
	// all are empty for a principal.
	ResourceARN  string `json:"resourceArn,omitempty"`
	ResourceType string `json:"resourceType,omitempty"`
	Resource     Ref    `json:"resource,omitzero"`
	// External says that the principal is outside of the owner's organization.
	External bool `json:"external,omitempty"`
	// Invited says that the principal has yet to accept: until then it has nothing.
	Invited   bool      `json:"invited,omitempty"`
	CreatedAt time.Time `json:"createdAt"`
	UpdatedAt time.Time `json:"updatedAt,omitzero"`
}

// RowKey gives the parts of the row's key: those of the share, with what names the other side.
func (a *ShareAssociation) RowKey() (account, region, id string) {
	if a.Principal != "" {
		return a.Account, a.Region, SharePrincipalID(a.Share, a.Principal)
	}
	return a.Account, a.Region, ShareResourceID(a.Share, a.ResourceARN)
}

// Clone copies the row so that the copy can be changed.
func (a *ShareAssociation) Clone() *ShareAssociation {
	c := *a
	return &c
}

// ShareRef names the share.
func (a *ShareAssociation) ShareRef() Ref { return Ref{a.Account, a.Region, a.Share} }

// Entity is what users call the other side.
func (a *ShareAssociation) Entity() string {
	if a.Principal != "" {
		return a.Principal
	}
	return a.ResourceARN
}

// SharePrincipalID is the row id of a principal of a share.
func SharePrincipalID(share, principal string) string { return share + "/principal/" + principal }

// ShareResourceID is the row id of a resource of a share.
func ShareResourceID(share, arn string) string { return share + "/resource/" + arn }

// InvitationState is how far an invitation is, in RAM's words.
type InvitationState string

// The states of an invitation.
const (
	InvitationPending  InvitationState = "PENDING"
	InvitationAccepted InvitationState = "ACCEPTED"
	InvitationRejected InvitationState = "REJECTED"
	InvitationExpired  InvitationState = "EXPIRED"
)

// ShareInvitation asks an account whether it wants what is shared with it. It belongs to
// the sender, whose share it is about.
type ShareInvitation struct {
	Account   string    `json:"account"`
	Region    string    `json:"region"`
	ID        string    `json:"id"`
	CreatedAt time.Time `json:"createdAt"`
	// Share is the id of the share, and ShareName how it was called.
	Share     string `json:"share"`
	ShareName string `json:"shareName"`
	// Receiver is the account that is asked.
	Receiver string          `json:"receiver"`
	State    InvitationState `json:"state"`
	// ExpiresAt is when it cannot be accepted any more. AnsweredAt is when it was
	// accepted or rejected, or found to have expired.
	ExpiresAt  time.Time `json:"expiresAt"`
	AnsweredAt time.Time `json:"answeredAt,omitzero"`
}

// Clone copies the row so that the copy can be changed.
func (i *ShareInvitation) Clone() *ShareInvitation {
	c := *i
	return &c
}

// RowKey gives the parts of the row's key.
func (i *ShareInvitation) RowKey() (account, region, id string) { return i.Account, i.Region, i.ID }

// ShareRef names the share.
func (i *ShareInvitation) ShareRef() Ref { return Ref{i.Account, i.Region, i.Share} }

// ARN names the invitation.
func (i *ShareInvitation) ARN() string {
	return ARN("ram", i.Region, i.Account, "resource-share-invitation/"+i.ID)
}

// StateAt is how far the invitation is at a time: it expires by itself.
func (i *ShareInvitation) StateAt(now time.Time) InvitationState {
	if i.State == InvitationPending && !now.Before(i.ExpiresAt) {
		return InvitationExpired
	}
	return i.State
}

// shownAnswered is how long an invitation is shown that was answered or has expired; AWS
// does not say.
const shownAnswered = 7 * 24 * time.Hour

// NextAt is when something becomes of the invitation by itself: it expires, or is not shown
// any more.
func (i *ShareInvitation) NextAt() time.Time {
	if i.State == InvitationPending {
		return i.ExpiresAt
	}
	return i.AnsweredAt.Add(shownAnswered)
}

// Permission is an account's own permission for shares, in versions.
// https://docs.aws.amazon.com/ram/latest/userguide/managing-customer-managed-permissions.html
type Permission struct {
	// Meta.ID is the name.
	Meta
	ResourceType string              `json:"resourceType"`
	Versions     []PermissionVersion `json:"versions"`
	// Default is the number of the version that new shares have, and Last the highest
	// that there was.
	Default int `json:"default"`
	Last    int `json:"last"`
}

// PermissionVersion is one version of a permission, which does not change.
type PermissionVersion struct {
	Number int `json:"number"`
	// Template is a policy without principals and resources, as the user wrote it.
	Template  string    `json:"template"`
	CreatedAt time.Time `json:"createdAt"`
}

// Clone copies the row so that the copy can be changed.
func (p *Permission) Clone() *Permission {
	c := *p
	c.Meta = p.Meta.clone()
	c.Versions = slices.Clone(p.Versions)
	return &c
}

// ARN names the permission.
func (p *Permission) ARN() string { return ARN("ram", p.Region, p.Account, "permission/"+p.ID) }

// Version gives the version with a number, if there is one.
func (p *Permission) Version(number int) (PermissionVersion, bool) {
	for _, v := range p.Versions {
		if v.Number == number {
			return v, true
		}
	}
	return PermissionVersion{}, false
}
