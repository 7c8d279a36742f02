// SPDX-License-Identifier: Apache-2.0

package state_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/store/memstore"
	"github.com/posternhq/postern/internal/table"
)

// TestWritersSeeWhatIsStored draws rows of every kind, also odd ones: what the
// transaction that writes one sees, and the tables have afterwards, is what reading
// the stored text gives, to the last nil.
func TestWritersSeeWhatIsStored(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	checkWritten(t, random, state.Accounts)
	checkWritten(t, random, state.AccessKeys)
	checkWritten(t, random, state.Hosts)
	checkWritten(t, random, state.ClientTokens)
	checkWritten(t, random, state.Statuses)
	checkWritten(t, random, state.VPCs)
	checkWritten(t, random, state.Subnets)
	checkWritten(t, random, state.AddressClaims)
	checkWritten(t, random, state.RouteTables)
	checkWritten(t, random, state.RouteTableAssociations)
	checkWritten(t, random, state.PrefixLists)
	checkWritten(t, random, state.NetworkACLs)
	checkWritten(t, random, state.NetworkACLAssociations)
	checkWritten(t, random, state.DHCPOptions)
	checkWritten(t, random, state.NATGateways)
	checkWritten(t, random, state.SecurityGroups)
	checkWritten(t, random, state.NetworkInterfaces)
	checkWritten(t, random, state.Attachments)
	checkWritten(t, random, state.ResourceGateways)
	checkWritten(t, random, state.LoadBalancers)
	checkWritten(t, random, state.TargetGroups)
	checkWritten(t, random, state.Listeners)
	checkWritten(t, random, state.ResourceConfigurations)
	checkWritten(t, random, state.VPCEndpoints)
	checkWritten(t, random, state.EndpointServices)
	checkWritten(t, random, state.EndpointAssociations)
	checkWritten(t, random, state.TransitClaims)
	checkWritten(t, random, state.DomainVerifications)
	checkWritten(t, random, state.HostedZones)
	checkWritten(t, random, state.RecordSets)
	checkWritten(t, random, state.VPCAssociationAuthorizations)
	checkWritten(t, random, state.ZoneChanges)
	checkWritten(t, random, state.Users)
	checkWritten(t, random, state.Groups)
	checkWritten(t, random, state.Roles)
	checkWritten(t, random, state.Policies)
	checkWritten(t, random, state.PolicyVersions)
	checkWritten(t, random, state.InlinePolicies)
	checkWritten(t, random, state.LastUses)
	checkWritten(t, random, state.ResourceShares)
	checkWritten(t, random, state.ShareAssociations)
	checkWritten(t, random, state.ShareInvitations)
	checkWritten(t, random, state.Permissions)
	checkWritten(t, random, state.Organizations)
	checkWritten(t, random, state.OrganizationalUnits)
	checkWritten(t, random, state.OrganizationAccounts)
	checkWritten(t, random, state.ControlPolicies)
	checkWritten(t, random, state.DBInstances)
	checkWritten(t, random, state.DBClusters)
	checkWritten(t, random, state.DBSubnetGroups)
	checkWritten(t, random, state.DBParameterGroups)
	checkWritten(t, random, state.DBClusterParameterGroups)
	checkWritten(t, random, state.DBClusterEndpoints)
	checkWritten(t, random, state.DBSnapshots)
	checkWritten(t, random, state.DBEvents)
	checkWritten(t, random, state.DatabaseStates)
	checkWritten(t, random, state.Authorities)
}

const drawnRows = 150

func checkWritten[T table.Row](t *testing.T, random *rand.Rand, rows *table.Table[T]) {
	t.Run(rows.Kind(), func(t *testing.T) {
		kv := memstore.New()
		defer kv.Close()
		db, err := state.Open(t.Context(), kv, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		written := 0
		for range drawnRows {
			row := reflect.New(reflect.TypeFor[T]().Elem())
			draw(random, row.Elem())
			account, region, id := row.Interface().(T).RowKey()
			var within T
			_, err := db.Update(t.Context(), func(tx *table.Txn) error {
				rows.Put(tx, row.Interface().(T))
				within, _ = rows.Get(tx, account, region, id)
				return nil
			})
			if err != nil {
				continue // it has what JSON has not, such as half a letter in its key
			}
			written++
			after, _ := rows.Get(db.Snapshot(), account, region, id)
			want := stored[T](t, kv, rows.Kind(), account, region, id)
			for _, got := range []T{within, after} {
				if !reflect.DeepEqual(got, want) {
					t.Errorf("the writer sees\n%#v\nand stored is\n%#v", got, want)
				}
			}
		}
		if written < drawnRows/10 {
			t.Errorf("only %d of %d rows could be written", written, drawnRows)
		}
	})
}

// stored reads a row past the tables.
func stored[T table.Row](t *testing.T, kv *memstore.Store, kind, account, region, id string) T {
	t.Helper()
	key := table.StoredRows + table.Key{Kind: kind, Account: account, Region: region, ID: id}.String()
	value, _, err := kv.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	row := reflect.New(reflect.TypeFor[T]().Elem()).Interface().(T)
	if err := json.Unmarshal(value.Value, row); err != nil {
		t.Fatalf("read %s: %v", key, err)
	}
	return row
}

var (
	texts    = []string{"", "a", "vpc-0123456789abcdef0", "ä<&>\u2028\"\\", "111122223333", "half \xff letter", "a/b"}
	times    = []time.Time{{}, time.Now(), time.Now().UTC(), time.Unix(1, 5).UTC(), time.Now().In(time.FixedZone("", 3600))}
	addrs    = []netip.Addr{{}, netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fd00::1"), netip.MustParseAddr("::ffff:1.2.3.4"), netip.MustParseAddr("fe80::1%eth0")}
	prefixes = []netip.Prefix{{}, netip.MustParsePrefix("10.0.0.0/16"), netip.MustParsePrefix("fd00::/64"), netip.PrefixFrom(netip.MustParseAddr("10.0.0.1"), 99)}
)

func one[T any](random *rand.Rand, all []T) reflect.Value {
	return reflect.ValueOf(all[random.IntN(len(all))])
}

// draw fills a value with anything.
func draw(random *rand.Rand, v reflect.Value) {
	switch v.Interface().(type) {
	case time.Time:
		v.Set(one(random, times))
		return
	case netip.Addr:
		v.Set(one(random, addrs))
		return
	case netip.Prefix:
		v.Set(one(random, prefixes[:2+random.IntN(2)*(len(prefixes)-2)]))
		return
	}
	switch kind := v.Kind(); {
	case kind == reflect.Struct:
		for i := range v.NumField() {
			draw(random, v.Field(i))
		}
	case kind == reflect.String:
		v.SetString(one(random, texts).String())
	case kind == reflect.Bool:
		v.SetBool(random.IntN(2) == 0)
	case v.CanInt():
		v.SetInt(int64(random.IntN(3)))
	case v.CanUint():
		v.SetUint(uint64(random.IntN(3)))
	case kind == reflect.Slice:
		if n := random.IntN(4) - 1; n >= 0 {
			v.Set(reflect.MakeSlice(v.Type(), n, n))
			for i := range n {
				draw(random, v.Index(i))
			}
		}
	case kind == reflect.Map:
		if n := random.IntN(4) - 1; n >= 0 {
			v.Set(reflect.MakeMap(v.Type()))
			for range n {
				key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
				draw(random, key)
				draw(random, value)
				v.SetMapIndex(key, value)
			}
		}
	default:
		panic(fmt.Sprintf("nothing draws a %v", v.Type()))
	}
}
