package control

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func num(name string, def int) int {
	if v, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return v
	}
	return def
}

// BINS=a=/path,b=/path CROWD=10000 ROUNDS=5 N=1000 LANES=16 PROFILE=1 DESCRIBE=1
func TestZZSpeed(t *testing.T) {
	ctx := t.Context()
	var worlds []*world
	defer func() {
		for _, w := range worlds {
			w.close()
		}
	}()
	crowd, rounds, n := num("CROWD", 10000), num("ROUNDS", 5), num("N", 1000)
	for _, b := range strings.Split(os.Getenv("BINS"), ",") {
		label, path, _ := strings.Cut(b, "=")
		w, err := makeWorld(ctx, path, label, crowd)
		worlds = append(worlds, w)
		if err != nil {
			t.Fatal(err)
		}
		now, most, _ := w.memory()
		cpu, _ := cpuOf(w.PID())
		fmt.Printf("%-8s filled %6.0f/s cpu %.2f ms/op rss %.0f most %.0f\n", label, float64(crowd)/w.filled.Seconds(), cpu.Seconds()*1000/float64(crowd), now, most)
		if os.Getenv("SMAPS") != "" {
			for _, f := range []string{"status", "smaps"} {
				b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/%s", w.PID(), f))
				os.WriteFile("/tmp/w/s/"+label+"."+f, b, 0o644)
			}
		}
		w.rest()
	}
	if os.Getenv("DESCRIBE") != "" {
		w := worlds[0]
		w.wake()
		answer, err := w.answer(ctx)
		if err != nil {
			t.Fatal(err)
		}
		w.rest()
		f, err := startFloor(ctx, floorSetup{w.Access().AccessKeyID, w.Access().SecretAccessKey, answer})
		if err != nil {
			t.Fatal(err)
		}
		defer f.close()
		for range rounds {
			request, _ := worlds[0].describe(ctx)
			c, err := measure(ctx, f.address, f.process.PID, 16, during(2*time.Second, request))
			if err != nil {
				t.Fatal(err)
			}
			fmt.Printf("floor    describe %6.0f/s p99 %.1f gen %.0f%% busy %.0f%% cpu/op %.1f us\n", c.rate, c.p99, c.generator, c.busy, c.busy/100*2/c.rate*1e6*(1-c.generator/100))
			for _, w := range worlds {
				w.wake()
				request, _ := w.describe(ctx)
				if os.Getenv("DESCRIBE") == "profile" {
					w.Signal(syscall.SIGUSR1)
				}
				c, err := measure(ctx, w.address(), w.PID(), 16, during(time.Duration(num("SECONDS", 2))*time.Second, request))
				if err != nil {
					t.Fatal(err)
				}
				fmt.Printf("%-8s describe %6.0f/s p99 %.1f gen %.0f%% busy %.0f%% cpu/op %.1f us\n", w.name, c.rate, c.p99, c.generator, c.busy, c.busy/100*2/c.rate*1e6*(1-c.generator/100))
				if os.Getenv("DESCRIBE") == "profile" {
					time.Sleep(2 * time.Second)
					os.Rename(w.Data+"/cpu.pprof", "/tmp/w/s/"+w.name+".d.cpu.pprof")
				}
				w.rest()
			}
		}
	}
	for _, lanes := range strings.Split(os.Getenv("LANES"), " ") {
		l, _ := strconv.Atoi(lanes)
		if l == 0 {
			l = 16
		}
		for range rounds {
			for _, w := range worlds {
				w.wake()
				request, err := w.create(ctx)
				if err != nil {
					t.Fatal(err)
				}
				if os.Getenv("PROFILE") != "" {
					w.Signal(syscall.SIGUSR1)
				}
				c, err := measure(ctx, w.address(), w.PID(), l, times(n, request))
				if err != nil {
					t.Fatal(err)
				}
				fmt.Printf("%-8s create x%d %6.0f/s p50 %.1f p99 %.1f gen %.0f%% busy %.0f%% daemon cpu/op %.3f ms\n", w.name, l, c.rate, c.p50, c.p99, c.generator, c.busy, c.busy/100*2/c.rate*1e3*(1-c.generator/100))
				if os.Getenv("PROFILE") != "" {
					time.Sleep(12 * time.Second)
					os.Rename(w.Data+"/cpu.pprof", "/tmp/w/s/"+w.name+".cpu.pprof")
					os.Rename(w.Data+"/heap.pprof", "/tmp/w/s/"+w.name+".heap.pprof")
				}
				if os.Getenv("PROFILE") != "" {
					continue
				}
				if err := w.clear(ctx); err != nil {
					t.Fatal(err)
				}
				w.rest()
			}
		}
	}
	for _, w := range worlds {
		now, most, _ := w.memory()
		fmt.Printf("%-8s rss %.0f most %.0f\n", w.name, now, most)
		w.wake()
	}
}
