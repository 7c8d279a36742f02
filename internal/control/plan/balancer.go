// SPDX-License-Identifier: Apache-2.0

package plan

import "github.com/posternhq/postern/internal/model"

// balanced says where connections of an endpoint to an endpoint service configuration
// arrive, in one family: at its network load balancer.
func (r *reading) balanced(s *model.EndpointService, is4 bool) *resource {
	return &resource{is4: is4, problem: "service " + s.Name + " has no load balancer"}
}
