// SPDX-License-Identifier: Apache-2.0

package system

import (
	"path/filepath"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/posternhq/postern/internal/store"
	"github.com/posternhq/postern/internal/table"
	"github.com/posternhq/postern/test/cluster"
	"github.com/posternhq/postern/test/postern"
)

// spoilRows makes one row of each kind of a stopped folder unreadable, of those
// that the test does not need. It gives what the rows were, by kind.
func spoilRows(t *testing.T, data string, needed func(key, value string) bool) map[string]store.KeyValue {
	t.Helper()
	spoilt := map[string]store.KeyValue{}
	inStore(t, data, func(kv store.Store) {
		for _, row := range stored(t, kv) {
			kind, _, _ := strings.Cut(row.Key[len(table.StoredRows):], "/")
			if _, done := spoilt[kind]; !done && !needed(row.Key, string(row.Value)) {
				spoilt[kind] = row
			}
		}
		for _, row := range spoilt {
			write(t, kv, put(row.Key, append([]byte("damage"), row.Value...)))
		}
	})
	return spoilt
}

// With a row of every kind unreadable, all else goes on: ways that do not depend
// on them carry connections, new ones are made, and status names each row.
func TestUnreadableRowsStopNobody(t *testing.T) {
	s := newPair(t)
	other := s.VPC("10.9.0.0/16")
	subnet := other.Subnet(0, "10.9.1.0/24")
	group := other.OpenGroup()
	subnet.Workload("10.9.1.10", group)
	other.Endpoint(s.resource, []*postern.Subnet{subnet}, group)
	gateway := other.Gateway("other", []*postern.Subnet{subnet}, []string{group})
	gateway.Configuration(s.server.IP, "5432")
	account := s.Command("account", "create", "444455556666")
	if account.Status != 0 {
		t.Fatal(account.Stderr)
	}
	s.Stop()
	ours := []string{s.consumer.ID, s.provider.ID, s.gateway.ID, s.resource.ID, s.endpoint.ID}
	spoilt := spoilRows(t, s.Data, func(key, value string) bool {
		for _, id := range ours {
			if strings.Contains(key+value, id) {
				return true
			}
		}
		for _, w := range []*postern.Workload{s.client, s.server} {
			if strings.Contains(key+value, w.ENI) {
				return true
			}
		}
		return strings.Contains(key, "/address-claim/") && (strings.Contains(key, s.clients.ID) || strings.Contains(key, s.servers.ID)) ||
			strings.Contains(key+value, "111122223333\"") && (strings.Contains(key, "/account/") || strings.Contains(key, "/access-key/")) || strings.Contains(key, "/host/")
	})
	if len(spoilt) < 15 {
		t.Errorf("only %d kinds of rows were spoilt: %v", len(spoilt), spoilt)
	}
	s.Up()
	expectAnswer(t, s.client, at(s.endpoint.Address()))
	more := s.consumer.Endpoint(s.resource, []*postern.Subnet{s.clients}, s.openClient)
	s.Await("an answer through a new endpoint", func() (bool, error) { return answers(s.client, at(more.Address())), nil })
	more.Delete()
	shown := map[string]string{}
	for _, r := range s.Status().Resources {
		if r.Reason != nil && strings.HasPrefix(*r.Reason, "set aside: ") {
			shown[*r.Kind] = *r.Reason
		}
	}
	for kind, row := range spoilt {
		if !strings.Contains(shown[kind], row.Key) {
			t.Errorf("status says %q of %s", shown[kind], row.Key)
		}
	}
	if said := s.Command("status", "--errors").Stdout; strings.Count(said, "set aside") != len(spoilt) {
		t.Errorf("postern status --errors:\n%s", said)
	}
	s.Stop()
	mendRows(t, s.Data, spoilt)
	s.Up()
	awaitSettled(t, s.Postern)
	if said := s.Command("status", "--errors").Stdout; strings.Contains(said, "set aside") {
		t.Errorf("postern status --errors after the rows were mended:\n%s", said)
	}
}

// The first account goes on when its own row cannot be read: its key is good, and it
// sees what is wrong.
func TestTheFirstAccountMayBeUnreadable(t *testing.T) {
	p := postern.Start(t)
	p.Stop()
	spoilt := spoilRows(t, p.Data, func(key, _ string) bool { return !strings.Contains(key, "/account/") })
	if len(spoilt) != 1 {
		t.Fatalf("%d rows are spoilt", len(spoilt))
	}
	p.Up()
	if _, err := createVPC(p); err != nil {
		t.Error(err)
	}
	if said := p.Command("status", "--errors").Stdout; !strings.Contains(said, spoilt["account"].Key) {
		t.Errorf("postern status --errors:\n%s", said)
	}
	p.Stop()
	mendRows(t, p.Data, spoilt)
	p.Up()
	if said := p.Command("status", "--errors").Stdout; strings.Contains(said, "set aside") {
		t.Errorf("postern status --errors after the row was mended:\n%s", said)
	}
}

// A host that this version cannot read has state in the cluster like any other.
func TestAHostThatIsUnreadableHoldsItsCluster(t *testing.T) {
	endpoint := cluster.Start(t, 0)
	etcd, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	defer etcd.Close()
	p := postern.Start(t, "--etcd", endpoint, "--host-name", "alpha")
	p.Stop()
	const key = "/postern/v1/row/host/-/-/alpha"
	row, err := etcd.Get(t.Context(), key)
	if err == nil {
		_, err = etcd.Put(t.Context(), key, "damage")
	}
	if err != nil {
		t.Fatal(err)
	}
	other := postern.Begin(t, nil, "up", "--data", filepath.Join(t.TempDir(), "beta"), "--listen", "127.0.0.1:0", "--etcd", endpoint, "--host-name", "beta").Wait()
	if other.Status != 1 || !strings.Contains(other.Stderr, "belongs to host alpha") {
		t.Errorf("another host beside one that cannot be read: %+v", other)
	}
	p.Up()
	p.Stop()
	if _, err := etcd.Put(t.Context(), key, string(row.Kvs[0].Value)); err != nil {
		t.Fatal(err)
	}
	p.Up()
}

// mendRows checks that spoilt rows are in the store as they were left, and makes
// them what they were.
func mendRows(t *testing.T, data string, spoilt map[string]store.KeyValue) {
	t.Helper()
	inStore(t, data, func(kv store.Store) {
		for _, row := range spoilt {
			got, _, err := kv.Get(t.Context(), row.Key)
			if err != nil || string(got.Value) != "damage"+string(row.Value) {
				t.Errorf("row that was set aside is %q, %v", got.Value, err)
			}
			write(t, kv, put(row.Key, row.Value))
		}
	})
}
