// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/posternhq/postern/internal/store"
)

// testCounters adds to a few counters from many goroutines, with nothing but
// comparisons to keep them right.
func testCounters(t *testing.T, target Target) {
	s, ctx := target.Open(t), deadline(t)
	const workers, additions = 8, 25
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			for i := range additions {
				if err := add(ctx, s, fmt.Sprint(base, "counter", (w+i)%2)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	got := values(t, s)
	equal(t, "counters", got, map[string]string{"counter0": "100", "counter1": "100"})
}

// add adds one to the number at key, trying until it is the only one to do so.
func add(ctx context.Context, s store.Store, key string) error {
	for {
		kv, _, err := s.Get(ctx, key)
		if err != nil {
			return err
		}
		n, _ := strconv.Atoi(string(kv.Value))
		_, ok, err := s.Commit(ctx, store.Txn{
			Compare: []store.Compare{{Key: key, ModRevision: kv.ModRevision}},
			Put:     []store.KeyValue{{Key: key, Value: []byte(strconv.Itoa(n + 1))}},
		})
		if ok || err != nil {
			return err
		}
	}
}

// history collects operations with the times between which they happened.
type history struct {
	mu    sync.Mutex
	start time.Time
	ops   []porcupine.Operation
}

func newHistory() *history { return &history{start: time.Now()} }

// record runs one operation of a client.
func (h *history) record(client int, input any, do func() (output any)) {
	call := time.Since(h.start).Nanoseconds()
	output := do()
	back := time.Since(h.start).Nanoseconds()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, porcupine.Operation{
		ClientId: client, Input: input, Call: call, Output: output, Return: back,
	})
}

// check fails the test when no order of the operations explains what they returned.
func (h *history) check(t *testing.T, model porcupine.Model) {
	t.Helper()
	if t.Failed() {
		return
	}
	switch porcupine.CheckOperationsTimeout(model, h.ops, 60*time.Second) {
	case porcupine.Illegal:
		t.Errorf("the history of %d operations is not linearizable", len(h.ops))
	case porcupine.Unknown:
		t.Errorf("the history of %d operations could not be checked in time", len(h.ops))
	}
}

const linearKeys = 3

// storeInput is an operation on the store: a Commit that compares and puts
// keys, or, without any, a Get of all keys, one after the other being one
// operation each.
type storeInput struct {
	get     bool
	key     int
	compare map[int]int64
	put     []int
}

type storeOutput struct {
	rev int64 // of the commit, or of the key
	ok  bool
}

// storeState is the revision of each key, and the last one of all.
type storeState struct {
	keys [linearKeys]int64
	rev  int64
}

func storeModel() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return storeState{} },
		Step: func(state, input, output any) (bool, any) {
			return stepStore(state.(storeState), input.(storeInput), output.(storeOutput))
		},
	}
}

func stepStore(state storeState, in storeInput, out storeOutput) (bool, any) {
	if in.get {
		return out.rev == state.keys[in.key] && out.ok == (out.rev != 0), state
	}
	holds := true
	for key, rev := range in.compare {
		holds = holds && state.keys[key] == rev
	}
	if !holds || !out.ok {
		return holds == out.ok && out.rev >= state.rev, state
	}
	if out.rev <= state.rev {
		return false, state
	}
	for _, key := range in.put {
		state.keys[key] = out.rev
	}
	state.rev = out.rev
	return true, state
}

// testLinearizable lets clients read keys and commit changes on the condition
// of what they read, and checks that an order of all that explains the results.
func testLinearizable(t *testing.T, target Target) {
	s, ctx := target.Open(t), deadline(t)
	const clients, rounds = 6, 40
	h := newHistory()
	var group sync.WaitGroup
	for client := range clients {
		group.Go(func() {
			random := rand.New(rand.NewPCG(2, uint64(client)))
			for range rounds {
				if err := linearRound(ctx, s, h, client, random); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	h.check(t, storeModel())
}

func linearKey(key int) string { return fmt.Sprint(base, "linear", key) }

// linearRound reads some keys and then puts some.
func linearRound(ctx context.Context, s store.Store, h *history, client int, random *rand.Rand) (err error) {
	commit := storeInput{compare: make(map[int]int64)}
	var txn store.Txn
	for key := range linearKeys {
		if random.IntN(2) == 0 {
			continue
		}
		h.record(client, storeInput{get: true, key: key}, func() any {
			kv, ok, failure := s.Get(ctx, linearKey(key))
			if failure != nil {
				err = failure
			}
			commit.compare[key] = kv.ModRevision
			txn.Compare = append(txn.Compare, store.Compare{Key: linearKey(key), ModRevision: kv.ModRevision})
			return storeOutput{kv.ModRevision, ok}
		})
	}
	for key := range linearKeys {
		if random.IntN(3) == 0 || key == client%linearKeys {
			commit.put = append(commit.put, key)
			txn.Put = append(txn.Put, store.KeyValue{Key: linearKey(key)})
		}
	}
	h.record(client, commit, func() any {
		rev, ok, failure := s.Commit(ctx, txn)
		if failure != nil {
			err = failure
		}
		return storeOutput{rev, ok}
	})
	return err
}
