// SPDX-License-Identifier: Apache-2.0

package audit

import "github.com/posternhq/postern/internal/state"

// endpointServices wants services of a region to have names of their own, and registered ones
// labels, by which their endpoints are called; registered ones to lead to something, and others
// to load balancers; and a private name that has to be verified to have a record.
func (a *auditor) endpointServices() {
	named, labelled := map[string]string{}, map[string]string{}
	for s := range state.EndpointServices.All(a.tx) {
		object := name(state.EndpointServices, s)
		own := func(taken map[string]string, what, value string) {
			key := s.Region + "/" + value
			if other := taken[key]; other != "" {
				a.wrong(object, "its %s %s is that of %s", what, value, other)
			}
			taken[key] = s.ID
		}
		own(named, "name", s.Name)
		own(labelled, "label", s.Label())
		switch {
		case s.Registered && (len(s.Targets) > 0) == (len(s.LoadBalancers) > 0):
			a.wrong(object, "it leads to %d targets and %d load balancers", len(s.Targets), len(s.LoadBalancers))
		case s.Registered && (len(s.Targets) > 0) != (len(s.Ports) > 0):
			a.wrong(object, "it has %d targets and %d ports", len(s.Targets), len(s.Ports))
		case !s.Registered && (len(s.Targets) > 0 || len(s.LoadBalancers) == 0):
			a.wrong(object, "nobody registered it, and it leads to %d targets and %d load balancers", len(s.Targets), len(s.LoadBalancers))
		case !s.Registered && (s.PrivateName == "") != (s.Verification.Label == "" && s.Verification.Value == ""):
			a.wrong(object, "its private name is %q, to be verified by %q", s.PrivateName, s.Verification.Label)
		}
		if len(s.Families) == 0 {
			a.wrong(object, "its endpoints can have no addresses")
		}
	}
}
