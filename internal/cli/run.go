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
	"syscall"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/aws/shape/postern"
	"github.com/posternhq/postern/internal/client"
)

type runCommand struct {
	location
	Subnet        string   `help:"Subnet to run in." required:"" placeholder:"ID"`
	SecurityGroup []string `help:"Security groups; the VPC's default group when none is given." placeholder:"ID"`
	PrivateIP     string   `name:"private-ip" help:"Address in the subnet; chosen when not given." placeholder:"IP"`
	Name          string   `help:"Name tag of the network interface." placeholder:"NAME"`
	Command       []string `arg:"" passthrough:"" help:"The program and its arguments, after --."`
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
	stop := child.forwardSignals(in)
	defer stop()
	api := t.client()
	eni, err := c.connect(in.Context, api, child)
	if err != nil {
		child.giveUp()
	}
	status := child.wait()
	if eni != "" {
		err = errors.Join(err, release(context.WithoutCancel(in.Context), api, eni))
	}
	switch {
	case err != nil:
		return err
	case status != 0:
		return &exitError{status}
	}
	return nil
}

// connect makes the interface, puts it into the child's namespace, and lets the
// child begin. The identifier is given also with an error, once there is one.
func (c *runCommand) connect(ctx context.Context, api *client.Client, child *workload) (string, error) {
	input := ec2.CreateNetworkInterfaceInput{SubnetId: &c.Subnet, Groups: c.SecurityGroup}
	description := "postern run"
	input.Description = &description
	if c.PrivateIP != "" {
		input.PrivateIpAddress = &c.PrivateIP
	}
	if c.Name != "" {
		kind, key := "network-interface", "Name"
		input.TagSpecifications = []ec2.TagSpecification{{ResourceType: &kind, Tags: []ec2.Tag{{Key: &key, Value: &c.Name}}}}
	}
	var made ec2.CreateNetworkInterfaceOutput
	if err := api.Do(ctx, ec2.Service, "CreateNetworkInterface", &input, &made); err != nil {
		return "", err
	}
	eni := *made.NetworkInterface.NetworkInterfaceId
	inode, err := inodeOf(fmt.Sprintf("/proc/%d/ns/net", child.pid()))
	if err != nil {
		return eni, err
	}
	pid, ephemeral := int64(child.pid()), true
	attached, err := attach(ctx, api, postern.AttachNetworkInterfaceInput{
		NetworkInterfaceId: &eni, Pid: &pid, NetnsInode: inode, DeleteOnTermination: &ephemeral,
	})
	if err != nil {
		return eni, err
	}
	return eni, child.begin(workloadStart{Nameservers: attached.DnsServers})
}

// release takes back what connect made. Postern does the same on its own when
// it notices that the program has ended, so that what is gone already is fine.
func release(ctx context.Context, api *client.Client, eni string) error {
	if err := detach(ctx, api, eni); err != nil {
		return err
	}
	err := api.Do(ctx, ec2.Service, "DeleteNetworkInterface", &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: &eni}, &ec2.DeleteNetworkInterfaceOutput{})
	var e *client.Error
	if errors.As(err, &e) && e.Code == "InvalidNetworkInterfaceID.NotFound" {
		return nil
	}
	return err
}

// workload is the child process that becomes the program.
type workload struct {
	cmd   *exec.Cmd
	start *os.File
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
		Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS,
		Pdeathsig:  syscall.SIGKILL,
	}
	// The child is killed when the thread that started it ends (prctl(2)), so
	// this thread must not end before the process does.
	runtime.LockOSThread()
	if err := cmd.Start(); err != nil {
		write.Close()
		return nil, fmt.Errorf("start the workload: %w", err)
	}
	return &workload{cmd, write}, nil
}

func (w *workload) pid() int { return w.cmd.Process.Pid }

// begin lets the child become the program.
func (w *workload) begin(start workloadStart) error {
	err := errors.Join(json.NewEncoder(w.start).Encode(start), w.start.Close())
	if err != nil {
		return fmt.Errorf("begin the workload: %w", err)
	}
	return nil
}

// giveUp ends a child that has not begun: it reads the end of the pipe.
func (w *workload) giveUp() { w.start.Close() }

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

// forwardSignals passes on what this process is told. At a terminal the kernel
// tells both, so that interrupts are only waited out here.
func (w *workload) forwardSignals(in *Invocation) (stop func()) {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGHUP, unix.SIGUSR1, unix.SIGUSR2)
	file, isFile := in.Stdin.(*os.File)
	terminal := isFile && term.IsTerminal(int(file.Fd()))
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-done:
				return
			case s := <-signals:
				if terminal && (s == unix.SIGINT || s == unix.SIGQUIT) {
					continue
				}
				// The child may have ended: then there is nobody to tell.
				_ = w.cmd.Process.Signal(s)
			}
		}
	}()
	return func() { signal.Stop(signals); close(done) }
}
