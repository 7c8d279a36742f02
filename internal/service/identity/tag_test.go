// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"testing"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
)

// TestTagsThatDifferByCase: keys of tags have case and condition keys have none, so that
// a request can put two tags which one condition is about. They help nobody.
func TestTagsThatDifferByCase(t *testing.T) {
	w := newWorld(t)
	twice := func(key, first, second string) ask {
		return ask{key: key, service: "ec2", operation: "CreateVpc", in: &ec2.CreateVpcInput{TagSpecifications: []ec2.TagSpecification{
			{ResourceType: new("vpc"), Tags: []ec2.Tag{{Key: new("team"), Value: &first}, {Key: new("TEAM"), Value: &second}}},
		}}}
	}
	allowed := w.user(mine, "ANN", statement("Allow", "ec2:*", "*", `"StringEquals":{"aws:RequestTag/team":"net"}`))
	denied := w.user(mine, "BEN", statement("Allow", "ec2:*", "*", ""), statement("Deny", "ec2:*", "*", `"StringNotEquals":{"aws:RequestTag/team":"net"}`))
	for name, key := range map[string]string{"an Allow": allowed, "a Deny": denied} {
		w.allowed(name+", and both are right", twice(key, "net", "net"))
		w.refused(name+", and the first one is wrong", "", twice(key, "web", "net"))
		w.refused(name+", and the second one is wrong", "", twice(key, "net", "web"))
	}
}
