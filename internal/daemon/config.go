// SPDX-License-Identifier: Apache-2.0

// Package daemon puts the pieces of Postern together into the process that
// `postern up` runs: store, tables, services, the AWS face, controller, agent
// and data plane. It holds no rules of its own.
package daemon

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/trail"
)

// Config is everything that can be chosen for a daemon. It comes from the
// command line; Validate says what is wrong with it.
type Config struct {
	// Data is the data folder.
	Data string
	// Listen is the address of the AWS API, host:port; port 0 takes a free one.
	Listen string
	// TLS is how the API is served over TLS.
	TLS TLS
	// MetricsListen is the address of the metrics, host:port; empty for none.
	MetricsListen string
	// Regions are those that are served, the default one first.
	Regions []string
	// Etcd are the URLs of an external cluster; none means the embedded one.
	Etcd []string
	// StoreQuota is how large the embedded store may grow, in bytes; zero is its
	// own choice.
	StoreQuota int64
	// HostName names this host in the state; it must stay the same.
	HostName string
	// Quotas overrides quotas by name.
	Quotas map[string]int
	// Shares overrides shares of a router's connection tracking by name.
	Shares map[string]int
	// IPv6Pool is where blocks for AmazonProvidedIpv6CidrBlock come from.
	IPv6Pool netip.Prefix
	// Outside is what there is outside VPCs, see ParseOutside.
	Outside model.Outside
	// DNSSuffix is the domain of the names of endpoints.
	DNSSuffix string
	// AWSNames says that Postern's own APIs have their names in amazonaws.com too, in VPCs
	// with endpoints to them.
	AWSNames bool
	// DatabaseSuffix is the domain of the names of databases.
	DatabaseSuffix string
	// Databases is the folder of the databases; empty means one in the data folder.
	Databases string
	// EncryptedStorage says that the operator vouches for the storage of databases.
	EncryptedStorage bool
	// Upstream are the servers for names that no zone has, see ParseUpstream.
	Upstream []string
	// DNSListen are addresses at which everybody is told the names of endpoints, see
	// ParseDNSListen.
	DNSListen []string
	// Program is what is started to resolve names: this program's own file. Without it
	// there is no such process.
	Program string
	// Audit is how much is kept of what each account asks.
	Audit trail.Limits
	// NoDefaultVPC leaves accounts without default VPCs.
	NoDefaultVPC bool
	// VerifyInterval is how often the kernel is compared with the desired state.
	VerifyInterval time.Duration
	// Idle is how long an idle TCP connection is remembered.
	Idle time.Duration
	// SlowPathOnly leaves the express lane out: all packets go through nftables.
	SlowPathOnly bool
	// UnsafeNoFsync makes the embedded store forget the last moments when the
	// machine (not the process) stops. For tests.
	UnsafeNoFsync bool
	Version       string
	Log           *slog.Logger
}

// leastQuota is how small the quota of the store can be: some thousand rows.
const leastQuota = 16 << 20

// leastAudit is how small a file of the audit log can be: some hundred records.
const leastAudit = 1 << 20

var regionPattern = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-[1-9][0-9]?$`)

// Validate checks the configuration and names each flag that is wrong.
func (c Config) Validate() error {
	var errs []error
	if c.Data == "" {
		errs = append(errs, errors.New("--data: a folder is required"))
	}
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		errs = append(errs, fmt.Errorf("--listen %q: want host:port: %w", c.Listen, err))
	}
	if err := c.TLS.validate(); err != nil {
		errs = append(errs, err)
	}
	if _, _, err := net.SplitHostPort(c.MetricsListen); c.MetricsListen != "" && err != nil {
		errs = append(errs, fmt.Errorf("--metrics-listen %q: want host:port: %w", c.MetricsListen, err))
	}
	if len(c.Regions) == 0 {
		errs = append(errs, errors.New("--region: at least one region is required"))
	}
	seen := map[string]bool{}
	for _, r := range c.Regions {
		if !regionPattern.MatchString(r) {
			errs = append(errs, fmt.Errorf("--region %q: not the name of a region, such as us-east-1", r))
		}
		if seen[r] {
			errs = append(errs, fmt.Errorf("--region %q: named twice", r))
		}
		seen[r] = true
	}
	if !c.IPv6Pool.IsValid() || !c.IPv6Pool.Addr().Is6() || c.IPv6Pool.Bits() > 56 {
		errs = append(errs, fmt.Errorf("--ipv6-pool %v: want an IPv6 prefix of at most 56 bits", c.IPv6Pool))
	}
	for flag, domain := range map[string]string{"--dns-suffix": c.DNSSuffix, "--database-suffix": c.DatabaseSuffix} {
		if _, err := suffix(domain); err != nil {
			errs = append(errs, fmt.Errorf("%s %q: %w", flag, domain, err))
		}
	}
	if _, _, err := ParseUpstream(c.Upstream); err != nil {
		errs = append(errs, err)
	}
	if _, err := ParseDNSListen(c.DNSListen); err != nil {
		errs = append(errs, err)
	}
	if _, err := sharesOf(c.Shares); err != nil {
		errs = append(errs, err)
	}
	for flag, d := range map[string]time.Duration{"--verify-interval": c.VerifyInterval, "--idle-timeout": c.Idle} {
		if d <= 0 {
			errs = append(errs, fmt.Errorf("%s %v: want a positive duration; it cannot be turned off", flag, d))
		}
	}
	if c.StoreQuota != 0 && c.StoreQuota < leastQuota {
		errs = append(errs, fmt.Errorf("--store-quota: want at least %d MiB", leastQuota>>20))
	}
	if c.Audit.FileSize < leastAudit || c.Audit.Files < 1 {
		errs = append(errs, fmt.Errorf("--audit-file-size, --audit-files: want at least %d MiB in 1 file", leastAudit>>20))
	}
	if slices.Contains(c.Etcd, "") {
		errs = append(errs, fmt.Errorf("--etcd %q: one of the URLs is empty", strings.Join(c.Etcd, ",")))
	}
	if c.HostName == "" {
		errs = append(errs, errors.New("--host-name: this machine has no host name; give one"))
	}
	return errors.Join(errs...)
}

// longestSuffix leaves room for the names of endpoints before it, which are of some
// hundred characters, and for names of users before these.
const longestSuffix = 100

// suffixPattern is of names as hosts have them (RFC 1123, 2.1).
var suffixPattern = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+$`)

// suffix is a domain in normal form.
func suffix(name string) (string, error) {
	normal, err := model.NormalName(name)
	switch {
	case err != nil:
		return "", err
	case len(normal) > longestSuffix:
		return "", fmt.Errorf("it has more than %d characters", longestSuffix)
	case !suffixPattern.MatchString(normal):
		return "", errors.New("want a domain of letters, digits and hyphens, such as postern.internal")
	}
	return normal, nil
}
