// SPDX-License-Identifier: Apache-2.0

package state

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/table"
)

// plain are the texts in rows that name no row of a table, by kind; "*" are those
// of many kinds.
var plain = map[string]string{
	"*":                      "Account Region ID Name Description Zone ZoneID Type Tags",
	"account":                "Trust Alias DefaultVPCs",
	"access-key":             "Sealed Secret ARN UserID",
	"host":                   "Instance",
	"client-token":           "Operation Token Fingerprint Result",
	"election":               "Office Host", // a host that had the office may be gone
	"status":                 "State Reason Names.State Names.Reason Names.Domain",
	"vpc":                    "CIDRs CIDRs6 FormerCIDRs Tenancy",
	"subnet":                 "CIDR6 FormerCIDRs HostnameType",
	"route-table":            "MainAssociation",
	"dhcp-options":           "DomainName DomainNameServers IPv6Lease NTPServers NetBIOSNameServers NetBIOSNodeType",
	"security-group":         "Network Rules.GroupAccount Rules.ID Rules.Protocol Rules.Description Rules.Tags",
	"network-interface":      "MAC Network",
	"address-claim":          "Holder",
	"attachment":             "NamespaceName Device",
	"resource-gateway":       "Family DNSResolution",
	"resource-configuration": "Protocol CustomDomain GroupDomain DNS Targets.Zone DatabaseARN Part",
	"vpc-endpoint":           "IPAddressType DNSRecordType DNSPreference DNSDomains ServiceName Acceptance Policy Targets",
	"endpoint-association":   "EndpointSideID Lack",
	"transit-claim":          "Space",

	"target-group":     "Check CrossZone",
	"load-balancer":    "Targets.Zone",
	"endpoint-service": "Name Targets.Address Principals Families PrivateName Verification",

	"nat-gateway": "FailureCode FailureMessage",
	// An account that is asked may not exist.
	"vpc-peering-connection": "Code Message EndedBy Requester.Account Accepter.Account",
	"elastic-ip":             "Association",
	"prefix-list":            "Last Entries.Description Earlier.Entries.Description",

	"hosted-zone":                   "CallerReference Comment",
	"record-set":                    "Set Values Alias Routing", // what an alias leads to may be no hosted zone, or come and go
	"vpc-association-authorization": "VPC",                      // of an account that is not known
	"zone-change":                   "Comment",
	"domain-verification":           "Domain Label Value State Problem",

	"user":           "Path",
	"group":          "Path",
	"role":           "Path Trust Trusted.ARN",
	"policy":         "Path",
	"policy-version": "Document",
	"inline-policy":  "Document",
	"last-use":       "Service",

	"resource-share":    "Permissions.ResourceType",
	"share-association": "Principal ResourceARN ResourceType", // principals may be unknown
	"share-invitation":  "ShareName Receiver State",
	"permission":        "ResourceType Versions.Template",

	"organization":         "Root Services.Principal",
	"organization-account": "Email Request",
	"control-policy":       "Content",

	"db-parameter-group":         "Family Parameters",
	"db-cluster-parameter-group": "Family Parameters",
	// What a database began as may be gone, and which instance was preferred.
	"db-cluster":     "Identifier Engine Version Name MasterUser Password ManagedSecret Held Authority Snapshot BackupWindow MaintenanceWindow StorageType Zones Registered Prefer FinalSnapshot LifecycleSupport",
	"db-instance":    "Identifier Engine Version Name MasterUser Password ManagedSecret Held Authority Snapshot BackupWindow MaintenanceWindow StorageType Zones Registered Prefer FinalSnapshot Class DNS SubnetGroup Groups Writer LifecycleSupport PendingClass",
	"db-snapshot":    "Identifier Was Class Copied.Identifier Shared", // accounts that it is shared with may be unknown
	"db-event":       "SourceType Source SourceARN Message Categories",
	"database-state": "Phase Reason Version Replication ReplicationReason",
	"authority":      "Certificate Key",
}

// others are rows that name something where one that has everything does not.
var others = map[string]func() table.Row{
	"security-group referenced": func() table.Row {
		return &model.SecurityGroup{Rules: []model.SecurityGroupRule{{Group: "Rules.Group"}}}
	},
	"vpc-peering-connection vpc":   func() table.Row { return peering(model.PeeringActive) },
	"vpc-peering-connection party": func() table.Row { return peering(model.PeeringDeleted) },
}

func peering(code string) *model.PeeringConnection {
	side := func(vpc string) model.PeeringSide { return model.PeeringSide{VPC: vpc} }
	return &model.PeeringConnection{Requester: side("Requester.VPC"), Accepter: side("Accepter.VPC"), Code: code}
}

// TestEveryRowSaysWhatItNames fills the texts of a row of each kind with their
// places, and wants each to come back as what a relation names, or to be plain.
func TestEveryRowSaysWhatItNames(t *testing.T) {
	for _, rows := range Tables() {
		row := empty(rows)
		texts := map[string]bool{}
		fill(reflect.ValueOf(row).Elem(), "", texts)
		for _, r := range Relations() {
			if r.From != rows.Kind() {
				continue
			}
			named := r.Named(row)
			if other := others[r.From+" "+r.Name]; other != nil {
				named = append(named, r.Named(other())...)
			}
			if len(named) == 0 {
				t.Errorf("%s: relation %s names nothing in a row that has everything", r.From, r.Name)
			}
			for _, ref := range named {
				delete(texts, strings.TrimSuffix(ref.ID, ".ID"))
				delete(texts, ref.ID)
			}
		}
		for _, name := range strings.Fields(plain["*"] + " " + plain[rows.Kind()]) {
			for text := range texts {
				if text == name || strings.HasPrefix(text, name+".") {
					delete(texts, text)
				}
			}
		}
		for text := range texts {
			t.Errorf("%s: %s names something; declare a relation to it, or list it here as plain", rows.Kind(), text)
		}
	}
}

// empty gives a row of a table's type, which its methods tell.
func empty(t table.Any) table.Row {
	get, _ := reflect.TypeOf(t).MethodByName("Get")
	return reflect.New(get.Type.Out(0).Elem()).Interface().(table.Row)
}

// fill gives each text of a struct its place as its value, and what is no text a
// value that is not zero.
func fill(v reflect.Value, place string, texts map[string]bool) {
	switch value := v.Addr().Interface().(type) {
	case *model.Ref:
		*value = model.Ref{Account: "account", Region: "region", ID: place}
		texts[place] = true
		return
	case *time.Time:
		*value = time.Unix(1, 0)
		return
	case *netip.Addr:
		*value = netip.MustParseAddr("10.0.0.1")
		return
	case *netip.Prefix:
		*value = netip.MustParsePrefix("10.0.0.0/24")
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(place)
		texts[place] = true
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), place, texts)
	case reflect.Map:
		texts[place] = true
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			in := place
			if !f.Anonymous {
				in = strings.TrimPrefix(place+"."+f.Name, ".")
			}
			fill(v.Field(i), in, texts)
		}
	case reflect.Int, reflect.Int64, reflect.Uint16, reflect.Uint64, reflect.Bool, reflect.Int32:
	default:
		panic(fmt.Sprintf("%s is a %s, which this test cannot fill", place, v.Kind()))
	}
}

// TestRelationsAreWhole wants what deletion rules need.
func TestRelationsAreWhole(t *testing.T) {
	for _, r := range Relations() {
		if len(r.To) == 0 {
			t.Errorf("%s: relation %s leads nowhere", r.From, r.Name)
		}
		if r.Rule == Holds && r.holders == nil {
			t.Errorf("%s: relation %s holds, and nothing finds who does: declare it with an index", r.From, r.Name)
		}
	}
}
