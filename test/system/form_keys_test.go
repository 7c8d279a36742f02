// SPDX-License-Identifier: Apache-2.0

package system

// fillKeys gives an account a second key, which is disabled, and makes an account that is.
func fillKeys(s *pair, account string) {
	id, _ := printed(s.t, expectCommand(s.t, s.Postern, 0, "", "key", "create", "--account", account))
	expectCommand(s.t, s.Postern, 0, "(disabled)", "key", "disable", id)
	expectCommand(s.t, s.Postern, 0, "", "account", "create", "777788889999")
	expectCommand(s.t, s.Postern, 0, "(disabled)", "account", "disable", "777788889999")
}
