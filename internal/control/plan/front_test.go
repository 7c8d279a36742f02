// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
)

// What endpoints to registered services have arrives in a namespace of its own behind the
// front's router, which is there as long as one of them leads there, whatever the APIs have.
func TestRegisteredServicesAreRelayedElsewhere(t *testing.T) {
	w := newWorld(t)
	rows := interfaceEndpoint()
	w.put(t, rows...)
	relay := func() (there, front bool) {
		for _, e := range w.plan.Entries() {
			if s, ok := e.(desired.Sandbox); ok {
				there, front = there || s.ID == model.RelaySandbox, front || s.ID == model.FrontSandbox
			}
		}
		return there, front
	}
	if there, front := relay(); there || !front {
		t.Errorf("an API has the relay: %v, and the front: %v", there, front)
	}
	service := &model.EndpointService{
		Meta: meta("vpce-svc-1"), Name: "com.example.store", Registered: true, Families: []string{"ipv4"},
		Targets: []model.ServiceTarget{{Address: "127.0.0.1", Port: 5000}}, Ports: []model.PortRange{{From: 80, To: 80}, {From: 443, To: 443}},
	}
	registered := find[*model.VPCEndpoint](t, rows).Clone()
	registered.ServiceName, registered.Service = service.Name, service.Ref()
	registered.Update(time.Unix(2, 0))
	w.put(t, service, registered)
	way := w.way()
	for _, want := range []string{
		"target vpc-front 240.8.0.9 dest=" + (model.TransitTarget{Index: 9}).RelayAddr(true).String() + " ",
		"endpoint vpc-a 10.0.1.100 target=240.8.0.9 ports=80,443\n",
	} {
		if !strings.Contains(way, want) {
			t.Errorf("no %q in\n%s", want, way)
		}
	}
	if there, _ := relay(); !there {
		t.Error("there is no relay")
	}
	gone := registered.Clone()
	gone.DeletedAt = time.Unix(3, 0)
	w.put(t, gone)
	if text := desired.Text(w.plan.Entries()); strings.Contains(text, "front") || strings.Contains(text, "relay") {
		t.Errorf("there is left\n%s", text)
	}
}
