// SPDX-License-Identifier: Apache-2.0

package service

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
)

func TestTagRules(t *testing.T) {
	many := func(n int) []Tag {
		var tags []Tag
		for i := range n {
			tags = append(tags, Tag{Key: fmt.Sprint(i)})
		}
		return tags
	}
	for _, test := range []struct {
		name string
		tags []Tag
		want string // part of the problem; empty for none
	}{
		{"none", nil, ""},
		{"longest", []Tag{{strings.Repeat("ü", 128), strings.Repeat("ü", 256)}}, ""},
		{"most", many(50), ""},
		{"too many", many(51), "51 tags"},
		{"no key", []Tag{{"", "x"}}, "must not be empty"},
		{"long key", []Tag{{strings.Repeat("k", 129), ""}}, "129 characters"},
		{"long value", []Tag{{"k", strings.Repeat("v", 257)}}, "257 characters"},
		{"reserved", []Tag{{"AWS:x", ""}}, "reserved"},
		{"reserved word without colon", []Tag{{"awsome", ""}}, ""},
		{"duplicate", []Tag{{"k", "1"}, {"k", "2"}}, "duplicate"},
	} {
		got, err := MakeTags(test.tags)
		if test.want == "" {
			if err != nil || len(got) != len(test.tags) {
				t.Errorf("%s: got %v, %v", test.name, got, err)
			}
			continue
		}
		var problem *TagError
		if !errors.As(err, &problem) || !strings.Contains(problem.Problem, test.want) {
			t.Errorf("%s: got %v, want %q", test.name, err, test.want)
		}
	}
}

func TestAddTagsLeavesItsArgumentsAlone(t *testing.T) {
	have, more := map[string]string{"a": "1", "b": "2"}, map[string]string{"b": "3"}
	got, err := AddTags(have, more)
	if err != nil || !maps.Equal(got, map[string]string{"a": "1", "b": "3"}) || have["b"] != "2" || len(more) != 1 {
		t.Errorf("got %v, %v; arguments are now %v and %v", got, err, have, more)
	}
}
