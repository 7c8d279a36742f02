// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/engine"
	"github.com/posternhq/postern/internal/socket"
)

// Client is a supervisor that runs. It is an engine.Host. Its methods may be called from
// many goroutines; when the supervisor has ended all of them are engine.ErrHost.
type Client struct {
	folder string
	http   *http.Transport
	// PID is the supervisor's number for this process, held by a descriptor: no other
	// process is ever mistaken for it.
	PID   int
	pidfd *os.File
	gone  chan struct{}
	group string
}

var _ engine.Host = (*Client)(nil)

// Open finds the supervisor of a folder. Without one it is engine.ErrHost: then nothing of
// the server runs either, or is about to end. The caller calls Close.
func Open(ctx context.Context, folder string) (*Client, error) {
	c := &Client{folder: folder, gone: make(chan struct{})}
	c.http = &http.Transport{
		DialContext:        func(ctx context.Context, _, _ string) (net.Conn, error) { return socket.Dial(ctx, folder, socketName) },
		MaxIdleConns:       8,
		DisableCompression: true,
	}
	if err := c.hold(ctx); err != nil {
		c.http.CloseIdleConnections()
		return nil, fmt.Errorf("find the supervisor of %s: %w", folder, err)
	}
	go c.attend()
	return c, nil
}

// hold opens a descriptor of the process, and makes sure that it is the one that answers.
func (c *Client) hold(ctx context.Context) error {
	if err := c.grip(ctx); err != nil {
		return err
	}
	status, err := c.Status(ctx)
	if err == nil && status.Protocol > protocol {
		err = fmt.Errorf("it is of a later version, %s", status.Version)
	}
	if err != nil {
		return errors.Join(err, c.pidfd.Close())
	}
	return nil
}

// grip opens a descriptor of the process that has the socket. It has it still when the
// descriptor is open, and so its number was not another's before.
func (c *Client) grip(ctx context.Context) error {
	pid, err := c.owner(ctx)
	if err != nil {
		return err
	}
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return fmt.Errorf("hold process %d: %w", pid, hostError(err))
	}
	c.PID, c.pidfd = pid, os.NewFile(uintptr(fd), "pidfd")
	again, err := c.owner(ctx)
	if err == nil && again != pid {
		err = fmt.Errorf("process %d was followed by %d", pid, again)
	}
	if err != nil {
		return errors.Join(err, c.pidfd.Close())
	}
	c.group = groupOf(pid)
	return nil
}

// owner gives the process that has the socket, whether or not it would answer.
func (c *Client) owner(ctx context.Context) (pid int, err error) {
	conn, err := socket.Dial(ctx, c.folder, socketName)
	if err != nil {
		return 0, hostError(err)
	}
	defer conn.Close()
	peer, err := socket.Peer(conn)
	if err != nil {
		return 0, err
	}
	return int(peer.Pid), nil
}

// Slay kills the supervisor of a folder, which need not answer, and everything that it has
// started, and returns when nothing is left. Without one it is engine.ErrHost.
func Slay(ctx context.Context, folder string) error {
	c := &Client{folder: folder, gone: make(chan struct{}), http: &http.Transport{}}
	if err := c.grip(ctx); err != nil {
		return fmt.Errorf("find the supervisor of %s: %w", folder, err)
	}
	go c.attend()
	return errors.Join(c.Slay(ctx), c.Close())
}

// hostError says that nobody answers, when that is the reason.
func hostError(err error) error {
	for _, e := range []error{unix.ENOENT, unix.ECONNREFUSED, unix.ECONNRESET, unix.EPIPE, unix.ESRCH, io.EOF, io.ErrUnexpectedEOF} {
		if errors.Is(err, e) {
			return fmt.Errorf("%w: %w", engine.ErrHost, err)
		}
	}
	return err
}

// attend closes gone when the process has ended, and with it all that it has started: the
// descriptor becomes readable then (pidfd_open(2)).
func (c *Client) attend() {
	raw, err := c.pidfd.SyscallConn()
	if err != nil {
		return
	}
	ended := false
	_ = raw.Read(func(fd uintptr) bool {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		ended = err == nil && n > 0
		return ended
	})
	if ended {
		removeGroup(c.group)
		close(c.gone)
	}
}

// Gone is closed when the supervisor has ended, and with it the server and all it started.
func (c *Client) Gone() <-chan struct{} { return c.gone }

// Close lets go of the supervisor, which goes on.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	return c.pidfd.Close()
}

// ask sends one message and gives the answer, which the caller closes.
func (c *Client) ask(ctx context.Context, method, path string, values url.Values, body any) (io.ReadCloser, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://supervisor/"+path+"?"+values.Encode(), bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	response, err := c.http.RoundTrip(r)
	if err != nil {
		return nil, fmt.Errorf("ask the supervisor of %s: %w", c.folder, hostError(err))
	}
	if response.StatusCode == http.StatusOK {
		return response.Body, nil
	}
	defer response.Body.Close()
	text, err = io.ReadAll(io.LimitReader(response.Body, maxPiece))
	if err != nil {
		return nil, fmt.Errorf("ask the supervisor of %s: %w", c.folder, hostError(err))
	}
	var said refusal
	if json.Unmarshal(text, &said) != nil { // of the socket's own
		return nil, fmt.Errorf("the supervisor of %s answers: %s", c.folder, bytes.TrimSpace(text))
	}
	return nil, said.asError()
}

// asError gives the error that was sent, as the one of package engine that it is.
func (r refusal) asError() error {
	of, known := codes[r.Code]
	if !known {
		return errors.New(r.Error)
	}
	return fmt.Errorf("%s%w", strings.TrimSuffix(r.Error, of.Error()), of)
}

// get asks for a value.
func (c *Client) get(ctx context.Context, method, path string, values url.Values, body, into any) error {
	answer, err := c.ask(ctx, method, path, values, body)
	if err != nil {
		return err
	}
	defer answer.Close()
	if err := json.NewDecoder(answer).Decode(into); err != nil {
		return fmt.Errorf("read what the supervisor of %s answers: %w", c.folder, hostError(err))
	}
	return nil
}

// tell sends a message of which only an error comes back.
func (c *Client) tell(ctx context.Context, path string, values url.Values, body any) error {
	var nothing any
	return c.get(ctx, http.MethodPost, path, values, body, &nothing)
}

// Status tells how the supervisor is.
func (c *Client) Status(ctx context.Context) (s Status, err error) {
	return s, c.get(ctx, http.MethodGet, "status", nil, nil, &s)
}

// Path implements engine.Host.
func (c *Client) Path(parts ...string) string { return inside(parts...) }

// Process implements engine.Host.
func (c *Client) Process(ctx context.Context) (engine.Process, error) {
	s, err := c.Status(ctx)
	return s.Process, err
}

// Wait implements engine.Host.
func (c *Client) Wait(ctx context.Context, since engine.Process) (p engine.Process, err error) {
	values := url.Values{"life": {strconv.FormatInt(since.Life, 10)}, "running": {strconv.FormatBool(since.Running)}}
	for {
		err = c.get(ctx, http.MethodGet, "wait", values, nil, &p)
		if err != nil || p.Life != since.Life || p.Running != since.Running {
			return p, err
		}
	}
}

func orderOf(c engine.Command) order {
	return order{c.Path, c.Args, c.Env, c.Input, c.Restart, c.Stop}
}

// Start implements engine.Host.
func (c *Client) Start(ctx context.Context, command engine.Command) error {
	return c.tell(ctx, "start", nil, orderOf(command))
}

// Signal implements engine.Host.
func (c *Client) Signal(ctx context.Context, signal int) error {
	return c.tell(ctx, "signal", url.Values{"signal": {strconv.Itoa(signal)}}, nil)
}

// Hold implements engine.Host.
func (c *Client) Hold(ctx context.Context) error { return c.tell(ctx, "hold", nil, nil) }

// Run implements engine.Host.
func (c *Client) Run(ctx context.Context, command engine.Command) error {
	answer, err := c.ask(ctx, http.MethodPost, "run", nil, orderOf(command))
	if err != nil {
		return err
	}
	defer answer.Close()
	var words journal
	for pieces := json.NewDecoder(answer); ; {
		var p piece
		if err := pieces.Decode(&p); err != nil {
			return fmt.Errorf("run %s: %w", command.Path, errors.Join(context.Cause(ctx), hostError(err)))
		}
		if command.Output != nil {
			_, _ = command.Output.Write(p.Out)
		}
		if command.Errors != nil {
			_, _ = command.Errors.Write(p.Err)
		}
		words.remember(p.Err)
		if !p.Done {
			continue
		}
		if p.Exit != "" {
			last, _ := words.last()
			return fmt.Errorf("run %s: %s: %s", command.Path, p.Exit, last)
		}
		return nil
	}
}

// KillTime is how long a supervisor has to kill a server at most until it is killed itself.
const KillTime = 2 * time.Second

// inTime limits what is asked of a supervisor so that there is time to do without it.
func inTime(ctx context.Context) (context.Context, context.CancelFunc) {
	limit := KillTime
	if end, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(end)/2)
	}
	return context.WithTimeout(ctx, limit)
}

// Kill implements engine.Host. A supervisor that does not do it in time is killed with
// everything that it has started; then there is no host any more.
func (c *Client) Kill(ctx context.Context) error {
	soon, cancel := inTime(ctx)
	defer cancel()
	err := c.tell(soon, "kill", nil, nil)
	if err == nil || ctx.Err() != nil {
		return err
	}
	return c.Slay(ctx)
}

// Slay kills the supervisor and everything that it has started, without asking it, and
// returns when nothing is left.
func (c *Client) Slay(ctx context.Context) error {
	killGroup(c.group) // which takes part in it when there is one
	raw, err := c.pidfd.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = unix.PidfdSendSignal(int(fd), unix.SIGKILL, nil, 0) }); err != nil {
		return err
	}
	if failed != nil && failed != unix.ESRCH {
		return fmt.Errorf("kill the supervisor of %s: %w", c.folder, failed)
	}
	return c.waitGone(ctx)
}

func (c *Client) waitGone(ctx context.Context) error {
	select {
	case <-c.gone:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the supervisor of %s to end: %w", c.folder, ctx.Err())
	}
}

// End ends the supervisor. A server that runs is killed; whoever wants it to end well
// stops it before.
func (c *Client) End(ctx context.Context) error {
	soon, cancel := inTime(ctx)
	defer cancel()
	if err := c.tell(soon, "end", nil, nil); err != nil {
		return c.Slay(ctx)
	}
	return c.waitGone(ctx)
}
