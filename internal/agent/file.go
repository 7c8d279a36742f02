// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// writeAtomically replaces a file by one with the given text, readable by its
// owner only. Readers see the old text or the new one, also when the process is
// killed. Whatever an earlier attempt left at either name, when the disk was full
// for example, does not stand in the way. It does not wait for the disk: what the
// text describes ends with the machine, and waiting would make the store's
// commits wait as well.
func writeAtomically(path, text string) error {
	fresh := path + ".new"
	err := os.RemoveAll(fresh)
	if err == nil {
		err = os.WriteFile(fresh, []byte(text), 0o600)
	}
	if err == nil {
		if err = os.Rename(fresh, path); errors.Is(err, fs.ErrExist) {
			err = errors.Join(os.RemoveAll(path), os.Rename(fresh, path))
		}
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, errors.Join(err, os.RemoveAll(fresh)))
	}
	return nil
}
