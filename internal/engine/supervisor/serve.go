// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Bounds of what is said over the socket.
const (
	readTime = 20 * time.Second
	waitTime = 60 * time.Second // after which a wait answers that nothing has changed
	maxOrder = 1 << 20
	maxPiece = 32 << 10
)

// process is what a supervisor has.
type process struct {
	own      Status
	server   *server
	listener *net.UnixListener
	http     *http.Server

	endOnce sync.Once
	end     chan struct{}
}

func (p *process) mux() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", p.status)
	mux.HandleFunc("GET /wait", p.wait)
	mux.HandleFunc("POST /start", p.start)
	mux.HandleFunc("POST /run", p.run)
	mux.HandleFunc("POST /signal", func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(r.FormValue("signal"))
		if err == nil {
			err = p.server.signal(syscall.Signal(n))
		}
		say(w, nil, err)
	})
	mux.HandleFunc("POST /hold", func(w http.ResponseWriter, _ *http.Request) { p.server.hold(); say(w, nil, nil) })
	mux.HandleFunc("POST /kill", func(w http.ResponseWriter, r *http.Request) { say(w, nil, p.server.kill(r.Context())) })
	mux.HandleFunc("POST /end", func(w http.ResponseWriter, r *http.Request) {
		err := p.server.kill(r.Context())
		say(w, nil, err)
		if err == nil {
			p.endOnce.Do(func() { close(p.end) })
		}
	})
	return mux
}

// say answers with a value, or with an error.
func say(w http.ResponseWriter, value any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		said := refusal{Error: err.Error()}
		for code, of := range codes {
			if errors.Is(err, of) {
				said.Code = code
			}
		}
		w.WriteHeader(http.StatusConflict)
		value = said
	}
	_ = json.NewEncoder(w).Encode(value) // nobody may be there any more
}

func (p *process) status(w http.ResponseWriter, _ *http.Request) {
	status := p.own
	status.Process, _ = p.server.state()
	if _, problem := p.server.log.last(); problem != nil {
		status.Problem = problem.Error()
	}
	say(w, status, nil)
}

// wait answers when the server is another one than it is said to be, or after some time.
func (p *process) wait(w http.ResponseWriter, r *http.Request) {
	life, running := r.FormValue("life"), r.FormValue("running")
	ctx, cancel := context.WithTimeout(r.Context(), waitTime)
	defer cancel()
	for {
		now, changed := p.server.state()
		if strconv.FormatInt(now.Life, 10) != life || strconv.FormatBool(now.Running) != running {
			say(w, now, nil)
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			say(w, now, nil)
			return
		}
	}
}

func readOrder(w http.ResponseWriter, r *http.Request) (o order, err error) {
	if err = json.NewDecoder(http.MaxBytesReader(w, r.Body, maxOrder)).Decode(&o); err != nil {
		err = fmt.Errorf("read the order: %w", err)
	}
	return o, err
}

func (p *process) start(w http.ResponseWriter, r *http.Request) {
	o, err := readOrder(w, r)
	if err == nil {
		err = p.server.start(o)
	}
	say(w, nil, err)
}

// run runs a program and tells what it writes as it comes, and how it ends. It is killed
// with the connection.
func (p *process) run(w http.ResponseWriter, r *http.Request) {
	o, err := readOrder(w, r)
	if err != nil {
		say(w, nil, err)
		return
	}
	j, err := p.begin(o)
	if err != nil {
		say(w, nil, err)
		return
	}
	// Its session is its own, and so is the group of what it starts.
	defer context.AfterFunc(r.Context(), func() { _ = unix.Kill(-j.pid, unix.SIGKILL) })()
	w.Header().Set("Content-Type", "application/json")
	answer := json.NewEncoder(w)
	for said := range j.pieces {
		_ = answer.Encode(said) // when nobody is there any more it is killed
		if f, ok := w.(http.Flusher); ok {
			f.Flush()
		}
	}
}

// job is a program that runs.
type job struct {
	pid    int
	pieces chan piece
}

func (p *process) begin(o order) (*job, error) {
	var ends []*os.File
	defer func() {
		for _, f := range ends {
			f.Close()
		}
	}()
	var reads [2]*os.File
	input, err := inputOf(o.Input)
	if err != nil {
		return nil, err
	}
	ends = append(ends, input)
	for i := range reads {
		read, write, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		reads[i], ends = read, append(ends, write)
	}
	pid, ended, err := p.server.nursery.start(o, ends[0], ends[1], ends[2])
	if err != nil {
		return nil, errors.Join(err, reads[0].Close(), reads[1].Close())
	}
	j := &job{pid, make(chan piece)}
	var both sync.WaitGroup
	both.Go(func() { j.copy(reads[0], func(b []byte) piece { return piece{Out: b} }) })
	both.Go(func() { j.copy(reads[1], func(b []byte) piece { return piece{Err: b} }) })
	go func() {
		how := <-ended
		_ = unix.Kill(-pid, unix.SIGKILL) // what it has left behind would keep its outputs open
		both.Wait()
		j.pieces <- piece{Exit: saying(how), Done: true}
		close(j.pieces)
	}()
	return j, nil
}

// inputOf gives a file that is read as the input: in memory, and nobody else's.
func inputOf(input []byte) (*os.File, error) {
	if len(input) == 0 {
		return os.Open(os.DevNull)
	}
	fd, err := unix.MemfdCreate("input", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make an input: %w", err)
	}
	file := os.NewFile(uintptr(fd), "input")
	_, err = file.Write(input)
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

func (j *job) copy(from *os.File, as func([]byte) piece) {
	defer from.Close()
	for {
		buffer := make([]byte, maxPiece)
		n, err := from.Read(buffer)
		if n > 0 {
			j.pieces <- as(buffer[:n])
		}
		if err != nil {
			return
		}
	}
}
