// SPDX-License-Identifier: Apache-2.0

package network_test

import (
	"errors"
	"testing"

	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/test/testnet"
)

func BenchmarkRouter(b *testing.B) {
	rs, _ := routers(b)
	for b.Loop() {
		makeRouter(b, rs, plainRouter(vpcA)).Release()
		b.StopTimer()
		if err := rs.Remove(vpcA); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

func BenchmarkLink(b *testing.B) {
	rs, _ := routers(b)
	x, y := makeRouter(b, rs, plainRouter(vpcA)), makeRouter(b, rs, plainRouter(vpcB))
	defer x.Release()
	defer y.Release()
	for b.Loop() {
		if err := network.Connect(x, y); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := x.Disconnect(vpcB); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

func BenchmarkWorkload(b *testing.B) {
	rs, _ := routers(b)
	ns := testnet.New(b)
	x := makeRouter(b, rs, plainRouter(vpcA))
	defer x.Release()
	w := plainWorkload(vpcA, ns)
	for b.Loop() {
		if err := x.Attach(w); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := x.Detach(w.ENI); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

func BenchmarkDump(b *testing.B) {
	rs, _ := routers(b)
	ns := testnet.New(b)
	x, y := makeRouter(b, rs, plainRouter(vpcA)), makeRouter(b, rs, plainRouter(vpcB))
	defer x.Release()
	defer y.Release()
	if err := errors.Join(network.Connect(x, y), x.Attach(plainWorkload(vpcA, ns))); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := rs.Dump(x); err != nil {
			b.Fatal(err)
		}
	}
}
