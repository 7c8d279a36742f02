// SPDX-License-Identifier: Apache-2.0

package system

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/store"
)

// expectFindings runs `postern verify` and wants a line with each of these words,
// and no others.
func expectFindings(t *testing.T, s *pair, words ...string) {
	t.Helper()
	r := s.Command("verify")
	lines := strings.Split(strings.TrimSpace(r.Stdout), "\n")
	findings := lines[:len(lines)-1]
	if want := min(len(words), 1); r.Status != want || len(findings) != len(words) {
		t.Errorf("postern verify: status %d, %s%s\nwant %q", r.Status, r.Stdout, r.Stderr, words)
	}
	for _, w := range words {
		if !strings.Contains(strings.Join(findings, "\n"), w) {
			t.Errorf("postern verify says nothing of %q:\n%s", w, r.Stdout)
		}
	}
}

// What somebody has done to the kernel or to rows is found and named, while
// Postern runs and when it does not.
func TestVerifyFindsWhatIsWrong(t *testing.T) {
	s := newPair(t, "--verify-interval", "1h")
	awaitSettled(t, s.Postern)
	expectFindings(t, s)
	router := "postern-" + s.Mark() + "-" + s.consumer.ID
	inRouter := func(arguments string) {
		t.Helper()
		command := append([]string{"netns", "exec", router}, strings.Fields(arguments)...)
		if out, err := exec.Command("ip", command...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", arguments, err, out)
		}
	}
	wrong := "router " + s.consumer.ID + " self: the kernel has"
	inRouter("ip route add 10.77.0.0/16 dev lo proto 78")
	expectFindings(t, s, wrong)
	s.Stop()
	expectFindings(t, s, wrong)
	inRouter("ip route del 10.77.0.0/16")
	expectFindings(t, s)
	expectAnswer(t, s.client, at(s.endpoint.Address()))

	undo := breakRows(t, s)
	expectFindings(t, s, "nothing claims its address "+s.clients.ID+"/10.0.1.10", "address-claim/111122223333/us-east-1/"+s.servers.ID+"%2F10.0.1.10: it refers to network-interface eni-none",
		"its address "+s.servers.ID+"/10.0.1.10 is claimed by eni-none", "nothing claims its place source/")
	undo()
	inRouter("ip route add 10.77.0.0/16 dev lo proto 78")
	s.Up()
	s.Await("the route to be pruned", func() (bool, error) { return s.Command("verify").Status == 0, nil })
}

// breakRows takes a claim away, gives one to somebody who does not exist, and
// takes a place in the transit realm away.
func breakRows(t *testing.T, s *pair) (undo func()) {
	t.Helper()
	before := map[string][]byte{}
	change := func(to func(key string, value []byte) []byte) {
		inStore(t, s.Data, func(kv store.Store) {
			for _, row := range stored(t, kv) {
				switch value := to(row.Key, row.Value); {
				case value == nil:
					write(t, kv, store.Txn{Delete: []string{row.Key}})
				case string(value) != string(row.Value):
					write(t, kv, put(row.Key, value))
				default:
					continue
				}
				before[row.Key] = row.Value
			}
		})
	}
	change(func(key string, value []byte) []byte {
		var row struct {
			Space string
			Owner struct{ ID string }
		}
		switch _ = json.Unmarshal(value, &row); {
		case strings.HasSuffix(key, s.clients.ID+"%2F10.0.1.10"), row.Space == "source" && row.Owner.ID == s.provider.ID:
			return nil
		case strings.HasSuffix(key, s.servers.ID+"%2F10.0.1.10"):
			return []byte(strings.Replace(string(value), s.server.ENI, "eni-none", 1))
		}
		return value
	})
	return func() {
		inStore(t, s.Data, func(kv store.Store) {
			for key, value := range before {
				write(t, kv, put(key, value))
			}
		})
	}
}
