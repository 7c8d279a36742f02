// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"

	"github.com/posternhq/postern/internal/kernel"
	"github.com/posternhq/postern/internal/store/etcdstore"
)

// Disk says how the embedded store of the folder and its disk are; false says
// that the folder has none. Whether a server runs does not matter.
func (f Folder) Disk() (kernel.Feature, bool) {
	if !f.holdsStore() {
		return kernel.Feature{}, false
	}
	feature := kernel.Feature{Name: "room for the store"}
	u, err := etcdstore.FolderUsage(f.path(etcdFolder))
	if err != nil {
		feature.Reason = err.Error()
		return feature, true
	}
	quota := ""
	if r, err := f.Running(); err == nil && r.StoreQuota > 0 {
		quota = fmt.Sprintf(" of %d MiB at most", r.StoreQuota>>20)
	}
	feature.Reason = fmt.Sprintf("the store in %s takes %d MiB%s, and %d MiB are free on its disk", f, u.Size>>20, quota, u.Free>>20)
	if feature.OK = u.Problem == ""; !feature.OK {
		feature.Advice = u.Problem + ". No change is taken; make room on the disk"
	}
	return feature, true
}
