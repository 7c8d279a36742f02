// SPDX-License-Identifier: Apache-2.0

package terraform

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/posternhq/postern/conformance/harness"
)

// TestStack makes consumers and providers in two accounts and regions, from one
// configuration, and does with them what Terraform's users do.
func TestStack(t *testing.T) {
	t.Parallel()
	here, there := server.NewAccount(t), server.NewAccount(t)
	before := inventory(t, here, harness.Region) + inventory(t, there, harness.OtherRegion)
	variables := []string{
		"TF_VAR_endpoint=" + server.URL,
		fmt.Sprintf(`TF_VAR_other={"account":%q,"id":%q,"secret":%q}`, there.Account, there.ID, there.Secret),
	}
	first := newWorkspace(t, "stack", here, variables...)
	first.apply()
	first.sees(here, harness.Region, "seen")
	first.sees(there, harness.OtherRegion, "other_seen")
	first.connects(here, harness.Region, "endpoint")
	first.connects(there, harness.OtherRegion, "other")

	second := newWorkspace(t, "stack", here, variables...)
	second.imports(first.resources()) // in place of a plan without changes
	second.apply("-var=changed=true")
	second.unchanged("after a change", "-var=changed=true")
	second.connects(here, harness.Region, "endpoint")
	second.destroy()
	if after := inventory(t, here, harness.Region) + inventory(t, there, harness.OtherRegion); after != before {
		t.Errorf("destroy left something:\n%s\nbefore there was:\n%s", after, before)
	}
}

// imports takes over what another workspace made, and checks that there is
// nothing else to do.
func (w *workspace) imports(made []resource) {
	w.t.Helper()
	var blocks strings.Builder
	for _, r := range made {
		fmt.Fprintf(&blocks, "import {\n  to = %s\n  id = %q\n}\n", r.Address, r.importID())
	}
	if err := os.WriteFile(filepath.Join(w.folder, "import.tf"), []byte(blocks.String()), 0o600); err != nil {
		w.t.Fatal(err)
	}
	out := w.apply()
	if want := fmt.Sprintf("Plan: %d to import, 0 to add, 0 to change, 0 to destroy.", len(made)); !strings.Contains(out, want) {
		w.t.Errorf("import is not %q:\n%s", want, out)
	}
}

// sees checks what data sources have found.
func (w *workspace) sees(key harness.Key, region, output string) {
	w.t.Helper()
	var got map[string]any
	w.output(output, &got)
	want := map[string]any{
		"account": key.Account, "region": region, "regions": 2.0, "zones": 3.0, "zone": "a", "vpc": "10.0.0.0/16", "same": true, "vpcs": 2.0,
		"default": []any{"172.31.0.0/16", 3.0}, "lists": true, "gateways": 0.0, "subnet": true, "subnets": 2.0, "group": true, "groups": 3.0, "rules": 4.0, "rule": 5432.0,
		"interfaces": true, "table": true, "tables": 1.0, "acls": true, "options": []any{"AmazonProvidedDNS"}, "endpoint": "Resource", "associations": 1.0,
	}
	if !reflect.DeepEqual(got, want) {
		w.t.Errorf("data sources in %s see\n%v, want\n%v", region, got, want)
	}
}

// importID is how the documentation of the resource's type says that it is
// imported.
func (r resource) importID() string {
	value := func(name string) string { return fmt.Sprint(r.Values[name]) }
	switch r.Type {
	case "aws_security_group_rule":
		id := []string{value("security_group_id"), value("type"), value("protocol"), value("from_port"), value("to_port")}
		for _, list := range []string{"cidr_blocks", "ipv6_cidr_blocks"} {
			for _, cidr := range r.Values[list].([]any) {
				id = append(id, cidr.(string))
			}
		}
		return strings.Join(id, "_")
	case "aws_network_interface_sg_attachment":
		return value("network_interface_id") + "_" + value("security_group_id")
	case "aws_vpc_endpoint_security_group_association":
		return value("vpc_endpoint_id") + "/" + value("security_group_id")
	case "aws_default_route_table", "aws_vpc_dhcp_options_association":
		return value("vpc_id")
	}
	return value("id")
}
