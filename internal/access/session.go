// SPDX-License-Identifier: Apache-2.0

package access

import (
	"strings"
	"time"

	"github.com/posternhq/postern/internal/policy"
)

// Session is what a session token says, which is all that is kept of a session: who its
// temporary keys are for, by unique ids, so that a user or role that is made again with
// the same name does not take it over.
type Session struct {
	// KeyID and Secret are the temporary access key.
	KeyID, Secret string
	Account       string
	// Kind is Role for AssumeRole, Federated for GetFederationToken, and User or Root for
	// GetSessionToken of a user or of the account itself.
	Kind policy.PrincipalKind
	// Entity is the unique id of the role, or of the user whose key began the session;
	// empty for the account itself.
	Entity string
	// Parent is the long-term access key that began the session of a user or of the
	// account, which ends with it; empty for roles.
	Parent string
	// Through are the other accounts whose principals a session of a role began from, those
	// that sessions before it began from too. It ends when one of them is disabled.
	Through []string
	// Name is that of the session of a role, or of the federated user.
	Name            string
	Issued, Expires time.Time
	// Policies are the texts of session policies, and PolicyARNs name managed ones. With
	// Bounded the session may do what they allow and no more, nothing if there are none.
	Policies   []string
	PolicyARNs []string
	Bounded    bool
	// Tags are session tags; those in Transitive go on to roles that are assumed next.
	Tags           map[string]string
	Transitive     []string
	SourceIdentity string
}

// Live reports whether a time is in the session. A clock that was set back to before the
// session began makes it end, and not last longer.
func (s *Session) Live(now time.Time) bool {
	return !now.Before(s.Issued.Add(-skew)) && now.Before(s.Expires)
}

// skew is how far the clocks of servers may be apart; signatures have the same.
const skew = 5 * time.Minute

// goesOn says that what an action is for goes on from the session into those that begin
// from it, whether the request has it or not: transitive tags, and the source identity.
func (s *Session) goesOn(action string) bool {
	switch {
	case s == nil:
		return false
	case action == "sts:TagSession":
		return len(s.Transitive) > 0
	}
	return action == "sts:SetSourceIdentity" && s.SourceIdentity != ""
}

// barred says that an action is for no session that GetSessionToken or GetFederationToken
// began, whatever policies say: all of IAM, and most of STS
// (https://docs.aws.amazon.com/STS/latest/APIReference/API_GetSessionToken.html,
// https://docs.aws.amazon.com/STS/latest/APIReference/API_GetFederationToken.html). What
// these two say themselves of sessions is left to them.
func (s *Session) barred(action string) bool {
	if s == nil || s.Kind == policy.Role {
		return false
	}
	service, name, _ := strings.Cut(action, ":")
	switch name {
	case "GetSessionToken", "GetFederationToken", "GetCallerIdentity":
		return service == "iam"
	case "AssumeRole", "TagSession", "SetSourceIdentity":
		return service == "iam" || service == "sts" && s.Kind == policy.Federated
	}
	return service == "iam" || service == "sts"
}
