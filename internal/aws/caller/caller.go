// SPDX-License-Identifier: Apache-2.0

// Package caller is what package access was called for EC2's handlers. It goes
// when they have moved.
package caller

import (
	"context"

	"github.com/posternhq/postern/internal/access"
)

// Caller is the view of a caller.
type Caller = access.View

// From returns the view of a context.
func From(ctx context.Context) Caller { return access.From(ctx) }
