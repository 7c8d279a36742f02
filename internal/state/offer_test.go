// SPDX-License-Identifier: Apache-2.0

package state

import (
	"slices"
	"testing"

	"github.com/posternhq/postern/internal/model"
)

// AWS's clients ask for RDS by a name without a region in us-east-1, and in no other one.
func TestNamesThatClientsOfRDSSay(t *testing.T) {
	want := map[string][]string{
		"us-east-1": {"rds.us-east-1.example.", "rds.us-east-1.amazonaws.com.", "rds.amazonaws.com."},
		"eu-west-1": {"rds.eu-west-1.example.", "rds.eu-west-1.amazonaws.com."},
	}
	for region, names := range want {
		own, ok := model.OwnServiceOf(region, "com.amazonaws."+region+".rds")
		if !ok {
			t.Fatal("there is no such service")
		}
		var got []string
		for _, name := range (Offer{Name: own.Name(region), Region: region, Own: &own}).PrivateNames(Naming{Suffix: "example.", AWS: true}) {
			got = append(got, name.Name)
		}
		if !slices.Equal(got, names) {
			t.Errorf("%s: %q, want %q", region, got, names)
		}
	}
}
