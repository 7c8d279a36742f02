// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// mistakesOfBalancers are those in load balancers, listeners and target groups.
func mistakesOfBalancers() map[string]mistake {
	balancer := func(id string, change func(*model.LoadBalancer, *model.NetworkInterface)) func(*table.Txn) {
		return func(tx *table.Txn) {
			ni := &model.NetworkInterface{Meta: meta("eni-lb"), VPC: "vpc-1", Subnet: "subnet-1", Type: model.InterfaceBalancer, Owner: id}
			b := &model.LoadBalancer{
				Meta: meta(id), VPC: "vpc-1", Subnets: []string{"subnet-1"}, Interfaces: []string{"eni-lb"},
				Targets: []model.TransitTarget{{Interface: "eni-lb", Index: 41}},
			}
			change(b, ni)
			state.LoadBalancers.Put(tx, b)
			state.NetworkInterfaces.Put(tx, ni)
			state.TransitClaims.Put(tx, &model.TransitClaim{Space: model.SpaceTarget, Index: 41, Owner: ref(id)})
		}
	}
	whole := func(*model.LoadBalancer, *model.NetworkInterface) {}
	listening := func(tx *table.Txn, balancers ...string) {
		state.TargetGroups.Put(tx, &model.TargetGroup{Meta: meta("web/1"), VPC: "vpc-1"})
		for i, b := range balancers {
			state.Listeners.Put(tx, &model.Listener{Meta: meta(b + "/" + string(rune('a'+i))), LoadBalancer: b, Port: 443, TargetGroup: "web/1"})
		}
	}
	return map[string]mistake{
		"a load balancer": {balancer("net/web/1", whole), ""},
		"a load balancer without a place": {func(tx *table.Txn) {
			balancer("net/web/1", whole)(tx)
			state.TransitClaims.Delete(tx, "", "", "target/41")
		}, "nothing claims its place target/41"},
		"a load balancer with too few targets": {balancer("net/web/1", func(b *model.LoadBalancer, _ *model.NetworkInterface) { b.Targets = nil }), "it has 1 subnets, 1 interfaces and 0 targets"},
		"a load balancer elsewhere": {balancer("net/web/1", func(_ *model.LoadBalancer, ni *model.NetworkInterface) {
			ni.Subnet = "subnet-2"
		}), "its interface eni-lb is in subnet-2, not in subnet-1"},
		"a load balancer with other groups": {balancer("net/web/1", func(b *model.LoadBalancer, _ *model.NetworkInterface) {
			b.Groups = []string{"sg-1"}
		}), "its interface eni-lb has the groups [], and it has [sg-1]"},
		"two listeners at a port": {func(tx *table.Txn) {
			balancer("net/web/1", whole)(tx)
			listening(tx, "net/web/1", "net/web/1")
		}, "it has port 443 of net/web/1/a"},
		"a group of two load balancers": {func(tx *table.Txn) { listening(tx, "net/web/1", "net/web/2") }, "it leads to web/1, as net/web/1 does"},
	}
}
