// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/daemon"
	"github.com/posternhq/postern/internal/trail"
)

type upCommand struct {
	location
	Listen             string         `help:"Address of the AWS API." default:"127.0.0.1:8700" placeholder:"HOST:PORT"`
	TLS                bool           `name:"tls" help:"Serve the AWS API over TLS too, with a certificate of Postern's own authority or the given one." env:"POSTERN_TLS"`
	TLSListen          string         `name:"tls-listen" help:"Address of the AWS API over TLS." default:"127.0.0.1:8743" env:"POSTERN_TLS_LISTEN" placeholder:"HOST:PORT"`
	TLSName            []string       `name:"tls-name" help:"Names and addresses by which clients know the API over TLS, that for postern env first." env:"POSTERN_TLS_NAME" placeholder:"NAME,…"`
	TLSCert            string         `name:"tls-cert" help:"Certificate with those of its issuers in PEM, instead of one of the own authority; read again when it changes." type:"path" placeholder:"FILE"`
	TLSKey             string         `name:"tls-key" help:"Private key of --tls-cert in PEM." type:"path" placeholder:"FILE"`
	MetricsListen      string         `help:"Address of the metrics for Prometheus; none by default." placeholder:"HOST:PORT"`
	Region             []string       `help:"Regions to serve, the default one first." default:"us-east-1" placeholder:"NAME,…"`
	Etcd               []string       `help:"URLs of an external etcd cluster, instead of the embedded one." placeholder:"URL,…"`
	StoreQuota         int64          `help:"How large the embedded store may grow, in MiB." default:"4096" placeholder:"MIB"`
	HostName           string         `help:"Name of this host; by default the one that the data folder was used under, at first the machine's own." placeholder:"NAME"`
	Quota              map[string]int `help:"Quotas to change; an unknown name lists them all." placeholder:"NAME=N;…"`
	Share              map[string]int `help:"Connections at a time of a client, a NAT gateway, an association, the fabric, the outside, or a gateway address's ports; queries a second of an interface." placeholder:"NAME=N;…"`
	IPv6Pool           string         `name:"ipv6-pool" help:"Where Amazon-provided IPv6 blocks come from." default:"fd50:5354:4e00::/40" placeholder:"PREFIX"`
	Uplink             []string       `help:"The way to the outside: NAME=netns:NAMESPACE, or NAME=dev:INTERFACE,address=PREFIX,via=ADDRESS; one at most, none by default." env:"POSTERN_UPLINK" sep:"none" placeholder:"NAME=…"`
	PublicPool         []string       `name:"public-pool" help:"Where public IPv4 addresses are from; none by default." env:"POSTERN_PUBLIC_POOL" placeholder:"PREFIX,…"`
	UplinkAllow        []string       `name:"uplink-allow" help:"What may be reached over the uplink of networks that are denied by default: private ones and the host's own." env:"POSTERN_UPLINK_ALLOW" placeholder:"PREFIX,…"`
	DNSSuffix          string         `name:"dns-suffix" help:"Domain of the names of endpoints." default:"postern.internal" placeholder:"NAME"`
	AWSNames           bool           `name:"aws-names" help:"Give Postern's own APIs the names that AWS's have in amazonaws.com, in VPCs with endpoints to them and private DNS: what such a VPC asks by these names is asked of Postern, and not of AWS." env:"POSTERN_AWS_NAMES"`
	DatabaseSuffix     string         `name:"database-suffix" help:"Domain of the names of databases." default:"rds.amazonaws.com" placeholder:"NAME"`
	Upstream           []string       `help:"Servers for names that no zone has, or none; by default the machine's." env:"POSTERN_UPSTREAM" placeholder:"HOST:PORT,…"`
	DNSListen          []string       `name:"dns-listen" help:"Addresses at which everybody is told the names of endpoints; none by default." env:"POSTERN_DNS_LISTEN" placeholder:"HOST:PORT,…"`
	Databases          string         `help:"Folder of the databases; by default one in the data folder." type:"path" placeholder:"DIR"`
	EncryptedDatabases bool           `help:"Vouch that the data folder is on encrypted storage, so that StorageEncrypted can be asked for."`
	AuditFileSize      int64          `help:"How large a file of an account's audit log becomes, in MiB." default:"8" placeholder:"MIB"`
	AuditFiles         int            `help:"How many files there are of an account's audit log; the oldest goes first." default:"16" placeholder:"N"`
	DefaultVPC         bool           `name:"default-vpc" help:"Give each account a default VPC in each region." default:"true" negatable:""`
	VerifyInterval     time.Duration  `help:"How often the kernel is compared with the desired state." default:"30s"`
	IdleTimeout        time.Duration  `help:"How long an idle TCP connection is kept." default:"350s"`
	ExpressLane        bool           `help:"Carry established connections by eBPF where the kernel can." default:"true" negatable:""`
	LogLevel           string         `help:"Least level to log: debug, info, warn or error." default:"info" enum:"debug,info,warn,error"`
	LogFormat          string         `help:"Form of the log: text or json." default:"text" enum:"text,json"`
	UnsafeNoFsync      bool           `hidden:"" help:"Do not wait for the disk. For tests."`
}

func (c *upCommand) Run(in *Invocation) error {
	config, err := c.config(in)
	if err != nil {
		return err
	}
	// A write beyond a limit on the size of files fails then, as on a full disk.
	signal.Ignore(unix.SIGXFSZ)
	ctx, stop := signal.NotifyContext(in.Context, os.Interrupt, unix.SIGTERM, unix.SIGHUP)
	defer stop()
	err = daemon.Run(ctx, config, func(r daemon.Running) {
		reached := []any{"url", r.URL}
		if r.TLS != "" {
			reached = append(reached, "tls", r.TLS)
		}
		config.Log.Info("ready", append(reached, "region", r.Region, "data", c.Data)...)
	})
	if errors.Is(err, daemon.ErrStartAgain) {
		return startAgain(in)
	}
	return err
}

// startAgain replaces this process by a new one of the same program, with the
// same number and arguments. What the old one holds open is closed by that.
func startAgain(in *Invocation) error {
	if err := unix.Exec("/proc/self/exe", append([]string{os.Args[0]}, in.Args...), os.Environ()); err != nil {
		return fmt.Errorf("start again: %w", err)
	}
	return nil
}

func (c *upCommand) config(in *Invocation) (daemon.Config, error) {
	pool, err := netip.ParsePrefix(c.IPv6Pool)
	if err != nil {
		return daemon.Config{}, fmt.Errorf("--ipv6-pool: %w", err)
	}
	outside, err := daemon.ParseOutside(c.Uplink, c.PublicPool, c.UplinkAllow)
	if err != nil {
		return daemon.Config{}, err
	}
	if c.HostName == "" {
		c.HostName = daemon.Folder(c.Data).HostName() // Validate tells when there is none
	}
	config := daemon.Config{
		Data: c.Data, Listen: c.Listen, TLS: c.tls(), MetricsListen: c.MetricsListen, Regions: c.Region, Etcd: c.Etcd, HostName: c.HostName,
		StoreQuota: c.StoreQuota << 20, Quotas: c.Quota, Shares: c.Share, IPv6Pool: pool, Outside: outside, DNSSuffix: c.DNSSuffix, AWSNames: c.AWSNames, DatabaseSuffix: c.DatabaseSuffix, Databases: c.Databases, EncryptedStorage: c.EncryptedDatabases, Upstream: c.Upstream, DNSListen: c.DNSListen, Program: program(), NoDefaultVPC: !c.DefaultVPC, Audit: trail.Limits{FileSize: c.AuditFileSize << 20, Files: c.AuditFiles, Spare: trail.DefaultLimits().Spare}, VerifyInterval: c.VerifyInterval, Idle: c.IdleTimeout, SlowPathOnly: !c.ExpressLane,
		UnsafeNoFsync: c.UnsafeNoFsync, Version: Version, Log: c.logger(in),
	}
	return config, config.Validate()
}

func (c *upCommand) tls() daemon.TLS {
	t := daemon.TLS{Names: c.TLSName, Certificate: c.TLSCert, Key: c.TLSKey}
	if c.TLS {
		t.Listen = c.TLSListen
	}
	return t
}

func (c *upCommand) logger(in *Invocation) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		level = slog.LevelInfo // the enum of the flag excludes it
	}
	options := &slog.HandlerOptions{Level: level}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(in.Stderr, options))
	}
	return slog.New(slog.NewTextHandler(in.Stderr, options))
}

type cleanCommand struct {
	location
	All       bool `help:"Remove what any Postern made on this host, whatever its data folder."`
	Databases bool `help:"Stop database servers too. Their data stays."`
}

func (c *cleanCommand) Run(in *Invocation) error {
	removed, err := daemon.Clean(context.WithoutCancel(in.Context), daemon.Folder(c.Data), c.All, c.Databases)
	for _, name := range removed {
		if _, err := fmt.Fprintln(in.Stdout, "removed", name); err != nil {
			return err
		}
	}
	if err == nil && len(removed) == 0 {
		_, err = fmt.Fprintln(in.Stdout, "nothing to remove")
	}
	return err
}

// program is the path of this program, which other processes of Postern are started
// from: its own file, also when another version has taken the file's place.
func program() string {
	const self = "/proc/self/exe"
	path, err := os.Executable()
	if err != nil {
		return self
	}
	found, err := os.Stat(path)
	if own, ownErr := os.Stat(self); err != nil || ownErr != nil || !os.SameFile(found, own) {
		return self
	}
	return path
}
