// SPDX-License-Identifier: Apache-2.0

package plan

import "github.com/posternhq/postern/internal/model"

// fronted says where connections of an endpoint to an own or a relayed service arrive: in
// the realm of the front, by the endpoint's own transit targets. A resource is of one family, so
// each family is asked for by itself.
func (r *reading) fronted(ep *model.VPCEndpoint, is4 bool) *resource {
	return &resource{is4: is4, problem: "service " + ep.ServiceName + " is not there"}
}
