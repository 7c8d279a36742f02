// SPDX-License-Identifier: Apache-2.0

package handover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/socket"
)

// socketName is the socket's name in the data folder.
const socketName = "attach.sock"

// Bounds of what others than root can take of the door, so that one user takes
// nothing from another: connections at a time of one user and of all, how long one
// may take, and how large a message is.
const (
	eachUser   = 16
	allUsers   = 1024
	patience   = 5 * time.Second
	maxMessage = 4096
	maxKeyID   = 128
)

// Offer is what is said of a namespace that is handed over.
type Offer struct {
	// AccessKeyID is the access key that the handle is for.
	AccessKeyID string `json:"accessKeyId"`
	// Name or PID is how the namespace can be found later, after a restart of
	// Postern for example: its name under /run/netns, or a process that lives in
	// it, as long as it lives.
	Name string `json:"netnsName,omitempty"`
	PID  int    `json:"pid,omitempty"`
}

// answer is the reply to an offer: a handle, or why there is none.
type answer struct {
	Handle string `json:"handle,omitempty"`
	Error  string `json:"error,omitempty"`
}

// Door is where namespaces are handed over.
type Door struct {
	handles  *Handles
	listener *net.UnixListener
	path     string
	log      *slog.Logger

	mu    sync.Mutex
	busy  map[uint32]int // connections by user, without root's
	total int            // the sum of busy
}

// Open opens the door in a data folder, in which no other process has one. Any
// user may knock, so the folder is made one that all users can pass through and
// only its owner can read. The caller calls Serve, then Close.
func Open(folder string, handles *Handles, log *slog.Logger) (*Door, error) {
	d := &Door{handles: handles, path: filepath.Join(folder, socketName), log: log, busy: map[uint32]int{}}
	err := letPass(folder)
	if err == nil {
		err = d.listen(folder)
	}
	if err != nil {
		return nil, fmt.Errorf("open the socket for namespaces: %w", err)
	}
	return d, nil
}

// letPass lets all users search a folder.
func letPass(folder string) error {
	info, err := os.Stat(folder)
	if err != nil {
		return err
	}
	return os.Chmod(folder, info.Mode().Perm()|0o111)
}

func (d *Door) listen(folder string) error {
	if err := os.Remove(d.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	err := socket.Within(folder, socketName, func(address *net.UnixAddr) (err error) {
		address.Net = "unixpacket"
		d.listener, err = net.ListenUnix("unixpacket", address)
		return err
	})
	if err != nil {
		return err
	}
	d.listener.SetUnlinkOnClose(false) // Close knows the path
	if err := os.Chmod(d.path, 0o666); err != nil {
		return errors.Join(err, d.Close())
	}
	return nil
}

// Close takes the door away.
func (d *Door) Close() error {
	return errors.Join(d.listener.Close(), os.Remove(d.path))
}

// Serve answers until the context ends.
func (d *Door) Serve(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { d.listener.SetDeadline(time.Unix(1, 0)) })()
	for {
		conn, err := d.listener.AcceptUnix()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
			d.log.Warn("no descriptors left to take namespaces with", "error", err)
			time.Sleep(100 * time.Millisecond)
			continue
		case err != nil:
			return fmt.Errorf("serve the socket for namespaces: %w", err)
		}
		d.attend(conn)
	}
}

// attend answers one connection in a goroutine of its own, or refuses it when its
// user has too many.
func (d *Door) attend(conn *net.UnixConn) {
	conn.SetDeadline(time.Now().Add(patience))
	from, err := socket.Peer(conn)
	if err != nil || !d.enter(from.Uid) {
		reply(conn, answer{Error: "too many namespaces are being handed over at a time; try again"})
		return
	}
	go func() {
		defer d.leave(from.Uid)
		handle, err := d.admit(conn, from.Uid)
		if err != nil {
			reply(conn, answer{Error: err.Error()})
			return
		}
		reply(conn, answer{Handle: handle})
	}()
}

func (d *Door) enter(uid uint32) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if uid == 0 {
		return true
	}
	if d.busy[uid] >= eachUser || d.total >= allUsers {
		return false
	}
	d.busy[uid]++
	d.total++
	return true
}

func (d *Door) leave(uid uint32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if uid == 0 {
		return
	}
	d.total--
	if d.busy[uid]--; d.busy[uid] == 0 {
		delete(d.busy, uid)
	}
}

// reply sends the answer and ends the connection. Nobody may be there any more.
func reply(conn *net.UnixConn, a answer) {
	defer conn.Close()
	if text, err := json.Marshal(a); err == nil {
		_, _ = conn.Write(text)
	}
}

// admit looks at an offer and gives a handle for it.
func (d *Door) admit(conn *net.UnixConn, uid uint32) (string, error) {
	offer, ns, err := receive(conn)
	if err != nil {
		return "", err
	}
	defer ns.Close()
	if err := mayGive(uid, ns); err != nil {
		return "", err
	}
	found, err := pin(offer, ns)
	if err != nil {
		return "", err
	}
	return d.handles.Give(offer.AccessKeyID, found)
}

// mayGive says whether a user may hand a namespace over. What is not the user's is
// refused before it is looked at.
func mayGive(uid uint32, ns *os.File) error {
	if uid != 0 {
		owner, err := network.Owner(ns)
		if err != nil {
			return err
		}
		if uid != owner {
			return errors.New("the network namespace is not yours: its owner or root may hand it over")
		}
	}
	return network.CheckPlace(ns)
}

// errElsewhere does not tell whether there is anything elsewhere.
var errElsewhere = errors.New("the name or process does not lead to the network namespace")

// pin describes a namespace so that it can be found later and is never mistaken
// for another one. The name or process of the offer must lead to it.
func pin(offer Offer, ns *os.File) (desired.Namespace, error) {
	found := desired.Namespace{Name: offer.Name, PID: offer.PID}
	if (offer.Name == "") == (offer.PID <= 0) {
		return found, errors.New("a name of the namespace or a process in it is needed, and one of them only")
	}
	there, err := network.Find(found)
	if errors.Is(err, network.ErrNamespaceGone) {
		return found, errElsewhere
	}
	if err != nil {
		return found, err
	}
	defer there.Close()
	same, err := network.Same(ns, there)
	if err != nil {
		return found, err
	}
	if !same {
		return found, errElsewhere
	}
	return describe(found, ns)
}

func describe(found desired.Namespace, ns *os.File) (_ desired.Namespace, err error) {
	if found.Inode, err = network.Inode(ns); err == nil {
		found.Identity, err = network.Identify(ns)
	}
	return found, err
}

// Find is for those who need not hand a namespace over: it pins one that is
// named, with the inode when that is known, and refuses what is not a workload's.
func Find(n desired.Namespace) (desired.Namespace, error) {
	ns, err := network.Find(n)
	if err != nil {
		return n, err
	}
	defer ns.Close()
	if err := network.CheckPlace(ns); err != nil {
		return n, fmt.Errorf("namespace %s: %w", n, err)
	}
	return describe(n, ns)
}
