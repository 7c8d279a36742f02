// SPDX-License-Identifier: Apache-2.0

package state

import (
	"log/slog"
	"testing"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/store/memstore"
	"github.com/posternhq/postern/internal/table"
)

func TestInterfacesAreFoundByWhatTheyReferTo(t *testing.T) {
	db, err := Open(t.Context(), memstore.New(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	row := &model.NetworkInterface{
		Meta: model.Meta{Account: "111122223333", Region: "us-east-1", ID: "eni-1"},
		VPC:  "vpc-1", Subnet: "subnet-1", Groups: []string{"sg-1", "sg-2"}, Owner: "vpce-1",
	}
	if _, err := db.Update(t.Context(), func(tx *table.Txn) error {
		NetworkInterfaces.Put(tx, row)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for index, id := range map[string]string{ByVPC: "vpc-1", BySubnet: "subnet-1", ByGroup: "sg-2", ByOwner: "vpce-1"} {
		for account, want := range map[string]int{"111122223333": 1, "444455556666": 0} {
			if got := NetworkInterfaces.Count(db.Snapshot(), index, In(account, "us-east-1", id)); got != want {
				t.Errorf("index %s of %s in account %s finds %d rows, want %d", index, id, account, got, want)
			}
		}
	}
}
