// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/posternhq/postern/conformance/harness"
	"github.com/posternhq/postern/test/child"
)

// TestExtension calls Postern's own service, whose model the AWS CLI takes like
// any other.
func TestExtension(t *testing.T) {
	t.Parallel()
	admin := newTerminal(t, server.Admin)
	made := admin.ok("postern create-account --account-id 222233334444 --name second")
	made.is("accountId", "222233334444")
	admin.refused("ConflictException", "postern create-account --account-id 222233334444")
	if accounts := admin.ok("postern list-accounts").at("accounts"); !strings.Contains(accounts, `"222233334444"`) {
		t.Errorf("the new account is not among %s", accounts)
	}
	second := harness.Key{Account: "222233334444", ID: made.at("accessKeyId"), Secret: made.at("secretAccessKey")}
	c := newTerminal(t, second)
	c.refused("AccessDeniedException", "postern create-account")
	admin.ok("postern get-status")
	admin.ok("postern get-desired")

	next := c.ok("postern rotate-access-key --access-key-id %s --disable", second.ID)
	c.refused("UnrecognizedClientException", "postern list-access-keys")
	c = newTerminal(t, harness.Key{Account: second.Account, ID: next.at("accessKeyId"), Secret: next.at("secretAccessKey")})
	c.ok("postern list-access-keys").has("accessKeys", 2)
	c.ok("postern update-access-key --access-key-id %s --enabled", second.ID).is("enabled", "true")
	c.ok("postern delete-access-key --access-key-id %s", second.ID)
	c.refused("ConflictException", "postern delete-access-key --access-key-id %s", next.at("accessKeyId"))
	admin.ok("postern create-access-key --account-id %s", second.Account).is("accountId", second.Account)
	admin.ok("postern update-account --account-id %s --disabled", second.Account).is("disabled", "true")
	c.refused("UnrecognizedClientException", "postern list-accounts")
	admin.ok("postern update-account --account-id %s --no-disabled", second.Account).is("disabled", "false")

	_, subnet := c.network()
	ni := c.ok("ec2 create-network-interface --subnet-id %s", subnet).at("NetworkInterface.NetworkInterfaceId")
	namespace := namespace(t)
	c.refused("AccessDeniedException", "postern attach-network-interface --network-interface-id %s --netns-name %s", ni, namespace)
	admin.ok("postern update-account --account-id %s --trusted", second.Account).is("trusted", "true")
	c.ok("postern attach-network-interface --network-interface-id %s --netns-name %s", ni, namespace)
	c.await("NetworkInterfaces.0.Status", "in-use", "ec2 describe-network-interfaces --network-interface-ids %s", ni)
	c.ok("postern get-attachment --network-interface-id %s", ni).is("networkInterfaceId", ni)
	c.ok("postern list-attachments").has("attachments", 1)
	c.refused("InvalidNetworkInterface.InUse", "ec2 delete-network-interface --network-interface-id %s", ni)
	c.ok("postern detach-network-interface --network-interface-id %s", ni)
	c.await("NetworkInterfaces.0.Status", "available", "ec2 describe-network-interfaces --network-interface-ids %s", ni)
	c.ok("ec2 delete-network-interface --network-interface-id %s", ni)
}

// namespace makes a network namespace that goes with the test.
func namespace(t *testing.T) string {
	t.Helper()
	instance, err := os.ReadFile(filepath.Join(server.Data, "instance"))
	if err != nil {
		t.Fatal(err)
	}
	name := "conformance-" + strings.TrimSpace(string(instance))
	if r := child.Exec(os.Environ(), "ip", "netns", "add", name); r.Status != 0 {
		t.Fatalf("make namespace %s: %s", name, r.Stderr)
	}
	t.Cleanup(func() {
		if r := child.Exec(os.Environ(), "ip", "netns", "del", name); r.Status != 0 {
			t.Errorf("remove namespace %s: %s", name, r.Stderr)
		}
	})
	return name
}

// TestDataFolderInUse starts a second Postern on the folder of the first.
func TestDataFolderInUse(t *testing.T) {
	t.Parallel()
	r := server.Command("up", "--listen", "127.0.0.1:0")
	if r.Status != 1 || !strings.Contains(r.Stderr, server.Data) {
		t.Errorf("got status %d, %s%s; want 1 and a sentence that names the folder", r.Status, r.Stdout, r.Stderr)
	}
}
