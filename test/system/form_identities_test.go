// SPDX-License-Identifier: Apache-2.0

package system

import (
	"github.com/posternhq/postern/internal/aws/shape/iam"
	"github.com/posternhq/postern/test/postern"
)

// fillIdentities makes users, groups, roles, policies and keys with all that they can have.
func fillIdentities(s *pair) {
	p := s.Postern
	const document = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:Describe*","Resource":"*"}]}`
	tags := []iam.Tag{{Key: new("Name"), Value: new("thing")}}
	arn := postern.Call[iam.CreatePolicyOutput](p, iam.Service, "CreatePolicy", &iam.CreatePolicyInput{
		PolicyName: new("read"), Path: new("/net/"), Description: new("reads"), PolicyDocument: new(document), Tags: tags,
	}).Policy.Arn
	postern.Call[iam.CreatePolicyVersionOutput](p, iam.Service, "CreatePolicyVersion", &iam.CreatePolicyVersionInput{
		PolicyArn: arn, PolicyDocument: new(document + "\n"), SetAsDefault: new(true),
	})
	user := postern.Call[iam.CreateUserOutput](p, iam.Service, "CreateUser", &iam.CreateUserInput{
		UserName: new("ann"), Path: new("/eng/"), PermissionsBoundary: arn, Tags: tags,
	}).User
	postern.Call[iam.CreateGroupOutput](p, iam.Service, "CreateGroup", &iam.CreateGroupInput{GroupName: new("net")})
	postern.Call[iam.AddUserToGroupOutput](p, iam.Service, "AddUserToGroup", &iam.AddUserToGroupInput{UserName: user.UserName, GroupName: new("net")})
	postern.Call[iam.CreateRoleOutput](p, iam.Service, "CreateRole", &iam.CreateRoleInput{
		RoleName: new("reader"), Description: new("reads"), MaxSessionDuration: new(int32(7200)), PermissionsBoundary: arn, Tags: tags,
		AssumeRolePolicyDocument: new(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + *user.Arn + `"},"Action":"sts:AssumeRole"}]}`),
	})
	postern.Call[iam.AttachUserPolicyOutput](p, iam.Service, "AttachUserPolicy", &iam.AttachUserPolicyInput{UserName: user.UserName, PolicyArn: arn})
	postern.Call[iam.AttachGroupPolicyOutput](p, iam.Service, "AttachGroupPolicy", &iam.AttachGroupPolicyInput{GroupName: new("net"), PolicyArn: arn})
	postern.Call[iam.AttachRolePolicyOutput](p, iam.Service, "AttachRolePolicy", &iam.AttachRolePolicyInput{RoleName: new("reader"), PolicyArn: new("arn:aws:iam::aws:policy/ReadOnlyAccess")})
	postern.Call[iam.PutUserPolicyOutput](p, iam.Service, "PutUserPolicy", &iam.PutUserPolicyInput{UserName: user.UserName, PolicyName: new("own"), PolicyDocument: new(document)})
	key := postern.Call[iam.CreateAccessKeyOutput](p, iam.Service, "CreateAccessKey", &iam.CreateAccessKeyInput{UserName: user.UserName}).AccessKey
	postern.Call[iam.UpdateAccessKeyOutput](p, iam.Service, "UpdateAccessKey", &iam.UpdateAccessKeyInput{
		UserName: user.UserName, AccessKeyId: key.AccessKeyId, Status: new(iam.StatusTypeInactive),
	})
	postern.Call[iam.CreateAccountAliasOutput](p, iam.Service, "CreateAccountAlias", &iam.CreateAccountAliasInput{AccountAlias: new("of-a-form")})
}
