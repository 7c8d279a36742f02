// SPDX-License-Identifier: Apache-2.0

package resolver

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// Sockets are handed over in lots: the length of a description, the description, and
// beside its first byte the descriptors (SCM_RIGHTS in unix(7), which takes 253 at a
// time). Each lot is confirmed by a byte, an empty one is the last. Then the new process
// says that it serves, and the old one, when it reads no more, that it has gone.
const (
	lotSize  = 200
	maxLot   = 256 << 10
	taken    = 't'
	serving  = 's'
	released = 'r'
	// handTime bounds how long one of both waits for the other one.
	handTime = 30 * time.Second
)

// sendSockets hands descriptors over. They stay open here too.
func sendSockets(conn *net.UnixConn, list []socket) error {
	if err := conn.SetDeadline(time.Now().Add(handTime)); err != nil {
		return err
	}
	for {
		lot := list[:min(lotSize, len(list))]
		list = list[len(lot):]
		if err := sendLot(conn, lot); err != nil {
			return fmt.Errorf("hand over sockets: %w", err)
		}
		if err := await(conn, taken); err != nil {
			return fmt.Errorf("hand over sockets: %w", err)
		}
		if len(lot) == 0 {
			return nil
		}
	}
}

func sendLot(conn *net.UnixConn, lot []socket) error {
	text, err := json.Marshal(lot)
	if err != nil {
		return err
	}
	var rights []byte
	if len(lot) > 0 {
		var fds []int
		for _, s := range lot {
			fds = append(fds, s.fd)
		}
		rights = unix.UnixRights(fds...)
	}
	message := append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), text...)
	n, _, err := conn.WriteMsgUnix(message, rights, nil)
	if err == nil && n < len(message) {
		_, err = conn.Write(message[n:])
	}
	return err
}

// receiveSockets takes what sendSockets hands over.
func receiveSockets(conn *net.UnixConn) (list []socket, err error) {
	if err := conn.SetDeadline(time.Now().Add(handTime)); err != nil {
		return nil, err
	}
	for {
		lot, err := receiveLot(conn)
		list = append(list, lot...)
		if err == nil {
			_, err = conn.Write([]byte{taken})
		}
		if err != nil {
			closeAll(list)
			return nil, fmt.Errorf("take sockets over: %w", err)
		}
		if len(lot) == 0 {
			return list, nil
		}
	}
}

func receiveLot(conn *net.UnixConn) (lot []socket, err error) {
	head := make([]byte, 4)
	room := make([]byte, unix.CmsgSpace(4*253))
	n, rights, _, _, err := conn.ReadMsgUnix(head, room)
	if err != nil {
		return nil, err
	}
	fds, err := rightsOf(room[:rights])
	if err == nil {
		_, err = io.ReadFull(conn, head[n:])
	}
	size := binary.BigEndian.Uint32(head)
	if err == nil && size > maxLot {
		err = fmt.Errorf("a description has %d bytes", size)
	}
	if err == nil {
		text := make([]byte, size)
		if _, err = io.ReadFull(conn, text); err == nil {
			err = json.Unmarshal(text, &lot)
		}
	}
	if err == nil && len(lot) != len(fds) {
		err = fmt.Errorf("%d sockets are described, and %d are there", len(lot), len(fds))
	}
	if err != nil {
		for _, fd := range fds {
			unix.Close(fd)
		}
		return nil, err
	}
	for i, fd := range fds {
		unix.CloseOnExec(fd)
		lot[i].fd = fd
	}
	return lot, nil
}

func rightsOf(b []byte) (fds []int, err error) {
	messages, err := unix.ParseSocketControlMessage(b)
	if err != nil {
		return nil, err
	}
	for _, m := range messages {
		more, err := unix.ParseUnixRights(&m)
		if err != nil {
			return fds, err
		}
		fds = append(fds, more...)
	}
	return fds, nil
}

// await reads a byte that says something.
func await(conn *net.UnixConn, want byte) error {
	var b [1]byte
	if _, err := io.ReadFull(conn, b[:]); err != nil {
		return err
	}
	if b[0] != want {
		return errors.New("the other process does not speak this language")
	}
	return nil
}
