// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// nursery starts processes and buries all that end: the first process of a namespace
// inherits those whose parents are gone.
type nursery struct {
	user syscall.Credential
	// lock is what all processes get as their fourth descriptor: the folder's lock.
	lock *os.File

	mu       sync.Mutex
	children map[int]chan<- syscall.WaitStatus
}

// newNursery buries from now on, for as long as the process lives.
func newNursery(uid, gid uint32, lock *os.File) *nursery {
	n := &nursery{user: syscall.Credential{Uid: uid, Gid: gid}, lock: lock, children: map[int]chan<- syscall.WaitStatus{}}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, unix.SIGCHLD)
	go func() {
		for range ended {
			n.bury()
		}
	}()
	return n
}

// bury waits for all that has ended, and reports whether nobody is left.
func (n *nursery) bury() (empty bool) {
	for {
		n.mu.Lock()
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		tell, ours := n.children[pid]
		if pid > 0 && ours {
			delete(n.children, pid)
		}
		n.mu.Unlock()
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return err == syscall.ECHILD
		case pid <= 0:
			return false
		case ours:
			tell <- status
		}
	}
}

// start starts a program as the server's user, in a session of its own and without ways to
// more privileges (PR_SET_NO_NEW_PRIVS). The channel gets how it ended.
func (n *nursery) start(o order, in, out, errs *os.File) (pid int, ended <-chan syscall.WaitStatus, err error) {
	runtime.LockOSThread() // the attribute is of a thread, and harmless for whoever has it next
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return 0, nil, fmt.Errorf("start %s: %w", o.Path, err)
	}
	n.mu.Lock() // so that nobody buries it before it is known
	defer n.mu.Unlock()
	pid, err = syscall.ForkExec(o.Path, append([]string{o.Path}, o.Args...), &syscall.ProcAttr{
		Dir: "/", Env: o.Env,
		Files: []uintptr{in.Fd(), out.Fd(), errs.Fd(), n.lock.Fd()},
		Sys:   &syscall.SysProcAttr{Setsid: true, Credential: &n.user},
	})
	if err != nil {
		return 0, nil, fmt.Errorf("start %s: %w", o.Path, err)
	}
	tell := make(chan syscall.WaitStatus, 1)
	n.children[pid] = tell
	return pid, tell, nil
}

// signal sends a signal to a process that was started here, and nothing when it has ended.
func (n *nursery) signal(pid int, s syscall.Signal) error {
	n.mu.Lock() // so that nobody buries it meanwhile, and its number stays its own
	defer n.mu.Unlock()
	if _, there := n.children[pid]; !there {
		return nil
	}
	if err := unix.Kill(pid, s); err != nil {
		return fmt.Errorf("send %v to process %d: %w", s, pid, err)
	}
	return nil
}

// killAll kills every process of the namespace but this one, and returns when nobody is
// left. A process in which the kernel waits for a disk can keep it waiting.
func (n *nursery) killAll(ctx context.Context) error {
	if os.Getpid() != 1 {
		return fmt.Errorf("kill all processes of the namespace: this is process %d, and not the first one", os.Getpid())
	}
	for {
		// It spares this process (kill(2)). Without any other one it is ESRCH.
		if err := unix.Kill(-1, unix.SIGKILL); err != nil && err != unix.ESRCH {
			return fmt.Errorf("kill all processes of the namespace: %w", err)
		}
		if n.bury() {
			return nil
		}
		select {
		case <-time.After(2 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("kill all processes of the namespace: %w", ctx.Err())
		}
	}
}

// saying is how a program ended, for people; empty when it was well.
func saying(s syscall.WaitStatus) string {
	switch {
	case s.Signaled():
		return "signal: " + s.Signal().String()
	case s.ExitStatus() == 0:
		return ""
	}
	return fmt.Sprint("exit status ", s.ExitStatus())
}
