// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/sigv4"
)

// Way is the VPC endpoint by which a request came. It leads to one service in one region,
// and its policy has a say in what comes by it.
type Way struct {
	access.Entrance
	// Signing is the signing name of the service, and Region where it is; empty for a
	// service that is one for all regions.
	Signing, Region string
}

// wayKey is the key of the way in the context of a request.
type wayKey struct{}

// By gives the context of a request that came by an endpoint.
func By(ctx context.Context, w *Way) context.Context { return context.WithValue(ctx, wayKey{}, w) }

func wayOf(ctx context.Context) *Way {
	w, _ := ctx.Value(wayKey{}).(*Way)
	return w
}

// wayLeadsTo refuses what was signed for something else than the endpoint is for, with the
// words of AWS, whose hosts are for one service each.
func (e *exchange) wayLeadsTo(s *sigv4.Signature) error {
	switch w := e.way; {
	case w == nil:
		return nil
	case s.Service != w.Signing:
		return refusef(badSignature, "Credential should be scoped to correct service: '%s'.", w.Signing)
	case w.Region != "" && s.Region != w.Region:
		return refusef(unknownRegion, "Credential should be scoped to a valid region, not '%s'. This endpoint is in %s.", s.Region, w.Region)
	}
	return nil
}
