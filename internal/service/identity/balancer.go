// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
)

// balanced gives what the ARN of something new of Elastic Load Balancing has behind its kind,
// whose digits nobody knows before, by the name in the request: with what comes before it.
func balanced(before string) func(resources, *access.Ask) (string, bool) {
	return func(_ resources, a *access.Ask) (string, bool) {
		return before + a.Other + "/*", a.Other != ""
	}
}

// newListener does that by the ARN of the load balancer.
func newListener(r resources, a *access.Ask) (string, bool) {
	arn, err := model.ParseARN(a.Other) // which fails without one
	return arn.ID + "/*", err == nil && arn.Service == state.Balancing && arn.Account == r.account
}
