// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"

	"github.com/anishathalye/porcupine"

	"github.com/posternhq/postern/internal/table"
)

// lease is a taken number of a pool, as an address of a subnet is.
type lease struct {
	Pool   string
	Number int
	Holder int
}

// RowKey implements table.Row.
func (l *lease) RowKey() (account, region, id string) {
	return "a", l.Pool, strconv.Itoa(l.Number)
}

// tables is one replica: a database of its own on the shared store.
type tables struct {
	*table.DB
	leases   *table.Table[*lease]
	byPool   table.Index[*lease, string]
	byHolder table.Index[*lease, int]
}

func openTables(t *testing.T, target Target, replicas int) []tables {
	t.Helper()
	s := target.Open(t)
	var out []tables
	for range replicas {
		leases := table.Define[*lease]("lease")
		pool := table.NewIndex(leases, "pool", func(pool string) string { return pool }, func(l *lease) []string { return []string{l.Pool} })
		holder := table.NewIndex(leases, "holder", strconv.Itoa, func(l *lease) []int { return []int{l.Holder} })
		db, err := table.Open(deadline(t), s, slog.New(slog.DiscardHandler), leases)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(db.Close)
		out = append(out, tables{db, leases, pool, holder})
	}
	return out
}

const (
	poolSize = 4
	poolName = "p"
)

var errFull = errors.New("pool is full")

// pool is the state of the model: who holds which number, -1 for nobody.
type pool [poolSize]int

type poolInput struct {
	operation string // take, release, view, count
	client    int
	number    int
}

type poolOutput struct {
	number int // taken, counted; -1: full, or nothing to release
	view   pool
}

func emptyPool() pool { return pool{-1, -1, -1, -1} }

func poolModel() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return emptyPool() },
		Step: func(state, input, output any) (bool, any) {
			return stepPool(state.(pool), input.(poolInput), output.(poolOutput))
		},
		DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v → %+v", input, output) },
	}
}

func stepPool(p pool, in poolInput, out poolOutput) (bool, any) {
	switch in.operation {
	case "take": // the lowest free number
		for number, holder := range p {
			if holder == -1 {
				p[number] = in.client
				return out.number == number, p
			}
		}
		return out.number == -1, p
	case "release":
		if p[in.number] == -1 {
			return out.number == -1, p
		}
		p[in.number] = -1
		return out.number == in.number, p
	case "count":
		n := 0
		for _, holder := range p {
			if holder == in.client {
				n++
			}
		}
		return out.number == n, p
	}
	return out.view == p, p
}

// testTablesLinearizable takes and releases numbers of a pool through several
// replicas, which read ranges that become empty and full all the time, and reads
// it through all of them; answers that are errors count as well. With many
// clients to a replica, their updates go in groups. A single one is told that it is
// the only one, and asks the store for nothing when it reads.
func testTablesLinearizable(t *testing.T, target Target, servers, clients int) {
	replicas := openTables(t, target, servers)
	if servers == 1 {
		replicas[0].OnlyWriter()
	}
	ctx := deadline(t)
	rounds := 300 / clients
	h := newHistory()
	var group sync.WaitGroup
	for client := range clients {
		group.Go(func() {
			random := rand.New(rand.NewPCG(3, uint64(client)))
			for range rounds {
				replica := replicas[random.IntN(len(replicas))]
				if err := replica.round(ctx, h, client, random); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	h.check(t, poolModel())
}

// round does one operation, chosen at random.
func (r tables) round(ctx context.Context, h *history, client int, random *rand.Rand) (err error) {
	in := poolInput{client: client, number: random.IntN(poolSize)}
	operations := []struct {
		name string
		do   func() (poolOutput, error)
	}{
		{"take", func() (poolOutput, error) { return r.take(ctx, client) }},
		{"release", func() (poolOutput, error) { return r.release(ctx, in.number) }},
		{"view", func() (poolOutput, error) { return r.view(ctx) }},
		{"count", func() (poolOutput, error) { return r.count(ctx, client) }},
	}
	operation := operations[random.IntN(len(operations))]
	in.operation = operation.name
	h.record(client, in, func() any {
		var out poolOutput
		out, err = operation.do()
		return out
	})
	return err
}

func (r tables) take(ctx context.Context, client int) (out poolOutput, err error) {
	_, err = r.Update(ctx, func(tx *table.Txn) error {
		var taken [poolSize]bool
		for l := range r.byPool.Rows(tx, poolName) {
			taken[l.Number] = true
		}
		for number := range taken {
			if !taken[number] {
				out.number = number
				return r.leases.Insert(tx, &lease{Pool: poolName, Number: number, Holder: client})
			}
		}
		return errFull
	})
	if errors.Is(err, errFull) {
		return poolOutput{number: -1}, nil
	}
	return out, err
}

func (r tables) release(ctx context.Context, number int) (poolOutput, error) {
	out := poolOutput{number: -1}
	_, err := r.Update(ctx, func(tx *table.Txn) error {
		out.number = -1
		if r.leases.Delete(tx, "a", poolName, strconv.Itoa(number)) {
			out.number = number
		}
		return nil
	})
	return out, err
}

func (r tables) view(ctx context.Context) (poolOutput, error) {
	tx, err := r.View(ctx)
	if err != nil {
		return poolOutput{}, err
	}
	out := poolOutput{view: emptyPool()}
	for l := range r.leases.Scope(tx, "a", poolName) {
		out.view[l.Number] = l.Holder
	}
	return out, nil
}

// count reads in an Update that writes nothing.
func (r tables) count(ctx context.Context, client int) (out poolOutput, err error) {
	_, err = r.Update(ctx, func(tx *table.Txn) error {
		out.number = r.byHolder.Count(tx, client)
		return nil
	})
	return out, err
}
