// SPDX-License-Identifier: Apache-2.0

// Package managed has the policies that AWS keeps for everybody, as far as they
// are about what is served. Their names and ARNs are AWS's
// (https://docs.aws.amazon.com/aws-managed-policy/latest/reference/policy-list.html); what they allow is
// written for what is served here, and is in policies.json.
package managed

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/policy"
)

// Policy is one of AWS's managed policies. It does not change.
type Policy struct {
	// Name and ARN are AWS's; Path is between policy and the name, such as
	// /job-function/.
	Name, Path, ARN string
	// ID is ANPA… and the same everywhere: AWS's where that is public.
	ID string
	// Description is for users.
	Description string
	// Text is the document as GetPolicyVersion gives it, and Document the same read.
	Text     string
	Document *policy.Document
}

//go:embed policies.json
var source []byte

// policies reads policies.json once. That it can be read is tested.
var policies = sync.OnceValue(func() []*Policy {
	all, err := read(source)
	if err != nil {
		panic(err)
	}
	return all
})

func read(source []byte) ([]*Policy, error) {
	var raw []struct {
		Name, Path, ID, Description string
		Document                    json.RawMessage
	}
	decoder := json.NewDecoder(bytes.NewReader(source))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&raw); err != nil {
		return nil, fmt.Errorf("read managed policies: %w", err)
	}
	all := make([]*Policy, 0, len(raw))
	for _, r := range raw {
		p := &Policy{Name: r.Name, Path: r.Path, ID: r.ID, Description: r.Description}
		if p.Path == "" {
			p.Path = "/"
		}
		p.ARN = model.ARN("iam", "", "aws", "policy"+p.Path+p.Name)
		if p.ID == "" {
			p.ID = idOf(p.ARN)
		}
		var text bytes.Buffer
		if err := json.Indent(&text, r.Document, "", "    "); err != nil {
			return nil, fmt.Errorf("read managed policy %s: %w", r.Name, err)
		}
		p.Text = text.String()
		var err error
		if p.Document, err = policy.Parse(policy.Identity, p.Text); err != nil {
			return nil, fmt.Errorf("read managed policy %s: %w", r.Name, err)
		}
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b *Policy) int { return strings.Compare(a.ARN, b.ARN) })
	return all, nil
}

// idOf makes the unique id of a policy of which AWS's is not public.
func idOf(arn string) string {
	sum := sha256.Sum256([]byte(arn))
	return "ANPA" + base32.StdEncoding.EncodeToString(sum[:])[:17]
}

// Find gives a policy by ARN.
func Find(arn string) (*Policy, bool) {
	all := policies()
	i, found := slices.BinarySearchFunc(all, arn, func(p *Policy, arn string) int { return strings.Compare(p.ARN, arn) })
	if !found {
		return nil, false
	}
	return all[i], true
}

// All lists the policies by ARN.
func All() []*Policy { return slices.Clone(policies()) }
