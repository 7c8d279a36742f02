// SPDX-License-Identifier: Apache-2.0

package access

import (
	"encoding/json"

	"github.com/posternhq/postern/internal/policy"
)

// Explain gives the reasons of a denial as the JSON text that
// sts:DecodeAuthorizationMessage shows:
// https://docs.aws.amazon.com/STS/latest/APIReference/API_DecodeAuthorizationMessage.html.
// It must be called right after Decide. The resource is what the request calls it, and
// nothing is said of what it is: this is for whoever may read reasons, not resources.
func (r *Request) Explain(d *Decision) ([]byte, error) {
	if d.Denied == nil {
		return json.Marshal(explanation{})
	}
	x := explanation{ExplicitDeny: d.Verdict.Explicit, Context: explained{
		Principal: principal{r.Caller.UserID, r.Caller.ARN}, Action: d.Denied.Action, Resource: d.Denied.arn(d.Denied.Resource),
	}}
	x.Matched.Items, x.Failures.Items = []matched{}, []struct{}{}
	if d.Verdict.Explicit && !d.Verdict.Foreign {
		for _, m := range policy.Explain(&r.question).Matched {
			x.Matched.Items = append(x.Matched.Items, matched{m.Sid, "DENY"})
		}
	}
	f := facts{request: r, rules: r.facts.rules, ask: d.Denied, resource: d.Denied.Resource}
	if f.rules == nil {
		f.rules = &noRules
	}
	for _, key := range told {
		if values, ok := f.Values(key.lower); ok {
			c := condition{Key: key.shown}
			for _, v := range values {
				c.Values.Items = append(c.Values.Items, value{v})
			}
			x.Context.Conditions.Items = append(x.Context.Conditions.Items, c)
		}
	}
	return json.Marshal(x)
}

// told are the keys of conditions that explanations have.
var told = []struct{ lower, shown string }{
	{"aws:principalarn", "aws:PrincipalArn"}, {"aws:userid", "aws:userid"}, {"aws:username", "aws:username"},
	{"aws:requestedregion", "aws:RequestedRegion"}, {"aws:sourceip", "aws:SourceIp"}, {"aws:tagkeys", "aws:TagKeys"},
	{"ec2:region", "ec2:Region"}, {"ec2:createaction", "ec2:CreateAction"},
}

type explanation struct {
	Allowed      bool `json:"allowed"`
	ExplicitDeny bool `json:"explicitDeny"`
	Matched      struct {
		Items []matched `json:"items"`
	} `json:"matchedStatements"`
	Failures struct {
		Items []struct{} `json:"items"`
	} `json:"failures"`
	Context explained `json:"context"`
}

type matched struct {
	ID     string `json:"statementId"`
	Effect string `json:"effect"`
}

type explained struct {
	Principal  principal `json:"principal"`
	Action     string    `json:"action"`
	Resource   string    `json:"resource"`
	Conditions struct {
		Items []condition `json:"items"`
	} `json:"conditions"`
}

type principal struct {
	ID  string `json:"id"`
	ARN string `json:"arn"`
}

type condition struct {
	Key    string `json:"key"`
	Values struct {
		Items []value `json:"items"`
	} `json:"values"`
}

type value struct {
	Value string `json:"value"`
}
