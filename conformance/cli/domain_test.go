// SPDX-License-Identifier: Apache-2.0

package cli

import "testing"

func TestDomainVerifications(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	id := c.ok("vpc-lattice start-domain-verification --domain-name db.example.com").at("id")
	c.ok("vpc-lattice get-domain-verification --domain-verification-identifier %s", id).is("status", "PENDING")
	c.ok("vpc-lattice list-domain-verifications").has("items", 1)
	c.ok("vpc-lattice delete-domain-verification --domain-verification-identifier %s", id)
	c.refused("ResourceNotFoundException", "vpc-lattice get-domain-verification --domain-verification-identifier %s", id)
}
