// SPDX-License-Identifier: Apache-2.0

// Package socket opens Unix sockets in folders, whatever the length of the folder's path,
// and says who is at the other end.
package socket

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Within calls fn with the address of a socket in a folder, by way of an open descriptor:
// an address has room for 107 bytes only (unix(7)).
func Within(folder, name string, fn func(*net.UnixAddr) error) error {
	dir, err := unix.Open(folder, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open folder %s: %w", folder, err)
	}
	defer unix.Close(dir)
	return fn(&net.UnixAddr{Net: "unix", Name: fmt.Sprintf("/proc/self/fd/%d/%s", dir, name)})
}

// Dial connects to a socket in a folder.
func Dial(ctx context.Context, folder, name string) (conn *net.UnixConn, err error) {
	err = Within(folder, name, func(address *net.UnixAddr) error {
		c, err := new(net.Dialer).DialContext(ctx, "unix", address.Name)
		if err == nil {
			conn = c.(*net.UnixConn)
		}
		return err
	})
	return conn, err
}

// Listen opens a socket in a folder, which only root and who runs the process may use. One
// that is there is replaced at once, so that there is never none; the caller sees to it
// that nobody else serves it. The name stays when the listener is closed: another one may
// have it by then.
func Listen(folder, name string) (l *net.UnixListener, err error) {
	fresh := name + ".new"
	path := filepath.Join(folder, fresh)
	if err := os.RemoveAll(path); err != nil {
		return nil, err
	}
	err = Within(folder, fresh, func(address *net.UnixAddr) (err error) {
		l, err = net.ListenUnix("unix", address)
		return err
	})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	if err = errors.Join(os.Chmod(path, 0o600), os.Rename(path, filepath.Join(folder, name))); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// RootOnly closes connections of others than root and who runs the process.
type RootOnly struct{ *net.UnixListener }

// Accept implements net.Listener.
func (l RootOnly) Accept() (net.Conn, error) {
	for {
		conn, err := l.AcceptUnix()
		if err != nil {
			return nil, err
		}
		if peer, err := Peer(conn); err == nil && (peer.Uid == 0 || peer.Uid == uint32(os.Geteuid())) {
			return conn, nil
		}
		conn.Close()
	}
}

// Peer gives who is at the other end, as the kernel knows it: who connected, or who began
// to listen. Its process has the number that this process sees, or 0 when it sees none.
func Peer(conn *net.UnixConn) (*unix.Ucred, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	var credentials *unix.Ucred
	var noCredentials error
	err = raw.Control(func(fd uintptr) {
		credentials, noCredentials = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err := errors.Join(err, noCredentials); err != nil {
		return nil, err
	}
	return credentials, nil
}
