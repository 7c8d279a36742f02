// SPDX-License-Identifier: Apache-2.0

package follow

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/posternhq/postern/internal/desired"
)

// Dialer opens connections that are used.
type Dialer interface {
	// Dial opens a TCP connection as those of a gateway of a VPC are opened. It heeds its
	// context and may be called from many goroutines.
	Dial(ctx context.Context, vpc string, gateway netip.Addr, to netip.AddrPort) (net.Conn, error)
}

// heads bounds what is read of an answer, of which only the status counts.
const heads = 64 << 10

// inquire asks a member whether it is healthy; nil is that it is. A certificate is not looked
// at, and no redirect is followed.
func (f *Follower) inquire(ctx context.Context, vpc string, gateway netip.Addr, c desired.Check, at netip.AddrPort) error {
	patience := time.Duration(c.Timeout) * time.Second
	ctx, cancel := context.WithTimeout(ctx, max(time.Second, patience))
	defer cancel()
	to := checked(c, at)
	switch {
	case f.cfg.Prober == nil || c.Protocol != desired.CheckTCP && f.cfg.Dialer == nil:
		return errors.New("this host asks nobody")
	case c.Protocol == desired.CheckTCP:
		return f.cfg.Prober.Probe(ctx, vpc, gateway, to)
	case c.Protocol != desired.CheckHTTP && c.Protocol != desired.CheckHTTPS:
		return fmt.Errorf("%q is not a way to ask", c.Protocol)
	}
	client := http.Client{
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return f.cfg.Dialer.Dial(ctx, vpc, gateway, to)
			},
			TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
			DisableKeepAlives: true, MaxResponseHeaderBytes: heads,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Protocol+"://"+to.String()+c.Path, nil)
	if err != nil {
		return fmt.Errorf("ask %s for %s: %w", to, c.Path, err)
	}
	request.Header.Set("User-Agent", "ELB-HealthChecker/2.0")
	answer, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("ask %s for %s: %w", to, c.Path, err)
	}
	answer.Body.Close()
	if !matches(c.Codes, answer.StatusCode) {
		return fmt.Errorf("ask %s for %s: health checks failed with these codes: [%d]", to, c.Path, answer.StatusCode)
	}
	return nil
}

// matches reports whether a status is one of some numbers and ranges of them, "200,300-399".
func matches(codes string, status int) bool {
	for part := range strings.SplitSeq(codes, ",") {
		first, last, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			last = first
		}
		from, err := strconv.Atoi(first)
		to, alsoErr := strconv.Atoi(last)
		if err == nil && alsoErr == nil && from <= status && status <= to {
			return true
		}
	}
	return false
}
