// SPDX-License-Identifier: Apache-2.0

package sts

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/sts"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/policy"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
	"github.com/posternhq/postern/internal/token"
)

// world is an account with a role that others of these tests assume.
type world struct {
	API
	store *servicetest.World
	role  *model.Role
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := servicetest.New(t)
	role := &model.Role{
		Meta: model.Meta{Account: servicetest.OtherAccount, ID: "AROAEXAMPLEEXAMPLE123", CreatedAt: servicetest.Now},
		Name: "Operator", Path: "/teams/", Trust: "{}", MaxSession: 7200,
	}
	if _, err := w.DB.Update(t.Context(), func(tx *table.Txn) error {
		state.Roles.Put(tx, role)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return &world{API{w.Env}, w, role}
}

// as gives the context of a user of Account, or of the session that a token of it has.
func (w *world) as(t testing.TB, s *access.Session) context.Context {
	who := access.View{Caller: access.Caller{
		Account: servicetest.Account, Kind: policy.User, ARN: "arn:aws:iam::111122223333:user/ann", UserID: "AIDAANN", AccessKeyID: "AKIAANN",
		Entity: "arn:aws:iam::111122223333:user/ann", EntityID: "AIDAANN", EntityName: "ann",
	}}
	if s != nil {
		who.Kind, who.Session, who.AccessKeyID, who.Account = s.Kind, s, s.KeyID, s.Account
	}
	return access.With(t.Context(), &who)
}

// opened gives the session of credentials, after checks that hold for all of them.
func (w *world) opened(t testing.TB, c *shape.Credentials) *access.Session {
	t.Helper()
	s, err := token.Open(w.Seal, *c.AccessKeyId, *c.SessionToken)
	if err != nil {
		t.Fatal(err)
	}
	if s.Secret != *c.SecretAccessKey || !s.Expires.Equal(*c.Expiration) || !s.Issued.Equal(servicetest.Now) || !s.Live(servicetest.Now) {
		t.Errorf("the token is of another session than the credentials: issued %v, expires %v, said %v", s.Issued, s.Expires, c.Expiration)
	}
	if account, ok := model.AccountOfKey(s.KeyID); !ok || account != s.Account || !strings.HasPrefix(s.KeyID, "ASIA") {
		t.Errorf("the key %s tells account %s, want %s", s.KeyID, account, s.Account)
	}
	s.KeyID, s.Secret = "", ""
	return s
}

func expect(t *testing.T, name string, err error, code, text string) {
	t.Helper()
	if !fault.Is(err, code) || !strings.Contains(err.Error(), text) {
		t.Errorf("%s: %v, want %s: %s", name, err, code, text)
	}
}

const roleARN = "arn:aws:iam::444455556666:role/teams/Operator"

func (w *world) assume(t testing.TB, by *access.Session, change func(*shape.AssumeRoleInput)) (*shape.AssumeRoleOutput, error) {
	in := &shape.AssumeRoleInput{RoleArn: new(roleARN), RoleSessionName: new("work")}
	if change != nil {
		change(in)
	}
	return w.AssumeRole(w.as(t, by), in)
}

func TestAssumedRole(t *testing.T) {
	w := newWorld(t)
	out, err := w.assume(t, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := *out.AssumedRoleUser.Arn + " " + *out.AssumedRoleUser.AssumedRoleId; got != "arn:aws:sts::444455556666:assumed-role/Operator/work AROAEXAMPLEEXAMPLE123:work" {
		t.Errorf("assumed %s", got)
	}
	if out.PackedPolicySize != nil || out.SourceIdentity != nil {
		t.Errorf("packed %v, source identity %v, want neither", out.PackedPolicySize, out.SourceIdentity)
	}
	want := &access.Session{
		Account: servicetest.OtherAccount, Kind: policy.Role, Entity: w.role.ID, Name: "work", Through: []string{servicetest.Account},
		Issued: servicetest.Now, Expires: servicetest.Now.Add(time.Hour),
	}
	if diff := cmp.Diff(want, w.opened(t, out.Credentials)); diff != "" {
		t.Errorf("session (-want +got):\n%s", diff)
	}
}

func tags(pairs ...string) (all []shape.Tag) {
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, shape.Tag{Key: new(pairs[i]), Value: new(pairs[i+1])})
	}
	return all
}

func TestRolesAreNotAssumed(t *testing.T) {
	w := newWorld(t)
	chained := &access.Session{Kind: policy.Role, Account: servicetest.Account, Tags: map[string]string{"Team": "a"}, Transitive: []string{"Team"}, SourceIdentity: "ann"}
	many := make([]shape.PolicyDescriptorType, 11)
	for _, test := range []struct {
		name       string
		by         *access.Session
		change     func(*shape.AssumeRoleInput)
		code, text string
	}{
		{"no such role", nil, func(in *shape.AssumeRoleInput) { in.RoleArn = new("arn:aws:iam::444455556666:role/teams/Other") }, "AccessDenied", "is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::444455556666:role/teams/Other"},
		{"another path", nil, func(in *shape.AssumeRoleInput) { in.RoleArn = new("arn:aws:iam::444455556666:role/Operator") }, "AccessDenied", "sts:AssumeRole"},
		{"another case", nil, func(in *shape.AssumeRoleInput) { in.RoleArn = new("arn:aws:iam::444455556666:role/teams/operator") }, "AccessDenied", "sts:AssumeRole"},
		{"another account", nil, func(in *shape.AssumeRoleInput) { in.RoleArn = new("arn:aws:iam::111122223333:role/teams/Operator") }, "AccessDenied", "sts:AssumeRole"},
		{"no ARN", nil, func(in *shape.AssumeRoleInput) { in.RoleArn = new("Operator") }, "AccessDenied", "sts:AssumeRole"},
		{"longer than the role lets", nil, func(in *shape.AssumeRoleInput) { in.DurationSeconds = new(int32(7201)) }, "ValidationError", "exceeds the MaxSessionDuration set for this role"},
		{"longer than a chain lets", chained, func(in *shape.AssumeRoleInput) { in.DurationSeconds = new(int32(3601)) }, "ValidationError", "1 hour session limit for roles assumed by role chaining"},
		{"a policy that is none", nil, func(in *shape.AssumeRoleInput) { in.Policy = new("{") }, "MalformedPolicyDocument", ""},
		{"a managed policy that is none", nil, func(in *shape.AssumeRoleInput) {
			in.PolicyArns = []shape.PolicyDescriptorType{{Arn: new("arn:aws:iam::444455556666:policy/None")}}
		}, "ValidationError", "PolicyArns: policy arn:aws:iam::444455556666:policy/None does not exist"},
		{"no name of a managed policy", nil, func(in *shape.AssumeRoleInput) { in.PolicyArns = make([]shape.PolicyDescriptorType, 1) }, "ValidationError", "PolicyArns"},
		{"too many policies", nil, func(in *shape.AssumeRoleInput) { in.PolicyArns = many }, "ValidationError", "11 managed session policies"},
		{"a tag twice", nil, func(in *shape.AssumeRoleInput) { in.Tags = tags("a", "1", "A", "2") }, "InvalidParameterValue", "Duplicate tag keys found. Please note that Tag keys are case insensitive."},
		{"a reserved tag", nil, func(in *shape.AssumeRoleInput) { in.Tags = tags("AWS:x", "1") }, "InvalidParameterValue", "reserved"},
		{"a transitive tag that is none", nil, func(in *shape.AssumeRoleInput) { in.TransitiveTagKeys = []string{"a"} }, "InvalidParameterValue", "The specified transitive tag key must be included in the requested tags."},
		{"a transitive tag twice", nil, func(in *shape.AssumeRoleInput) { in.Tags, in.TransitiveTagKeys = tags("a", "1"), []string{"a", "A"} }, "InvalidParameterValue", "transitive"},
		{"an inherited tag", chained, func(in *shape.AssumeRoleInput) { in.Tags = tags("team", "b") }, "InvalidParameterValue", "conflicts with a transitive tag key from the calling session"},
		{"an inherited transitive tag", chained, func(in *shape.AssumeRoleInput) { in.TransitiveTagKeys = []string{"TEAM"} }, "InvalidParameterValue", "conflicts with a transitive tag key from the calling session"},
		{"another source identity", chained, func(in *shape.AssumeRoleInput) { in.SourceIdentity = new("bob") }, "AccessDenied", "sts:SetSourceIdentity"},
		{"a reserved source identity", nil, func(in *shape.AssumeRoleInput) { in.SourceIdentity = new("aws:x") }, "InvalidParameterValue", "SourceIdentity"},
		{"a code", nil, func(in *shape.AssumeRoleInput) {
			in.SerialNumber, in.TokenCode = new("arn:aws:iam::1:mfa/x"), new("123456")
		}, "AccessDenied", "MFA"},
		{"a context", nil, func(in *shape.AssumeRoleInput) { in.ProvidedContexts = make([]shape.ProvidedContext, 1) }, "InvalidParameterValue", "ProvidedContexts"},
	} {
		before := w.store.Dump(t)
		_, err := w.assume(t, test.by, test.change)
		expect(t, test.name, err, test.code, test.text)
		if diff := cmp.Diff(before, w.store.Dump(t)); diff != "" {
			t.Errorf("%s: it changed something: %s", test.name, diff)
		}
	}
}

// Sessions of sessions, drawn at random: what is transitive goes on for ever and is never
// changed, what is not ends with its session, and so does nothing else.
func TestChains(t *testing.T) {
	w := newWorld(t)
	rapid.Check(t, func(rt *rapid.T) {
		var by *access.Session
		kept, source := map[string]string{}, "" // what must go on
		for step := range rapid.IntRange(1, 5).Draw(rt, "steps") {
			given := map[string]string{}
			for range rapid.IntRange(0, 3).Draw(rt, "tags") {
				given[rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}).Draw(rt, "key")] = fmt.Sprint(step)
			}
			var pairs, transitive []string
			clash := false
			for _, key := range slices.Sorted(maps.Keys(given)) {
				written := key
				if rapid.Bool().Draw(rt, "upper case") {
					written = strings.ToUpper(key)
				}
				_, inherited := kept[key]
				clash = clash || inherited
				pairs = append(pairs, written, given[key])
				if rapid.Bool().Draw(rt, "transitive") {
					transitive = append(transitive, key)
				}
			}
			identity := rapid.SampledFrom([]string{"", "", "ann", "bob"}).Draw(rt, "source identity")
			out, err := w.assume(t, by, func(in *shape.AssumeRoleInput) {
				in.Tags, in.TransitiveTagKeys = tags(pairs...), transitive
				if identity != "" {
					in.SourceIdentity = &identity
				}
			})
			other := source != "" && identity != "" && identity != source
			if refused := err != nil; refused != (clash || other) {
				rt.Fatalf("tags %v, transitive %v, source identity %q after %v, %q: %v", pairs, transitive, identity, kept, source, err)
			}
			if err != nil {
				continue
			}
			source = max(source, identity)
			by = w.opened(t, out.Credentials)
			for key, value := range kept {
				given[key] = value
			}
			got := map[string]string{}
			for key, value := range by.Tags {
				got[strings.ToLower(key)] = value
			}
			if !maps.Equal(got, given) || by.SourceIdentity != source || by.Bounded {
				rt.Fatalf("the session has tags %v, source identity %q, bounded %t; want %v, %q", got, by.SourceIdentity, by.Bounded, given, source)
			}
			if !slices.Equal(by.Through, []string{servicetest.Account}) {
				rt.Fatalf("a session of the account's user, or begun from such ones, began from %v", by.Through)
			}
			for _, key := range transitive {
				kept[key] = given[key]
			}
			on := slices.Clone(by.Transitive)
			for i := range on {
				if _, ok := by.Tags[on[i]]; !ok {
					rt.Fatalf("%s is transitive and no tag of %v", on[i], by.Tags)
				}
				on[i] = strings.ToLower(on[i])
			}
			slices.Sort(on)
			if want := slices.Sorted(maps.Keys(kept)); !slices.Equal(on, want) {
				rt.Fatalf("%v are transitive, want %v", on, want)
			}
		}
	})
}

func TestSessionTokensOfKeys(t *testing.T) {
	w := newWorld(t)
	out, err := w.GetSessionToken(w.as(t, nil), &shape.GetSessionTokenInput{})
	if err != nil {
		t.Fatal(err)
	}
	want := &access.Session{
		Account: servicetest.Account, Kind: policy.User, Entity: "AIDAANN", Parent: "AKIAANN",
		Issued: servicetest.Now, Expires: servicetest.Now.Add(12 * time.Hour),
	}
	s := w.opened(t, out.Credentials)
	if diff := cmp.Diff(want, s); diff != "" {
		t.Errorf("session (-want +got):\n%s", diff)
	}
	large, err := w.GetSessionToken(w.as(t, nil), &shape.GetSessionTokenInput{MinimumSessionTokenSize: new(int32(4096))})
	if err != nil || len(*large.Credentials.SessionToken) != 4096 || *large.SessionTokenSize != 4096 || *large.SessionTokenUtilization != 100 {
		t.Errorf("of 4096 characters: %v, %d of %d %%", err, len(*large.Credentials.SessionToken), *large.SessionTokenUtilization)
	}
	if out, err = w.GetSessionToken(w.as(t, nil), &shape.GetSessionTokenInput{DurationSeconds: new(int32(900))}); err != nil || !out.Credentials.Expiration.Equal(servicetest.Now.Add(15*time.Minute)) {
		t.Errorf("of 900 seconds: %v, until %v", err, out.Credentials.Expiration)
	}
	_, err = w.GetSessionToken(w.as(t, s), &shape.GetSessionTokenInput{})
	expect(t, "of a session", err, "AccessDenied", "Cannot call GetSessionToken with session credentials")
	_, err = w.GetFederationToken(w.as(t, s), &shape.GetFederationTokenInput{Name: new("bob")})
	expect(t, "of a session", err, "AccessDenied", "Cannot call GetFederationToken with session credentials")
	_, err = w.GetSessionToken(w.as(t, nil), &shape.GetSessionTokenInput{TokenCode: new("123456")})
	expect(t, "with a code", err, "AccessDenied", "MFA")
}

// A federated user is bounded by policies, also when there are none.
func TestFederatedUsers(t *testing.T) {
	w := newWorld(t)
	out, err := w.GetFederationToken(w.as(t, nil), &shape.GetFederationTokenInput{Name: new("bob"), Tags: tags("Team", "a")})
	if err != nil {
		t.Fatal(err)
	}
	if got := *out.FederatedUser.Arn + " " + *out.FederatedUser.FederatedUserId; got != "arn:aws:sts::111122223333:federated-user/bob 111122223333:bob" {
		t.Errorf("federated %s", got)
	}
	want := &access.Session{
		Account: servicetest.Account, Kind: policy.Federated, Entity: "AIDAANN", Parent: "AKIAANN", Name: "bob", Bounded: true,
		Issued: servicetest.Now, Expires: servicetest.Now.Add(12 * time.Hour), Tags: map[string]string{"Team": "a"},
	}
	if diff := cmp.Diff(want, w.opened(t, out.Credentials)); diff != "" {
		t.Errorf("session (-want +got):\n%s", diff)
	}
	if out.PackedPolicySize == nil || *out.PackedPolicySize < 1 {
		t.Errorf("tags take %v %%", out.PackedPolicySize)
	}
	_, err = w.GetFederationToken(w.as(t, nil), &shape.GetFederationTokenInput{Name: new("bob"), Policy: new("[]")})
	expect(t, "a policy that is none", err, "MalformedPolicyDocument", "")
}

func TestAccountsOfKeys(t *testing.T) {
	w := newWorld(t)
	old := &model.AccessKey{ID: "AKIAIOSFODNN7EXAMPLE", Secret: "x", Account: servicetest.OtherAccount}
	if _, err := w.DB.Update(t.Context(), func(tx *table.Txn) error {
		state.AccessKeys.Put(tx, old)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]string{"ASIAQNZGKIQY56JQ7WML": "029608264753", old.ID: servicetest.OtherAccount} {
		out, err := w.GetAccessKeyInfo(w.as(t, nil), &shape.GetAccessKeyInfoInput{AccessKeyId: &id})
		if err != nil || *out.Account != want {
			t.Errorf("%s: %v, want %s", id, err, want)
		}
	}
	_, err := w.GetAccessKeyInfo(w.as(t, nil), &shape.GetAccessKeyInfoInput{AccessKeyId: new("AKIAIOSFODNN7EXAMPL0")})
	expect(t, "no key", err, "ValidationError", "AKIAIOSFODNN7EXAMPL0")
}

func TestRefusalsAreDecoded(t *testing.T) {
	w := newWorld(t)
	sealed := token.SealRefusal(w.Seal, servicetest.Account, []byte(`{"allowed":false}`))
	out, err := w.DecodeAuthorizationMessage(w.as(t, nil), &shape.DecodeAuthorizationMessageInput{EncodedMessage: &sealed})
	if err != nil || *out.DecodedMessage != `{"allowed":false}` {
		t.Errorf("decoded %v", err)
	}
	for name, text := range map[string]string{
		"another account's": token.SealRefusal(w.Seal, servicetest.OtherAccount, []byte("x")), "altered": sealed + "AAAA", "none": "hello",
	} {
		_, err := w.DecodeAuthorizationMessage(w.as(t, nil), &shape.DecodeAuthorizationMessageInput{EncodedMessage: &text})
		expect(t, name, err, "InvalidAuthorizationMessageException", "EncodedMessage")
	}
}
