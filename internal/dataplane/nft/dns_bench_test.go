// SPDX-License-Identifier: Apache-2.0

package nft_test

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/dataplane/nft"
)

// BenchmarkQuestions compares what a question over UDP and its answer cost, in processor
// time of both ends and of the kernel between them, with connection tracking and without.
// Resolvers' clients come from a fresh port with each question.
func BenchmarkQuestions(b *testing.B) {
	r := rig{newRig(b).Rig, b}
	table, err := nft.OpenShared(r.A.FD(), nft.Shares{Queries: 1 << 30})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { table.Close() })
	if err := table.Load(b.Context(), router); err != nil {
		b.Fatal(err)
	}
	r.names()
	modes := map[string]func(){
		"untracked": func() {
			if err := table.Load(b.Context(), router); err != nil {
				b.Fatal(err)
			}
		},
		"tracked": func() {
			r.A.Nft("flush", "chain", "inet", "postern", "query")
			r.A.Nft("add", "rule", "inet", "postern", "query", "jump", "plain")
			r.A.Nft("add", "rule", "inet", "postern", "query", "jump", "pace")
			r.A.Nft("flush", "chain", "inet", "postern", "nudge")
			r.A.Nft("insert", "rule", "inet", "postern", "from_workload", "udp", "dport", "53", "accept")
		},
	}
	for i := range 12 {
		mode := []string{"untracked", "tracked"}[i%2]
		modes[mode]()
		for _, fresh := range []bool{false, true} {
			name := mode + "/same port"
			if fresh {
				name = mode + "/fresh port"
			}
			b.Run(name, func(b *testing.B) { r.questions(b, fresh) })
		}
	}
}

func (r rig) questions(b *testing.B, fresh bool) {
	const address = "10.0.0.2:53"
	begin := processorTime(b)
	err := r.Client.Run(func() error {
		conn, err := net.Dial("udp", address)
		if err != nil {
			return err
		}
		defer func() { conn.Close() }()
		answer := make([]byte, 64)
		for b.Loop() {
			if fresh {
				conn.Close()
				if conn, err = net.Dial("udp", address); err != nil {
					return err
				}
			}
			if _, err := conn.Write(answer[:40]); err != nil {
				return err
			}
			if _, err := conn.Read(answer); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(processorTime(b)-begin)/float64(b.N), "cpu-ns/op")
}

// processorTime is what this process has used, in nanoseconds.
func processorTime(b *testing.B) int64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}
