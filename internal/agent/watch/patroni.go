// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
)

// patroni asks a node's Patroni, whose word counts more than the server's: while a node is
// demoted its server still writes
// (https://patroni.readthedocs.io/en/latest/rest_api.html).
type patroni struct {
	question
	client *http.Client
	url    string
}

func newPatroni(q question) asker {
	at := netip.AddrPortFrom(q.addr.Addr(), q.rest)
	return &patroni{q, &http.Client{Transport: &http.Transport{
		DialContext:     func(ctx context.Context, _, _ string) (net.Conn, error) { return q.dial(ctx, at) },
		MaxConnsPerHost: 1,
	}}, "http://" + at.String() + "/primary"}
}

// longestStatus bounds how much of an answer is read.
const longestStatus = 64 << 10

// nodeStatus is what Patroni says of its node.
type nodeStatus struct {
	State, Role string
	Replication string `json:"replication_state"`
	System      string `json:"database_system_identifier"`
	XLog        struct {
		Location int64 // of a writer
		Replayed int64 `json:"replayed_location"`
	}
	Tags struct {
		// Aside is there when nobody is to read here, and mostly true.
		Aside json.RawMessage `json:"noloadbalance"`
	}
}

func (p *patroni) ask(ctx context.Context) Answer {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url, nil)
	if err != nil {
		return Answer{Err: err}
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return Answer{Err: err}
	}
	defer resp.Body.Close()
	var s nodeStatus
	if err := json.NewDecoder(io.LimitReader(resp.Body, longestStatus)).Decode(&s); err != nil {
		return Answer{Err: fmt.Errorf("what Patroni says (%s) is no status: %w", resp.Status, err)}
	}
	switch {
	case resp.StatusCode == http.StatusOK: // it holds the leader's lock
		return Answer{Writes: true, System: s.System, Position: s.XLog.Location}
	case s.State != "running" && s.State != "streaming":
		return Answer{Err: fmt.Errorf("the server is %s, Patroni says", s.State)}
	}
	streams := s.Replication == "" || s.Replication == "streaming" // which old versions do not say
	aside := len(s.Tags.Aside) > 0 && string(s.Tags.Aside) != "false"
	return Answer{Reads: s.Role == "replica" && streams && !aside, System: s.System, Position: s.XLog.Replayed}
}

func (p *patroni) close() { p.client.CloseIdleConnections() }
