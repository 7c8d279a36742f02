// SPDX-License-Identifier: Apache-2.0

// Package endpointservice is EC2's VPC endpoint services: what endpoints of the types
// Interface and Gateway can lead to, and, for those whose services it is, who may have such
// endpoints.
//
// https://docs.aws.amazon.com/vpc/latest/privatelink/configure-endpoint-service.html
package endpointservice

import "github.com/posternhq/postern/internal/service"

// Services are the operations on VPC endpoint services.
type Services struct{ *service.Env }
