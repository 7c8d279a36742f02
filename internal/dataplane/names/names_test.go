// SPDX-License-Identifier: Apache-2.0

package names_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/dataplane/names"
	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/resolver"
	"github.com/posternhq/postern/internal/resolver/control"
	"github.com/posternhq/postern/test/janitor"
	"github.com/posternhq/postern/test/testnet"
)

// TestMain makes this test binary the program that is started, too.
func TestMain(m *testing.M) {
	if len(os.Args) < 2 || os.Args[1] != names.Verb {
		os.Exit(m.Run())
	}
	c := resolver.Config{NoUpstream: true, Log: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	flags := flag.NewFlagSet("", flag.ExitOnError)
	flags.StringVar(&c.Folder, "data", "", "")
	flags.StringVar(&c.Instance, "instance", "", "")
	flags.StringVar(&c.Identity, "identity", "", "")
	broken, stopped, frozen := flags.Bool("broken", false, ""), flags.Bool("stopped", false, ""), flags.Bool("frozen", false, "")
	trespasses := flags.String("trespasses", "", "")
	if err := flags.Parse(os.Args[2:]); err != nil {
		panic(err)
	}
	if *broken {
		fmt.Fprintln(os.Stderr, "it is broken")
		os.Exit(1)
	}
	if err := resolver.Confine(c.Folder); err != nil {
		panic(err)
	}
	if *trespasses != "" {
		fmt.Fprintln(os.Stderr, os.WriteFile(*trespasses, nil, 0o600), syscall.Kill(os.Getppid(), 0))
		os.Exit(1)
	}
	if *frozen { // while the other process hands over
		if _, err := control.NewClient(c.Folder).TakeOver(context.Background()); err != nil {
			panic(err)
		}
	}
	if *stopped || *frozen {
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := resolver.Run(ctx, c); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

const vpc = "vpc-1"

// rig is a data folder and a VPC's router.
type rig struct {
	t      *testing.T
	config names.Config
	client *control.Client
	router *testnet.NS
}

func newRig(t *testing.T) *rig {
	testnet.Require(t)
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, config: names.Config{
		Folder: t.TempDir(), Instance: "t" + testnet.RandomName(6), Program: program, Command: []string{names.Verb}, Version: "1",
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}}
	r.client = control.NewClient(r.config.Folder)
	t.Cleanup(r.client.Close)
	router, err := testnet.Make(network.NamespaceName(r.config.Instance, vpc))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { router.Close() })
	r.router = router
	if err := os.WriteFile(filepath.Join(r.config.Folder, "instance"), []byte(r.config.Instance+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	forget, err := janitor.AbandonFolder(r.config.Folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := names.Stop(context.Background(), r.config.Folder); err != nil {
			t.Error(err)
		}
		forget()
	})
	return r
}

// run is a Postern that looks after the process, until stop is called.
func (r *rig) run() (n *names.Names, stop func()) {
	ctx, cancel := context.WithCancel(r.t.Context())
	n = names.New(r.config)
	done := make(chan struct{})
	go func() {
		defer close(done)
		n.Run(ctx)
	}()
	stop = func() {
		cancel()
		<-done
		n.Close()
	}
	r.t.Cleanup(stop)
	return n, stop
}

func entries() []desired.Entry {
	return []desired.Entry{
		desired.Resolver{VPC: vpc, Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16")}},
		desired.View{VPC: vpc, Zone: "Z1"},
	}
}

// apply puts and deletes, again and again as the loop does: no process may serve just when
// it is tried.
func (r *rig) apply(n *names.Names, put, del []desired.Entry) {
	r.t.Helper()
	r.applyTo(n, desired.Zone(vpc), put, del)
}

func (r *rig) applyTo(n *names.Names, realm desired.Realm, put, del []desired.Entry) {
	r.t.Helper()
	var failed map[desired.Key]error
	for deadline := time.Now().Add(testnet.Patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if failed = n.Apply(r.t.Context(), realm, put, del); len(failed) == 0 {
			return
		}
	}
	for k, err := range failed {
		r.t.Fatalf("%s: %v", k, err)
	}
}

// there is what the process has, as text; it is asked again and again, as by apply.
func (r *rig) there(n *names.Names) string {
	r.t.Helper()
	for deadline := time.Now().Add(testnet.Patience); ; time.Sleep(5 * time.Millisecond) {
		list, err := n.Dump(r.t.Context(), desired.Zone(vpc))
		if err == nil {
			return desired.Records(list)
		}
		if time.Now().After(deadline) {
			r.t.Fatal(err)
		}
	}
}

// pid is the number of the process that serves; zero when none does.
func (r *rig) pid() int {
	s, err := r.client.Status(r.t.Context())
	if err != nil {
		return 0
	}
	return s.PID
}

// other waits until another process serves, and gives its number.
func (r *rig) other(than int) int {
	r.t.Helper()
	for deadline := time.Now().Add(testnet.Patience); ; time.Sleep(5 * time.Millisecond) {
		if pid := r.pid(); pid != 0 && pid != than {
			return pid
		}
		if time.Now().After(deadline) {
			r.t.Fatal("no other process serves")
		}
	}
}

// TestProcessLivesOnAndIsAdopted starts no process before there is a name, and finds the
// one that runs when Postern has been away.
func TestProcessLivesOnAndIsAdopted(t *testing.T) {
	r := newRig(t)
	n, stop := r.run()
	realms, err := n.Realms(t.Context())
	if err != nil || len(realms) > 0 {
		t.Errorf("without a process: %v, %v", realms, err)
	}
	r.apply(n, nil, entries())
	if pid := r.pid(); pid != 0 {
		t.Errorf("process %d runs, and there is no name", pid)
	}
	want := desired.Records(entries())
	r.apply(n, entries(), nil)
	pid := r.pid()
	stop()
	if r.pid() != pid || r.there(n) != want {
		t.Errorf("without Postern process %d serves %s; want %d and %s", r.pid(), r.there(n), pid, want)
	}
	n, stop = r.run()
	if got := r.there(n); got != want {
		t.Errorf("the next Postern finds\n%s", got)
	}
	r.apply(n, nil, entries()[1:])
	stop()
	if r.pid() != pid {
		t.Errorf("process %d was replaced by %d", pid, r.pid())
	}
	r.config.Version = "2"
	n, stop = r.run()
	if next := r.other(pid); next == pid {
		t.Error("a process of another version stays")
	}
	if got := r.there(n); got != desired.Records(entries()[:1]) {
		t.Errorf("after an upgrade there is\n%s", got)
	}
	stop()
}

// TestProcessIsStartedAgain kills it, and spoils what it has on disk.
func TestProcessIsStartedAgain(t *testing.T) {
	r := newRig(t)
	renewed := make(chan struct{}, 8)
	r.config.Renewed = func() { renewed <- struct{}{} }
	n, _ := r.run()
	r.apply(n, entries(), nil)
	pid := r.pid()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	pid = r.other(pid)
	<-renewed
	if got := r.there(n); got != desired.Records(entries()) {
		t.Errorf("after a kill there is\n%s", got)
	}
	path := filepath.Join(r.config.Folder, resolver.JournalName)
	text, err := os.ReadFile(path)
	if err == nil {
		err = errors.Join(os.WriteFile(path, []byte(strings.Replace(string(text), "10.0.", "10.9.", 1)), 0o600), syscall.Kill(pid, syscall.SIGKILL))
	}
	if err != nil {
		t.Fatal(err)
	}
	r.other(pid)
	<-renewed // and whoever hears it compares
	if got := r.there(n); got != "" {
		t.Errorf("of a copy that others have changed there is\n%s", got)
	}
	r.apply(n, entries(), nil)
	if got := r.there(n); got != desired.Records(entries()) {
		t.Errorf("after it was put again there is\n%s", got)
	}
}

// TestProgramThatFailsIsSaid has one that ends at once, and then one that does not.
func TestProgramThatFailsIsSaid(t *testing.T) {
	r := newRig(t)
	r.config.Flags = []string{"--broken"}
	n, stop := r.run()
	failed := n.Apply(t.Context(), desired.Zone(vpc), entries(), nil)
	if err := failed[entries()[0].Key()]; len(failed) != 2 || err == nil || !strings.Contains(err.Error(), "it is broken") {
		t.Errorf("failed: %v", failed)
	}
	stop()
	r.config.Flags = nil
	n, _ = r.run()
	r.apply(n, entries(), nil)
}

// TestStopEndsIt also when it hangs.
func TestStopEndsIt(t *testing.T) {
	r := newRig(t)
	n, stop := r.run()
	r.apply(n, entries(), nil)
	pid := r.pid()
	stop()
	if stopped, err := names.Stop(t.Context(), r.config.Folder); err != nil || !stopped {
		t.Errorf("stop: %v, %v", stopped, err)
	}
	left, err := filepath.Glob(filepath.Join(r.config.Folder, "*"))
	if err != nil || len(left) != 1 {
		t.Errorf("process %d leaves %v, %v", pid, left, err)
	}
	if stopped, err := names.Stop(t.Context(), r.config.Folder); err != nil || stopped {
		t.Errorf("stop of nothing: %v, %v", stopped, err)
	}
}
