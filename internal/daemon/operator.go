// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// operatorSocket is where a running daemon is asked by the commands of the
// folder's owner. Nobody else can connect to it.
const operatorSocket = "operator.sock"

// noteInTrailer carries the error of an answer that had begun already.
const noteInTrailer = "X-Postern-Error"

// question answers one path of the operator's socket by writing to w.
type question func(ctx context.Context, w io.Writer) error

// operator is the socket of a running daemon.
type operator struct {
	folder   Folder
	listener *net.UnixListener
	server   *http.Server
}

// openOperator opens the socket in a folder that no other process uses. The
// caller serves it and closes it.
func openOperator(f Folder, questions map[string]question) (*operator, error) {
	o := &operator{folder: f}
	if err := os.Remove(f.path(operatorSocket)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("open the operator's socket: %w", err)
	}
	err := f.within(func(path string) (err error) {
		o.listener, err = net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: path})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open the operator's socket: %w", err)
	}
	o.listener.SetUnlinkOnClose(false) // the path goes by way of a descriptor that is closed
	if err := os.Chmod(f.path(operatorSocket), 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("open the operator's socket: %w", err), o.close())
	}
	mux := http.NewServeMux()
	for name, q := range questions {
		mux.HandleFunc("GET /"+name, func(w http.ResponseWriter, r *http.Request) { answer(w, r, q) })
	}
	o.server = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	return o, nil
}

// answer writes what is asked for. An error after the first byte is told behind
// the last one.
func answer(w http.ResponseWriter, r *http.Request, q question) {
	w.Header().Set("Trailer", noteInTrailer)
	if err := q(r.Context(), w); err != nil {
		w.Header().Set(noteInTrailer, strings.ReplaceAll(err.Error(), "\n", " "))
	}
}

func (o *operator) serve(ctx context.Context) error { return serveHTTP(ctx, o.server, o.listener) }

func (o *operator) close() error {
	err := o.listener.Close()
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	return errors.Join(err, os.Remove(o.folder.path(operatorSocket)))
}

// errNobody says that no daemon answers on a folder.
var errNobody = errors.New("no Postern answers")

// ask asks the daemon of a folder and writes its answer to w. The error is
// errNobody when there is none.
func (f Folder) ask(ctx context.Context, name string, w io.Writer) error {
	dial := func(ctx context.Context, _, _ string) (conn net.Conn, err error) {
		err = f.within(func(path string) (err error) {
			conn, err = new(net.Dialer).DialContext(ctx, "unix", path)
			return err
		})
		return conn, err
	}
	transport := &http.Transport{DialContext: dial}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://postern/"+name, nil)
	if err != nil {
		return err
	}
	response, err := transport.RoundTrip(request)
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ECONNREFUSED):
		return errNobody
	case err != nil:
		return fmt.Errorf("ask Postern on %s: %w", f, err)
	}
	defer response.Body.Close()
	if _, err = io.Copy(w, response.Body); err != nil {
		return fmt.Errorf("ask Postern on %s: %w", f, err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("ask Postern on %s: it answers %s; it may be of another version than this command", f, response.Status)
	}
	if said := response.Trailer.Get(noteInTrailer); said != "" {
		return errors.New(said)
	}
	return nil
}

// within calls fn with the path of the operator's socket, by way of an open
// descriptor: an address has room for 107 bytes only (unix(7)).
func (f Folder) within(fn func(path string) error) error {
	dir, err := unix.Open(string(f), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: string(f), Err: err}
	}
	defer unix.Close(dir)
	return fn(fmt.Sprintf("/proc/self/fd/%d/%s", dir, operatorSocket))
}
