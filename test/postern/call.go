// SPDX-License-Identifier: Apache-2.0

package postern

import (
	"context"
	"errors"

	"github.com/posternhq/postern/internal/aws/schema"
	"github.com/posternhq/postern/internal/aws/shape/ec2"
	postern "github.com/posternhq/postern/internal/aws/shape/postern"
	"github.com/posternhq/postern/internal/client"
)

// Do calls an operation as the administrator of the first account. A refusal
// is a *client.Error.
func (p *Postern) Do(s *schema.Service, operation string, in, out any) error {
	return p.client.Load().Do(context.Background(), s, operation, in, out)
}

// Call calls an operation and ends the test when it is refused.
func Call[Out any](p *Postern, s *schema.Service, operation string, in any) *Out {
	p.T.Helper()
	out := new(Out)
	if err := p.Do(s, operation, in, out); err != nil {
		p.T.Fatal(err)
	}
	return out
}

// Code is the error code of a refusal; empty when err is none.
func Code(err error) string {
	var refusal *client.Error
	if errors.As(err, &refusal) {
		return refusal.Code
	}
	return ""
}

// Status is what `postern status` shows.
func (p *Postern) Status() *postern.GetStatusOutput {
	p.T.Helper()
	return Call[postern.GetStatusOutput](p, postern.Service, "GetStatus", &postern.GetStatusInput{})
}

// Desired is what `postern desired` prints.
func (p *Postern) Desired() string {
	p.T.Helper()
	return *Call[postern.GetDesiredOutput](p, postern.Service, "GetDesired", &postern.GetDesiredInput{}).Text
}

// Interfaces gives the network interfaces for which a property, as filters name
// it, has the value.
func (p *Postern) Interfaces(property, value string) []ec2.NetworkInterface {
	p.T.Helper()
	in := &ec2.DescribeNetworkInterfacesInput{Filters: []ec2.Filter{{Name: &property, Values: []string{value}}}}
	return Call[ec2.DescribeNetworkInterfacesOutput](p, ec2.Service, "DescribeNetworkInterfaces", in).NetworkInterfaces
}
