// SPDX-License-Identifier: Apache-2.0

package model

import (
	"encoding/base32"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The prefixes of unique ids:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids
const (
	UserPrefix   = "AIDA"
	GroupPrefix  = "AGPA"
	RolePrefix   = "AROA"
	PolicyPrefix = "ANPA"
	// KeyPrefix is of access keys that last until they are deleted, and SessionPrefix of
	// those that come with a session token.
	KeyPrefix     = "AKIA"
	SessionPrefix = "ASIA"
)

// User is a user of IAM. Its Meta has its unique id, and no region, as all that is IAM's.
type User struct {
	Meta
	// Name is as users wrote it; names that differ by case only are the same, see
	// FoldName.
	Name string `json:"name"`
	// Path begins and ends with a slash.
	Path string `json:"path"`
	// Groups are the unique ids of those that the user is in, in the order of joining.
	Groups []string `json:"groups,omitempty"`
	// Policies are the managed policies that are attached, in the order of attaching, each
	// by its PolicyID. What is inline is rows of InlinePolicy.
	Policies []string `json:"policies,omitempty"`
	// Boundary is the PolicyID of the policy that bounds what others allow; empty for none.
	Boundary string `json:"boundary,omitempty"`
}

// Clone copies the row so that the copy can be changed.
func (u *User) Clone() *User {
	c := *u
	c.Meta = u.Meta.clone()
	c.Groups, c.Policies = slices.Clone(u.Groups), slices.Clone(u.Policies)
	return &c
}

// Called gives path and name.
func (u *User) Called() (path, name string) { return u.Path, u.Name }

// Attached is where the managed policies are that are attached.
func (u *User) Attached() *[]string { return &u.Policies }

// Bounded is where the boundary is.
func (u *User) Bounded() *string { return &u.Boundary }

// ARN names the user.
func (u *User) ARN() string { return iamARN(u.Account, "user", u.Path, u.Name) }

// Group is a group of users, who name it.
type Group struct {
	Meta
	Name string `json:"name"`
	Path string `json:"path"`
	// Policies are as those of a user.
	Policies []string `json:"policies,omitempty"`
}

// Clone copies the row so that the copy can be changed.
func (g *Group) Clone() *Group {
	c := *g
	c.Meta = g.Meta.clone()
	c.Policies = slices.Clone(g.Policies)
	return &c
}

// Called gives path and name.
func (g *Group) Called() (path, name string) { return g.Path, g.Name }

// Attached is where the managed policies are that are attached.
func (g *Group) Attached() *[]string { return &g.Policies }

// ARN names the group.
func (g *Group) ARN() string { return iamARN(g.Account, "group", g.Path, g.Name) }

// Role is what others can assume, as its trust policy says.
type Role struct {
	Meta
	Name        string `json:"name"`
	Path        string `json:"path"`
	Description string `json:"description,omitempty"`
	// Trust is the text of the trust policy, as it was sent.
	Trust string `json:"trust"`
	// Trusted are the users and roles that Trust names: who they were when it was put. One
	// that is made again with the same name is somebody else, and not trusted:
	// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
	Trusted []Trusted `json:"trusted,omitempty"`
	// MaxSession is how many seconds a session of the role lasts at most.
	MaxSession int32 `json:"maxSession"`
	// Policies and Boundary are as those of a user.
	Policies []string `json:"policies,omitempty"`
	Boundary string   `json:"boundary,omitempty"`
}

// Trusted is a user or role that a trust policy names.
type Trusted struct {
	// ARN is as in the policy.
	ARN    string `json:"arn"`
	Entity Ref    `json:"entity"`
}

// Clone copies the row so that the copy can be changed.
func (r *Role) Clone() *Role {
	c := *r
	c.Meta = r.Meta.clone()
	c.Trusted, c.Policies = slices.Clone(r.Trusted), slices.Clone(r.Policies)
	return &c
}

// Called gives path and name.
func (r *Role) Called() (path, name string) { return r.Path, r.Name }

// Attached is where the managed policies are that are attached.
func (r *Role) Attached() *[]string { return &r.Policies }

// Bounded is where the boundary is.
func (r *Role) Bounded() *string { return &r.Boundary }

// ARN names the role.
func (r *Role) ARN() string { return iamARN(r.Account, "role", r.Path, r.Name) }

// Policy is a managed policy of an account. Its documents are rows of PolicyVersion.
type Policy struct {
	Meta
	Name        string `json:"name"`
	Path        string `json:"path"`
	Description string `json:"description,omitempty"`
	// Default is the number of the version that counts.
	Default int `json:"default"`
	// Last is the number of the version that was made last, which is never used again.
	Last int `json:"last"`
}

// Clone copies the row so that the copy can be changed.
func (p *Policy) Clone() *Policy {
	c := *p
	c.Meta = p.Meta.clone()
	return &c
}

// Called gives path and name.
func (p *Policy) Called() (path, name string) { return p.Path, p.Name }

// ARN names the policy.
func (p *Policy) ARN() string { return iamARN(p.Account, "policy", p.Path, p.Name) }

// Version names the row of a version.
func (p *Policy) Version(number int) Ref { return p.Sibling(PolicyVersionID(p.ID, number)) }

// PolicyVersion is a document of a managed policy. It never changes.
type PolicyVersion struct {
	Account string `json:"account"`
	// Policy is the unique id of the policy, and Number that of the version, from 1.
	Policy    string    `json:"policy"`
	Number    int       `json:"number"`
	Document  string    `json:"document"`
	CreatedAt time.Time `json:"createdAt"`
}

// PolicyVersionID is the row id of a version; the order of rows is that of numbers.
func PolicyVersionID(policy string, number int) string {
	return fmt.Sprintf("%s/v%010d", policy, number)
}

// InlinePolicy is a policy of one user, group or role.
type InlinePolicy struct {
	Account string `json:"account"`
	// Owner is the unique id of the user, group or role.
	Owner    string `json:"owner"`
	Name     string `json:"name"`
	Document string `json:"document"`
}

// InlinePolicyID is the row id of an inline policy.
func InlinePolicyID(owner, name string) string { return owner + "/" + name }

// LastUse is when something was used last: an access key, or a role by a session.
type LastUse struct {
	// Account is that of the user or role.
	Account string `json:"account"`
	// ID is that of the access key, or the unique id of the role.
	ID string    `json:"id"`
	At time.Time `json:"at"`
	// Service and Region are what it was used for.
	Service string `json:"service"`
	Region  string `json:"region"`
}

// FoldName gives what two names of IAM have in common that are the same: names are not
// distinguished by case
// (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html).
func FoldName(name string) string { return strings.ToLower(name) }

// managedPolicies is how the ARNs of the policies begin that all accounts have.
const managedPolicies = "arn:" + Partition + ":iam::aws:policy/"

// IsManagedByAWS reports whether a policy is one that all accounts have. Rows name managed
// policies by a PolicyID: the unique id of one of their own account, or the ARN of one that
// all have, which is no row.
func IsManagedByAWS(policy string) bool { return strings.HasPrefix(policy, managedPolicies) }

// OwnPolicies gives those of policies, which are PolicyIDs, that are rows of the account.
func (m Meta) OwnPolicies(policies ...string) (own []Ref) {
	for _, id := range policies {
		if id != "" && !IsManagedByAWS(id) {
			own = append(own, m.Sibling(id))
		}
	}
	return own
}

func iamARN(account, kind, path, name string) string {
	return ARN("iam", "", account, kind+path+name)
}

// uniqueLetters is how many letters follow the prefix of a unique id.
const uniqueLetters = 17

// NewUniqueID makes a unique id of users, groups, roles and policies.
func NewUniqueID(random io.Reader, prefix string) (string, error) {
	var raw [11]byte
	if _, err := io.ReadFull(random, raw[:]); err != nil {
		return "", fmt.Errorf("make a unique id: %w", err)
	}
	return prefix + base32.StdEncoding.EncodeToString(raw[:])[:uniqueLetters], nil
}

// The first 48 bits of what follows the prefix of a key's id are a one, the 40 bits of
// the number of its account, and random ones. AWS documents only that GetAccessKeyInfo
// tells the account of a key
// (https://docs.aws.amazon.com/STS/latest/APIReference/API_GetAccessKeyInfo.html); tools read the number
// from the id without asking.
const (
	keyBytes    = 10
	accountBits = 40
	afterBits   = 7 // of the 48
)

// NewKeyID makes the id of an access key of an account, which is a number of twelve
// digits.
func NewKeyID(random io.Reader, prefix, account string) (string, error) {
	number, err := strconv.ParseUint(account, 10, accountBits)
	if err != nil {
		return "", fmt.Errorf("make the id of an access key: account %q: %w", account, err)
	}
	var raw [keyBytes]byte
	if _, err := io.ReadFull(random, raw[:]); err != nil {
		return "", fmt.Errorf("make the id of an access key: %w", err)
	}
	head := uint64(1)<<(accountBits+afterBits) | number<<afterBits | uint64(raw[5])&(1<<afterBits-1)
	for i := 5; i >= 0; i-- {
		raw[i] = byte(head)
		head >>= 8
	}
	return prefix + base32.StdEncoding.EncodeToString(raw[:]), nil
}

// AccountOfKey reads the account from the id of an access key; false for ids that cannot
// have been made by NewKeyID.
func AccountOfKey(id string) (account string, ok bool) {
	text, ok := strings.CutPrefix(id, KeyPrefix)
	if !ok {
		if text, ok = strings.CutPrefix(id, SessionPrefix); !ok {
			return "", false
		}
	}
	raw, err := base32.StdEncoding.DecodeString(text)
	if err != nil || len(raw) != keyBytes {
		return "", false
	}
	head := uint64(0)
	for _, b := range raw[:6] {
		head = head<<8 | uint64(b)
	}
	const largest = 999_999_999_999
	number := head >> afterBits & (1<<accountBits - 1)
	if head>>(accountBits+afterBits) != 1 || number > largest {
		return "", false
	}
	return fmt.Sprintf("%012d", number), true
}
