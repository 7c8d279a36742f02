// SPDX-License-Identifier: Apache-2.0

package system

import (
	"github.com/posternhq/postern/internal/aws/shape/ram"
	"github.com/posternhq/postern/test/postern"
)

// fillShares makes a permission with versions, a share with it that an account is invited to,
// and one that was deleted.
func fillShares(s *pair, account string) {
	p := s.Postern
	tags := []ram.Tag{{Key: new("Name"), Value: new("thing")}}
	permission := postern.Call[ram.CreatePermissionOutput](p, ram.Service, "CreatePermission", &ram.CreatePermissionInput{
		Name: new("reading"), ResourceType: new("vpc-lattice:ResourceConfiguration"), Tags: tags,
		PolicyTemplate: new(`{"Effect":"Allow","Action":"vpc-lattice:GetResourceConfiguration"}`),
	}).Permission.Arn
	postern.Call[ram.CreatePermissionVersionOutput](p, ram.Service, "CreatePermissionVersion", &ram.CreatePermissionVersionInput{
		PermissionArn: permission, PolicyTemplate: new(`{"Effect":"Allow","Action":["vpc-lattice:Get*"]}`),
	})
	postern.Call[ram.CreateResourceShareOutput](p, ram.Service, "CreateResourceShare", &ram.CreateResourceShareInput{
		Name: new("offered"), ResourceArns: []string{s.resource.ARN}, Principals: []string{account}, PermissionArns: []string{*permission}, Tags: tags,
		ResourceShareConfiguration: &ram.ResourceShareConfiguration{RetainSharingOnAccountLeaveOrganization: new(true)},
	})
	s.Unshare(s.resource.Share(account))
}
