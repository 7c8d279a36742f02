// SPDX-License-Identifier: Apache-2.0

package server

import (
	"net"

	"github.com/posternhq/postern/internal/aws/audit"
)

// maxKeptLine is how large a place for records may be that is used again.
const maxKeptLine = 4 << 10

// record writes down what was asked and what the answer will be.
func (e *exchange) record() {
	if e.Record == nil {
		return
	}
	source, _, err := net.SplitHostPort(e.http.RemoteAddr)
	if err != nil {
		source = e.http.RemoteAddr
	}
	event := audit.Event{
		ID: newRequestID(), RequestID: e.id, At: e.Now(),
		Caller: &e.view.Caller, Region: e.region, Service: e.service.Service, Operation: e.op,
		In: e.in, Out: e.out, Asks: e.request.Asks, Notices: e.notices, Error: e.refused,
		Source: source, UserAgent: e.http.UserAgent(), Host: e.http.Host, TLS: e.http.TLS,
	}
	if e.way != nil {
		event.Endpoint, event.EndpointAccount, event.Source = e.way.Endpoint.ID, e.way.Endpoint.Account, ""
		if e.way.Source.IsValid() {
			event.Source = e.way.Source.String()
		}
	}
	if e.signature != nil {
		event.Key = e.signature.AccessKeyID
		if event.Region == "" {
			event.Region = e.signature.Region
		}
	}
	line, ok := e.lines.Get().(*[]byte)
	if !ok {
		line = new([]byte)
	}
	*line = event.Append((*line)[:0])
	e.Record(e.view.Account, *line)
	*line = event.Others(*line, newRequestID, e.Record)
	if cap(*line) <= maxKeptLine {
		e.lines.Put(line)
	}
}
