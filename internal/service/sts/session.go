// SPDX-License-Identifier: Apache-2.0

package sts

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/sts"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/policy"
	"github.com/posternhq/postern/internal/policy/managed"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
	"github.com/posternhq/postern/internal/token"
)

// How long sessions last when the caller does not say: those of roles, and others.
const (
	roleSession = time.Hour
	keySession  = 12 * time.Hour
)

// begin gives a session its temporary key and its times.
func (a API) begin(s *access.Session, lasts time.Duration) error {
	id, err := model.NewKeyID(a.Rand, model.SessionPrefix, s.Account)
	if err != nil {
		return fmt.Errorf("begin a session: %w", err)
	}
	s.KeyID, s.Secret = id, a.NewSecret()
	s.Issued = a.Now().UTC().Truncate(time.Second)
	s.Expires = s.Issued.Add(lasts)
	return nil
}

// told is what the caller is told of the key and the token of a session.
type told struct {
	credentials *shape.Credentials
	// packed is how full the token is of policies and tags, in percent; nil when the session
	// has none.
	packed *int32
	// size is that of the token, in bytes, and utilization the same in percent.
	size, utilization *int32
}

// tell makes the token of a session, of at least a size.
func (a API) tell(s *access.Session, atLeast *int32) (t told, err error) {
	if len(s.Policies)+len(s.PolicyARNs)+len(s.Tags) > 0 {
		share, err := token.Share(a.Seal, s)
		if err != nil {
			return t, err
		}
		if share > 100 {
			return t, fault.STS(codeTooLarge, "Packed policy consumes %d%% of allotted space, please use smaller policy.", share)
		}
		t.packed = new(int32(share))
	}
	least := int32(0)
	if atLeast != nil {
		least = *atLeast
	}
	text, err := token.Seal(a.Seal, s, int(least))
	if errors.Is(err, token.ErrTooLarge) {
		return t, fault.STS(codeTooLarge, "Packed policy consumes more than the allotted space, please use smaller policy.")
	}
	if err != nil {
		return t, err
	}
	t.size, t.utilization = new(int32(len(text))), new(int32((len(text)*100+token.MaxLength-1)/token.MaxLength))
	t.credentials = &shape.Credentials{AccessKeyId: &s.KeyID, SecretAccessKey: &s.Secret, SessionToken: &text, Expiration: &s.Expires}
	return t, nil
}

// maxPolicies is how many managed policies a session names at most:
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
const maxPolicies = 10

// bind gives a session the policies that bound it. They are of the session's account.
func bind(tx *table.Txn, s *access.Session, inline *string, managed []shape.PolicyDescriptorType) error {
	if inline != nil {
		if _, err := policy.Parse(policy.Session, *inline); err != nil {
			return fault.STS(codeMalformed, "%s", err)
		}
		s.Policies, s.Bounded = []string{*inline}, true
	}
	if len(managed) > maxPolicies {
		return fault.STS(codeValidation, "PolicyArns: %d managed session policies are more than %d", len(managed), maxPolicies)
	}
	for _, p := range managed {
		arn := ""
		if p.Arn != nil {
			arn = *p.Arn
		}
		if !hasPolicy(tx, s.Account, arn) {
			return fault.STS(codeValidation, "PolicyArns: policy %s does not exist in account %s or is not attachable.", arn, s.Account)
		}
		s.PolicyARNs, s.Bounded = append(s.PolicyARNs, arn), true
	}
	return nil
}

// hasPolicy says whether an account has a managed policy, its own or one that all have.
func hasPolicy(tx *table.Txn, account, arn string) bool {
	if model.IsManagedByAWS(arn) {
		_, ok := managed.Find(arn)
		return ok
	}
	name := model.FoldName(arn[strings.LastIndexByte(arn, '/')+1:])
	for row := range state.PoliciesByName.Rows(tx, model.Ref{Account: account, ID: name}) {
		return row.ARN() == arn
	}
	return false
}

// maxTags is how many tags a session has at most, with those that it inherits.
const maxTags = 50

// tag gives a session the tags of a request, besides those that go on from the caller's
// own session, which nobody can change:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html. Keys that differ
// by case only are the same.
func tag(s, from *access.Session, tags []shape.Tag, transitive []string) error {
	s.Tags = map[string]string{}
	inherited := map[string]bool{}
	if from != nil {
		for _, key := range from.Transitive {
			s.Tags[key], inherited[fold(key)] = from.Tags[key], true
			s.Transitive = append(s.Transitive, key)
		}
	}
	given := map[string]string{} // by folded keys, as they were written
	for _, t := range tags {
		key := *t.Key
		if strings.HasPrefix(fold(key), "aws:") {
			return fault.STS(codeParameter, "Tags: the key %s begins with aws:, which is reserved.", key)
		}
		if _, twice := given[fold(key)]; twice {
			return fault.STS(codeParameter, "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		}
		if inherited[fold(key)] {
			return fault.STS(codeParameter, "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session.")
		}
		given[fold(key)], s.Tags[key] = key, *t.Value
	}
	for _, key := range transitive {
		written, ok := given[fold(key)]
		switch {
		case inherited[fold(key)]:
			return fault.STS(codeParameter, "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session.")
		case !ok:
			return fault.STS(codeParameter, "The specified transitive tag key must be included in the requested tags.")
		}
		s.Transitive = append(s.Transitive, written)
		inherited[fold(key)] = true // and so it is refused when it is there twice
	}
	if len(s.Tags) > maxTags {
		return fault.STS(codeParameter, "Tags: %d, with those of the calling session, are more than %d.", len(s.Tags), maxTags)
	}
	if len(s.Tags) == 0 {
		s.Tags = nil
	}
	return nil
}

func fold(key string) string { return strings.ToLower(key) }

// noCode refuses codes of devices for multi-factor authentication, of which nobody has
// any here.
func noCode(serial, code *string) error {
	if serial == nil && code == nil {
		return nil
	}
	return fault.STS(codeDenied, "MultiFactorAuthentication failed, unable to validate MFA code.  Please verify your MFA serial number is valid and associated with this user.")
}
