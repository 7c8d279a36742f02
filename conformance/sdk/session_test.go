// SPDX-License-Identifier: Apache-2.0

package sdk

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice"

	"github.com/posternhq/postern/conformance/harness"
)

// statement is a policy of one statement, with more members of it as JSON.
func statement(effect, action, resource, more string) *string {
	return new(`{"Version":"2012-10-17","Statement":[{"Effect":"` + effect + `","Action":` + action + `,"Resource":"` + resource + `"` + more + `}]}`)
}

// trusting is a trust policy that lets a principal begin sessions, under conditions.
func trusting(principal, conditions string) *string {
	return new(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + principal +
		`"},"Action":["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"],"Condition":` + conditions + `}]}`)
}

// with gives the clients of a temporary key.
func (c *client) with(k *types.Credentials) *client {
	return newSession(c.t, aws.Credentials{AccessKeyID: *k.AccessKeyId, SecretAccessKey: *k.SecretAccessKey, SessionToken: *k.SessionToken})
}

func newSession(t *testing.T, k aws.Credentials) *client {
	c := newClient(t, harness.Key{ID: k.AccessKeyID, Secret: k.SecretAccessKey}, harness.Region)
	c.config.Credentials = credentials.StaticCredentialsProvider{Value: k}
	c.ec2, c.lattice, c.sts = ec2.NewFromConfig(c.config), vpclattice.NewFromConfig(c.config), sts.NewFromConfig(c.config)
	return c
}

// user makes a user with a key and a policy, and gives its clients and its ARN.
func (c *client) user(name string, policy *string) (*client, string) {
	c.t.Helper()
	api := iam.NewFromConfig(c.config)
	made := must(api.CreateUser(c.ctx, &iam.CreateUserInput{UserName: &name}))(c)
	if policy != nil {
		must(api.PutUserPolicy(c.ctx, &iam.PutUserPolicyInput{UserName: &name, PolicyName: new("own"), PolicyDocument: policy}))(c)
	}
	key := must(api.CreateAccessKey(c.ctx, &iam.CreateAccessKeyInput{UserName: &name}))(c).AccessKey
	return newClient(c.t, harness.Key{Account: c.key.Account, ID: *key.AccessKeyId, Secret: *key.SecretAccessKey}, c.region), *made.User.Arn
}

// role makes a role with a policy, and gives its ARN.
func (c *client) role(name string, trust, policy *string) string {
	c.t.Helper()
	api := iam.NewFromConfig(c.config)
	made := must(api.CreateRole(c.ctx, &iam.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: trust}))(c)
	must(api.PutRolePolicy(c.ctx, &iam.PutRolePolicyInput{RoleName: &name, PolicyName: new("own"), PolicyDocument: policy}))(c)
	return *made.Role.Arn
}

func (c *client) identity() string {
	c.t.Helper()
	return *must(c.sts.GetCallerIdentity(c.ctx, &sts.GetCallerIdentityInput{}))(c).Arn
}

func (c *client) looks() error {
	_, err := c.ec2.DescribeVpcs(c.ctx, &ec2.DescribeVpcsInput{})
	return err
}

// TestRolesOfOtherAccounts has a partner's operator look after networks of a vendor, with an
// external id: both sides must want it, and either ends it at once.
func TestRolesOfOtherAccounts(t *testing.T) {
	t.Parallel()
	vendor, partner := newAccount(t), newAccount(t)
	role := vendor.role("operator", trusting("arn:aws:iam::"+partner.key.Account+":root", `{"StringEquals":{"sts:ExternalId":"story-1"}}`),
		statement("Allow", `"ec2:*"`, "*", ""))
	ann, _ := partner.user("ann", nil)
	assume := func(by *client, change func(*sts.AssumeRoleInput)) (*sts.AssumeRoleOutput, error) {
		in := &sts.AssumeRoleInput{RoleArn: &role, RoleSessionName: new("ann"), ExternalId: new("story-1")}
		if change != nil {
			change(in)
		}
		return by.sts.AssumeRole(by.ctx, in)
	}
	_, err := assume(ann, nil)
	refused(t, err, "AccessDenied")
	api := iam.NewFromConfig(partner.config)
	must(api.PutUserPolicy(t.Context(), &iam.PutUserPolicyInput{UserName: new("ann"), PolicyName: new("own"), PolicyDocument: statement("Allow", `"sts:*"`, "*", "")}))(partner)
	_, err = assume(ann, func(in *sts.AssumeRoleInput) { in.ExternalId = nil })
	wrong := refused(t, err, "AccessDenied").ErrorMessage()
	_, err = assume(ann, func(in *sts.AssumeRoleInput) { in.RoleArn = new(role + "s") })
	if unknown := refused(t, err, "AccessDenied").ErrorMessage(); strings.ReplaceAll(unknown, role+"s", role) != wrong {
		t.Errorf("a role that is not there: %q, one that does not trust: %q", unknown, wrong)
	}
	stranger, _ := newAccount(t).user("eve", statement("Allow", `"*"`, "*", ""))
	_, err = assume(stranger, nil)
	refused(t, err, "AccessDenied")

	out := must(assume(ann, func(in *sts.AssumeRoleInput) { in.MinimumSessionTokenSize = new(int32(1000)) }))(ann)
	if n := len(*out.Credentials.SessionToken); n < 1000 || int32(n) != *out.SessionTokenSize {
		t.Errorf("the token has %d characters, said %d", n, *out.SessionTokenSize)
	}
	if left := time.Until(*out.Credentials.Expiration); left > time.Hour || left < 30*time.Minute {
		t.Errorf("the session lasts %v more", left)
	}
	session := ann.with(out.Credentials)
	equal(t, "who the session is", session.identity(), "arn:aws:sts::"+vendor.key.Account+":assumed-role/operator/ann")
	vpc := session.vpc("10.0.0.0/16")
	if found := must(vendor.ec2.DescribeVpcs(t.Context(), &ec2.DescribeVpcsInput{VpcIds: []string{vpc}}))(vendor).Vpcs; len(found) != 1 {
		t.Errorf("the vendor has %d of what its role made", len(found))
	}
	_, err = session.lattice.ListServiceNetworkVpcAssociations(t.Context(), &vpclattice.ListServiceNetworkVpcAssociationsInput{VpcIdentifier: &vpc})
	refused(t, err, "AccessDeniedException")

	bounded := ann.with(must(assume(ann, func(in *sts.AssumeRoleInput) { in.Policy = statement("Allow", `"ec2:Describe*"`, "*", "") }))(ann).Credentials)
	if err := bounded.looks(); err != nil {
		t.Error(err)
	}
	_, err = bounded.ec2.DeleteVpc(t.Context(), &ec2.DeleteVpcInput{VpcId: &vpc})
	refused(t, err, "UnauthorizedOperation")

	// The SDK's own provider of such credentials.
	provided := newSession(t, must(stscreds.NewAssumeRoleProvider(ann.sts, role, func(o *stscreds.AssumeRoleOptions) {
		o.ExternalID, o.RoleSessionName = new("story-1"), "sdk"
	}).Retrieve(t.Context()))(ann))
	if err := provided.looks(); err != nil {
		t.Error(err)
	}
	must(session.ec2.DeleteVpc(t.Context(), &ec2.DeleteVpcInput{VpcId: &vpc}))(session)
	owner := iam.NewFromConfig(vendor.config)
	must(owner.DeleteRolePolicy(t.Context(), &iam.DeleteRolePolicyInput{RoleName: new("operator"), PolicyName: new("own")}))(vendor)
	refused(t, session.looks(), "UnauthorizedOperation")
	must(owner.DeleteRole(t.Context(), &iam.DeleteRoleInput{RoleName: new("operator")}))(vendor)
	_, err = session.sts.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	refused(t, err, "InvalidClientTokenId")
	vendor.role("operator", trusting("arn:aws:iam::"+partner.key.Account+":root", `{}`), statement("Allow", `"ec2:*"`, "*", ""))
	refused(t, session.looks(), "AuthFailure") // a role of the same name is another one
}

// TestSessionTags has tags decide, which go on through a second role, and cannot be changed
// there.
func TestSessionTags(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	second := c.role("second", trusting("arn:aws:iam::"+c.key.Account+":root", `{"StringEquals":{"aws:PrincipalTag/team":"net"}}`),
		statement("Allow", `"ec2:Describe*"`, "*", `,"Condition":{"StringEquals":{"aws:PrincipalTag/team":"net"}}`))
	first := c.role("first", trusting("arn:aws:iam::"+c.key.Account+":root", `{}`), statement("Allow", `"sts:*"`, "*", ""))
	assume := func(by *client, role string, change func(*sts.AssumeRoleInput)) (*sts.AssumeRoleOutput, error) {
		in := &sts.AssumeRoleInput{RoleArn: &role, RoleSessionName: new("work")}
		if change != nil {
			change(in)
		}
		return by.sts.AssumeRole(by.ctx, in)
	}
	for team, allowed := range map[string]bool{"net": true, "sales": false} {
		out := must(assume(c, first, func(in *sts.AssumeRoleInput) {
			in.Tags, in.TransitiveTagKeys = []types.Tag{{Key: new("team"), Value: &team}}, []string{"team"}
			in.SourceIdentity = new("ann")
		}))(c)
		equal(t, "the source identity", *out.SourceIdentity, "ann")
		if *out.SessionTokenUtilization < 1 {
			t.Errorf("a token takes %d %%", *out.SessionTokenUtilization)
		}
		session := c.with(out.Credentials)
		next, err := assume(session, second, nil)
		if !allowed {
			refused(t, err, "AccessDenied")
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "the source identity of the second", *next.SourceIdentity, "ann")
		if err := c.with(next.Credentials).looks(); err != nil {
			t.Error(err)
		}
		_, err = assume(session, second, func(in *sts.AssumeRoleInput) { in.Tags = []types.Tag{{Key: new("Team"), Value: new("sales")}} })
		refused(t, err, "InvalidParameterValue")
		_, err = assume(session, second, func(in *sts.AssumeRoleInput) { in.DurationSeconds = new(int32(7200)) })
		refused(t, err, "ValidationError")
		_, err = session.sts.GetSessionToken(t.Context(), &sts.GetSessionTokenInput{})
		refused(t, err, "AccessDenied")
	}
}

// TestSessionsOfUsers has sessions of a user, who may do no more than the user, and end
// with the user's key.
func TestSessionsOfUsers(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	ann, arn := c.user("ann", statement("Allow", `["ec2:Describe*","sts:*"]`, "*", ""))
	own := ann.with(must(ann.sts.GetSessionToken(t.Context(), &sts.GetSessionTokenInput{DurationSeconds: new(int32(900))}))(ann).Credentials)
	equal(t, "who a session of the user is", own.identity(), arn)
	if err := own.looks(); err != nil {
		t.Error(err)
	}
	federate := func(policy *string) *client {
		out := must(ann.sts.GetFederationToken(t.Context(), &sts.GetFederationTokenInput{Name: new("bob"), Policy: policy}))(ann)
		equal(t, "the federated user", *out.FederatedUser.Arn, "arn:aws:sts::"+c.key.Account+":federated-user/bob")
		return ann.with(out.Credentials)
	}
	bob := federate(statement("Allow", `"ec2:*"`, "*", ""))
	equal(t, "who a federated user is", bob.identity(), "arn:aws:sts::"+c.key.Account+":federated-user/bob")
	if err := bob.looks(); err != nil {
		t.Error(err)
	}
	_, err := bob.ec2.CreateVpc(t.Context(), &ec2.CreateVpcInput{CidrBlock: new("10.0.0.0/16")})
	told := refused(t, err, "UnauthorizedOperation").ErrorMessage()
	refused(t, federate(nil).looks(), "UnauthorizedOperation")

	_, encoded, ok := strings.Cut(told, "Encoded authorization failure message: ")
	if !ok {
		t.Fatalf("a refusal without an encoded message: %s", told)
	}
	decoded := must(ann.sts.DecodeAuthorizationMessage(t.Context(), &sts.DecodeAuthorizationMessageInput{EncodedMessage: &encoded}))(ann)
	var why struct {
		Allowed bool
		Context struct{ Action string }
	}
	if err := json.Unmarshal([]byte(*decoded.DecodedMessage), &why); err != nil || why.Allowed || why.Context.Action != "ec2:CreateVpc" {
		t.Errorf("decoded %s, %v", *decoded.DecodedMessage, err)
	}
	_, err = c.sts.DecodeAuthorizationMessage(t.Context(), &sts.DecodeAuthorizationMessageInput{EncodedMessage: new(encoded + "AAAA")})
	refused(t, err, "InvalidAuthorizationMessageException")
	equal(t, "whose the key is", *must(c.sts.GetAccessKeyInfo(t.Context(), &sts.GetAccessKeyInfoInput{AccessKeyId: &ann.key.ID}))(c).Account, c.key.Account)

	must(iam.NewFromConfig(c.config).UpdateAccessKey(t.Context(), &iam.UpdateAccessKeyInput{UserName: new("ann"), AccessKeyId: &ann.key.ID, Status: "Inactive"}))(c)
	refused(t, own.looks(), "AuthFailure")
	refused(t, bob.looks(), "AuthFailure")
}

// TestTokensOfNobody sends keys with tokens that are none of theirs.
func TestTokensOfNobody(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	one := must(c.sts.GetSessionToken(t.Context(), &sts.GetSessionTokenInput{}))(c).Credentials
	other := must(c.sts.GetSessionToken(t.Context(), &sts.GetSessionTokenInput{}))(c).Credentials
	for name, token := range map[string]string{
		"none": "", "that of another key": *other.SessionToken, "one of AWS": "IQoJb3JpZ2luX2VjEA==", "an altered one": (*one.SessionToken)[:100] + "A" + (*one.SessionToken)[101:],
	} {
		if token == *one.SessionToken {
			continue
		}
		s := newSession(t, aws.Credentials{AccessKeyID: *one.AccessKeyId, SecretAccessKey: *one.SecretAccessKey, SessionToken: token})
		_, err := s.sts.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
		if api := refused(t, err, "InvalidClientTokenId"); api.ErrorMessage() != "The security token included in the request is invalid." {
			t.Errorf("%s: %s", name, api.ErrorMessage())
		}
		refused(t, s.looks(), "AuthFailure")
		_, err = s.lattice.ListResourceGateways(t.Context(), &vpclattice.ListResourceGatewaysInput{})
		refused(t, err, "UnrecognizedClientException")
	}
	lasting := newSession(t, aws.Credentials{AccessKeyID: c.key.ID, SecretAccessKey: c.key.Secret, SessionToken: *one.SessionToken})
	refused(t, lasting.looks(), "AuthFailure")
}
