// SPDX-License-Identifier: Apache-2.0

// Package policy reads policies in AWS's language and decides by them. It is pure:
// it knows no rows and no requests, and what it is not told does not exist.
//
// Parse makes a Document of a text, or says in AWS's words why it is none. Evaluate
// answers a Question: whether a Principal may do one action on one resource, by all
// policies that have a say in it, in the order of
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-denyallow.html.
// Explain answers the same with the statements that matched.
//
// Nothing is allowed by an error. What cannot be decided, such as a comparison of
// a number with a word, makes a Deny apply and an Allow not.
package policy

// Kind says where a policy is used, and thereby which elements it has.
type Kind uint8

// The kinds of policies.
const (
	// Identity policies are attached to users, groups and roles: no Principal.
	Identity Kind = iota + 1
	// Resource policies are attached to resources: Principal and Resource.
	Resource
	// Trust policies say who may assume a role: Principal, no Resource.
	Trust
	// Session policies are given when a session begins; they read as Identity.
	Session
	// Boundary policies are the most that a user or role may do; they read as Identity.
	Boundary
	// Control policies are those of an organization, for accounts (SCP).
	Control
	// Permission policies are what a share of RAM grants: neither Principal nor
	// Resource, which the share has.
	Permission
)

// Named is a policy with its name. A nil Document is one that cannot be read: it
// allows nothing, and what it may deny is denied.
type Named struct {
	// ARN is empty for inline policies.
	ARN, Name string
	Document  *Document
}

// PrincipalKind is what a principal is.
type PrincipalKind uint8

// The kinds of principals. The zero kind is nobody, who may do nothing.
const (
	// Root is an account itself, which may do everything in it.
	Root PrincipalKind = iota + 1
	// User is an IAM user, by a key of its own or a session token.
	User
	// Role is a session of a role.
	Role
	// Federated is a session that GetFederationToken began.
	Federated
	// Service is a service of AWS; ARN and Entity are its name, such as
	// vpc-lattice.amazonaws.com.
	Service
)

// Principal is who asks, with the policies that are its own. Evaluate only reads it.
type Principal struct {
	Kind PrincipalKind
	// Account is the 12-digit account.
	Account string
	// ARN is what GetCallerIdentity reports: of the root, the user, the session
	// (assumed-role/ROLE/SESSION, federated-user/NAME).
	ARN string
	// Entity is the ARN of the user or role whose policies these are. For Root and a
	// session that the root began it is that of the root.
	Entity string
	// UniqueID is AIDA… or AROA… of the entity, by which policies that name it know it.
	UniqueID string
	// Identity has the entity's own policies, those of its groups, and managed ones.
	Identity []Named
	// Boundary is nil for none.
	Boundary *Named
	// Session has the session's policies. With HasSession and none of them nothing is
	// allowed but what resource policies give to the session itself.
	Session    []Named
	HasSession bool
	// Controls has the policies of the organization, by levels from the root to the
	// account, each of which must allow; nil for none.
	Controls [][]Named
}

// Context has the condition keys of a request. A key is asked for in lower case,
// that of a tag too. No value is as good as an absent key. The values are only read.
type Context interface {
	Values(key string) (values []string, present bool)
}

// Question is one ask: a request is allowed when all of its asks are.
type Question struct {
	Principal *Principal
	// Action is such as ec2:CreateVpc; its case does not matter.
	Action string
	// Resource is an ARN, or * for an action that has no resource.
	Resource string
	// ResourceAccount owns the resource; empty stands for the principal's account.
	ResourceAccount string
	// Resources has the policies of the resource.
	Resources []Named
	// Trust is the trust policy of the role, for the actions that assume it: it must
	// allow, in the role's own account too. Nil for all other actions.
	Trust *Named
	// Grants has what the owner's shares (RAM) with the principal permit for the resource,
	// policies of the kind Permission. In the owner's account they do not matter.
	Grants []Named
	// Endpoint is the policy of the VPC endpoint that the request came by, of the kind
	// Resource: it must allow, whoever asks. Nil for none.
	Endpoint *Named
	// Context may be nil, for no keys.
	Context Context
}

// Layer is the kind of policies that decided.
type Layer uint8

// The layers, in the order in which they are asked.
const (
	// NoLayer is that of a question of nobody, or about nothing.
	NoLayer Layer = iota
	ControlPolicy
	ResourcePolicy
	TrustPolicy
	IdentityPolicy
	BoundaryPolicy
	SessionPolicy
	// SharePolicy is what another account shares: it does not allow.
	SharePolicy
	// EndpointPolicy is that of a VPC endpoint, asked after ControlPolicy.
	EndpointPolicy
)

var layerNames = [...]string{"policy", "service control policy", "resource-based policy", "role trust policy", "identity-based policy",
	"permissions boundary", "session policy", "resource-based policy", "VPC endpoint policy"}

// String is the name of the layer in AWS's messages.
func (l Layer) String() string { return layerNames[l] }

// Verdict is the answer to a question.
type Verdict struct {
	Allowed bool
	// Explicit says that a Deny is the reason, and not that nothing allows.
	Explicit bool
	// Layer is what allowed, denied, or did not allow.
	Layer Layer
	// Foreign says that the owner's side of another account denied: why is not for the
	// principal to know.
	Foreign bool
	// Policy is the ARN of the policy whose statement decided, and Name its name; both
	// are empty when none did.
	Policy, Name string
}
