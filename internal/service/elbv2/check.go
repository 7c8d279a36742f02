// SPDX-License-Identifier: Apache-2.0

package elbv2

import (
	"strconv"
	"strings"

	shape "github.com/posternhq/postern/internal/aws/shape/elbv2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
)

// trafficPort is the port at which targets are asked when it is their own.
const trafficPort = "traffic-port"

// The settings of new target groups of network load balancers:
// https://docs.aws.amazon.com/elasticloadbalancing/latest/network/target-group-health-checks.html
const (
	usualInterval    = 30
	usualTimeout     = 10
	usualHTTPTimeout = 6
	usualHealthy     = 5
	usualUnhealthy   = 2
	usualPath        = "/"
	usualCodes       = "200-399"
)

// checkMembers are those of requests about how targets are asked.
var checkMembers = []string{
	"HealthCheckProtocol", "HealthCheckPort", "HealthCheckEnabled", "HealthCheckPath",
	"HealthCheckIntervalSeconds", "HealthCheckTimeoutSeconds", "HealthyThresholdCount", "UnhealthyThresholdCount", "Matcher",
}

// check is what a request says of how targets are asked.
type check struct {
	protocol, port               *string
	enabled                      *bool
	path                         *string
	interval, timeout            *int32
	healthyCount, unhealthyCount *int32
	matcher                      *shape.Matcher
}

// apply puts it into a health check; what it does not say stays.
func (c check) apply(h *model.HealthCheck) error {
	if c.enabled != nil && !*c.enabled {
		return unserved("HealthCheckEnabled: health checks cannot be disabled for target groups of type ip")
	}
	if err := c.applyProtocol(h); err != nil {
		return err
	}
	if c.port != nil {
		h.Port = 0
		if *c.port != trafficPort {
			n, err := strconv.ParseUint(*c.port, 10, 16)
			if err != nil || n == 0 {
				return invalid("HealthCheckPort: '%s' is neither %s nor a port from 1 to 65535", *c.port, trafficPort)
			}
			h.Port = uint16(n)
		}
	}
	for _, n := range []struct {
		name        string
		in          *int32
		to          *int
		least, most int32
	}{
		{"HealthCheckIntervalSeconds", c.interval, &h.Interval, 5, 300}, {"HealthCheckTimeoutSeconds", c.timeout, &h.Timeout, 2, 120},
		{"HealthyThresholdCount", c.healthyCount, &h.Healthy, 2, 10}, {"UnhealthyThresholdCount", c.unhealthyCount, &h.Unhealthy, 2, 10},
	} {
		switch {
		case n.in == nil:
		case *n.in < n.least || *n.in > n.most:
			return invalid("%s: %d is not from %d to %d", n.name, *n.in, n.least, n.most)
		default:
			*n.to = int(*n.in)
		}
	}
	if c.timeout == nil { // nobody asked for more than the interval
		h.Timeout = min(h.Timeout, h.Interval)
	}
	if h.Timeout > h.Interval {
		return invalid("HealthCheckTimeoutSeconds: health check timeout '%d' must be smaller than or equal to the interval '%d'", h.Timeout, h.Interval)
	}
	return nil
}

// applyProtocol puts into a health check how targets are asked, and which answers are good.
func (c check) applyProtocol(h *model.HealthCheck) error {
	if protocol := service.Or(c.protocol, h.Protocol); protocol != h.Protocol {
		h.Protocol, h.Path, h.Codes = protocol, "", ""
	}
	codes := "" // Terraform sends empty ones for none
	if c.matcher != nil {
		if service.Value(c.matcher.GrpcCode) != "" {
			return unserved("Matcher: GrpcCode: targets are asked by TCP, HTTP or HTTPS, so there are no codes of gRPC")
		}
		codes = service.Value(c.matcher.HttpCode)
	}
	switch h.Protocol {
	case shape.ProtocolEnumTcp:
		switch {
		case c.path != nil:
			return unserved("HealthCheckPath: a health check of TCP has no path")
		case codes != "":
			return unserved("Matcher: a health check of TCP has no codes")
		}
		return nil
	case shape.ProtocolEnumHttp, shape.ProtocolEnumHttps:
	default:
		return unserved("HealthCheckProtocol: targets are asked by TCP, HTTP or HTTPS, not by %s", h.Protocol)
	}
	if h.Path == "" {
		h.Path, h.Codes = usualPath, usualCodes
	}
	if c.path != nil {
		if !strings.HasPrefix(*c.path, "/") || strings.ContainsFunc(*c.path, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return invalid("HealthCheckPath: '%s' is not a path that begins with a slash, of printable ASCII characters", *c.path)
		}
		h.Path = *c.path
	}
	if codes != "" {
		if !areCodes(codes) {
			return invalid("Matcher: HttpCode: '%s' is not a list of codes from 200 to 599, such as 200,202 or 200-399", codes)
		}
		h.Codes = codes
	}
	return nil
}

// areCodes reports whether a text is a list of codes of HTTP and ranges of them.
func areCodes(text string) bool {
	for part := range strings.SplitSeq(text, ",") {
		first, last, isRange := strings.Cut(part, "-")
		from, ok := codeOf(first)
		to := from
		if isRange && ok {
			to, ok = codeOf(last)
		}
		if !ok || to < from {
			return false
		}
	}
	return true
}

func codeOf(text string) (int, bool) {
	n, err := strconv.Atoi(text)
	return n, err == nil && len(text) == 3 && n >= 200 && n <= 599
}
