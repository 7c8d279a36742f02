// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/posternhq/postern/test/child"
	"github.com/posternhq/postern/test/testnet"
)

// Agent is an agent's process, seen from the benchmark. Calls wait for one
// another.
type Agent struct {
	mu      sync.Mutex
	process *child.Process
	in      io.WriteCloser
	encoder *json.Encoder
	out     *json.Decoder
	unwatch func() bool
}

// Start starts an agent in a namespace, with so many threads for Go code. It
// ends with the context, and with Close, which the caller calls.
func Start(ctx context.Context, ns *testnet.NS, threads int) (*Agent, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("start agent: %w", err)
	}
	cmd := exec.Command(self, Argument)
	cmd.Env = child.Environment(fmt.Sprint("GOMAXPROCS=", threads))
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start agent: %w", err)
	}
	// A pipe of our own: the command's would be closed when the process is
	// waited for, which may be before the last answer is read.
	out, write, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start agent: %w", err), in.Close())
	}
	cmd.Stdout = write
	process, err := child.StartWithin(ns.Run, cmd)
	if closeErr := write.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return nil, errors.Join(err, in.Close(), out.Close())
	}
	go func() {
		<-process.Ended()
		out.SetReadDeadline(time.Now().Add(time.Second))
	}()
	a := &Agent{process: process, in: in, encoder: json.NewEncoder(in), out: json.NewDecoder(out)}
	a.unwatch = context.AfterFunc(ctx, func() { process.Signal(os.Kill) })
	return a, nil
}

// patience is how long an agent may take to end.
const patience = 15 * time.Second

// Close ends the agent and every connection it holds.
func (a *Agent) Close() error {
	a.unwatch()
	_ = a.in.Close() // the process may have ended
	_, err := a.process.Stop(patience)
	return err
}

func (a *Agent) call(c command) (Result, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.encoder.Encode(c); err != nil {
		return Result{}, fmt.Errorf("tell agent to %s: %w", c.Do, err)
	}
	var reply answer
	if err := a.out.Decode(&reply); err != nil {
		return Result{}, fmt.Errorf("hear from agent about %s: %w", c.Do, err)
	}
	if reply.Error != "" {
		return Result{}, errors.New(reply.Error)
	}
	return reply.Result, nil
}

// Serve starts a server whose first port is that of the address.
func (a *Agent) Serve(base netip.AddrPort) error {
	_, err := a.call(command{Do: doServe, Target: base})
	return err
}

// Forward starts a plain proxy in front of a server.
func (a *Agent) Forward(base, server netip.AddrPort) error {
	_, err := a.call(command{Do: doForward, Target: base, Backend: server})
	return err
}

// Upload sends to a server for a time, over so many streams.
func (a *Agent) Upload(server netip.AddrPort, streams int, d time.Duration) (Result, error) {
	return a.call(command{Do: doUpload, Target: server, Connections: streams, For: d})
}

// Download receives from a server for a time, over so many streams.
func (a *Agent) Download(server netip.AddrPort, streams int, d time.Duration) (Result, error) {
	return a.call(command{Do: doDownload, Target: server, Connections: streams, For: d})
}

// Request sends requests for a time: on each connection the next one when the
// answer to the last has come.
func (a *Agent) Request(server netip.AddrPort, connections int, d time.Duration) (Result, error) {
	return a.call(command{Do: doRequest, Target: server, Connections: connections, For: d})
}

// Connect makes connections for a time, so many at once: each connects, sends
// one request, takes the answer and the server's close, and closes.
func (a *Agent) Connect(server netip.AddrPort, atOnce int, d time.Duration) (Result, error) {
	return a.call(command{Do: doConnect, Target: server, Connections: atOnce, For: d})
}

// Hold opens connections to a server, uses each once, and keeps them.
func (a *Agent) Hold(server netip.AddrPort, connections int) error {
	_, err := a.call(command{Do: doHold, Target: server, Connections: connections})
	return err
}

// Release resets the connections that are held.
func (a *Agent) Release() error {
	_, err := a.call(command{Do: doRelease})
	return err
}

// Inquire asks a name server, for a time and on so many sockets, for the IPv4 addresses
// of the names that a file has, one a line. Without a time it asks for each once.
func (a *Agent) Inquire(server netip.AddrPort, file string, sockets int, d time.Duration) (Result, error) {
	return a.call(command{Do: doInquire, Target: server, File: file, Connections: sockets, For: d})
}
