// SPDX-License-Identifier: Apache-2.0

package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/socket"
)

// How long a peer may take to say what it wants, and to take the answer.
const (
	readTime  = 20 * time.Second
	writeTime = 60 * time.Second
)

// Server serves the socket.
type Server struct {
	served   Served
	listener *net.UnixListener
	http     *http.Server
}

// Listen opens the socket in a folder. One that is there is replaced at once, so that
// there is never none; the caller sees to it that nobody else serves the folder. The
// caller calls Serve, then Close.
func Listen(folder string, served Served) (*Server, error) {
	s := &Server{served: served}
	var err error
	if s.listener, err = socket.Listen(folder, SocketName); err != nil {
		return nil, fmt.Errorf("open the resolver's socket: %w", err)
	}
	s.http = &http.Server{Handler: s.mux(), ReadTimeout: readTime, WriteTimeout: writeTime}
	return s, nil
}

// Serve answers until Close.
func (s *Server) Serve() error {
	err := s.http.Serve(socket.RootOnly{UnixListener: s.listener})
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve the resolver's socket: %w", err)
}

// Close takes no more connections and waits some time for what is under way. Whoever
// waits for the process to end is told by that. The socket's name stays: it may be
// another one's already.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := s.http.Shutdown(ctx); err != nil {
		return s.http.Close()
	}
	return nil
}

func (s *Server) mux() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /realms", s.realms)
	mux.HandleFunc("GET /dump", s.dump)
	mux.HandleFunc("POST /apply", s.apply)
	mux.HandleFunc("GET /lookup", s.lookup)
	mux.HandleFunc("GET /status", s.status)
	mux.HandleFunc("POST /shelf", s.useShelf)
	mux.HandleFunc("GET /watch", s.watch)
	mux.HandleFunc("POST /stop", func(w http.ResponseWriter, _ *http.Request) { s.served.Stop() })
	mux.HandleFunc("POST /takeover", s.handOver)
	return mux
}

// say answers with a value, or with an error of the process.
func say(w http.ResponseWriter, value any, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value) // nobody may be there any more
}

func (s *Server) realms(w http.ResponseWriter, r *http.Request) {
	realms, err := s.served.Realms(r.Context())
	say(w, realms, err)
}

func (s *Server) dump(w http.ResponseWriter, r *http.Request) {
	entries, err := s.served.Dump(r.Context(), desired.Realm(r.FormValue("realm")))
	if err != nil {
		say(w, nil, err)
		return
	}
	b := bufio.NewWriter(w)
	for _, e := range entries {
		_, _ = b.Write(append(desired.AppendRecord(b.AvailableBuffer(), e), '\n'))
	}
	_ = b.Flush()
}

// apply reads all that it is told before it does anything of it.
func (s *Server) apply(w http.ResponseWriter, r *http.Request) {
	put, del, err := readChange(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	failed := map[string]string{}
	for k, err := range s.served.Apply(r.Context(), desired.Realm(r.FormValue("realm")), put, del) {
		failed[k.String()] = err.Error()
	}
	say(w, failed, nil)
}

func readChange(body io.Reader) (put []desired.Entry, del []desired.Key, err error) {
	lines := bufio.NewScanner(body)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	kinds := Kinds()
	for lines.Scan() {
		if text, ok := strings.CutPrefix(lines.Text(), deletion); ok {
			k, err := desired.ParseKey(text, kinds...)
			if err != nil {
				return nil, nil, err
			}
			del = append(del, k)
			continue
		}
		e, err := desired.Parse(lines.Text(), kinds...)
		if err != nil {
			return nil, nil, err
		}
		put = append(put, e)
	}
	if err := lines.Err(); err != nil {
		return nil, nil, fmt.Errorf("read a change of names: %w", err)
	}
	return put, del, nil
}

func (s *Server) lookup(w http.ResponseWriter, r *http.Request) {
	q := Question{Name: r.FormValue("name"), IPv6: r.FormValue("ipv6") != "", VPC: r.FormValue("vpc"), Text: r.FormValue("text") != ""}
	a, err := s.served.Lookup(r.Context(), q)
	say(w, a, err)
}

func (s *Server) status(w http.ResponseWriter, r *http.Request) {
	status, err := s.served.Status(r.Context())
	say(w, status, err)
}

func (s *Server) useShelf(w http.ResponseWriter, r *http.Request) {
	var shelf Shelf
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxLine)).Decode(&shelf); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	say(w, nil, s.served.UseShelf(r.Context(), shelf))
}

// watch keeps the connection open until one of both ends.
func (s *Server) watch(w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	if err := errors.Join(control.SetWriteDeadline(time.Time{}), control.SetReadDeadline(time.Time{})); err != nil {
		return
	}
	conn, _, err := control.Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, watched); err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, conn) // nothing comes but the end
}

// watched is the answer to who watches the process.
const watched = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"

// handOver gives the connection to what hands over. No deadline of HTTP is left on it.
func (s *Server) handOver(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return
	}
	_ = s.served.HandOver(conn.(*net.UnixConn)) // who asked sees that it did not come to the end
}
