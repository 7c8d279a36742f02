// SPDX-License-Identifier: Apache-2.0

// Package forkserver runs programs that are written in Python, without the time
// that each run needs to import what it is made of: one process of the program
// imports, and forks for each run. What then runs is the unchanged program, in a
// process of its own with its own arguments, environment and files, so that
// nothing of a run is left to the next one.
//
// What imports is started as the program is, through whatever leads to it, and
// taken over by the folder that PYTHONPATH names.
package forkserver

import (
	"bufio"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/posternhq/postern/test/child"
)

//go:embed forkserver.py
var program []byte

// Server is the process that forks.
type Server struct {
	// Socket is where it is asked, see Relay.
	Socket string

	folder  string
	open    io.Closer // its standard input
	process *child.Process
}

// ErrNone says that a program does not become a fork server: it is not written in
// Python, or in another one than is known here, or the Python is older than 3.9.
var ErrNone = errors.New("the program cannot be forked")

// AWS starts a fork server of the AWS CLI of a path. Environment is that of its
// imports; of each run it has to be the same in what they look at, which is
// AWS_DATA_PATH.
func AWS(environment []string, path string) (*Server, error) {
	return start(func(folder, socket string) *exec.Cmd {
		cmd := exec.Command(path)
		cmd.Env = append(environment, "PYTHONPATH="+folder, "POSTERN_FORKSERVER_AWS="+socket)
		return cmd
	})
}

// Scripts starts a fork server of an interpreter, whose runs take a script from
// standard input.
func Scripts(environment []string, interpreter string) (*Server, error) {
	return start(func(folder, socket string) *exec.Cmd {
		cmd := exec.Command(interpreter, "-c", "import sitecustomize as n, sys; p = sys.argv.pop(); n.nurse(p, n.script)", socket)
		cmd.Env = append(environment, "PYTHONPATH="+folder)
		return cmd
	})
}

// start starts the command that make gives for the folder of the program and the
// path of the socket.
func start(make func(folder, socket string) *exec.Cmd) (*Server, error) {
	folder, err := os.MkdirTemp("", "postern-forkserver-")
	if err != nil {
		return nil, err
	}
	n := &Server{Socket: filepath.Join(folder, "socket"), folder: folder}
	if err := os.WriteFile(filepath.Join(folder, "sitecustomize.py"), program, 0o600); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	if err := n.begin(make(folder, n.Socket)); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

// begin starts the process, and waits until it says that it is ready or ends.
func (n *Server) begin(cmd *exec.Cmd) error {
	in, open, err := os.Pipe()
	if err != nil {
		return err
	}
	n.open = open
	out, said, err := os.Pipe()
	if err != nil {
		return errors.Join(err, in.Close())
	}
	defer out.Close()
	cmd.Stdin, cmd.Stdout = in, said
	n.process, err = child.Start(cmd)
	if err := errors.Join(err, in.Close(), said.Close()); err != nil {
		return err
	}
	if first, _ := bufio.NewReader(out).ReadString('\n'); first != "ready\n" {
		return ErrNone
	}
	return nil
}

// Close ends the process and removes its files.
func (n *Server) Close() error {
	var err error
	if n.open != nil {
		err = n.open.Close()
	}
	if n.process != nil {
		n.process.Kill()
	}
	return errors.Join(err, os.RemoveAll(n.folder))
}

// Exec runs the program as child.Exec does.
func (n *Server) Exec(environment []string, args ...string) child.Result {
	var r child.Result
	err := n.exec(&r, environment, args)
	if err != nil {
		return child.Result{Status: -1, Stderr: err.Error()}
	}
	return r
}

func (n *Server) exec(r *child.Result, environment, args []string) error {
	in, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer in.Close()
	stdout, err := collect(&r.Stdout)
	if err != nil {
		return err
	}
	stderr, err := collect(&r.Stderr)
	if err != nil {
		return errors.Join(err, stdout.end())
	}
	r.Status, err = ask(n.Socket, environment, args, in, stdout.write, stderr.write)
	return errors.Join(err, stdout.end(), stderr.end())
}

// collector reads what others write to a pipe.
type collector struct {
	write *os.File
	done  sync.WaitGroup
	err   error
}

func collect(into *string) (*collector, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	c := &collector{write: write}
	c.done.Go(func() {
		text, err := io.ReadAll(read)
		*into, c.err = string(text), errors.Join(err, read.Close())
	})
	return c, nil
}

// end waits for the end of what is written.
func (c *collector) end() error {
	err := c.write.Close()
	c.done.Wait()
	return errors.Join(err, c.err)
}

// Relay makes this process stand for a run at the fork server of a socket: with its
// arguments, environment, folder and standard files. The result is for os.Exit.
func Relay(socket string) int {
	status, err := ask(socket, os.Environ(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return status
}

// request is what a fork server is asked.
type request struct {
	Arguments   []string          `json:"arguments"`
	Environment map[string]string `json:"environment"`
	Folder      string            `json:"folder"`
}

// ask asks for a run with files as the first of its descriptors, and waits for
// its status.
func ask(socket string, environment, args []string, files ...*os.File) (int, error) {
	folder, err := os.Getwd()
	if err != nil {
		return 0, err
	}
	r := request{Arguments: append([]string{}, args...), Environment: map[string]string{}, Folder: folder}
	for _, variable := range environment {
		name, value, _ := strings.Cut(variable, "=")
		r.Environment[name] = value
	}
	text, err := json.Marshal(r)
	if err != nil {
		return 0, err
	}
	connection, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		return 0, err
	}
	defer connection.Close()
	var descriptors []int
	for _, file := range files {
		descriptors = append(descriptors, int(file.Fd()))
	}
	text = append(text, '\n')
	n, _, err := connection.WriteMsgUnix(text, syscall.UnixRights(descriptors...), nil)
	if err == nil {
		_, err = connection.Write(text[n:])
	}
	if err != nil {
		return 0, fmt.Errorf("ask %s: %w", socket, err)
	}
	status, err := bufio.NewReader(connection).ReadString('\n')
	if err != nil {
		return 0, fmt.Errorf("wait for %s: %w", socket, err)
	}
	return strconv.Atoi(strings.TrimSpace(status))
}
