// SPDX-License-Identifier: Apache-2.0

package socket

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The path of the folder is longer than the address of a socket can be.
func TestFoldersMayHaveLongPaths(t *testing.T) {
	folder := filepath.Join(t.TempDir(), strings.Repeat("long/", 40))
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second one replaces the first
		l, err := Listen(folder, "s.sock")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		conn, err := Dial(t.Context(), folder, "s.sock")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		at, err := RootOnly{l}.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer at.Close()
		peer, err := Peer(conn)
		if err != nil {
			t.Fatal(err)
		}
		if int(peer.Pid) != os.Getpid() || int(peer.Uid) != os.Geteuid() {
			t.Errorf("at the other end is process %d of user %d, want %d of %d", peer.Pid, peer.Uid, os.Getpid(), os.Geteuid())
		}
	}
	info, err := os.Stat(filepath.Join(folder, "s.sock"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket is %v %v, want one that only its owner may use", info.Mode(), err)
	}
}
