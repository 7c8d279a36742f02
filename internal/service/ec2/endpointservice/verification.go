// SPDX-License-Identifier: Apache-2.0

package endpointservice

import (
	"context"
	"strings"

	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/table"
)

// StartVpcEndpointServicePrivateDnsVerification has the record be looked for by which the
// private name of a service is known to be the caller's. Endpoints have the name from when it
// was found.
func (a Services) StartVpcEndpointServicePrivateDnsVerification(ctx context.Context, in *shape.StartVpcEndpointServicePrivateDnsVerificationInput) (*shape.StartVpcEndpointServicePrivateDnsVerificationOutput, error) {
	now := a.Now()
	_, err := a.change(ctx, service.Value(in.ServiceId), func(_ *table.Txn, s *model.EndpointService) error {
		switch {
		case s.PrivateName == "":
			return fault.EC2("InvalidParameter", "The VPC endpoint service %s has no private DNS name", s.ID)
		case s.Verification.State != model.DomainVerified:
			s.Verification.Await(now)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.StartVpcEndpointServicePrivateDnsVerificationOutput{ReturnValue: new(true)}, nil
}

// verificationWords are how EC2 calls what is known of a private name.
var verificationWords = map[string]string{
	"": shape.DnsNameStatePendingVerification, model.DomainPending: shape.DnsNameStatePendingVerification,
	model.DomainVerified: shape.DnsNameStateVerified, model.DomainTimedOut: shape.DnsNameStateFailed,
}

// verification tells which TXT record is looked for, and what is known of it; nil when there
// is no name.
func verification(s *model.EndpointService) *shape.PrivateDnsNameConfiguration {
	if s.PrivateName == "" {
		return nil
	}
	return &shape.PrivateDnsNameConfiguration{
		State: new(verificationWords[s.Verification.State]), Type: new("TXT"), Value: &s.Verification.Value, Name: new(strings.TrimSuffix(s.Verification.Label, ".")),
	}
}
