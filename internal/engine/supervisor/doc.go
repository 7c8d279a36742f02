// SPDX-License-Identifier: Apache-2.0

// Package supervisor runs database servers, each below a process of its own that lives on
// when Postern does not.
//
// A supervisor is this binary with a hidden command. It is the first process of a process
// namespace, with a mount and an IPC namespace of its own and in the network namespace that
// it was started in: what it has started can hide nowhere, and ends with it (see
// pid_namespaces(7)). It holds a lock on the server's folder, which each of its processes
// has too, so that a folder is free only when nothing is left that could write to it. It
// starts the server and other programs of the engine as the engine's user, buries what
// ends, keeps the server's log, and does as it is told over a Unix socket in the folder, to
// root alone. It decides nothing but whether to start a server again that ended by itself,
// if it was told to.
//
// Start makes one and Open finds one that is there. Both give a Client, an engine.Host.
//
// The server sees the folder at a path that is always the same, and of /run, /tmp and
// /dev/shm only its own.
package supervisor

import (
	"path/filepath"
	"time"

	"github.com/posternhq/postern/internal/engine"
)

// Names in the folder that are the supervisor's.
const (
	socketName = "supervisor.sock"
	lockName   = "supervisor.lock"
	ownLogName = "supervisor.log"
)

// home is where a server sees its folder. Below /run nothing of the machine is seen, and
// every machine has it.
const home = "/run/postern"

// inside gives the path of a part of the folder as a server sees it.
func inside(parts ...string) string { return filepath.Join(append([]string{home}, parts...)...) }

// protocol is the version of what is said over the socket. What is added to it later is
// ignored by those who do not know it; a greater number says that they cannot go on.
const protocol = 1

// Status tells how a supervisor is.
type Status struct {
	// Version is that of the program, which may be another one than the caller's.
	Version  string    `json:"version"`
	Protocol int       `json:"protocol"`
	Since    time.Time `json:"since"`
	// Namespace is the inode of the network namespace that it is in.
	Namespace uint64         `json:"namespace"`
	Process   engine.Process `json:"process"`
	// Problem is what is wrong with the log, for people.
	Problem string `json:"problem,omitempty"`
}

// order is a command as it is sent.
type order struct {
	Path    string   `json:"path"`
	Args    []string `json:"args"`
	Env     []string `json:"env"`
	Input   []byte   `json:"input,omitempty"`
	Restart bool     `json:"restart,omitempty"`
	Stop    int      `json:"stop,omitempty"`
}

// piece is what is told of a program while it runs, and at its end.
type piece struct {
	Out []byte `json:"out,omitempty"`
	Err []byte `json:"err,omitempty"`
	// Exit is how it ended, empty when all went well; only the last piece is Done.
	Exit string `json:"exit,omitempty"`
	Done bool   `json:"done,omitempty"`
}

// refusal is an error as it is sent. Code names the error of package engine that it is.
type refusal struct {
	Code  string `json:"code,omitempty"`
	Error string `json:"error"`
}

var codes = map[string]error{"running": engine.ErrRunning, "down": engine.ErrDown}
