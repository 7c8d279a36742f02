// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/posternhq/postern/internal/aws/shape/postern"
	"github.com/posternhq/postern/internal/client"
	"github.com/posternhq/postern/internal/dataplane/handover"
)

type runCommand struct {
	location
	Subnet        string        `help:"Subnet to run in." required:"" placeholder:"ID"`
	SecurityGroup []string      `help:"Security groups; the VPC's default group when none is given." placeholder:"ID"`
	PrivateIP     string        `name:"private-ip" help:"Address in the subnet; chosen when not given." placeholder:"IP"`
	Name          string        `help:"Name tag of the network interface." placeholder:"NAME"`
	Lease         time.Duration `help:"How often the program's resolv.conf is compared with the DHCP options of the VPC." default:"1m" hidden:""`
	Command       []string      `arg:"" passthrough:"" help:"The program and its arguments, after --."`
}

// Run gives the program a network namespace with an interface of the subnet,
// and takes all of it away when the program has ended. Should this process be
// killed, the program is killed too, and Postern removes the rest.
func (c *runCommand) Run(in *Invocation) error {
	command := c.Command
	if len(command) > 0 && command[0] == "--" {
		command = command[1:]
	}
	if len(command) == 0 {
		return errors.New("run: no program given; put it after --")
	}
	if c.Lease <= 0 {
		return errors.New("run: --lease must be more than nothing")
	}
	if os.Geteuid() != 0 {
		return errors.New("run: making a network namespace needs root; use sudo")
	}
	t, err := c.find(in)
	if err != nil {
		return err
	}
	child, err := startWorkload(in, command)
	if err != nil {
		return err
	}
	ctx, stop := child.forwardSignals(in)
	defer stop()
	api := t.client()
	eni, err := c.connect(ctx, t, api, child)
	if err != nil {
		child.giveUp()
	} else {
		renewing, stop := context.WithCancel(ctx)
		defer stop()
		go c.renew(renewing, api, child, eni)
	}
	status := child.wait()
	if eni != "" {
		c.release(in, api, eni)
	}
	var told *toldToEnd
	switch {
	case errors.As(context.Cause(ctx), &told):
		return &exitError{128 + int(told.signal)}
	case err != nil:
		return err
	case status != 0:
		return &exitError{status}
	}
	return nil
}

// connect has an interface made in the child's namespace, and lets the child begin
// when it is there. The interface and its attachment are made by one call: it
// belongs to the child from its beginning, and Postern removes it with the child.
// The identifier is given also with an error, once there is one.
func (c *runCommand) connect(ctx context.Context, t target, api *client.Client, child *workload) (string, error) {
	handle, err := c.handOver(ctx, t, fmt.Sprintf("/proc/%d/ns/net", child.pid()), handover.Offer{PID: child.pid()})
	if err != nil {
		return "", err
	}
	fresh := &postern.NewNetworkInterface{SubnetId: &c.Subnet, SecurityGroupIds: c.SecurityGroup, Description: new("postern run")}
	if c.PrivateIP != "" {
		fresh.PrivateIpAddress = &c.PrivateIP
	}
	if c.Name != "" {
		fresh.Tags = map[string]string{"Name": c.Name}
	}
	attached, err := attach(ctx, api, postern.AttachNetworkInterfaceInput{
		NewNetworkInterface: fresh, NetnsHandle: &handle, DeleteOnTermination: new(true),
	})
	if err != nil {
		return "", err
	}
	return *attached.NetworkInterfaceId, child.begin(namesOf(attached))
}

// releaseTimeout bounds how long the end of a program is followed by waiting for
// its interface to go.
const releaseTimeout = 10 * time.Second

// release takes back what connect made. Postern does the same by itself when it
// notices that the program has ended, also when it was away meanwhile: so what is
// gone already is fine, and what cannot be done now is only said.
func (c *runCommand) release(in *Invocation, api *client.Client, eni string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(in.Context), releaseTimeout)
	defer cancel()
	if err := detach(ctx, api, eni); err != nil {
		fmt.Fprintf(in.Stderr, "postern: run: network interface %s is still there, and Postern removes it when it can: %v\n", eni, err)
	}
}

// workload is the child process in which the program runs: the first process of
// namespaces of its own, with which everything in them ends.
type workload struct {
	cmd *exec.Cmd

	mu    sync.Mutex
	begun bool
	names resolvConf
	tell  *os.File // the child's orders
}

// startWorkload starts this binary again in namespaces of its own, where it
// waits to be told to begin.
func startWorkload(in *Invocation, command []string) (*workload, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start the workload: %w", err)
	}
	defer read.Close()
	cmd := exec.Command("/proc/self/exe", append([]string{"workload", "--"}, command...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in.Stdin, in.Stdout, in.Stderr
	cmd.ExtraFiles = []*os.File{read}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWPID,
		Pdeathsig:  syscall.SIGKILL,
	}
	// The child is killed when the thread that started it ends (prctl(2)), so
	// this thread must not end before the process does.
	runtime.LockOSThread()
	if err := cmd.Start(); err != nil {
		write.Close()
		return nil, fmt.Errorf("start the workload: %w", err)
	}
	return &workload{cmd: cmd, tell: write}, nil
}

func (w *workload) pid() int { return w.cmd.Process.Pid }

// begin lets the child run the program.
func (w *workload) begin(start resolvConf) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.begun, w.names = true, start
	if err := json.NewEncoder(w.tell).Encode(start); err != nil {
		return fmt.Errorf("begin the workload: %w", err)
	}
	return nil
}

// rename tells the child of another resolv.conf, if it is another one.
func (w *workload) rename(names resolvConf) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if names.equal(w.names) {
		return
	}
	w.names = names
	line, err := json.Marshal(names)
	if err == nil {
		// The child may have ended: then there is nobody to tell.
		_, _ = w.tell.Write(append(append([]byte{0}, line...), '\n'))
	}
}

// namesOf is what an attachment tells a workload of names.
func namesOf(a *postern.GetAttachmentOutput) resolvConf { return resolvConf{a.DnsServers, a.DnsSearch} }

// renew keeps the child's resolv.conf to the DHCP options of the VPC, as a lease does
// that is renewed, until the context ends. While Postern is away nothing changes.
func (c *runCommand) renew(ctx context.Context, api *client.Client, child *workload, eni string) {
	tick := time.NewTicker(c.Lease)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		var found postern.GetAttachmentOutput
		if err := api.Do(ctx, postern.Service, "GetAttachment", &postern.GetAttachmentInput{NetworkInterfaceId: &eni}, &found); err == nil {
			child.rename(namesOf(&found))
		}
	}
}

// giveUp ends the child: it reads the end of the pipe.
func (w *workload) giveUp() { w.tell.Close() }

// wait gives the status of the program as a shell would.
func (w *workload) wait() int {
	err := w.cmd.Wait()
	var exit *exec.ExitError
	if err == nil {
		return 0
	}
	if !errors.As(err, &exit) {
		return 125
	}
	if s, ok := exit.Sys().(syscall.WaitStatus); ok && s.Signaled() {
		return 128 + int(s.Signal())
	}
	return exit.ExitCode()
}

// toldToEnd is why the start of a program was given up.
type toldToEnd struct{ signal syscall.Signal }

func (t *toldToEnd) Error() string { return "told to end: " + t.signal.String() }

// forwardSignals passes on what this process is told, until stop is called. Before
// the program has begun, to be told means to give up: the context ends, with a
// *toldToEnd. At a terminal the kernel tells the program too, so that interrupts
// are only waited out here. What this process was started to ignore is ignored.
func (w *workload) forwardSignals(in *Invocation) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(in.Context)
	signals := make(chan os.Signal, 16)
	for _, s := range forwarded {
		if !signal.Ignored(s) {
			signal.Notify(signals, s)
		}
	}
	file, isFile := in.Stdin.(*os.File)
	terminal := isFile && term.IsTerminal(int(file.Fd()))
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-done:
				return
			case s := <-signals:
				w.signal(s.(syscall.Signal), terminal, cancel)
			}
		}
	}()
	return ctx, func() { signal.Stop(signals); close(done); cancel(nil) }
}

// forwarded are the signals that are passed on to the program.
var forwarded = []syscall.Signal{unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGHUP, unix.SIGUSR1, unix.SIGUSR2}

func (w *workload) signal(s syscall.Signal, terminal bool, giveUp context.CancelCauseFunc) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case !w.begun:
		giveUp(&toldToEnd{s})
	case terminal && (s == unix.SIGINT || s == unix.SIGQUIT):
	default:
		// The child may have ended: then there is nobody to tell.
		_, _ = w.tell.Write([]byte{byte(s)})
	}
}
