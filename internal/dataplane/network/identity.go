// SPDX-License-Identifier: Apache-2.0

package network

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/dataplane/thread"
	"github.com/posternhq/postern/internal/desired"
)

// ErrNotForWorkloads says that a namespace is a router's or the host's own, in
// which no network interface of a workload may be.
var ErrNotForWorkloads = errors.New("network namespace is not for workloads")

// bootID is the kernel's name for the time since it started (random(4)).
var bootID = sync.OnceValues(func() ([]byte, error) { return os.ReadFile("/proc/sys/kernel/random/boot_id") })

// Identify gives the number by which a namespace differs from all others, also
// from those of the past. Its inode does not: the kernel gives the number of a
// namespace that has gone to the next one. So it is made from the namespace's
// cookie, which the kernel counts and gives to no other, and from the name of the
// boot, after which cookies begin anew. It is never zero.
func Identify(ns *os.File) (uint64, error) {
	number, err := cookie(ns)
	boot, bootErr := bootID()
	if err := errors.Join(err, bootErr); err != nil {
		return 0, fmt.Errorf("identify namespace: %w", err)
	}
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(boot[:len(boot):len(boot)], number))
	return max(1, binary.BigEndian.Uint64(sum[:])), nil
}

// cookie gives the number that the kernel has for a namespace (SO_NETNS_COOKIE in
// socket(7)).
func cookie(ns *os.File) (number uint64, err error) {
	err = Inside(ns, func() error {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		number, err = unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
		return err
	})
	return number, err
}

// Owner gives the user who owns a network namespace: the one who made the user
// namespace that it belongs to (ioctl_nsfs(2)). Namespaces that were made without
// a user namespace are root's.
func Owner(ns *os.File) (uid uint32, err error) {
	owning, err := unix.IoctlRetInt(int(ns.Fd()), unix.NS_GET_USERNS)
	if err == nil {
		defer unix.Close(owning)
		uid, err = unix.IoctlGetUint32(owning, unix.NS_GET_OWNER_UID)
	}
	if err != nil {
		return 0, fmt.Errorf("find the owner of a namespace: %w", err)
	}
	return uid, nil
}

// Find opens the namespace that a workload names. ErrNamespaceGone says that it
// is not there any more, or that another one has taken its place. The caller
// closes the file.
func Find(n desired.Namespace) (*os.File, error) {
	var ns *os.File
	var err error
	if n.Name != "" {
		ns, err = OpenNamespace(n.Name)
	} else {
		ns, err = openPath("/proc/" + strconv.Itoa(n.PID) + "/ns/net")
	}
	if err != nil {
		return nil, err
	}
	if err := meant(ns, n); err != nil {
		ns.Close()
		return nil, err
	}
	return ns, nil
}

// meant compares an open namespace with the numbers of the one that is meant, as
// far as they are known.
func meant(ns *os.File, n desired.Namespace) error {
	inode, err := Inode(ns)
	if err != nil {
		return err
	}
	same := n.Inode == 0 || inode == n.Inode
	if same && n.Identity != 0 {
		identity, err := Identify(ns)
		if err != nil {
			return err
		}
		same = identity == n.Identity
	}
	if !same {
		return fmt.Errorf("namespace %s is now another one: %w", n, ErrNamespaceGone)
	}
	return nil
}

// Same reports whether two open namespaces are one.
func Same(a, b *os.File) (bool, error) {
	var one, other unix.Stat_t
	if err := errors.Join(unix.Fstat(int(a.Fd()), &one), unix.Fstat(int(b.Fd()), &other)); err != nil {
		return false, fmt.Errorf("compare namespaces: %w", err)
	}
	return one.Dev == other.Dev && one.Ino == other.Ino, nil
}

// CheckPlace refuses the namespaces that are not a workload's, with
// ErrNotForWorkloads: those of routers, of whatever instance, and the host's
// own. They are known by what they are: a router by the mark that it carries
// inside, whatever it is called by, and the host's by comparing. It is not to be
// called Inside a namespace.
func CheckPlace(ns *os.File) error {
	h, err := openHandle(ns)
	if err != nil {
		return err
	}
	defer h.Close()
	return checkPlace(inner{ns: ns, handle: h})
}

func checkPlace(in inner) error {
	const process1 = "/proc/1/ns/net"
	for _, path := range []string{thread.Own, process1} {
		host, err := openPath(path)
		if path == process1 && errors.Is(err, fs.ErrPermission) {
			continue // it has capabilities that this process lacks: nobody gets its namespace from here
		}
		if err != nil {
			return err
		}
		same, err := Same(in.ns, host)
		host.Close()
		if err != nil {
			return err
		}
		if same {
			return fmt.Errorf("it is the host's own: %w", ErrNotForWorkloads)
		}
	}
	lo, err := linkNamed(in.handle, "lo")
	if err != nil || lo == nil {
		return err
	}
	if parts := strings.Split(lo.Attrs().Alias, ":"); len(parts) > 3 && parts[0] == project && parts[2] == isRouter {
		return fmt.Errorf("it is that of a router: %w", ErrNotForWorkloads)
	}
	return nil
}
