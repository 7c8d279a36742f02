// SPDX-License-Identifier: Apache-2.0

package network

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/dataplane/thread"
)

// Directory is where named network namespaces are, as ip-netns(8) has it.
const Directory = "/run/netns"

// ErrNamespaceGone says that the namespace a workload was attached with does
// not exist any more, or that another one has taken its name or process number.
var ErrNamespaceGone = errors.New("network namespace is gone")

// MakeNamespace makes a network namespace, runs setup on a thread inside it,
// and only then gives it its name, so that whoever sees the name sees a
// namespace that is set up. A file of that name that is no namespace (left by a
// crash between two system calls) is replaced; an existing namespace is an
// error that is fs.ErrExist. The caller closes the file.
func MakeNamespace(name string, setup func() error) (*os.File, error) {
	path, err := namespacePath(name)
	if err != nil {
		return nil, err
	}
	if err := shareDirectory(); err != nil {
		return nil, fmt.Errorf("make namespace %s: %w", name, err)
	}
	if isNamespace(path) {
		return nil, fmt.Errorf("make namespace %s: %w", name, fs.ErrExist)
	}
	if err := DeleteNamespace(name); err != nil {
		return nil, err
	}
	err = thread.In(thread.Leave, func() error {
		if err := setup(); err != nil {
			return err
		}
		return nameCurrent(path)
	})
	if err != nil {
		return nil, fmt.Errorf("make namespace %s: %w", name, err)
	}
	return OpenNamespace(name)
}

// InThrowaway runs fn on a thread in a new namespace without a name, which goes
// when fn returns. Commands that fn starts run in it too.
func InThrowaway(fn func() error) error {
	return thread.In(thread.Leave, fn)
}

// nameCurrent binds the calling thread's network namespace to path.
func nameCurrent(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	f.Close()
	if err := unix.Mount(thread.Own, path, "none", unix.MS_BIND, ""); err != nil {
		os.Remove(path)
		return fmt.Errorf("mount %s: %w", path, err)
	}
	return nil
}

// shareDirectory makes /run/netns a shared mount, so that namespaces named in
// one mount namespace are seen, and can be deleted, in others.
func shareDirectory() error {
	if err := os.MkdirAll(Directory, 0o755); err != nil {
		return err
	}
	share := func() error { return unix.Mount("", Directory, "none", unix.MS_SHARED, "") }
	err := share()
	if err != unix.EINVAL {
		return err
	}
	if err := unix.Mount(Directory, Directory, "none", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("bind %s: %w", Directory, err)
	}
	return share()
}

// OpenNamespace opens a named namespace. A name that does not exist, or that
// is not a namespace, is ErrNamespaceGone. The caller closes the file.
func OpenNamespace(name string) (*os.File, error) {
	path, err := namespacePath(name)
	if err != nil {
		return nil, err
	}
	return openPath(path)
}

func openPath(path string) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			err = ErrNamespaceGone
		}
		return nil, fmt.Errorf("open namespace %s: %w", path, err)
	}
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil || st.Type != unix.NSFS_MAGIC {
		f.Close()
		return nil, fmt.Errorf("open namespace %s: %w", path, ErrNamespaceGone)
	}
	return f, nil
}

// DeleteNamespace takes the name away; the kernel takes the namespace apart, a
// moment later, when nothing else uses it.
func DeleteNamespace(name string) error {
	path, err := namespacePath(name)
	if err != nil {
		return err
	}
	if err := unix.Unmount(path, unix.MNT_DETACH); err != nil && err != unix.EINVAL && err != unix.ENOENT {
		return fmt.Errorf("delete namespace %s: unmount: %w", name, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete namespace %s: %w", name, err)
	}
	return nil
}

// Inode returns the inode number of an open namespace, as /proc/PID/ns/net
// shows it.
func Inode(ns *os.File) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(ns.Fd()), &st); err != nil {
		return 0, fmt.Errorf("stat namespace %s: %w", ns.Name(), err)
	}
	return st.Ino, nil
}

// Inside runs fn on a thread that is in the namespace. Sockets that fn opens
// belong to the namespace for ever and may be used anywhere afterwards.
// Goroutines that fn starts run outside.
func Inside(ns *os.File, fn func() error) error {
	return thread.In(thread.Enter(int(ns.Fd())), fn)
}

// namespacePath refuses names that would lead out of the directory.
func namespacePath(name string) (string, error) {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") || len(name) > 255 {
		return "", fmt.Errorf("namespace name %q is not a file name", name)
	}
	return filepath.Join(Directory, name), nil
}

func isNamespace(path string) bool {
	var st unix.Statfs_t
	return unix.Statfs(path, &st) == nil && st.Type == unix.NSFS_MAGIC
}
