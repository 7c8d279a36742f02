// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"fmt"
	"testing"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// BenchmarkDecide decides about a request of an account itself, and of a user with ten
// policies.
func BenchmarkDecide(b *testing.B) {
	w := newWorld(b)
	w.DB.OnlyWriter()
	user := w.user(mine, "ANN")
	w.change(func(tx *table.Txn) {
		var policies []string
		for i := range 10 {
			id := fmt.Sprintf("ANPA%d", i)
			policies = append(policies, id)
			state.Policies.Put(tx, &model.Policy{Meta: w.meta(mine, id), Name: id, Path: "/", Default: 1, Last: 1})
			state.PolicyVersions.Put(tx, &model.PolicyVersion{
				Account: mine, Policy: id, Number: 1, Document: statement("Allow", [...]string{"iam:*", "ec2:Describe*"}[i/9], "*", ""),
			})
		}
		u, _ := state.Users.Get(tx, mine, "", "AIDAANN")
		u = u.Clone()
		u.Policies = policies
		state.Users.Put(tx, u)
	})
	op := access.Services["ec2"].Operations["DescribeVpcs"]
	in := &ec2.DescribeVpcsInput{}
	for name, key := range map[string]string{"account": w.root[mine], "user": user} {
		c, ok, err := w.Lookup(b.Context(), key, "")
		if !ok || err != nil {
			b.Fatal(ok, err)
		}
		c.Caller.AccessKeyID, c.Caller.Region = key, region
		var room [3]access.Ask
		var r access.Request
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r = access.Request{Asked: access.Asked{Caller: &c.Caller, Operation: op, Input: in, Asks: op.Ask(room[:0], &c.Caller, in)}}
				if d, err := w.Decide(b.Context(), &r); err != nil || !d.Allowed {
					b.Fatal(d, err)
				}
			}
		})
	}
}
