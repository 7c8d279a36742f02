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
	for id, index := range map[string]table.Index[*model.NetworkInterface, model.Ref]{
		"vpc-1": NetworkInterfacesByVPC, "subnet-1": NetworkInterfacesBySubnet, "sg-2": NetworkInterfacesByGroup, "vpce-1": NetworkInterfacesByOwner,
	} {
		for account, want := range map[string]int{"111122223333": 1, "444455556666": 0} {
			if got := index.Count(db.Snapshot(), model.Ref{Account: account, Region: "us-east-1", ID: id}); got != want {
				t.Errorf("the index of %s in account %s finds %d rows, want %d", id, account, got, want)
			}
		}
	}
}
