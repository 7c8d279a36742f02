// SPDX-License-Identifier: Apache-2.0

package handover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/socket"
)

// receive takes an offer and the namespace with it. The caller closes the file.
func receive(conn *net.UnixConn) (offer Offer, ns *os.File, err error) {
	message, rights := make([]byte, maxMessage), make([]byte, unix.CmsgSpace(4))
	n, m, flags, _, err := conn.ReadMsgUnix(message, rights)
	if err != nil {
		return offer, nil, fmt.Errorf("receive a namespace: %w", err)
	}
	ns, err = theOne(rights[:m])
	if err != nil {
		return offer, nil, err
	}
	if flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 {
		err = errors.New("the message is too long")
	} else if json.Unmarshal(message[:n], &offer) != nil || offer.AccessKeyID == "" || len(offer.AccessKeyID) > maxKeyID {
		err = errors.New("the message is not understood")
	}
	if err != nil {
		ns.Close()
		return offer, nil, err
	}
	return offer, ns, nil
}

// theOne gives the one network namespace that came with a message. What came may
// be anything, also a file of a file system that never answers: then this stays
// here, and takes one of the places that its sender has.
func theOne(rights []byte) (*os.File, error) {
	messages, err := unix.ParseSocketControlMessage(rights)
	if err != nil {
		return nil, fmt.Errorf("receive a namespace: %w", err)
	}
	var all []int
	for _, m := range messages {
		if fds, err := unix.ParseUnixRights(&m); err == nil {
			all = append(all, fds...)
		}
	}
	if len(all) != 1 || !isNamespace(all[0]) {
		for _, fd := range all {
			unix.Close(fd)
		}
		return nil, errors.New("one open network namespace is needed with the message")
	}
	return os.NewFile(uintptr(all[0]), "network namespace"), nil
}

func isNamespace(fd int) bool {
	var fs unix.Statfs_t
	if unix.Fstatfs(fd, &fs) != nil || fs.Type != unix.NSFS_MAGIC {
		return false
	}
	kind, err := unix.IoctlRetInt(fd, unix.NS_GET_NSTYPE)
	return err == nil && kind == unix.CLONE_NEWNET
}

// Refusal is why a namespace was not taken.
type Refusal struct{ Reason string }

// Error implements error.
func (r *Refusal) Error() string { return "hand the namespace over: " + r.Reason }

// clientPatience is how long an answer may take.
const clientPatience = 30 * time.Second

// Give hands an open namespace to the Postern of a data folder and returns the
// handle for it. A refusal is a *Refusal; an error that is fs.ErrNotExist or
// ECONNREFUSED says that no Postern runs there.
func Give(ctx context.Context, folder string, ns *os.File, offer Offer) (handle string, err error) {
	var conn *net.UnixConn
	err = socket.Within(folder, socketName, func(address *net.UnixAddr) (err error) {
		address.Net = "unixpacket"
		conn, err = net.DialUnix("unixpacket", nil, address)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("hand the namespace over: %w", err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(clientPatience))
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	said, err := ask(conn, ns, offer)
	switch {
	case err != nil:
		return "", fmt.Errorf("hand the namespace over: %w", err)
	case said.Error != "":
		return "", &Refusal{said.Error}
	}
	return said.Handle, nil
}

func ask(conn *net.UnixConn, ns *os.File, offer Offer) (said answer, err error) {
	text, err := json.Marshal(offer)
	if err != nil {
		return said, err
	}
	if _, _, err := conn.WriteMsgUnix(text, unix.UnixRights(int(ns.Fd())), nil); err != nil {
		return said, err
	}
	reply := make([]byte, maxMessage)
	n, err := conn.Read(reply)
	if err != nil {
		return said, err
	}
	return said, json.Unmarshal(reply[:n], &said)
}
