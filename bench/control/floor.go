// SPDX-License-Identifier: Apache-2.0

package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/posternhq/postern/internal/aws/sigv4"
	"github.com/posternhq/postern/test/child"
)

// FloorCommand is the argument with which the benchmark's own program must run
// Floor and nothing else.
const FloorCommand = "control-floor"

// floorSetup is what a floor is told on its standard input: a key, and the
// answer to everything.
type floorSetup struct{ AccessKeyID, Secret, Answer string }

// Floor is the least that an API of this kind can do: it verifies the signature
// of a request and gives an answer that is the same each time. It reads its
// set-up from in, prints its address on out, and serves until in ends.
func Floor(in io.Reader, out io.Writer) error {
	var setup floorSetup
	if err := json.NewDecoder(in).Decode(&setup); err != nil {
		return fmt.Errorf("read set-up of the floor: %w", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(out, listener.Addr()); err != nil {
		return err
	}
	server := &http.Server{Handler: &floor{setup: setup}, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		_, _ = io.Copy(io.Discard, in) // ends with the parent
		server.Close()
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

type floor struct {
	setup    floorSetup
	verifier sigv4.Verifier
}

func (f *floor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	var signature *sigv4.Signature
	if err == nil {
		signature, err = sigv4.Parse(r)
	}
	if err == nil {
		err = f.verifier.Verify(signature, r, body, f.setup.Secret, time.Now())
	}
	if err != nil || signature.AccessKeyID != f.setup.AccessKeyID {
		http.Error(w, "refused", http.StatusForbidden)
		return
	}
	w.Header().Set("Content-Type", "text/xml;charset=UTF-8")
	_, _ = io.WriteString(w, f.setup.Answer) // nobody to tell when the client is gone
}

// floorProcess is a floor in a process of its own, as the daemon is.
type floorProcess struct {
	process *child.Process
	in      io.Closer
	address string
}

// startFloor starts a floor. What has been started ends with the context, and
// with close, which the caller calls.
func startFloor(ctx context.Context, setup floorSetup) (*floorProcess, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, FloorCommand)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p, err := child.Start(cmd)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { p.Signal(os.Kill) })
	f := &floorProcess{process: p, in: in}
	if err := json.NewEncoder(in).Encode(setup); err != nil {
		return f, err
	}
	if _, err := fmt.Fscanln(out, &f.address); err != nil {
		return f, fmt.Errorf("learn the address of the floor: %w; %s", err, p.Output())
	}
	f.address = strings.TrimSpace(f.address)
	return f, nil
}

// close ends the process.
func (f *floorProcess) close() error {
	f.in.Close()
	status, err := f.process.Wait(settling)
	if err == nil && status != 0 {
		err = f.process.Early()
	}
	return err
}
