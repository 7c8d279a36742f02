// SPDX-License-Identifier: Apache-2.0

package model

import (
	"slices"
	"time"
)

// Account is the boundary of the control plane: everything belongs to one.
type Account struct {
	ID        string    `json:"id"`
	Name      string    `json:"name,omitempty"`
	CreatedAt time.Time `json:"createdAt"`
	// Management marks the account that was made at first start. It alone may
	// make further accounts.
	Management bool `json:"management,omitempty"`
	// Disabled says that nobody of the account is known any more: its keys and sessions
	// are refused like unknown ones. What it has stays, and goes on working.
	Disabled bool `json:"disabled,omitempty"`
	// Trust is whether somebody decided that the account may name network
	// namespaces of the host; see Trusted.
	Trust Trust `json:"trust,omitempty"`
	// Alias is another name of the account, which no other one has; empty for none.
	Alias string `json:"alias,omitempty"`
	// DefaultVPCs are the regions in which the account was given a default VPC.
	// It gets each once: what it deletes stays deleted.
	DefaultVPCs []string `json:"defaultVpcs,omitempty"`
}

// Trust is a decision about an account.
type Trust string

// The decisions. The empty one is none.
const (
	TrustGiven Trust = "given"
	TrustTaken Trust = "taken"
)

// Trusted says whether the account may name any network namespace of the host to
// have an interface put there, which else only the namespace's owner may have.
// Where nobody has decided it the management account is trusted and no other.
func (a *Account) Trusted() bool {
	return a.Trust == TrustGiven || a.Trust == "" && a.Management
}

// Clone copies the row so that the copy can be changed.
func (a *Account) Clone() *Account {
	c := *a
	c.DefaultVPCs = slices.Clone(a.DefaultVPCs)
	return &c
}

// AccessKey signs requests of one principal of an account: of a user of IAM, or of the
// account's own administrator, who may do everything in it and is no row.
type AccessKey struct {
	ID string `json:"id"`
	// Sealed is the secret, sealed for the key's id, as base64url. Secret is the secret itself, in rows
	// of versions that did not seal, until the next start.
	Sealed  string `json:"sealed,omitempty"`
	Secret  string `json:"secret,omitempty"`
	Account string `json:"account"`
	// User is the unique id of the user whose key it is; empty for the administrator's.
	User string `json:"user,omitempty"`
	// ARN and UserID are what GetCallerIdentity tells of the administrator; of a user its
	// row tells it, and they are empty.
	ARN       string    `json:"arn,omitempty"`
	UserID    string    `json:"userId,omitempty"`
	CreatedAt time.Time `json:"createdAt"`
	Disabled  bool      `json:"disabled,omitempty"`
}

// Clone copies the row so that the copy can be changed.
func (k *AccessKey) Clone() *AccessKey {
	c := *k
	return &c
}

// Host is a Linux machine that carries VPC routers.
type Host struct {
	Name string `json:"name"`
	// Index is the host's place in the transit realm, see TransitPlan.
	Index int `json:"index"`
	// Instance marks what this host's agent makes in its kernel.
	Instance  string    `json:"instance"`
	CreatedAt time.Time `json:"createdAt"`
}

// ClientToken remembers an idempotent request, so that its repetition gives the
// same resource: https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html
type ClientToken struct {
	Account string `json:"account"`
	Region  string `json:"region"`
	// Operation and Token identify the request; they form the row's id.
	Operation string `json:"operation"`
	Token     string `json:"token"`
	// Fingerprint is a hash of the request's parameters; a repetition with
	// others is an error.
	Fingerprint string    `json:"fingerprint"`
	Result      string    `json:"result"`
	CreatedAt   time.Time `json:"createdAt"`
}

// clientTokenLife is how long a client token is remembered
// (https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html).
const clientTokenLife = 24 * time.Hour

// Expires is when the token is forgotten: from then on a request with it is a new one.
func (c *ClientToken) Expires() time.Time { return c.CreatedAt.Add(clientTokenLife) }

// Expired says whether the token is forgotten.
func (c *ClientToken) Expired(now time.Time) bool { return !now.Before(c.Expires()) }

// Election is who was elected to an office, which one process at a time has. Each
// election changes the row, and what is done in office reads it: so what one had
// begun who is not in office any more is refused.
type Election struct {
	Office string `json:"office"`
	// Term counts the elections.
	Term int64 `json:"term"`
	// Host is whose process was elected, Since when it began.
	Host  string    `json:"host"`
	Since time.Time `json:"since"`
}

// StatusState says how far the data plane is with a resource.
type StatusState string

// The states of a Status.
const (
	// StatusUnsaid means that nothing was acknowledged but what else the row says.
	StatusUnsaid StatusState = ""
	// StatusReady means that everything the resource needs is programmed.
	StatusReady StatusState = "ready"
	// StatusFailed means that something of it could not be programmed; the
	// data plane keeps trying.
	StatusFailed StatusState = "failed"
)

// Status is what the data plane acknowledged about one resource. A resource
// without a status row, or with one of StatusUnsaid, has not been acknowledged yet.
type Status struct {
	Account string      `json:"account"`
	Region  string      `json:"region"`
	ID      string      `json:"id"`
	State   StatusState `json:"state"`
	Reason  string      `json:"reason,omitempty"`
	Since   time.Time   `json:"since"`
	// Generation is that of the resource which this is about: of a later one
	// nothing has been said yet.
	Generation int64 `json:"generation,omitempty"`
	// Revision is the one of the store that all hosts had reached when this was
	// said first.
	Revision int64 `json:"revision,omitempty"`
	// Established says that the resource is ready or was it before.
	Established bool `json:"established,omitempty"`
	// Names is what was acknowledged about the names of an association, which may fail or
	// lag behind while its packets get through.
	Names NamesStatus `json:"names,omitzero"`
}

// NamesStatus is what resolvers acknowledged about the names of an association.
type NamesStatus struct {
	State  StatusState `json:"state,omitempty"`
	Reason string      `json:"reason,omitempty"`
	// Domain is the one that the names are in.
	Domain string `json:"domain,omitempty"`
	// Generation is that of the association which this is about.
	Generation int64 `json:"generation,omitempty"`
}
