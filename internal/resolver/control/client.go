// SPDX-License-Identifier: Apache-2.0

package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/socket"
)

// ErrNobody says that no process serves the socket.
var ErrNobody = errors.New("no resolver runs")

// ErrGone says that another process takes the place of the one that was told.
var ErrGone = errors.New("another process takes the place of this one; tell it")

// Client asks the process of a data folder. Its methods may be called from many
// goroutines; each of them ends with its context.
type Client struct {
	folder string
	http   *http.Transport
}

// NewClient prepares to ask; nothing is opened yet. The caller calls Close.
func NewClient(folder string) *Client {
	c := &Client{folder: folder}
	c.http = &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return socket.Dial(ctx, c.folder, SocketName)
		},
		MaxIdleConns:       8,
		DisableCompression: true,
	}
	return c
}

// Close closes connections that are not in use.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// ask sends one message and gives the answer, which the caller closes.
func (c *Client) ask(ctx context.Context, method, path string, values url.Values, body []byte) (io.ReadCloser, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://resolver/"+path+"?"+values.Encode(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	// All that can be asked may be asked twice: so it is asked again of who comes next
	// when the process went while a connection was idle.
	r.Header["X-Idempotency-Key"] = nil
	response, err := c.http.RoundTrip(r)
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ECONNREFUSED):
		return nil, fmt.Errorf("ask the resolver of %s: %w", c.folder, ErrNobody)
	case err != nil:
		return nil, fmt.Errorf("ask the resolver of %s: %w", c.folder, err)
	case response.StatusCode != http.StatusOK:
		defer response.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(response.Body, 4096))
		return nil, fmt.Errorf("the resolver of %s answers: %s", c.folder, strings.TrimSpace(string(text)))
	}
	return response.Body, nil
}

// get asks for a value.
func (c *Client) get(ctx context.Context, method, path string, values url.Values, body []byte, into any) error {
	answer, err := c.ask(ctx, method, path, values, body)
	if err != nil {
		return err
	}
	defer answer.Close()
	if err := json.NewDecoder(io.LimitReader(answer, maxAnswer)).Decode(into); err != nil {
		return fmt.Errorf("read what the resolver of %s answers: %w", c.folder, err)
	}
	return nil
}

func ofRealm(realm desired.Realm) url.Values { return url.Values{"realm": {string(realm)}} }

// Realms lists the realms that have anything.
func (c *Client) Realms(ctx context.Context) (realms []desired.Realm, err error) {
	return realms, c.get(ctx, http.MethodGet, "realms", nil, nil, &realms)
}

// Dump gives what a realm has.
func (c *Client) Dump(ctx context.Context, realm desired.Realm) (entries []desired.Entry, err error) {
	answer, err := c.ask(ctx, http.MethodGet, "dump", ofRealm(realm), nil)
	if err != nil {
		return nil, err
	}
	defer answer.Close()
	lines := bufio.NewScanner(io.LimitReader(answer, maxAnswer))
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	kinds := Kinds()
	for lines.Scan() {
		e, err := desired.Parse(lines.Text(), kinds...)
		if err != nil {
			return nil, fmt.Errorf("read names of %s: %w", realm.Name(), err)
		}
		entries = append(entries, e)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read names of %s: %w", realm.Name(), err)
	}
	return entries, nil
}

// Apply puts entries in a realm and then deletes what is to go, in as many messages as
// it takes, and gives why entries failed, by key.
func (c *Client) Apply(ctx context.Context, realm desired.Realm, put, del []desired.Entry) map[desired.Key]error {
	failed := map[desired.Key]error{}
	desired.Sort(put)
	desired.Sort(del)
	slices.Reverse(del)
	p := part{client: c, realm: realm, failed: failed}
	for _, e := range put {
		p.add(ctx, e.Key(), desired.Record(e))
	}
	for _, e := range del {
		p.add(ctx, e.Key(), deletion+e.Key().String())
	}
	p.send(ctx)
	return failed
}

// part is what one message tells.
type part struct {
	client *Client
	realm  desired.Realm
	keys   []desired.Key
	body   []byte
	failed map[desired.Key]error
}

func (p *part) add(ctx context.Context, k desired.Key, line string) {
	if len(line) >= maxLine {
		p.failed[k] = fmt.Errorf("put %s: its text has %d bytes, and the resolver takes less than %d", k, len(line), maxLine)
		return
	}
	if len(p.body)+len(line) > partBody {
		p.send(ctx)
	}
	p.keys = append(p.keys, k)
	p.body = append(append(p.body, line...), '\n')
}

func (p *part) send(ctx context.Context) {
	if len(p.body) == 0 {
		return
	}
	var failed map[string]string
	if err := p.client.get(ctx, http.MethodPost, "apply", ofRealm(p.realm), p.body, &failed); err != nil {
		for _, k := range p.keys {
			p.failed[k] = err
		}
	}
	if len(failed) > 0 {
		p.fail(failed)
	}
	p.keys, p.body = nil, nil
}

// fail notes what the answer says to have failed, by the texts of keys.
func (p *part) fail(failed map[string]string) {
	for _, k := range p.keys {
		switch reason, ok := failed[k.String()]; {
		case !ok:
		case reason == ErrGone.Error():
			p.failed[k] = ErrGone
		default:
			p.failed[k] = errors.New(reason)
		}
	}
}

// Lookup resolves a name.
func (c *Client) Lookup(ctx context.Context, q Question) (a Answer, err error) {
	values := url.Values{"name": {q.Name}, "vpc": {q.VPC}}
	if q.IPv6 {
		values.Set("ipv6", "yes")
	}
	if q.Text {
		values.Set("text", "yes")
	}
	return a, c.get(ctx, http.MethodGet, "lookup", values, nil, &a)
}

// Status asks how the process is; ErrNobody says that there is none.
func (c *Client) Status(ctx context.Context) (s Status, err error) {
	return s, c.get(ctx, http.MethodGet, "status", nil, nil, &s)
}

// UseShelf gives the process what it may have the kernel answer by itself.
func (c *Client) UseShelf(ctx context.Context, s Shelf) error {
	body, err := json.Marshal(s)
	if err != nil {
		return err
	}
	var nothing any
	return c.get(ctx, http.MethodPost, "shelf", nil, body, &nothing)
}

// Stop asks the process to end, and waits until it has closed its socket.
func (c *Client) Stop(ctx context.Context) error {
	ended, err := c.Watch(ctx)
	if err != nil {
		return err
	}
	answer, err := c.ask(ctx, http.MethodPost, "stop", nil, nil)
	if err != nil {
		return err
	}
	answer.Close()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop the resolver of %s: %w", c.folder, ctx.Err())
	}
}

// Watch gives a channel that is closed when the process that serves now has ended, or
// the context.
func (c *Client) Watch(ctx context.Context) (ended <-chan struct{}, err error) {
	answer, err := c.ask(ctx, http.MethodGet, "watch", nil, nil)
	if err != nil {
		return nil, err
	}
	end := make(chan struct{})
	go func() {
		defer close(end)
		defer answer.Close()
		_, _ = io.Copy(io.Discard, answer)
	}()
	return end, nil
}

// TakeOver asks the process for its sockets. The caller closes the connection, on which
// they come.
func (c *Client) TakeOver(ctx context.Context) (*net.UnixConn, error) {
	conn, err := socket.Dial(ctx, c.folder, SocketName)
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ECONNREFUSED):
		return nil, fmt.Errorf("take over from the resolver of %s: %w", c.folder, ErrNobody)
	case err != nil:
		return nil, fmt.Errorf("take over from the resolver of %s: %w", c.folder, err)
	}
	if _, err := io.WriteString(conn, "POST /takeover HTTP/1.1\r\nHost: resolver\r\nContent-Length: 0\r\n\r\n"); err != nil {
		return nil, errors.Join(fmt.Errorf("take over from the resolver of %s: %w", c.folder, err), conn.Close())
	}
	return conn, nil
}
