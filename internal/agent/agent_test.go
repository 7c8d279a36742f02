// SPDX-License-Identifier: Apache-2.0

package agent_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/agent"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/reconcile"
	"github.com/posternhq/postern/test/fakedp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long tests wait for what must happen.
const patience = 2 * time.Minute

// control is both ends of an agent: it says what is wanted and hears what
// became of it.
type control struct {
	deltas  chan desired.Delta
	settled chan int64
	gone    chan string
}

func newControl() *control {
	return &control{make(chan desired.Delta), make(chan int64, 100), make(chan string, 100)}
}

func (c *control) Deltas() <-chan desired.Delta { return c.deltas }
func (c *control) Report(r reconcile.Report)    { c.settled <- r.Revision }
func (c *control) Gone(g desired.Gone)          { c.gone <- g.ENI }

// send sends a delta and waits until it is carried out.
func (c *control) send(t *testing.T, d desired.Delta) {
	t.Helper()
	c.deltas <- d
	for {
		select {
		case revision := <-c.settled:
			if revision >= d.Revision {
				return
			}
		case <-time.After(patience):
			t.Fatalf("revision %d not settled in time", d.Revision)
		}
	}
}

// start runs an agent until the test ends or stop is called.
func start(t *testing.T, cfg agent.Config) (a *agent.Agent, stop func()) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	a = agent.New(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { a.Run(ctx) })
	stop = func() { cancel(); wg.Wait() }
	t.Cleanup(stop)
	return a, stop
}

func workload(eni string, ns desired.Namespace) desired.Workload {
	return desired.Workload{
		VPC: "vpc-a", ENI: eni, MAC: "02:00:00:00:00:01", Device: "eth0", Namespace: ns,
		Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.1.10/24")},
	}
}

// process starts a process that does nothing, and names its namespace.
func process(t *testing.T) (desired.Namespace, *exec.Cmd) {
	t.Helper()
	cmd := exec.Command("sleep", "3600")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return desired.Namespace{PID: cmd.Process.Pid, Inode: inode(t)}, cmd
}

func inode(t *testing.T) uint64 {
	t.Helper()
	var stat unix.Stat_t
	if err := unix.Stat("/proc/self/ns/net", &stat); err != nil {
		t.Fatal(err)
	}
	return stat.Ino
}

// heard gives the interfaces that were said to be gone so far.
func (c *control) heard() []string {
	var enis []string
	for {
		select {
		case eni := <-c.gone:
			enis = append(enis, eni)
		default:
			return enis
		}
	}
}

func (c *control) wantGone(t *testing.T, want string) {
	t.Helper()
	select {
	case eni := <-c.gone:
		if eni != want {
			t.Errorf("%s is gone, want %s", eni, want)
		}
	case <-time.After(patience):
		t.Fatalf("nobody said that %s is gone", want)
	}
}

func TestStateIsCarriedOutAndStaysWhenTheAgentStops(t *testing.T) {
	kernel, c := fakedp.New(), newControl()
	a, stop := start(t, agent.Config{Effects: kernel, Source: c, Sink: c})
	state := []desired.Entry{desired.Router{VPC: "vpc-a"}, workload("eni-1", desired.Namespace{Name: "n"})}
	c.send(t, desired.Delta{Full: true, Revision: 1, Put: state})
	if diff := cmp.Diff(desired.Text(state), a.Desired()); diff != "" {
		t.Errorf("desired: %s", diff)
	}
	if got := a.Report(); !got.Full || got.Done != 2 || got.Revision != 1 {
		t.Errorf("report %+v, want 2 done as of 1", got)
	}
	close(c.deltas) // the server goes away
	kernel.Drop(state[1].Key())
	if found, err := a.Reconciler().Verify(t.Context()); found != 1 || err != nil {
		t.Errorf("verify without a source: %d, %v, want 1 difference", found, err)
	}
	stop()
	if got, want := kernel.Text(), desired.Text(state); got != want {
		t.Errorf("kernel after the agent stopped:\n%s\nwant:\n%s", got, want)
	}
}

// The end is told once, and again when the host is told everything and the workload
// is still among it: whoever heard of the end may have forgotten it. A delta without
// the workload acknowledges it.
func TestEndOfAWorkloadsProcessIsToldUntilItIsKnown(t *testing.T) {
	c := newControl()
	start(t, agent.Config{Effects: fakedp.New(), Source: c, Sink: c})
	first, cmd := process(t)
	c.send(t, desired.Delta{Full: true, Revision: 1, Put: []desired.Entry{
		desired.Router{VPC: "vpc-a"}, workload("eni-1", first),
	}})
	if got := c.heard(); got != nil {
		t.Errorf("gone while its process runs: %v", got)
	}
	cmd.Process.Kill()
	c.wantGone(t, "eni-1")
	cmd.Wait()

	// The same again says nothing new; another process is another matter.
	c.send(t, desired.Delta{Revision: 2, Put: []desired.Entry{workload("eni-1", first)}})
	second, cmd := process(t)
	c.send(t, desired.Delta{Revision: 3, Put: []desired.Entry{workload("eni-1", second)}})
	if got := c.heard(); got != nil {
		t.Errorf("gone although it was told or is not: %v", got)
	}
	cmd.Process.Kill()
	c.wantGone(t, "eni-1")

	everything := desired.Delta{Full: true, Revision: 4, Put: []desired.Entry{desired.Router{VPC: "vpc-a"}, workload("eni-1", second)}}
	c.send(t, everything)
	c.wantGone(t, "eni-1")
	again := workload("eni-1", second)
	again.Attachment = "eni-attach-2" // to what has ended
	c.send(t, desired.Delta{Revision: 5, Put: []desired.Entry{again}})
	c.wantGone(t, "eni-1")
	c.send(t, desired.Delta{Revision: 6, Delete: []desired.Key{again.Key()}})
	c.send(t, desired.Delta{Full: true, Revision: 7, Put: everything.Put[:1]})
	if got := c.heard(); got != nil {
		t.Errorf("gone although that is known: %v", got)
	}
}

func TestProcessThatIsNotTheOneMeantIsGone(t *testing.T) {
	c := newControl()
	start(t, agent.Config{Effects: fakedp.New(), Source: c, Sink: c})
	ended, cmd := process(t)
	cmd.Process.Kill()
	cmd.Wait()
	other, _ := process(t)
	other.Inode++
	c.send(t, desired.Delta{Full: true, Revision: 1, Put: []desired.Entry{
		desired.Router{VPC: "vpc-a"}, workload("eni-1", ended), workload("eni-2", other),
	}})
	c.wantGone(t, "eni-1")
	c.wantGone(t, "eni-2")
}

func TestWorkloadThatWasTakenAwayIsWatchedNoMore(t *testing.T) {
	c := newControl()
	var warnings bytes.Buffer
	_, stop := start(t, agent.Config{
		Effects: fakedp.New(), Source: c, Sink: c,
		Logger: slog.New(slog.NewTextHandler(&warnings, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	one, cmdOne := process(t)
	two, cmdTwo := process(t)
	three, cmdThree := process(t)
	router := desired.Router{VPC: "vpc-a"}
	c.send(t, desired.Delta{Full: true, Revision: 1, Put: []desired.Entry{
		router, workload("eni-1", one), workload("eni-2", two), workload("eni-3", three),
	}})
	c.send(t, desired.Delta{Revision: 2, Delete: []desired.Key{workload("eni-1", one).Key()}})
	c.send(t, desired.Delta{Full: true, Revision: 3, Put: []desired.Entry{router, workload("eni-3", three)}})
	for _, cmd := range []*exec.Cmd{cmdOne, cmdTwo, cmdThree} {
		cmd.Process.Kill()
		cmd.Wait()
	}
	c.wantGone(t, "eni-3")
	if got := c.heard(); got != nil {
		t.Errorf("gone although nobody has them: %v", got)
	}
	stop()
	if warnings.Len() > 0 {
		t.Errorf("what was asked for is warned of: %s", &warnings)
	}
}

// The file has every delta at once.
func TestStateFileFollowsTheState(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "desired")
	synctest.Test(t, func(t *testing.T) {
		c := newControl()
		_, stop := start(t, agent.Config{
			Effects: fakedp.New(), Source: c, Sink: c, StateFile: path, Debounce: time.Second,
		})
		first := desired.Router{VPC: "vpc-a"}
		second := desired.Member{VPC: "vpc-a", Group: "sg-1", Addr: netip.MustParseAddr("10.0.1.10")}
		third := desired.Member{VPC: "vpc-a", Group: "sg-2", Addr: netip.MustParseAddr("10.0.1.10")}
		c.send(t, desired.Delta{Full: true, Revision: 1, Put: []desired.Entry{first}})
		synctest.Wait()
		wantFile(t, path, first)
		c.send(t, desired.Delta{Revision: 2, Put: []desired.Entry{second}})
		wantFile(t, path, first, second)
		c.send(t, desired.Delta{Revision: 3, Put: []desired.Entry{third}})
		wantFile(t, path, first, second, third)
		stop()
		wantFile(t, path, first, second, third)
	})
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("files left in the folder: %v, %v", files, err)
	}
}

func wantFile(t *testing.T, path string, entries ...desired.Entry) {
	t.Helper()
	kept, err := agent.ReadCopy(path, desired.Kinds()...)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(desired.Records(entries), desired.Records(kept.Entries)); diff != "" {
		t.Errorf("state file: %s", diff)
	}
}

func TestStateFileThatCannotBeWrittenStopsNothing(t *testing.T) {
	kernel, c := fakedp.New(), newControl()
	a, stop := start(t, agent.Config{
		Effects: kernel, Source: c, Sink: c, StateFile: filepath.Join(t.TempDir(), "none", "desired"),
	})
	c.send(t, desired.Delta{Full: true, Revision: 1, Put: []desired.Entry{desired.Router{VPC: "vpc-a"}}})
	stop()
	if got := kernel.Text(); got != a.Desired() {
		t.Errorf("kernel:\n%s\nwant:\n%s", got, a.Desired())
	}
}

// TestStateFileIsTriedAgain has a place for the file when nothing changes any more.
func TestStateFileIsTriedAgain(t *testing.T) {
	kernel, c := fakedp.New(), newControl()
	folder := filepath.Join(t.TempDir(), "later")
	_, stop := start(t, agent.Config{
		Effects: kernel, Source: c, Sink: c, StateFile: filepath.Join(folder, "desired"), Debounce: time.Millisecond,
	})
	defer stop()
	c.send(t, desired.Delta{Full: true, Revision: 1, Put: []desired.Entry{desired.Router{VPC: "vpc-a"}}})
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	for begun := time.Now(); ; time.Sleep(time.Millisecond) {
		if kept, err := agent.ReadCopy(filepath.Join(folder, "desired"), desired.Kinds()...); err == nil && kept.Revision == 1 {
			return
		} else if time.Since(begun) > time.Minute {
			t.Fatalf("the state file: %v", err)
		}
	}
}
