// SPDX-License-Identifier: Apache-2.0

package plan

import "github.com/posternhq/postern/internal/model"

// balanced says where connections of an endpoint to an endpoint service configuration
// arrive: at its network load balancer.
func (r *reading) balanced(s *model.EndpointService) *resource {
	return &resource{problem: "service " + s.Name + " has no load balancer"}
}
