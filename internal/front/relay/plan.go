// SPDX-License-Identifier: Apache-2.0

// Package relay hands connections of endpoints on to services in the host's own network: what
// arrives in a namespace, at an address for each endpoint, is connected from the host to one
// of the targets of the endpoint's service. It is a process of its own, which goes on when
// `postern up` ends, and knows what a file of the data folder says.
package relay

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// The files in the data folder: what is to be done, how it is done, who does it, and what a
// person cares about.
const (
	PlanName   = "relay.json"
	StatusName = "relay-status.json"
	LockName   = "relay.lock"
	LogName    = "relay.log"
)

// Verb is the command of the program that is the process.
const Verb = "relay"

// Plan is what is to be relayed. Without any way the process ends with its connections.
type Plan struct {
	// Identity is that of the process that is to do it. Another one takes no new connections
	// any more, and ends with those that it has.
	Identity string
	// Namespace is where connections arrive.
	Namespace string
	Idle      time.Duration
	Ways      []Way
}

// Way leads from an endpoint to a service.
type Way struct {
	Endpoint string
	// Index is that of the endpoint's transit target, by which its connections are known.
	Index   int
	Ports   []uint16
	Targets []Target
}

// Target is where a service is: an address or a name, and a port, or zero for that of the
// connection.
type Target struct {
	Host string
	Port uint16
}

// Status is how it is done.
type Status struct {
	PID         int
	Identity    string
	Connections int
	// Relayed counts connections that were handed on, Refused those of which no target
	// answered, or that were too many, and Problems says why, by endpoints.
	Relayed, Refused int64
	Problems         map[string]string
}

// Write puts a value into a file of a folder as a whole.
func Write(folder, name string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	path := filepath.Join(folder, name)
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return fmt.Errorf("write what is relayed: %w", err)
	}
	return os.Rename(path+".new", path)
}

// Read reads a file that Write has written; false says that there is none.
func Read(folder, name string, value any) (bool, error) {
	text, err := os.ReadFile(filepath.Join(folder, name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil {
		err = json.Unmarshal(text, value)
	}
	if err != nil {
		return false, fmt.Errorf("read what is relayed: %w", err)
	}
	return true, nil
}
