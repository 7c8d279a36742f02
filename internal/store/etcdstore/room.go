// SPDX-License-Identifier: Apache-2.0

package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/store"
)

// What a store keeps free, in bytes.
const (
	// leastFree must be free on the disk for a change to be taken: a new file of
	// the log, and some for the database.
	leastFree = segmentBytes + 8<<20
	// reserve is what the database file has beyond its end, so that the server's
	// own house-keeping has room when others have filled the disk.
	reserve = 8 << 20
	// reserveEvery is after how many bytes of changes the reserve is renewed.
	reserveEvery = 1 << 20
)

// Words for clients: they learn that it will pass, and not where the folder is.
const (
	adviceDisk = "The request was not carried out: the disk that the state is kept on is full, and no change is taken until there is room. " +
		"Nothing was changed, and reading goes on. Try again later."
	adviceQuota = "The request was not carried out: the store of the state has reached the size that it may have, and no change is taken until that is raised. " +
		"Nothing was changed, and reading goes on. Try again later."
	adviceLate   = "The state did not answer in time, and whether this request was carried out is not known. Try again later."
	adviceFrozen = "The state cannot be written now, and whether this request was carried out is not known. Reading goes on. Try again later."
)

// room guards an embedded server against having none. A server that runs into a
// full disk cannot go on, so changes are refused before.
type room struct {
	places
	log    *slog.Logger
	server *server

	mu      sync.Mutex // never held while the server does something
	full    string     // what was last said to be full: nothing, the disk or the quota
	written int64      // bytes of changes since the reserve was renewed

	// heals counts how often the store was made smaller because of its quota.
	heals atomic.Int64
	// healing is held meanwhile, for ever when the server halts then; it guards
	// failed, which is when that was last of no use.
	healing sync.Mutex
	failed  time.Time
}

// leastFiles is how many more files the disk must be able to hold.
const leastFiles = 16

// noInodes stands for a disk that has room, but not for another file.
const noInodes = -1

// free returns how many bytes the folder's disk has for ordinary files, or
// noInodes.
func (p places) free() (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(p.folder, &s); err != nil {
		return 0, fmt.Errorf("look at the disk of %s: %w", p.folder, err)
	}
	if s.Files > 0 && s.Ffree < leastFiles {
		return noInodes, nil
	}
	return int64(s.Bavail) * s.Bsize, nil
}

// What can be full.
const (
	fullDisk  = "disk"
	fullQuota = "quota"
)

// admit refuses a change of so many bytes when there is no room for it.
func (r *room) admit(size int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	free, err := r.free()
	if err != nil {
		return err
	}
	if free < leastFree {
		return r.refuse(fullDisk, &store.FullError{Cause: fmt.Sprintf("no room on the disk of data folder %s: %s are free, and %s are needed. "+
			"Make room there; until then nothing is changed, reading goes on", r.data(), bytesText(free), bytesText(leastFree)), Advice: adviceDisk})
	}
	if r.written += size; r.written >= reserveEvery {
		r.written = 0
		if err := r.renew(); err != nil {
			r.log.Warn("no room reserved for the store", "error", err)
		}
	}
	if r.full == fullDisk {
		r.full = ""
		r.log.Info("the disk has room again, changes are taken", "folder", r.data(), "free", bytesText(free))
	}
	return nil
}

// problem says in a few words why no change is taken; nothing when one is.
func (r *room) problem(free int64) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case free < leastFree:
		return tooFull(free)
	case r.full == fullQuota:
		return "the store has reached its quota: start Postern with a larger --store-quota"
	}
	return ""
}

func tooFull(free int64) string {
	return fmt.Sprintf("the disk of the store is full: %s are free, and %s are needed", bytesText(free), bytesText(leastFree))
}

// refuse says once that there is no room. The caller holds mu.
func (r *room) refuse(what string, err *store.FullError) error {
	if r.full != what {
		r.full = what
		r.log.Error(err.Cause)
	}
	return err
}

// renew gives the database's file blocks for what it has of holes and for some
// more, without making it longer. A file system that cannot is left alone.
func (r *room) renew() error {
	file, err := os.OpenFile(r.database(), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err == nil {
		err = unix.Fallocate(int(file.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, info.Size()+reserve)
	}
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		err = nil
	}
	return errors.Join(err, file.Close())
}

// makeDo lets a store that is there start, whether its log was torn and whether
// the disk has room.
func (p places) makeDo() error {
	free, err := p.free()
	if err != nil {
		return err
	}
	room := free >= leastFree
	return errors.Join(trimLog(p.log(), room), withholdNext(p.log(), room))
}

// tryWrite makes a file of the size that changes need, and removes it.
func (p places) tryWrite() error {
	path := filepath.Join(p.folder, "trial")
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	err = unix.Fallocate(int(file.Fd()), 0, 0, leastFree)
	if errors.Is(err, unix.EOPNOTSUPP) {
		err = nil
	}
	if err == nil {
		_, err = file.Write(make([]byte, 4096))
	}
	return errors.Join(err, file.Sync(), file.Close(), os.Remove(path))
}

// healEvery is the pause after a store that is at its quota could not be made
// small enough: trying holds up all other work.
const healEvery = 10 * time.Second

// heal makes a store that has reached its quota smaller, unless that was done
// since heals was seen. It fails with store.ErrFull when what is left is too much.
func (r *room) heal(ctx context.Context, client *clientv3.Client, seen int64) error {
	r.healing.Lock()
	defer r.healing.Unlock()
	if r.heals.Load() != seen {
		return nil
	}
	if time.Since(r.failed) < healEvery {
		return r.tooLarge("")
	}
	r.failed = time.Now()
	if err := r.shrink(ctx, client); err != nil {
		return err
	}
	r.failed = time.Time{}
	r.heals.Add(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.full = ""
	r.log.Info("the store had reached its quota and was made smaller",
		"size", bytesText(r.server.etcd.Server.Backend().Size()), "quota", bytesText(r.server.quota))
	return nil
}

// shrink forgets the history of the store, copies what is left, and tells etcd
// that it may write again.
func (r *room) shrink(ctx context.Context, client *clientv3.Client) error {
	backend := r.server.etcd.Server.Backend()
	now, err := client.Get(ctx, "\x00", clientv3.WithCountOnly())
	if err != nil {
		return failure("heal", err)
	}
	if _, err := client.Compact(ctx, now.Header.Revision, clientv3.WithCompactPhysical()); err != nil && !errors.Is(err, rpctypes.ErrCompacted) {
		return failure("forget the history of the store", err)
	}
	backend.ForceCommit()
	if free, err := r.free(); err != nil || free < backend.SizeInUse()+leastFree {
		return r.tooLarge(fmt.Sprintf(", and the disk has no room to copy that (%s are free)", bytesText(free)))
	}
	if err := backend.Defrag(); err != nil {
		return fmt.Errorf("make the store smaller: %w", err)
	}
	if size := backend.Size(); size+slack(r.server.quota) > r.server.quota {
		return r.tooLarge("")
	}
	if _, err := client.AlarmDisarm(ctx, &clientv3.AlarmMember{}); err != nil {
		return failure("tell etcd that the store has room", err)
	}
	return nil
}

// tooLarge refuses a change because of the quota.
func (r *room) tooLarge(why string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.refuse(fullQuota, &store.FullError{Cause: fmt.Sprintf("the store in %s has reached the %s that it may have: it holds %s%s. "+
		"Start Postern with a larger --store-quota; until then nothing is changed, reading goes on",
		r.folder, bytesText(r.server.quota), bytesText(r.server.etcd.Server.Backend().SizeInUse()), why), Advice: adviceQuota})
}

// slack is how far below its quota a store must be to take changes again.
func slack(quota int64) int64 { return quota / 20 }

// bytesText writes a number of bytes for people.
func bytesText(n int64) string {
	switch {
	case n == noInodes:
		return "no inodes"
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%d KiB", n>>10)
}
