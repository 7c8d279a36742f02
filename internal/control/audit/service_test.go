// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// mistakesOfServices are those in endpoint services.
func mistakesOfServices() map[string]mistake {
	put := func(id string, change func(*model.EndpointService)) func(*table.Txn) {
		return func(tx *table.Txn) {
			s := &model.EndpointService{
				Meta: meta(id), Name: "com.example." + id, Registered: true, Targets: []model.ServiceTarget{{Address: "127.0.0.1"}},
				Ports: []model.PortRange{{From: 443, To: 443}}, Families: []string{"ipv4"},
			}
			change(s)
			state.EndpointServices.Put(tx, s)
		}
	}
	whole := func(*model.EndpointService) {}
	two := func(change func(*model.EndpointService)) func(*table.Txn) {
		return func(tx *table.Txn) {
			put("one", whole)(tx)
			put("two", change)(tx)
		}
	}
	return map[string]mistake{
		"a registered service":         {put("one", whole), ""},
		"two services":                 {two(whole), ""},
		"two services of a name":       {two(func(s *model.EndpointService) { s.Name = "com.example.one" }), "its name com.example.one is that of one"},
		"two services of a label":      {two(func(s *model.EndpointService) { s.Name = "org.example.one" }), "its label one is that of one"},
		"a service of another region":  {two(func(s *model.EndpointService) { s.Name, s.Region = "com.example.one", "eu-west-1" }), ""},
		"a service that leads nowhere": {put("one", func(s *model.EndpointService) { s.Targets, s.Ports = nil, nil }), "it leads to 0 targets and 0 load balancers"},
		"a service without a port":     {put("one", func(s *model.EndpointService) { s.Ports = nil }), "it has 1 targets and 0 ports"},
		"a service without families":   {put("one", func(s *model.EndpointService) { s.Families = nil }), "its endpoints can have no addresses"},
		"a configuration with targets": {put("one", func(s *model.EndpointService) { s.Registered = false }), "nobody registered it"},
		"a name without a record": {func(tx *table.Txn) {
			put("one", func(s *model.EndpointService) {
				s.Registered, s.Targets, s.Ports, s.LoadBalancers, s.PrivateName = false, nil, nil, []string{"net/web/1"}, "api.example.com"
			})(tx)
		}, "its private name is \"api.example.com\", to be verified by \"\""},
		"a service of a load balancer that is gone": {put("one", func(s *model.EndpointService) {
			s.Targets, s.Ports, s.LoadBalancers = nil, nil, []string{"net/none/1"}
		}), "it refers to load-balancer net/none/1"},
	}
}
