// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"testing"

	"github.com/posternhq/postern/internal/aws/shape/iam"
)

// TestNamesAreMovedWithinRights renames users and moves them: who does it needs the right
// for what they will be called, too
// (https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateUser.html).
func TestNamesAreMovedWithinRights(t *testing.T) {
	w := newWorld(t)
	w.user(mine, "BOB")
	staff := w.user(mine, "ANN", statement("Allow", "iam:*", "arn:aws:iam::111122223333:user/staff/*", ""))
	careful := w.user(mine, "EVE", statement("Allow", "iam:*", "*", ""), statement("Deny", "iam:*", "arn:aws:iam::111122223333:user/staff/BOSS", ""))
	move := func(key string, path, name *string) ask {
		return ask{key: key, service: "iam", operation: "UpdateUser", in: &iam.UpdateUserInput{UserName: new("BOB"), NewPath: path, NewUserName: name}}
	}
	w.allowed("nothing", move(staff, nil, nil))
	w.allowed("another name", move(staff, nil, new("ROB")))
	w.allowed("a path within", move(staff, new("/staff/new/"), nil))
	w.refused("a path outside", "User: arn:aws:iam::111122223333:user/staff/ANN is not authorized to perform: iam:UpdateUser on resource: arn:aws:iam::111122223333:user/BOB"+
		" because no identity-based policy allows the iam:UpdateUser action", move(staff, new("/"), nil))
	w.refused("a path and a name outside", "", move(staff, new("/boss/"), new("ROB")))
	w.refused("a name that is denied", "", move(careful, nil, new("BOSS")))
	w.allowed("that name elsewhere", move(careful, new("/"), new("BOSS")))
	w.refused("that name and path", "", move(careful, new("/staff/"), new("BOSS")))
}
