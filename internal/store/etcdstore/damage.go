// SPDX-License-Identifier: Apache-2.0

package etcdstore

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// DamageError says that the files of an embedded server are not what it left,
// and cannot be used.
type DamageError struct {
	// File is what is damaged or missing: a path.
	File string
	// Problem is what is wrong with it, as the rest of a sentence about it.
	Problem string
	// folder is the data folder that the store is part of.
	folder string
	// seal is the file that says otherwise than the one that is damaged; empty when
	// none does.
	seal string
}

// Error says what is damaged and what can be done. A single file cannot be
// replaced by an older one: log and database belong together.
func (e *DamageError) Error() string {
	older := ""
	if e.seal != "" {
		older = fmt.Sprintf("If an older Postern has used the folder since then, which makes no seal, remove %s. Otherwise: ", e.seal)
	}
	return fmt.Sprintf("the store cannot be used: %s %s. %s%s", e.File, e.Problem, older, restoring(e.folder))
}

// restoring says what helps when a store is lost.
func restoring(folder string) string {
	return fmt.Sprintf("Restore all of %[1]s from a backup (postern restore FILE --data %[1]s --replace) or from a copy that was made while Postern was stopped; "+
		"or give up what it holds and begin anew: postern clean --data %[1]s, then rm -r %[1]s", folder)
}

// refused reports whether an error of etcd is one of a system that does not let it do
// something, which says nothing about its files. Some of etcd's errors keep only the
// text of what they are because of.
func refused(err error) bool {
	return slices.ContainsFunc([]unix.Errno{
		unix.EFBIG, unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.EACCES, unix.EPERM, unix.EROFS, unix.EDQUOT, unix.ENOSPC,
	}, func(why unix.Errno) bool { return errors.Is(err, why) || strings.HasSuffix(err.Error(), why.Error()) })
}

// places are the files of an embedded server in its folder.
type places struct{ folder string }

// data is the data folder, which users know.
func (p places) data() string { return filepath.Dir(p.folder) }

// root is what etcd is told to be its folder, member what it makes there.
func (p places) root() string   { return filepath.Join(p.folder, "member") }
func (p places) member() string { return filepath.Join(p.root(), "member") }

func (p places) log() string      { return filepath.Join(p.member(), "wal") }
func (p places) database() string { return filepath.Join(p.member(), "snap", "db") }

// making exists from before the first file of a server is made until it was
// ready once: what is beside it was never used.
func (p places) making() string { return filepath.Join(p.folder, "making") }
func (p places) seal() string   { return filepath.Join(p.folder, "seal") }

func (p places) damaged(file, format string, args ...any) *DamageError {
	return &DamageError{File: file, Problem: fmt.Sprintf(format, args...), folder: p.data()}
}

// changed is damaged for a file that is not what the seal says.
func (p places) changed(file, format string, args ...any) *DamageError {
	e := p.damaged(file, format, args...)
	e.seal = p.seal()
	return e
}
