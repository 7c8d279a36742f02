// SPDX-License-Identifier: Apache-2.0

package nft_test

import (
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/dataplane/nft"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/test/lab"
)

// Rules from stock are what the nft program makes of the text, in a router that has rules
// of its own as well, and nobody starts the program for them.
func TestRulesFromStockAreThoseOfTheProgram(t *testing.T) {
	a, b := lab.NewNamespace(t), lab.NewNamespace(t)
	r := desired.Router{VPC: "vpc-a", Source4: lab.SourceA4, Source6: lab.SourceA6}
	made, stocked := lab.OpenTable(t, a, r), lab.OpenTable(t, b, r)
	var stock nft.Stock
	if err := stock.Fill(t.Context(), nft.Shares{}); err != nil {
		t.Fatal(err)
	}
	stocked.Draw(&stock)
	open := lab.Class("vpc-a", "c-open", lab.AnyRules, lab.AnyRules)
	steer := desired.Steer{VPC: "vpc-a", From: "eni-0123456789abcdef0", Table: 1}
	through := desired.Through{VPC: "vpc-a", ENI: "eni-0123456789abcdef0", Class: open.Name}
	for i, step := range []struct{ put, del []desired.Entry }{
		{put: []desired.Entry{open}},
		{put: []desired.Entry{steer}},
		{del: []desired.Entry{steer}},
		{put: []desired.Entry{through}},
		{put: []desired.Entry{steer}},
		{del: []desired.Entry{through}},
		{put: []desired.Entry{through}, del: []desired.Entry{steer}},
		{del: []desired.Entry{through}},
	} {
		if failed := made.Apply(t.Context(), step.put, step.del); failed != nil {
			t.Fatalf("step %d: %v", i, failed)
		}
		withoutPrograms(t, func() {
			if failed := stocked.Apply(t.Context(), step.put, step.del); failed != nil {
				t.Fatalf("step %d from stock: %v", i, failed)
			}
		})
		if got, want := chainsOf(b), chainsOf(a); !slices.Equal(got, want) {
			t.Errorf("step %d: from stock there is\n%s\nof the program\n%s", i, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		for _, table := range []*nft.Table{made, stocked} {
			if kept, err := table.Content(t.Context(), "vpc-a"); err != nil || !kept.Intact {
				t.Errorf("step %d: what is kept in mind is intact: %v, %v", i, kept.Intact, err)
			}
			if read, err := table.Dump(t.Context(), "vpc-a"); err != nil || !read.Intact || read.Source4 != r.Source4 || read.Source6 != r.Source6 {
				t.Errorf("step %d: what is read is intact: %v, with %s and %s, %v", i, read.Intact, read.Source4, read.Source6, err)
			}
		}
	}
}

// What is in no stock, and what somebody has changed, the program makes.
func TestRulesThatAreNotInStockAreMade(t *testing.T) {
	for _, c := range []struct {
		name   string
		fill   bool
		damage string
	}{{"an empty stock", false, ""}, {"a changed chain", true, "add rule inet postern srcnat accept"}} {
		t.Run(c.name, func(t *testing.T) {
			n := lab.NewNamespace(t)
			table := lab.OpenTable(t, n, desired.Router{VPC: "vpc-a", Source4: netip.MustParsePrefix("240.0.0.128/26")})
			var stock nft.Stock
			if c.fill {
				if err := stock.Fill(t.Context(), nft.Shares{}); err != nil {
					t.Fatal(err)
				}
			}
			table.Draw(&stock)
			if c.damage != "" {
				n.Nft(strings.Fields(c.damage)...)
			}
			steer := desired.Steer{VPC: "vpc-a", From: desired.Outside, Table: 1}
			for range 2 {
				for _, step := range []struct{ put, del []desired.Entry }{{put: []desired.Entry{steer}}, {del: []desired.Entry{steer}}} {
					if failed := table.Apply(t.Context(), step.put, step.del); failed != nil {
						t.Fatal(failed)
					}
					if read, err := table.Dump(t.Context(), "vpc-a"); err != nil || !read.Intact || len(read.Entries) != len(step.put) {
						t.Errorf("intact %v with %v, %v", read.Intact, read.Entries, err)
					}
				}
			}
		})
	}
}

// withoutPrograms does something while no program can be found.
func withoutPrograms(t *testing.T, do func()) {
	path := os.Getenv("PATH")
	t.Setenv("PATH", "")
	defer t.Setenv("PATH", path)
	do()
}

// chainsOf are the chains of a namespace, sorted.
func chainsOf(n *lab.Namespace) []string {
	var all []string
	for _, text := range strings.Split(n.Nft("list", "table", "inet", "postern"), "\n\tchain ")[1:] {
		all = append(all, strings.TrimRight(text, "}\n\t "))
	}
	slices.Sort(all)
	return all
}
