// SPDX-License-Identifier: Apache-2.0

package policytest

import (
	"fmt"
	"strings"

	"github.com/posternhq/postern/internal/policy"
)

const everything = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`

// TenTexts are ten policies as people have them: some statements each, with variables
// and conditions. The last one allows ec2:DeleteVpc under conditions of six families.
func TenTexts() []string {
	var texts []string
	for i := range 9 {
		texts = append(texts, fmt.Sprintf(`{"Version":"2012-10-17","Statement":[
			{"Effect":"Allow","Action":["rds:Describe*","rds:List*","iam:Get*","iam:List*","sts:AssumeRole"],"Resource":"*"},
			{"Effect":"Allow","Action":["ec2:CreateTags","ec2:DeleteTags","ec2:ModifyVpc*","vpc-lattice:Get*","vpc-lattice:List*"],
			 "Resource":["arn:aws:ec2:*:111122223333:vpc/vpc-%d*","arn:aws:vpc-lattice:*:*:servicenetwork/*"]},
			{"Effect":"Deny","Action":"ec2:Delete*","Resource":"*","Condition":{"StringNotEquals":{"aws:RequestedRegion":["us-east-1","eu-central-1"]},"Bool":{"aws:SecureTransport":"false"}}},
			{"Effect":"Allow","Action":"iam:*","Resource":"arn:aws:iam::111122223333:user/${aws:username}"}]}`, i))
	}
	return append(texts, `{"Version":"2012-10-17","Statement":{
		"Effect":"Allow","Action":["ec2:*Vpc*","vpc-lattice:*"],"Resource":"arn:aws:ec2:*:*:vpc/*","Condition":{
			"StringEquals":{"aws:ResourceTag/team":"${aws:PrincipalTag/team}"},"IpAddress":{"aws:SourceIp":["10.0.0.0/8","203.0.113.0/24"]},
			"DateGreaterThan":{"aws:CurrentTime":"2026-01-01T00:00:00Z"},"ForAllValues:StringLike":{"aws:TagKeys":["team","app-*"]},
			"NumericLessThan":{"aws:x":"100"},"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:user/*"}}}}`)
}

// Ten is a question of a user with these policies, which the last one allows.
func Ten() (*policy.Question, error) {
	ask := Ask{As: "user ann", Account: Account}
	p, err := ask.Principal()
	if err != nil {
		return nil, err
	}
	for _, text := range TenTexts() {
		n, err := named(policy.Identity, text)
		if err != nil {
			return nil, err
		}
		p.Identity = append(p.Identity, n)
	}
	return &policy.Question{
		Principal: p, Action: "ec2:DeleteVpc", Resource: "arn:aws:ec2:us-east-1:111122223333:vpc/vpc-0123456789abcdef0",
		ResourceAccount: Account,
		Context: Keys{
			"aws:requestedregion": {"us-east-1"}, "aws:securetransport": {"true"}, "aws:username": {"ann"}, "aws:sourceip": {"203.0.113.7"},
			"aws:resourcetag/team": {"red"}, "aws:principaltag/team": {"red"}, "aws:currenttime": {"2026-11-27T03:00:00Z"},
			"aws:tagkeys": {"team", "app-1"}, "aws:x": {"12.5"}, "aws:principalarn": {"arn:aws:iam::111122223333:user/ann"},
		},
	}, nil
}

// Layered is Ten with a boundary, a session policy, two levels of an organization, and a
// policy of the resource, which all allow.
func Layered() (*policy.Question, error) {
	q, err := Ten()
	if err != nil {
		return nil, err
	}
	var all []policy.Named
	for _, kind := range []policy.Kind{policy.Boundary, policy.Session, policy.Control, policy.Control} {
		n, err := named(kind, everything)
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	owner, err := named(policy.Resource, strings.Replace(everything, `"Action"`, `"Principal":{"AWS":"`+Account+`"},"Action"`, 1))
	if err != nil {
		return nil, err
	}
	p := q.Principal
	p.Boundary, p.Session, p.HasSession = &all[0], all[1:2], true
	p.Controls = [][]policy.Named{all[2:3], all[3:]}
	q.Resources = []policy.Named{owner}
	return q, nil
}

func named(kind policy.Kind, text string) (policy.Named, error) {
	d, err := policy.Parse(kind, text)
	return policy.Named{ARN: "arn:aws:iam::" + Account + ":policy/p", Name: "p", Document: d}, err
}
