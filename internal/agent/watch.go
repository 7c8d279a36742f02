// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/desired"
)

// watch is the watch over the process that one workload was attached by.
type watch struct {
	key        desired.Key
	attachment string
	namespace  desired.Namespace
	process    *os.File // pidfd, see pidfd_open(2); closing it ends the watch; nil when it has ended
}

// errEnded means that the process of a workload is not there any more.
var errEnded = errors.New("process has ended")

// rewatch brings the watches in line with a delta.
func (a *Agent) rewatch(ctx context.Context, wg *sync.WaitGroup, d desired.Delta) {
	named := make(map[desired.Key]bool)
	for _, e := range d.Put {
		w, ok := e.(desired.Workload)
		if !ok {
			continue
		}
		named[w.Key()] = true
		if old, ok := a.watches[w.Key()]; ok && old.namespace == w.Namespace && old.attachment == w.Attachment {
			if old.process == nil && d.Full {
				a.tell(old)
			}
			continue
		}
		a.unwatch(w.Key())
		a.watch(ctx, wg, w)
	}
	for _, k := range d.Delete {
		a.unwatch(k)
	}
	if !d.Full {
		return
	}
	for k := range a.watches {
		if !named[k] {
			a.unwatch(k)
		}
	}
}

// watch begins to watch the process of a workload, if it names one. Where that
// cannot be done the workload is kept and the log says why.
func (a *Agent) watch(ctx context.Context, wg *sync.WaitGroup, workload desired.Workload) {
	ns := workload.Namespace
	if ns.Name != "" || ns.PID <= 0 {
		return
	}
	w := watch{key: workload.Key(), attachment: workload.Attachment, namespace: ns}
	process, err := a.openProcess(ns)
	switch {
	case errors.Is(err, errEnded):
		a.watches[w.key] = w
		a.ended(w)
		return
	case err != nil:
		a.log.Warn("workload's process not watched", "eni", workload.ENI, "pid", ns.PID, "error", err)
		return
	}
	w.process = process
	a.watches[w.key] = w
	wg.Go(func() {
		if err := waitEnd(process); err != nil {
			if !errors.Is(err, os.ErrClosed) {
				a.log.Warn("workload's process watched no more", "eni", workload.ENI, "pid", ns.PID, "error", err)
			}
			return
		}
		select {
		case a.ends <- w:
		case <-ctx.Done():
		}
	})
}

// ended passes on that a watched process has ended, unless the workload went or
// got another process in the meantime.
func (a *Agent) ended(w watch) {
	if a.watches[w.key] != w {
		return
	}
	if w.process != nil {
		w.process.Close()
	}
	w.process = nil
	a.watches[w.key] = w // stays until its entry goes
	a.log.Info("workload's process has ended", "eni", w.key.ID, "pid", w.namespace.PID)
	a.tell(w)
}

// tell says that the process of a watch has ended.
func (a *Agent) tell(w watch) {
	a.cfg.Sink.Gone(desired.Gone{
		Host: a.cfg.Whose.Host, ENI: w.key.ID, Attachment: w.attachment, Namespace: w.namespace, Revision: a.revision,
	})
}

func (a *Agent) unwatch(k desired.Key) {
	if w, ok := a.watches[k]; ok && w.process != nil {
		w.process.Close()
	}
	delete(a.watches, k)
}

func (a *Agent) unwatchAll() {
	for k := range a.watches {
		a.unwatch(k)
	}
}

// openProcess gives a pidfd of the process that a namespace is named by. The
// error is errEnded if there is no such process, or if the process of that
// number lives in another network namespace than the one meant.
func (a *Agent) openProcess(ns desired.Namespace) (*os.File, error) {
	fd, err := unix.PidfdOpen(ns.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil, errEnded
	}
	if err != nil {
		return nil, fmt.Errorf("pidfd_open %d: %w", ns.PID, err)
	}
	// Non-blocking descriptors are watched by the runtime's poller, so that a
	// waiting goroutine costs no thread.
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("set pidfd of %d non-blocking: %w", ns.PID, err)
	}
	process := os.NewFile(uintptr(fd), fmt.Sprintf("pidfd %d", ns.PID))
	// The descriptor came first: a process that has the right namespace now is
	// the one that the descriptor stands for.
	lives, err := a.cfg.Lives(ns)
	if err == nil && !lives {
		err = errEnded
	}
	if err != nil {
		process.Close()
		return nil, err
	}
	return process, nil
}

// sameInode compares the network namespace of a process with the one that is
// meant, by its inode. A zombie has none.
func sameInode(ns desired.Namespace) (bool, error) {
	var stat unix.Stat_t
	path := fmt.Sprintf("/proc/%d/ns/net", ns.PID)
	err := unix.Stat(path, &stat)
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ESRCH):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("stat %s: %w", path, err)
	}
	return ns.Inode == 0 || stat.Ino == ns.Inode, nil
}

// waitEnd waits until the process of a pidfd has ended. The error is
// os.ErrClosed if the descriptor was closed before.
func waitEnd(process *os.File) error {
	raw, err := process.SyscallConn()
	if err != nil {
		return err
	}
	err = raw.Read(func(fd uintptr) bool { return readable(int(fd)) })
	// A raw connection has an error of its own for a closed file, which only
	// package os can tell from others.
	if err != nil && errors.Is(process.Close(), os.ErrClosed) {
		return os.ErrClosed
	}
	return err
}

// readable reports whether a pidfd is readable, which it is once its process
// has ended.
func readable(fd int) bool {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, 0)
		if !errors.Is(err, unix.EINTR) {
			return err == nil && n > 0
		}
	}
}
