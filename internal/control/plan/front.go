// SPDX-License-Identifier: Apache-2.0

package plan

import "github.com/posternhq/postern/internal/model"

// fronted says where connections of an endpoint to an own or a relayed service arrive: in
// the realm of the front, by the endpoint's own transit targets.
func (r *reading) fronted(ep *model.VPCEndpoint) *resource {
	return &resource{problem: "service " + ep.ServiceName + " is not there"}
}
