// SPDX-License-Identifier: Apache-2.0

package repotest

import (
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/posternhq/postern/"

// layers lists, for each folder, the folders of this module that it may
// import; a folder stands for everything below it. The longest match counts.
// docs/architecture.md explains the order.
var layers = map[string][]string{
	"internal/model":           {},
	"internal/seal":            {},
	"internal/authority":       {"internal/seal", "internal/state", "internal/table", "internal/model"},
	"internal/socket":          {},
	"internal/httplane":        {"internal/accept"},
	"internal/accept":          {},
	"internal/handshake":       {"internal/accept"},
	"internal/front":           {"internal/accept", "internal/dataplane/network"},
	"internal/front/relay":     {"internal/front", "internal/model"},
	"internal/outlive":         {},
	"internal/token":           {"internal/access", "internal/policy", "internal/seal"},
	"internal/desired":         {"internal/model"},
	"internal/store":           {"internal/store"},
	"internal/table":           {"internal/table", "internal/store"},
	"internal/state":           {"internal/state", "internal/table", "internal/store", "internal/model"},
	"internal/policy":          {"internal/policy", "internal/model"},
	"internal/share":           {"internal/organization", "internal/policy", "internal/state", "internal/table", "internal/model"},
	"internal/alloc":           {"internal/share", "internal/state", "internal/table", "internal/model"},
	"internal/dataplane":       {"internal/dataplane", "internal/desired", "internal/model", "internal/socket"},
	"internal/dataplane/names": {"internal/resolver", "internal/desired", "internal/outlive"},
	"internal/kernel":          {"internal/kernel", "internal/dataplane"},
	"internal/reconcile":       {"internal/reconcile", "internal/desired"},
	"internal/resolver":        {"internal/resolver", "internal/socket", "internal/desired", "internal/model", "internal/dataplane/network"},
	"internal/agent":           {"internal/agent", "internal/reconcile", "internal/desired"},
	"internal/agent/watch":     {"internal/agent", "internal/desired", "internal/model"},
	"internal/control":         {"internal/control", "internal/share", "internal/alloc", "internal/state", "internal/table", "internal/model", "internal/desired"},
	"internal/control/makers":  {"internal/share", "internal/alloc", "internal/state", "internal/table", "internal/store", "internal/model"},
	"internal/service":         {"internal/service", "internal/organization", "internal/share", "internal/alloc", "internal/state", "internal/table", "internal/model", "internal/desired", "internal/aws/shape", "internal/aws/fault", "internal/access", "internal/policy", "internal/trail", "internal/seal", "internal/authority", "internal/engine", "internal/token"},
	"internal/access":          {"internal/policy", "internal/model"},
	"internal/aws":             {"internal/aws", "internal/access"},
	"internal/aws/audit":       {"internal/aws", "internal/access", "internal/policy", "internal/model"},
	"internal/client":          {"internal/client", "internal/aws"},
	"internal/trail":           {},
	"internal/organization":    {"internal/state", "internal/table", "internal/model"},
	"internal/repotest":        {},
	"tool":                     {"tool", "internal/aws/schema"},
	"tool/simulate":            {"internal/policy"},

	// What runs databases knows them only, and the namespaces that they are in.
	"internal/engine":            {"internal/engine", "internal/socket"},
	"internal/engine/supervisor": {"internal/engine", "internal/socket", "internal/dataplane/network"},
	"internal/engine/keeper":     {"internal/engine", "internal/desired", "internal/model"},

	// What starts the binary knows nothing of its inside, and so do the clients.
	"test/janitor":  {},
	"test/child":    {"test/janitor"},
	"test/instance": {"test/child", "test/janitor"},
	"conformance":   {"conformance", "test/child", "test/instance"},
}

// effects lists packages from outside that a layer must not reach for, because
// what they do is another layer's.
var effects = map[string][]string{
	"internal/alloc":     {"net/http", "os", "os/exec", "github.com/vishvananda", "crypto/rand", "math/rand"},
	"internal/model":     {"net/http", "os", "os/exec", "github.com/vishvananda"},
	"internal/desired":   {"net/http", "os", "os/exec", "github.com/vishvananda"},
	"internal/control":   {"net/http", "os", "os/exec", "github.com/vishvananda", "crypto/rand", "math/rand"},
	"internal/service":   {"net/http", "os", "os/exec", "github.com/vishvananda"},
	"internal/reconcile": {"net/http", "os", "os/exec", "github.com/vishvananda"},
}

func TestLayersKeepOutOfOthersEffects(t *testing.T) {
	for _, s := range sources(t) {
		if s.test() {
			continue
		}
		for layer, forbidden := range effects {
			if !within(s.folder(), []string{layer}) {
				continue
			}
			for _, imp := range s.file.Imports {
				target, err := strconv.Unquote(imp.Path.Value)
				if err != nil {
					t.Fatal(err)
				}
				if within(target, forbidden) {
					t.Errorf("%s imports %s, which is not for %s", s.path, target, layer)
				}
			}
		}
	}
}

// wiring may import everything, but where layers say otherwise: these folders put
// the pieces together. Tests may, too: they need stand-ins from other layers.
var wiring = []string{"cmd", "internal/cli", "internal/daemon", "internal/demo", "bench", "test"}

func TestImportsPointDownwards(t *testing.T) {
	for _, s := range sources(t) {
		allowed, ok := layerOf(s.folder())
		if s.test() || strings.HasSuffix(s.folder(), "test") || !ok && within(s.folder(), wiring) {
			continue
		}
		if !ok {
			t.Errorf("%s is in no layer: say in layers what it may import", s.folder())
			continue
		}
		for _, imp := range s.file.Imports {
			target, err := strconv.Unquote(imp.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			target, ours := strings.CutPrefix(target, module)
			if ours && !within(target, allowed) {
				t.Errorf("%s imports %s, which its layer may not know", s.path, target)
			}
		}
	}
}

// rooms lists, for each noun of EC2, the nouns whose packages its own may know:
// what lies in another needs it, and never the other way round. What two need of
// each other lies below them: request, absence and block, or package state.
var rooms = map[string][]string{
	"request":         {},
	"block":           {},
	"absence":         {"request"},
	"acl":             {"request"},
	"address":         {"request"},
	"gateway":         {"request"},
	"dhcp":            {"request"},
	"nat":             {"request", "iface"},
	"peering":         {"request", "block"},
	"prefixlist":      {"request", "block"},
	"route":           {"request", "block"},
	"vpc":             {"request", "block"},
	"region":          {"request", "vpc"},
	"subnet":          {"request", "absence", "block", "vpc"},
	"group":           {"request", "absence", "block", "vpc"},
	"iface":           {"request", "group", "subnet", "vpc"},
	"endpoint":        {"request", "absence", "group", "iface", "subnet", "vpc"},
	"endpointservice": {"request", "endpoint"},
	"tag":             {"request"},
}

func TestRoomsOfEC2KnowThoseBelowThem(t *testing.T) {
	const house = "internal/service/ec2/"
	for _, s := range sources(t) {
		room, inside := strings.CutPrefix(s.folder(), house)
		if !inside || s.test() || strings.HasSuffix(room, "test") {
			continue
		}
		allowed, ok := rooms[room]
		if !ok {
			t.Errorf("%s is a new room: say in rooms which others it may know", s.folder())
			continue
		}
		for _, imp := range s.file.Imports {
			target, err := strconv.Unquote(imp.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			other, ours := strings.CutPrefix(target, module+house)
			if ours && !within(other, allowed) {
				t.Errorf("%s imports %s, which is no room below %s", s.path, other, room)
			}
		}
	}
}

func layerOf(folder string) ([]string, bool) {
	for dir := folder; dir != "." && dir != ""; dir = dir[:max(strings.LastIndex(dir, "/"), 0)] {
		if allowed, ok := layers[dir]; ok {
			return allowed, true
		}
	}
	return nil, false
}

func within(folder string, roots []string) bool {
	for _, r := range roots {
		if folder == r || strings.HasPrefix(folder, r+"/") {
			return true
		}
	}
	return false
}
