// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"testing"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/organization"
	"github.com/posternhq/postern/internal/policy/permission"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// TestPoliciesKnowWhoseASharedSubnetIs: a request names it by its id, policies by the ARN with
// its owner, and conditions ask for its owner's VPC. One that is not shared is the account's
// own for policies, if there is one or not.
func TestPoliciesKnowWhoseASharedSubnetIs(t *testing.T) {
	w := newWorld(t)
	const shared, unshared, vpc = "subnet-0123456789abcdef0", "subnet-0123456789abcdef1", "vpc-0123456789abcdef0"
	arn := func(account, kind, id string) string { return model.ARN("ec2", region, account, kind+"/"+id) }
	w.change(func(tx *table.Txn) {
		of := func(id string) model.Meta { return model.Meta{Account: theirs, Region: region, ID: id} }
		state.Organizations.Put(tx, &model.Organization{
			Meta: model.Meta{Account: mine, ID: "o-aaaaaaaaaa"}, Root: "r-aaaa", Services: []model.EnabledService{{Principal: organization.RAM}},
		})
		for _, id := range []string{shared, unshared} {
			state.Subnets.Put(tx, &model.Subnet{Meta: of(id), VPC: vpc})
		}
		state.VPCs.Put(tx, &model.VPC{Meta: of(vpc)})
		p, _ := permission.DefaultFor(permission.Subnet)
		state.ResourceShares.Put(tx, &model.ResourceShare{Meta: of("share"), Permissions: []model.SharePermission{{
			ResourceType: permission.Subnet, Permission: p.Name, Managed: true, Version: 1,
		}}})
		state.ShareAssociations.Put(tx, &model.ShareAssociation{
			Account: theirs, Region: region, Share: "share", ResourceARN: arn(theirs, "subnet", shared), ResourceType: permission.Subnet, Resource: of(shared).Ref(),
		})
		state.ShareAssociations.Put(tx, &model.ShareAssociation{Account: theirs, Region: region, Share: "share", Principal: mine})
	})
	plug := func(key, subnet string) ask {
		return ask{key: key, service: "ec2", operation: "CreateNetworkInterface", in: &ec2.CreateNetworkInterfaceInput{SubnetId: &subnet}}
	}
	interfaces := statement("Allow", "ec2:CreateNetworkInterface", arn(mine, "network-interface", "*"), "")
	ann := w.user(mine, "ANN", interfaces, statement("Allow", "ec2:CreateNetworkInterface", arn(theirs, "subnet", shared), ""))
	w.allowed("the subnet that a policy names", plug(ann, shared))
	denied := func(user, resource string) string {
		return "User: arn:aws:iam::" + mine + ":user/staff/" + user + " is not authorized to perform: ec2:CreateNetworkInterface on resource: " + resource +
			" because no identity-based policy allows the ec2:CreateNetworkInterface action"
	}
	w.refused("one that is not shared", denied("ANN", arn(mine, "subnet", unshared)), plug(ann, unshared))
	ben := w.user(mine, "BEN", interfaces, statement("Allow", "ec2:CreateNetworkInterface", arn(mine, "subnet", shared), ""))
	w.refused("the same id of the own account", denied("BEN", arn(mine, "subnet", shared)), plug(ben, shared))
	cid := w.user(mine, "CID", statement("Allow", "ec2:CreateNetworkInterface", "*", `"ArnEquals":{"ec2:Vpc":"`+arn(theirs, "vpc", vpc)+`"}`))
	w.allowed("a subnet of the VPC that a condition asks for", plug(cid, shared))
}
