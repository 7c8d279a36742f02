// SPDX-License-Identifier: Apache-2.0

package model

import (
	"regexp"
	"strings"
	"testing"
)

// TestNamesOfDatabasesAreReadByDrivers holds the names against the pattern by which
// drivers of AWS tell what a name is for.
func TestNamesOfDatabasesAreReadByDrivers(t *testing.T) {
	of := Meta{Account: "111122223333", Region: "eu-west-1", ID: "blue"}
	cluster := &DBCluster{Meta: of, Database: Database{Identifier: "shop"}}
	custom := &DBClusterEndpoint{Meta: of}
	instance := &DBInstance{Meta: of, Database: Database{Identifier: "shop-1"}}
	pattern := regexp.MustCompile(`^([^.]+)\.(cluster-|cluster-ro-|cluster-custom-|)([a-zA-Z0-9]+)\.([a-zA-Z0-9-]+)\.rds\.amazonaws\.com\.$`)
	labels := map[string]bool{}
	for _, c := range []struct{ name, first, kind string }{
		{cluster.WriterName("rds.amazonaws.com."), "shop", "cluster-"},
		{cluster.ReaderName("rds.amazonaws.com."), "shop", "cluster-ro-"},
		{custom.NameIn("rds.amazonaws.com."), "blue", "cluster-custom-"},
		{instance.NameIn("rds.amazonaws.com."), "shop-1", ""},
	} {
		parts := pattern.FindStringSubmatch(c.name)
		if parts == nil || parts[1] != c.first || parts[2] != c.kind || parts[4] != "eu-west-1" {
			t.Errorf("%s is read as %q", c.name, parts)
			continue
		}
		labels[parts[3]] = true
		if normal, err := NormalName(c.name); err != nil || normal != c.name {
			t.Errorf("%s is not in normal form: %q, %v", c.name, normal, err)
		}
	}
	if len(labels) != 1 {
		t.Errorf("an account has the labels %v in one region", labels)
	}
	other := *instance
	other.Account = "444455556666"
	if other.NameIn("x.") == instance.NameIn("x.") {
		t.Error("two accounts have a name in common")
	}
	cluster.Registered = RegisteredDatabase{Ask: AskPostgres, Writer: "pg.prod.internal."}
	if writer, reader := cluster.WriterName("x."), cluster.ReaderName("x."); writer != "pg.prod.internal." || !strings.HasPrefix(reader, "shop.cluster-ro-") {
		t.Errorf("a registered database is called %s and %s", writer, reader)
	}
}
