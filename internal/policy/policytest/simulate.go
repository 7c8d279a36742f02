// SPDX-License-Identifier: Apache-2.0

package policytest

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/model"
)

// Simulation is a request of iam:SimulateCustomPolicy, as the AWS CLI reads it with
// --cli-input-json:
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulateCustomPolicy.html.
type Simulation struct {
	PolicyInputList                    []string
	PermissionsBoundaryPolicyInputList []string `json:",omitempty"`
	ActionNames, ResourceArns          []string
	ResourcePolicy                     string         `json:",omitempty"`
	ResourceOwner                      string         `json:",omitempty"`
	CallerArn                          string         `json:",omitempty"`
	ContextEntries                     []ContextEntry `json:",omitempty"`
}

// ContextEntry is a condition key of a simulation.
type ContextEntry struct {
	ContextKeyName   string
	ContextKeyValues []string
	ContextKeyType   string
}

// Simulation makes the request that asks the same, and false when the operation cannot
// ask it: about others than users, organizations, sessions, trust and shares, and what
// cannot be read.
func (a *Ask) Simulation() (s Simulation, ok bool) {
	kind, name, _ := strings.Cut(a.As, " ")
	if kind != "user" {
		return s, false
	}
	types := map[string]string{}
	for _, p := range a.Policies {
		switch {
		case p.Text == "":
			return s, false
		case p.Layer == "identity":
			s.PolicyInputList = append(s.PolicyInputList, p.Text)
		case p.Layer == "boundary" && s.PermissionsBoundaryPolicyInputList == nil:
			s.PermissionsBoundaryPolicyInputList = []string{p.Text}
		case p.Layer == "resource" && s.ResourcePolicy == "":
			s.ResourcePolicy = p.Text
		default:
			return s, false
		}
		keyTypes(p.Text, types)
	}
	if len(s.PolicyInputList) == 0 {
		// The operation wants one; this allows nothing.
		s.PolicyInputList = []string{`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sts:GetCallerIdentity","Resource":"*"}}`}
	}
	s.ActionNames, s.ResourceArns = []string{a.Action}, []string{a.Resource}
	s.CallerArn = model.ARN("iam", "", a.Account, "user/"+name)
	if a.Owner != "" {
		s.ResourceOwner = model.ARN("iam", "", a.Owner, "root")
	}
	for key, values := range a.Context {
		if len(values) == 0 {
			continue
		}
		e := ContextEntry{ContextKeyName: key, ContextKeyValues: values, ContextKeyType: types[key]}
		if e.ContextKeyType == "" {
			e.ContextKeyType = "string"
		}
		if len(values) > 1 && !strings.HasSuffix(e.ContextKeyType, "List") {
			e.ContextKeyType += "List"
		}
		s.ContextEntries = append(s.ContextEntries, e)
	}
	slices.SortFunc(s.ContextEntries, func(a, b ContextEntry) int { return strings.Compare(a.ContextKeyName, b.ContextKeyName) })
	return s, true
}

// keyTypes tells the types of keys by the operators that compare them.
func keyTypes(text string, types map[string]string) {
	var doc struct{ Statement json.RawMessage }
	type statement struct {
		Condition map[string]map[string]any
	}
	var statements []statement
	if json.Unmarshal([]byte(text), &doc) != nil {
		return
	}
	if json.Unmarshal(doc.Statement, &statements) != nil {
		var one statement
		if json.Unmarshal(doc.Statement, &one) != nil {
			return
		}
		statements = []statement{one}
	}
	for _, s := range statements {
		for name, block := range s.Condition {
			qualifier, operator, found := strings.Cut(name, ":")
			if !found {
				operator = qualifier
			}
			for key := range block {
				kind := keyType(operator)
				if found {
					kind += "List"
				}
				types[strings.ToLower(key)] = kind
			}
		}
	}
}

func keyType(operator string) string {
	for _, t := range [][2]string{
		{"Numeric", "numeric"}, {"Date", "date"}, {"Bool", "boolean"}, {"Binary", "binary"}, {"IpAddress", "ip"}, {"NotIpAddress", "ip"},
	} {
		if strings.HasPrefix(operator, t[0]) {
			return t[1]
		}
	}
	return "string"
}
