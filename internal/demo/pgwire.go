// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"encoding/binary"
	"fmt"
	"io"
)

// The little of PostgreSQL's protocol 3.0 that one query without a password
// needs: https://www.postgresql.org/docs/current/protocol-message-formats.html
const (
	pgVersion3   = 3 << 16
	pgAuth       = 'R'
	pgReady      = 'Z'
	pgError      = 'E'
	pgRow        = 'D'
	maxPGMessage = 1 << 16
)

// askOne logs in as postgres and runs "select 1".
func askOne(conn io.ReadWriter) error {
	startup := binary.BigEndian.AppendUint32(nil, pgVersion3)
	startup = append(startup, "user\x00postgres\x00\x00"...)
	if err := sendPG(conn, 0, startup); err != nil {
		return err
	}
	if _, err := untilReady(conn); err != nil {
		return fmt.Errorf("log in: %w", err)
	}
	if err := sendPG(conn, 'Q', []byte("select 1\x00")); err != nil {
		return err
	}
	rows, err := untilReady(conn)
	if err == nil && rows != 1 {
		err = fmt.Errorf("%d rows, want 1", rows)
	}
	if err != nil {
		return fmt.Errorf("query: %w", err)
	}
	return nil
}

// sendPG sends a message; the first one of a connection has no kind.
func sendPG(w io.Writer, kind byte, body []byte) error {
	var message []byte
	if kind != 0 {
		message = append(message, kind)
	}
	message = binary.BigEndian.AppendUint32(message, uint32(len(body)+4))
	_, err := w.Write(append(message, body...))
	return err
}

// untilReady reads until the server waits for a query, and counts rows.
func untilReady(r io.Reader) (rows int, err error) {
	for {
		var head [5]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return rows, err
		}
		length := binary.BigEndian.Uint32(head[1:])
		if length < 4 || length > maxPGMessage {
			return rows, fmt.Errorf("message of %d bytes", length)
		}
		body := make([]byte, length-4)
		if _, err := io.ReadFull(r, body); err != nil {
			return rows, err
		}
		switch {
		case head[0] == pgReady:
			return rows, nil
		case head[0] == pgError:
			return rows, fmt.Errorf("the server refuses: %q", body)
		case head[0] == pgAuth && (len(body) < 4 || binary.BigEndian.Uint32(body) != 0):
			return rows, fmt.Errorf("the server wants a password")
		case head[0] == pgRow:
			rows++
		}
	}
}
