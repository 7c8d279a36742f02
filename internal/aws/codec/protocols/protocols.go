// SPDX-License-Identifier: Apache-2.0

// Package protocols picks the codec that a service's model asks for.
package protocols

import (
	"fmt"

	"github.com/posternhq/postern/internal/aws/codec"
	"github.com/posternhq/postern/internal/aws/codec/awsjson"
	"github.com/posternhq/postern/internal/aws/codec/ec2query"
	"github.com/posternhq/postern/internal/aws/codec/query"
	"github.com/posternhq/postern/internal/aws/codec/restjson"
	"github.com/posternhq/postern/internal/aws/codec/restxml"
	"github.com/posternhq/postern/internal/aws/schema"
)

// For returns the codec of a service by the protocol that its tables name, or
// an error if the protocol is none of the five.
func For(svc *schema.Service) (codec.Codec, error) {
	switch svc.Protocol {
	case "ec2":
		return ec2query.New(svc), nil
	case "query":
		return query.New(svc), nil
	case "json1.1":
		return awsjson.New(svc), nil
	case "rest-json":
		return restjson.New(svc), nil
	case "rest-xml":
		return restxml.New(svc), nil
	}
	return nil, fmt.Errorf("codec of service %s: unknown protocol %q", svc.Name, svc.Protocol)
}
