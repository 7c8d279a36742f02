// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"maps"
	"slices"
	"testing"

	"github.com/posternhq/postern/internal/access"
)

// TestEveryKeyIsRead compares the table of actions with what is read here: each key of a
// kind has a reader, and none is read that the table does not have.
func TestEveryKeyIsRead(t *testing.T) {
	tabled := map[string][]string{}
	for _, service := range access.Services {
		for _, op := range service.Operations {
			for _, need := range op.Needs {
				for _, target := range need.Targets {
					for _, k := range target.Kinds {
						tabled[k.Service+":"+k.Type] = k.Keys
					}
				}
			}
		}
	}
	for kind, keys := range tabled {
		if got := slices.Sorted(maps.Keys(values[kind])); !slices.Equal(got, slices.Sorted(slices.Values(keys))) {
			t.Errorf("%s: keys %v are read, and the table has %v", kind, got, keys)
		}
	}
	for kind := range values {
		if tabled[kind] == nil {
			t.Errorf("%s is read, and is no kind of the table", kind)
		}
	}
	for kind := range finders {
		if _, ok := tabled[kind]; !ok && kind[:4] != "iam:" {
			t.Errorf("%s is found, and is no kind of the table", kind)
		}
	}
}

// TestWhatIsNamedBySomethingElseIsFound sees that each kind that some request names by
// something else than its id has a way to be found.
func TestWhatIsNamedBySomethingElseIsFound(t *testing.T) {
	for name, service := range access.Services {
		for operation, op := range service.Operations {
			for _, need := range op.Needs {
				for _, target := range need.Targets {
					if k := target.Kinds[0]; target.ByOther && finders[k.Service+":"+k.Type] == nil {
						t.Errorf("%s:%s names a %s by something else than its id, and nothing finds it", name, operation, k.Type)
					}
				}
			}
		}
	}
}
