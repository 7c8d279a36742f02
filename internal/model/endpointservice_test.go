// SPDX-License-Identifier: Apache-2.0

package model

import "testing"

// What clients are configured with on AWS, with another domain.
func TestStandardNames(t *testing.T) {
	want := map[string]string{
		"ec2": "ec2.eu-west-1.example.", "iam": "iam.example.", "organizations": "organizations.us-east-1.example.", "sts": "sts.eu-west-1.example.",
	}
	for _, s := range OwnServices {
		if name, ok := want[s.Label]; ok && s.StandardName("eu-west-1", "example.") != name {
			t.Errorf("%s is called %s, want %s", s.Label, s.StandardName("eu-west-1", "example."), name)
		}
	}
}
