// SPDX-License-Identifier: Apache-2.0

// Package load makes the load of benchmarks: servers, clients, a plain proxy, and
// who asks name servers. They run in processes of their own, one in each namespace, because a
// client that shares a scheduler with its server measures the scheduler.
//
// Such a process, an agent, is the benchmark's own binary started again. It
// reads one command after another as JSON from standard input, writes one
// answer to each, and ends with its input. Agents use one thread for requests,
// connections and questions, directly on epoll(7): what they cost themselves is the part
// of every figure that no candidate can change.
package load

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"time"
)

// Argument is the only argument of an agent's command line. The main function
// of a program that starts agents calls Main when it sees it.
const Argument = "load"

// The services of a server are at consecutive ports from its base.
const (
	echoPort   = iota // answers every request
	oncePort          // answers one request and closes
	sinkPort          // takes bytes, and says at the end how many
	sourcePort        // sends bytes for ever
	// Ports is how many ports a server has.
	Ports
)

// messageSize is the size of requests and of answers, in bytes.
const messageSize = 128

// Result is what one client did. What a kind of load does not have is zero.
type Result struct {
	Seconds float64 // how long it took
	Bytes   int64   // that were received at the other end
	Count   int64   // requests, connections, or questions, that came to a good end
	Failed  int64   // connections, or questions, that did not
	// P50 and P99 are of the time from the start of a request, a connection, or a
	// question, to its end, in milliseconds.
	P50, P99 float64
	// Each has the Count of each full second.
	Each []int64
}

// kind is what an agent is told to do.
type kind string

const (
	doServe    kind = "serve"    // serve at Target until the end
	doForward  kind = "forward"  // listen at Target's ports, forward to Backend's
	doUpload   kind = "upload"   // send on Connections streams
	doDownload kind = "download" // receive on Connections streams
	doRequest  kind = "request"  // requests on Connections connections
	doConnect  kind = "connect"  // a connection for each request, Connections at a time
	doHold     kind = "hold"     // open Connections connections and keep them idle
	doRelease  kind = "release"  // close those that are held
	doInquire  kind = "inquire"  // ask for the names in File on Connections sockets
)

// command is one line of an agent's input. Addresses are those of the first
// port of a server.
type command struct {
	Do          kind           `json:"do"`
	Target      netip.AddrPort `json:"target"`
	Backend     netip.AddrPort `json:"backend"`
	Connections int            `json:"connections"`
	For         time.Duration  `json:"for"`
	File        string         `json:"file,omitempty"`
}

// answer is one line of an agent's output.
type answer struct {
	Result Result `json:"result"`
	Error  string `json:"error,omitempty"`
}

// at gives the address of one service of a server.
func at(base netip.AddrPort, service int) netip.AddrPort {
	return netip.AddrPortFrom(base.Addr(), base.Port()+uint16(service))
}

// Main is an agent: it does what standard input says until that ends, and
// returns the process's exit status.
func Main() int {
	a := &agent{}
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var c command
		if err := in.Decode(&c); err != nil {
			if errors.Is(err, io.EOF) {
				return 0
			}
			fmt.Fprintln(os.Stderr, "read command:", err)
			return 2
		}
		var reply answer
		var err error
		if reply.Result, err = a.do(c); err != nil {
			reply.Error = fmt.Sprintf("%s %v: %v", c.Do, c.Target, err)
		}
		if err := out.Encode(reply); err != nil {
			fmt.Fprintln(os.Stderr, "write answer:", err)
			return 2
		}
	}
}

// agent is the state of an agent's process.
type agent struct{ held []io.Closer }

func (a *agent) do(c command) (Result, error) {
	switch c.Do {
	case doServe:
		return Result{}, serve(c.Target)
	case doForward:
		return Result{}, forward(c.Target, c.Backend)
	case doUpload:
		return bulk(c, at(c.Target, sinkPort), upload)
	case doDownload:
		return bulk(c, at(c.Target, sourcePort), download)
	case doRequest:
		return exchange(at(c.Target, echoPort), c.Connections, c.For, false)
	case doConnect:
		return exchange(at(c.Target, oncePort), c.Connections, c.For, true)
	case doHold:
		return Result{}, a.hold(at(c.Target, echoPort), c.Connections)
	case doRelease:
		return Result{}, a.release()
	case doInquire:
		return inquire(c.Target, c.File, c.Connections, c.For)
	}
	return Result{}, errors.New("unknown command")
}
