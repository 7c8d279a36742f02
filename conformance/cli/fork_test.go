// SPDX-License-Identifier: Apache-2.0

package cli

import "testing"

// TestForksAreTheProgram checks that a command leaves the same in a fork as in a
// process that was started for it.
func TestForksAreTheProgram(t *testing.T) {
	t.Parallel()
	if forks == nil {
		t.Skip("the AWS CLI that is installed cannot be forked")
	}
	forked := newAccount(t)
	started := *forked
	started.exec = alone
	for _, command := range []string{
		"--version",
		"ec2 describe-vpcs --query Vpcs[].CidrBlock",
		"ec2 describe-vpcs --vpc-ids vpc-00000000000000000",
		"ec2 describe-vpcs --vpc-id",
		"--profile nobody ec2 describe-vpcs",
	} {
		if got, want := forked.run("%s", command), started.run("%s", command); got != want {
			t.Errorf("aws %s: a fork leaves\n%+v, a process\n%+v", command, got, want)
		}
	}
}
