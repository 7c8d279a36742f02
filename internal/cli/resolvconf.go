// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// resolvConf is what a workload is told of names: resolv.conf(5).
type resolvConf struct {
	Nameservers []string `json:"nameservers"`
	Search      []string `json:"search,omitempty"`
}

// empty says that there is nothing better to say than what the machine has.
func (c resolvConf) empty() bool { return len(c.Nameservers)+len(c.Search) == 0 }

func (c resolvConf) equal(o resolvConf) bool {
	return slices.Equal(c.Nameservers, o.Nameservers) && slices.Equal(c.Search, o.Search)
}

// lines are those of the file.
func (c resolvConf) lines() (lines []string) {
	if len(c.Search) > 0 {
		lines = append(lines, "search "+strings.Join(c.Search, " "))
	}
	for _, s := range c.Nameservers {
		lines = append(lines, "nameserver "+s)
	}
	return lines
}

const resolvConfHead = "# Written by postern: the DHCP options of the VPC."

func (c resolvConf) text() string {
	return strings.Join(append([]string{resolvConfHead}, c.lines()...), "\n") + "\n"
}

// resolvFile is the resolv.conf of the calling process's mount namespace.
type resolvFile struct {
	path    string // empty before there is one
	written string
}

// set makes the file say what a workload is told. What the workload has written there
// itself is left alone, and so is what it was told before when it is told nothing.
func (f *resolvFile) set(c resolvConf) error {
	if c.empty() {
		return nil
	}
	if f.path == "" {
		return f.bind(c.text())
	}
	have, err := os.ReadFile(f.path)
	if err != nil || string(have) != f.written || f.written == c.text() {
		return err
	}
	file, err := os.OpenFile(f.path, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("write resolv.conf: %w", err)
	}
	defer file.Close()
	// The file stays the same one, which programs with mounts of their own have too;
	// who reads it meanwhile finds it whole, with something behind it at worst.
	if _, err = file.WriteString(c.text()); err == nil {
		err = file.Truncate(int64(len(c.text())))
	}
	if err != nil {
		return fmt.Errorf("write resolv.conf: %w", err)
	}
	f.written = c.text()
	return nil
}

// bind binds a file over /etc/resolv.conf, following links, for this mount namespace
// only.
func (f *resolvFile) bind(text string) error {
	over, err := filepath.EvalSymlinks("/etc/resolv.conf")
	if errors.Is(err, os.ErrNotExist) {
		return nil // this machine has none, and making one would change it
	}
	if err != nil {
		return fmt.Errorf("find resolv.conf: %w", err)
	}
	file, err := os.CreateTemp("", "postern-resolv-")
	if err != nil {
		return fmt.Errorf("make resolv.conf: %w", err)
	}
	defer os.Remove(file.Name()) // the mount keeps it
	_, err = file.WriteString(text)
	if err := errors.Join(err, file.Chmod(0o644), file.Close()); err != nil {
		return fmt.Errorf("write resolv.conf: %w", err)
	}
	if err := unix.Mount(file.Name(), over, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount resolv.conf: %w", err)
	}
	f.path, f.written = over, text
	return nil
}

// netnsFolder has the files that ip-netns(8) shows to programs in a namespace in place
// of those of /etc.
const netnsFolder = "/etc/netns"

// writeFor writes the file of a named namespace below folder. One that somebody else has
// written stays, and is an error.
func (c resolvConf) writeFor(folder, namespace string) error {
	if namespace != filepath.Base(namespace) || strings.HasPrefix(namespace, ".") {
		return fmt.Errorf("write resolv.conf: %q is not the name of a namespace", namespace)
	}
	path := filepath.Join(folder, namespace, "resolv.conf")
	have, err := os.ReadFile(path)
	switch {
	case err == nil && !strings.HasPrefix(string(have), resolvConfHead):
		return fmt.Errorf("write %s: it is there already, and not written by postern", path)
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(c.text()), 0o644)
}
