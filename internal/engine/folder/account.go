// SPDX-License-Identifier: Apache-2.0

package folder

import (
	"errors"
	"fmt"
	"os/user"
	"strconv"
)

// Account gives the numbers of an account of the operating system; known is false when
// there is none, as packages of engines make it.
func Account(name string) (uid, gid uint32, known bool, err error) {
	account, err := user.Lookup(name)
	if err != nil {
		return 0, 0, false, nil
	}
	u, err := strconv.ParseUint(account.Uid, 10, 32)
	g, err2 := strconv.ParseUint(account.Gid, 10, 32)
	if err := errors.Join(err, err2); err != nil {
		return 0, 0, false, fmt.Errorf("look up account %s: %w", name, err)
	}
	return uint32(u), uint32(g), true, nil
}
