// SPDX-License-Identifier: Apache-2.0

package etcdstore

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// letGo takes the pages of the database out of the memory of the process, to which they
// come again one by one as they are read; the system keeps what it has of the file. etcd
// maps all of it and has it read beforehand (MAP_POPULATE), so a start had the whole file in
// memory besides the tables that are made of it.
func (s *server) letGo() error {
	read := s.etcd.Server.Backend().ReadTx()
	read.RLock() // while somebody reads, the file is not mapped to another place
	defer read.RUnlock()
	var file unix.Stat_t
	if err := unix.Stat(s.database(), &file); err != nil {
		return fmt.Errorf("look at %s: %w", s.database(), err)
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return fmt.Errorf("look for the database in memory: %w", err)
	}
	var errs []error
	for line := range strings.Lines(string(maps)) {
		var from, to uintptr
		var inode uint64
		var skip string
		if _, err := fmt.Sscanf(line, "%x-%x r--s %s %s %d", &from, &to, &skip, &skip, &inode); err != nil || inode != file.Ino {
			continue
		}
		if _, _, errno := unix.Syscall(unix.SYS_MADVISE, from, to-from, unix.MADV_DONTNEED); errno != 0 {
			errs = append(errs, fmt.Errorf("let go of the database in memory: %w", errno))
		}
	}
	return errors.Join(errs...)
}
