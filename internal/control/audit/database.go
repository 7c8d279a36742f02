// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"slices"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
)

// databases wants a database instance to have an interface of its own, with the address
// that it listens at, and the writer of each database to be one of its instances. Nobody
// says anything of what does not exist.
func (a *auditor) databases() {
	for c := range state.DBClusters.All(a.tx) {
		i, ok := state.DBInstances.Get(a.tx, c.Account, c.Region, c.Writer)
		if ok && i.Cluster != c.ID { // one that is gone may have been the last
			a.wrong(name(state.DBClusters, c), "its writer %s is not one of its instances", c.Writer)
		}
	}
	for i := range state.DBInstances.All(a.tx) {
		c, member := state.DBClusters.Get(a.tx, i.Account, i.Region, i.Cluster)
		object := name(state.DBInstances, i)
		if i.IsRegistered() || member && c.IsRegistered() {
			if i.Interface != "" {
				a.wrong(object, "it is registered only, and has interface %s", i.Interface)
			}
			continue
		}
		ni, ok := state.NetworkInterfaces.Get(a.tx, i.Account, i.Region, i.Interface)
		switch {
		case !ok || ni.Owner != i.ID || ni.Type != model.InterfaceDatabase:
			a.wrong(object, "its interface %s does not exist, or is not its own", i.Interface)
		case !slices.Contains(ni.All(), i.Addr):
			a.wrong(object, "it has address %s, which its interface %s does not have", i.Addr, ni.ID)
		}
	}
	for s := range state.DatabaseStates.All(a.tx) {
		if !exists(a, s, state.DBClusters) && !exists(a, s, state.DBInstances) && !exists(a, s, state.DBSnapshots) {
			a.wrong(name(state.DatabaseStates, s), "it is the state of something that does not exist")
		}
	}
}
