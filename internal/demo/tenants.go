// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"fmt"
	"strings"

	"github.com/posternhq/postern/internal/aws/shape/iam"
	"github.com/posternhq/postern/internal/aws/shape/postern"
	"github.com/posternhq/postern/internal/aws/shape/sts"
	"github.com/posternhq/postern/internal/client"
)

// tenantsPicture is who shares what with whom in the fourth story.
const tenantsPicture = `
    customers' VPCs, each 10.0.0.0/16         │      the vendor's VPC  10.0.0.0/16
                                              │
    alpha  10.0.1.x ───▶ endpoint 10.0.1.100 ─┼─┐
    beta   10.0.1.x ───▶ endpoint 10.0.1.100 ─┼─┼─▶ gateway ──▶ 10.0.1.10:80
    gamma  10.0.1.x ───▶ endpoint 10.0.1.100 ─┼─┘
    stranger knows the ARN ──▶ nothing        │
                                              │
      five accounts; the vendor invites three, and each accepts with a role
      that may do just this`

const (
	operatorRole = "endpoint-operator"
	readerUser   = "auditor"
	vendorPage   = "the vendor's service"
)

// operatorPolicy is what a customer's operator may do, and nothing else.
const operatorPolicy = `{"Version":"2012-10-17","Statement":[
  {"Effect":"Allow","Action":["ram:GetResourceShareInvitations","ram:AcceptResourceShareInvitation"],"Resource":"*"},
  {"Effect":"Allow","Action":["vpc-lattice:GetResourceConfiguration","ec2:CreateVpcEndpoint","ec2:DescribeVpcEndpoints"],"Resource":"*"}]}`

// readerPolicy is the one of AWS's managed policies that the auditor has.
const readerPolicy = "arn:aws:iam::aws:policy/AmazonVPCReadOnlyAccess"

// tenancy is what the fourth story makes.
type tenancy struct {
	vendor, stranger *tenant
	customers        []*tenant // alpha, beta and gamma
	shareARN         string
}

// tenant is an account and those who act in it.
type tenant struct {
	name, account          string
	root, operator, reader *client.Client
	// environment has the root's key, which programs run with.
	environment []string
	world       world
	keeping     *process
}

// tenants is the story of accounts: who shares what with whom, and who may do what.
func (d *demo) tenants() story {
	return story{"a vendor, three customers, and a stranger", tenantsPicture, "", []step{
		{"Start Postern in a temporary folder", d.startPostern},
		{"Five accounts, whose networks all have the same addresses", d.makeTenants},
		{"Each customer has a role that may accept and open endpoints, and nothing else", d.makeOperators},
		{"The vendor offers its service: gateway and configuration", d.offerService},
		{"It shares the configuration with three accounts, who are invited", d.shareService},
		{"Before accepting, a customer gets nothing", d.showNotAccepted},
		{"Each customer accepts and makes an endpoint, in its role", d.acceptShares},
		{"Each reaches the service, whose addresses are also its own", d.reachService},
		{"A stranger who knows the ARN gets nothing", d.showStranger},
		{"The role may do no more than it was given", d.showOperatorLimits},
		{"A user who may read looks, and may not touch", d.showReader},
		{"The vendor takes the share back from beta: what is there goes on, new is refused", d.unshareBeta},
		{"The vendor cuts gamma; the others go on", d.cutGamma},
		{"What the audit trail has of that", d.showTrail},
	}}
}

// act lets a tenant make the next calls with one of its keys.
func (d *demo) act(t *tenant, api *client.Client, as string) {
	d.screen.command("# " + strings.TrimSpace(t.name+" "+as))
	d.api, d.world, d.acting = api, &t.world, t.environment
}

// actAsRoot lets a tenant make the next calls as the account itself.
func (d *demo) actAsRoot(t *tenant) { d.act(t, t.root, "") }

func (d *demo) makeTenants(ctx context.Context) error {
	y := &d.tenancy
	y.vendor, y.stranger = &tenant{name: "vendor"}, &tenant{name: "stranger"}
	y.customers = []*tenant{{name: "alpha"}, {name: "beta"}, {name: "gamma"}}
	all := append([]*tenant{y.vendor, y.stranger}, y.customers...)
	for _, t := range all {
		if err := d.makeAccount(ctx, t); err != nil {
			return err
		}
	}
	for _, t := range all {
		d.actAsRoot(t)
		if err := d.makeTenantNetwork(ctx, t); err != nil {
			return err
		}
	}
	d.screen.done("five VPCs of five accounts, all %s", networkCIDR)
	return nil
}

// makeAccount makes a tenant's account, with a key for its root.
func (d *demo) makeAccount(ctx context.Context, t *tenant) error {
	d.screen.command("postern account create --name " + t.name)
	out, err := quietly[postern.CreateAccountOutput](ctx, d, postern.Service, "CreateAccount", &postern.CreateAccountInput{Name: &t.name})
	if err != nil {
		return err
	}
	a := d.postern.Access()
	t.account = *out.AccountId
	t.root = client.New(a.URL, a.Region, *out.AccessKeyId, *out.SecretAccessKey)
	t.environment = []string{
		"AWS_ENDPOINT_URL=" + a.URL, "AWS_REGION=" + a.Region,
		"AWS_ACCESS_KEY_ID=" + *out.AccessKeyId, "AWS_SECRET_ACCESS_KEY=" + *out.SecretAccessKey,
	}
	d.screen.say(t.name + " is account " + t.account)
	return nil
}

// makeTenantNetwork makes a tenant's VPC, with the groups of what will be in it.
func (d *demo) makeTenantNetwork(ctx context.Context, t *tenant) error {
	n, err := d.makeNetwork(ctx)
	if err != nil {
		return err
	}
	w := &t.world
	if t == d.tenancy.vendor {
		w.provider = n
		if w.gatewayGroup, err = d.makeGroup(ctx, n, "gateway", "the resource gateway"); err != nil {
			return err
		}
		if w.databaseGroup, err = d.makeGroup(ctx, n, "service", "the service"); err != nil {
			return err
		}
		return d.admit(ctx, w.databaseGroup, w.gatewayGroup, ports{80, 80})
	}
	w.consumer = n
	if w.clientGroup, err = d.makeGroup(ctx, n, "client", "those who ask"); err != nil {
		return err
	}
	if w.endpointGroup, err = d.makeGroup(ctx, n, "endpoint", "the endpoint to the vendor"); err != nil {
		return err
	}
	return d.admit(ctx, w.endpointGroup, w.clientGroup, ports{80, 80})
}

// makeOperators gives each customer a role, and a user of the first one a policy to read.
func (d *demo) makeOperators(ctx context.Context) error {
	for _, t := range d.tenancy.customers {
		d.actAsRoot(t)
		if err := d.makeOperator(ctx, t); err != nil {
			return err
		}
	}
	t := d.tenancy.customers[0]
	d.actAsRoot(t)
	if _, err := call[iam.CreateUserOutput](ctx, d, iam.Service, "CreateUser", &iam.CreateUserInput{UserName: new(readerUser)}); err != nil {
		return err
	}
	if _, err := call[iam.AttachUserPolicyOutput](ctx, d, iam.Service, "AttachUserPolicy",
		&iam.AttachUserPolicyInput{UserName: new(readerUser), PolicyArn: new(readerPolicy)}); err != nil {
		return err
	}
	var err error
	if t.reader, err = d.keyOf(ctx, readerUser); err != nil {
		return err
	}
	d.screen.done("three roles, and %s's user %s who may only read", t.name, readerUser)
	return nil
}

// makeOperator makes the role and the user who may assume it, and assumes it.
func (d *demo) makeOperator(ctx context.Context, t *tenant) error {
	user, err := call[iam.CreateUserOutput](ctx, d, iam.Service, "CreateUser", &iam.CreateUserInput{UserName: new("operator")})
	if err != nil {
		return err
	}
	trust := fmt.Sprintf(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"%s"},"Action":"sts:AssumeRole"}}`, *user.User.Arn)
	role, err := call[iam.CreateRoleOutput](ctx, d, iam.Service, "CreateRole",
		&iam.CreateRoleInput{RoleName: new(operatorRole), AssumeRolePolicyDocument: &trust})
	if err != nil {
		return err
	}
	if _, err := call[iam.PutRolePolicyOutput](ctx, d, iam.Service, "PutRolePolicy",
		&iam.PutRolePolicyInput{RoleName: new(operatorRole), PolicyName: new("endpoints"), PolicyDocument: new(operatorPolicy)}); err != nil {
		return err
	}
	own, err := d.keyOf(ctx, "operator")
	if err != nil {
		return err
	}
	d.act(t, own, "as user operator")
	session, err := call[sts.AssumeRoleOutput](ctx, d, sts.Service, "AssumeRole",
		&sts.AssumeRoleInput{RoleArn: role.Role.Arn, RoleSessionName: new(t.name)})
	if err != nil {
		return err
	}
	c, a := session.Credentials, d.postern.Access()
	t.operator = client.New(a.URL, a.Region, *c.AccessKeyId, *c.SecretAccessKey).WithSessionToken(*c.SessionToken)
	return nil
}

// keyOf makes an access key of a user.
func (d *demo) keyOf(ctx context.Context, user string) (*client.Client, error) {
	out, err := call[iam.CreateAccessKeyOutput](ctx, d, iam.Service, "CreateAccessKey", &iam.CreateAccessKeyInput{UserName: &user})
	if err != nil {
		return nil, err
	}
	a := d.postern.Access()
	return client.New(a.URL, a.Region, *out.AccessKey.AccessKeyId, *out.AccessKey.SecretAccessKey), nil
}
