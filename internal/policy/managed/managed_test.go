// SPDX-License-Identifier: Apache-2.0

package managed_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/policy"
	"github.com/posternhq/postern/internal/policy/managed"
)

// served lists all actions that served operations ask for.
func served() []string {
	var actions []string
	for _, s := range access.Services {
		for _, o := range s.Operations {
			for _, n := range o.Needs {
				actions = append(actions, n.Action)
			}
		}
	}
	slices.Sort(actions)
	return slices.Compact(actions)
}

// known are actions and services of AWS that policies name and nothing here asks for
// (yet): https://docs.aws.amazon.com/service-authorization/latest/reference/.
var known = []string{
	"account:*", "account:Get*", "account:ListRegions", "route53domains:*", "vpc-lattice-svcs:Invoke",
	"cloudtrail:Describe*", "cloudtrail:DescribeTrails", "cloudtrail:Get*", "cloudtrail:List*",
	"ec2:List*", "ec2:Search*",
	"iam:ChangePassword", "iam:CreateServiceLinkedRole", "iam:DeleteServiceLinkedRole", "iam:GenerateCredentialReport",
	"iam:GetServiceLinkedRoleDeletionStatus", "iam:PassRole",
	"route53:Test*", "route53:TestDNSAnswer",
}

// planned are services whose actions are AWS's, but which are not served (yet).
var planned = regexp.MustCompile(`^(rds|organizations):(\*|Describe\*|List\*|[A-Z][A-Za-z]+)$`)

// actionsOf lists the actions that a text names.
func actionsOf(t *testing.T, p *managed.Policy) []string {
	var doc struct {
		Statement []struct{ Action, NotAction any }
	}
	if err := json.Unmarshal([]byte(p.Text), &doc); err != nil {
		t.Fatalf("%s: %v", p.Name, err)
	}
	var all []string
	for _, s := range doc.Statement {
		for _, v := range []any{s.Action, s.NotAction} {
			switch v := v.(type) {
			case string:
				all = append(all, v)
			case []any:
				for _, one := range v {
					all = append(all, fmt.Sprint(one))
				}
			}
		}
	}
	return all
}

// TestEveryActionIsServedOrKnown finds a misspelt action, and one that AWS does not have.
func TestEveryActionIsServedOrKnown(t *testing.T) {
	actions := served()
	for _, p := range managed.All() {
		for _, name := range actionsOf(t, p) {
			pattern := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(name), `\*`, ".*") + "$")
			if !slices.ContainsFunc(actions, pattern.MatchString) && !slices.Contains(known, name) && !planned.MatchString(name) {
				t.Errorf("%s names %s, which nothing asks for", p.Name, name)
			}
		}
	}
}

// TestPoliciesAreAsAWSHasThem checks names, ARNs and ids.
func TestPoliciesAreAsAWSHasThem(t *testing.T) {
	ids := map[string]bool{}
	for _, p := range managed.All() {
		if !regexp.MustCompile(`^ANPA[A-Z2-7]{17}$`).MatchString(p.ID) || ids[p.ID] {
			t.Errorf("%s has the id %s", p.Name, p.ID)
		}
		ids[p.ID] = true
		if p.ARN != "arn:aws:iam::aws:policy"+p.Path+p.Name {
			t.Errorf("%s has the ARN %s", p.Name, p.ARN)
		}
		if p.Document.Version() != "2012-10-17" || policy.Size(p.Text) > 6144 || p.Description == "" {
			t.Errorf("%s: version %q, %d characters, described as %q", p.Name, p.Document.Version(), policy.Size(p.Text), p.Description)
		}
		if found, ok := managed.Find(p.ARN); !ok || found != p {
			t.Errorf("%s is not found", p.ARN)
		}
	}
	for _, arn := range []string{"", "arn:aws:iam::aws:policy/ViewOnlyAccess", "arn:aws:iam::111122223333:policy/ReadOnlyAccess", "arn:aws:iam::aws:policy/ZZZ"} {
		if p, ok := managed.Find(arn); ok {
			t.Errorf("%s finds %s", arn, p.Name)
		}
	}
}

// allows asks a policy alone.
func allows(t *testing.T, name, action, resource string) bool {
	t.Helper()
	i := slices.IndexFunc(managed.All(), func(p *managed.Policy) bool { return p.Name == name })
	if i < 0 {
		t.Fatalf("there is no policy %s", name)
	}
	p := managed.All()[i]
	arn := "arn:aws:iam::111122223333:user/ann"
	return policy.Evaluate(&policy.Question{
		Principal: &policy.Principal{
			Kind: policy.User, Account: "111122223333", ARN: arn, Entity: arn, UniqueID: "AIDAANN22222222222222",
			Identity: []policy.Named{{ARN: p.ARN, Name: p.Name, Document: p.Document}},
		},
		Action: action, Resource: resource,
	}).Allowed
}

// reads reports whether an action only reads, by the words that AWS's names begin with.
func reads(action string) bool {
	_, name, _ := strings.Cut(action, ":")
	return regexp.MustCompile(`^(Describe|Get|List|Search|Lookup|Simulate|Test)[A-Z]`).MatchString(name) && name != "GetFederationToken"
}

// TestReadersDoNotWrite walks all that is served: who reads changes nothing, and the
// policy that reads everything does.
func TestReadersDoNotWrite(t *testing.T) {
	for _, action := range served() {
		for _, p := range managed.All() {
			reader := strings.Contains(p.Name, "ReadOnly") || strings.Contains(p.Name, "ViewOnly") || p.Name == "SecurityAudit"
			if reader && !reads(action) && allows(t, p.Name, action, "*") {
				t.Errorf("%s allows %s", p.Name, action)
			}
		}
		if reads(action) && !allows(t, "ReadOnlyAccess", action, "*") {
			t.Errorf("ReadOnlyAccess does not allow %s", action)
		}
	}
}

// TestFullAccessIsFull walks all that is served: what gives full access to a service
// allows all of it, and nothing that others' policies are for.
func TestFullAccessIsFull(t *testing.T) {
	full := map[string]string{
		"ec2": "AmazonEC2FullAccess", "vpc-lattice": "VPCLatticeFullAccess", "route53": "AmazonRoute53FullAccess", "iam": "IAMFullAccess",
		"ram": "AWSResourceAccessManagerFullAccess", "cloudtrail": "AWSCloudTrail_FullAccess", "organizations": "AWSOrganizationsFullAccess",
	}
	notOfVPCs := regexp.MustCompile(`^ec2:(Describe|Get|.*(Transit|Customer|Carrier)Gateway)`)
	for _, action := range served() {
		service, _, _ := strings.Cut(action, ":")
		if name := full[service]; name != "" && !allows(t, name, action, "*") {
			t.Errorf("%s does not allow %s", name, action)
		}
		if service == "ec2" && !notOfVPCs.MatchString(action) && !allows(t, "AmazonVPCFullAccess", action, "*") {
			t.Errorf("AmazonVPCFullAccess does not allow %s", action)
		}
		if !allows(t, "AdministratorAccess", action, "*") || action != "sts:GetCallerIdentity" && allows(t, "AWSDenyAll", action, "*") {
			t.Errorf("all and nothing are not so for %s", action)
		}
		power := service != "iam" && service != "organizations"
		if got := allows(t, "PowerUserAccess", action, "*"); got != power && action != "iam:ListRoles" && action != "organizations:DescribeOrganization" {
			t.Errorf("PowerUserAccess on %s is %v", action, got)
		}
		if service == "iam" && !reads(action) && action != "iam:PassRole" {
			for _, p := range managed.All() {
				if p.Name != "IAMFullAccess" && p.Name != "AdministratorAccess" && allows(t, p.Name, action, "*") {
					t.Errorf("%s allows %s", p.Name, action)
				}
			}
		}
	}
}
