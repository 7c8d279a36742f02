// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/trail"
)

func valid() Config {
	return Config{
		Data: "/tmp/x", Listen: "127.0.0.1:0", Regions: []string{"us-east-1"}, HostName: "h",
		DNSSuffix: "postern.internal", DatabaseSuffix: "rds.amazonaws.com", IPv6Pool: netip.MustParsePrefix("fd50:5354:4e00::/40"),
		VerifyInterval: time.Second, Idle: time.Minute, Audit: trail.DefaultLimits(),
	}
}

func TestValidateNamesTheFlagThatIsWrong(t *testing.T) {
	if err := valid().Validate(); err != nil {
		t.Fatalf("a good configuration: %v", err)
	}
	for flag, spoil := range map[string]func(*Config){
		"--data":                            func(c *Config) { c.Data = "" },
		"--listen":                          func(c *Config) { c.Listen = "8700" },
		"--region":                          func(c *Config) { c.Regions = []string{"us-east-1", "us-east-1"} },
		"--audit-files":                     func(c *Config) { c.Audit.Files = 0 },
		"--audit-file-size":                 func(c *Config) { c.Audit.FileSize = 1000 },
		"nowhere":                           func(c *Config) { c.Regions = []string{"nowhere"} },
		"--ipv6-pool":                       func(c *Config) { c.IPv6Pool = netip.MustParsePrefix("10.0.0.0/8") },
		"--dns-suffix \"\"":                 func(c *Config) { c.DNSSuffix = "" },
		"--dns-suffix \".\"":                func(c *Config) { c.DNSSuffix = "." },
		"--database-suffix \"\"":            func(c *Config) { c.DatabaseSuffix = "" },
		"--dns-suffix \"a..b\"":             func(c *Config) { c.DNSSuffix = "a..b" },
		"--dns-suffix \"*.b\"":              func(c *Config) { c.DNSSuffix = "*.b" },
		"--dns-suffix \"x.":                 func(c *Config) { c.DNSSuffix = "x." + strings.Repeat("a.", 50) },
		"--upstream \"a\"":                  func(c *Config) { c.Upstream = []string{"10.0.0.1", "a"} },
		"--upstream \"none\"":               func(c *Config) { c.Upstream = []string{"10.0.0.1", "none"} },
		"--upstream \"[::]:53\"":            func(c *Config) { c.Upstream = []string{"[::]:53"} },
		"--dns-listen \"localhost:53\"":     func(c *Config) { c.DNSListen = []string{"localhost:53"} },
		"--dns-listen \"\"":                 func(c *Config) { c.DNSListen = []string{"127.0.0.1", ""} },
		"--dns-listen \"127.0.0.1:0\"":      func(c *Config) { c.DNSListen = []string{"127.0.0.1:0"} },
		"--dns-listen \"[::]:53\"":          func(c *Config) { c.DNSListen = []string{"[::]:53"} },
		"--dns-listen \"224.0.0.1\"":        func(c *Config) { c.DNSListen = []string{"224.0.0.1"} },
		"--dns-listen \"fe80::1%eth0\"":     func(c *Config) { c.DNSListen = []string{"fe80::1%eth0"} },
		"--dns-listen \"127.0.0.1\": named": func(c *Config) { c.DNSListen = []string{"127.0.0.1:53", "127.0.0.1"} },
		"--verify-interval 0s":              func(c *Config) { c.VerifyInterval = 0 },
		"--verify-interval -1s":             func(c *Config) { c.VerifyInterval = -time.Second },
		"--idle-timeout 0s":                 func(c *Config) { c.Idle = 0 },
		"--host-name":                       func(c *Config) { c.HostName = "" },
		"--etcd":                            func(c *Config) { c.Etcd = []string{"http://127.0.0.1:2379", ""} },
	} {
		c := valid()
		spoil(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), flag) {
			t.Errorf("error is %v, want one that names %s", err, flag)
		}
	}
}

func TestZonesAreNamedAsOnAWS(t *testing.T) {
	zones := zonesOf([]string{"us-east-1", "ap-southeast-2", "eu-central-1"})
	for region, want := range map[string]string{"us-east-1": "use1-az1", "ap-southeast-2": "apse2-az1", "eu-central-1": "euc1-az1"} {
		got := zones(region)
		if len(got) != zonesPerRegion || got[0].ID != want || got[0].Name != region+"a" {
			t.Errorf("zones of %s are %v, want %d that begin with %s", region, got, zonesPerRegion, want)
		}
	}
	if got := zones("sa-east-1"); got != nil {
		t.Errorf("a region that is not served has zones %v", got)
	}
}

func TestTheInstanceOfAFolderStays(t *testing.T) {
	f := Folder(t.TempDir())
	if _, err := f.Instance(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("instance of an unused folder: %v, want fs.ErrNotExist", err)
	}
	first, err := f.makeInstance()
	if err != nil {
		t.Fatal(err)
	}
	second, err := f.makeInstance()
	if err != nil || second != first {
		t.Errorf("second start has instance %q (%v), the first had %q", second, err, first)
	}
	if err := os.WriteFile(filepath.Join(string(f), instanceFile), []byte("../../etc"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := f.makeInstance(); err == nil {
		t.Error("an instance that is no mark is accepted")
	}
}

func TestSecretsAreForTheOwnerOnly(t *testing.T) {
	f := Folder(t.TempDir())
	want := Credentials{"111122223333", "AKIAEXAMPLE", "secret"}
	if err := f.writeJSON(credentialsFile, want); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(f.path(credentialsFile))
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o600 {
		t.Errorf("credentials have mode %v, want 0600", mode)
	}
	if got, err := f.Credentials(); err != nil || got != want {
		t.Errorf("credentials read back are %v (%v), want %v", got, err, want)
	}
	left, err := filepath.Glob(f.path(".*"))
	if err != nil || len(left) != 0 {
		t.Errorf("temporary files are left: %v (%v)", left, err)
	}
}
