// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// foreign is what of the machine is nobody's business who may come to run programs in a
// server: what others than programs and settings of the system are in. Among it is what
// the server's user may have outside, such as data of the distribution's own servers.
var foreign = []string{"/home", "/root", "/srv", "/mnt", "/media", "/var"}

// settle finishes the mount namespace: the folder is at home, what is in it is the
// server's, and of /run, /tmp and /dev/shm it has its own, which end with it. What is
// mounted elsewhere later, or unmounted, is so here too.
func settle(folder string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return fmt.Errorf("keep mounts to the server: %w", err)
	}
	if err := letNamespacesGo(); err != nil {
		return err
	}
	// The folder may be below what is covered next.
	dir, err := unix.Open(folder, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open folder %s: %w", folder, err)
	}
	defer unix.Close(dir)
	for _, own := range []struct{ path, mode string }{{"/run", "0755"}, {"/tmp", "1777"}, {"/dev/shm", "1777"}} {
		err := unix.Mount("tmpfs", own.path, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode="+own.mode)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("mount %s: %w", own.path, err)
		}
	}
	for _, path := range foreign {
		err := unix.Mount("tmpfs", path, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_RDONLY, "mode=0755")
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("cover %s: %w", path, err)
		}
	}
	if err := os.Mkdir(home, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(fmt.Sprintf("/proc/self/fd/%d", dir), home, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount folder %s at %s: %w", folder, home, err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount proc: %w", err)
	}
	return os.Chdir("/")
}

// letNamespacesGo takes away what keeps other network namespaces alive: names of them that
// this mount namespace has a copy of (ip-netns(8)).
func letNamespacesGo() error {
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	defer file.Close()
	var names []string
	for lines := bufio.NewScanner(file); lines.Scan(); {
		before, after, _ := strings.Cut(lines.Text(), " - ")
		if fields := strings.Fields(before); strings.HasPrefix(after, "nsfs ") && len(fields) > 4 {
			names = append(names, unescape.Replace(fields[4]))
		}
	}
	for _, name := range names {
		if err := unix.Unmount(name, unix.MNT_DETACH); err != nil && err != unix.EINVAL && err != unix.ENOENT {
			return fmt.Errorf("let namespace %s go: %w", name, err)
		}
	}
	return nil
}

// unescape undoes what proc(5) does to paths.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
