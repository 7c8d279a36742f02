// SPDX-License-Identifier: Apache-2.0

package network

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/desired"
)

func TestRouterSysctlsHold(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("CI is set and this test needs root")
		}
		t.Skip("SKIPPED: this test makes a network namespace and needs root")
	}
	list := routerSysctls(DefaultIdle)
	err := InThrowaway(func() error {
		if err := setSysctls(list); err != nil {
			return err
		}
		for _, s := range list {
			text, err := os.ReadFile("/proc/sys/" + s.path)
			if err != nil || strings.TrimSpace(string(text)) != s.value {
				t.Errorf("%s is %q, %v; want %s", s.path, text, err, s.value)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestSysctlsThatTheKernelLacksArePassedOver(t *testing.T) {
	if err := setSysctls([]sysctl{{"net/none", "1"}}); err != nil {
		t.Error(err)
	}
	if err := (sysctl{"net", "1"}).set(); err != unix.EISDIR {
		t.Errorf("writing a folder: %v", err)
	}
}

func TestNamesAndMarks(t *testing.T) {
	if got, want := interfaceName("w", "eni-0123456789abcdef0", false), "w0123456789abcd"; got != want {
		t.Errorf("name %s, want %s", got, want)
	}
	for _, id := range []string{"eni-0123456789abcdef0", "eni-1", ""} {
		if name := interfaceName("w", id, true); len(name) != unix.IFNAMSIZ-1 {
			t.Errorf("name %s of %s has %d characters", name, id, len(name))
		}
	}
	for text, want := range map[string][3]string{
		"postern-p7k2-vpc-0123456789abcdef0": {"p7k2", "vpc-0123456789abcdef0", "true"},
		"postern-p7k2-eni-01":                {"", "", "false"},
		"postern-TOOLONGNAME-vpc-01":         {"", "", "false"},
		"postern-vpc-01":                     {"", "", "false"},
		"mypostern-a-vpc-01":                 {"", "", "false"},
	} {
		instance, vpc, ok := parseNamespaceName(text)
		if got := [3]string{instance, vpc, map[bool]string{true: "true", false: "false"}[ok]}; got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
	for _, bad := range []string{"", "A", "a-b", "123456789", "../x"} {
		if CheckInstance(bad) == nil {
			t.Errorf("instance %q is accepted", bad)
		}
	}
	mac := hardwareAddr("a", "b")
	if mac[0]&3 != 2 || mac.String() == hardwareAddr("ab").String() {
		t.Errorf("hardware address %s", mac)
	}
}

// What a mark says of a workload's namespace is read back, whatever it is called.
func FuzzMarks(f *testing.F) {
	for _, name := range []string{"web", "web 1", "a@b", "a@1", "50%", "name:", "a:b", ""} {
		f.Add(name, 7, uint64(9), uint64(0xf0))
	}
	r := &Router{instance: "a"}
	f.Fuzz(func(t *testing.T, name string, pid int, inode, identity uint64) {
		w := desired.Workload{ENI: "eni-1", Namespace: desired.Namespace{Name: name, Inode: inode, Identity: identity}}
		if name == "" {
			w.Namespace.PID = pid
		}
		eni, _, ns, ok := r.readMark(r.workloadMark(w))
		if !ok || eni != w.ENI || ns != w.Namespace {
			t.Errorf("%q: %s, %+v, %t", r.workloadMark(w), eni, ns, ok)
		}
	})
}

// Versions before names were escaped.
func TestMarksOfEarlierVersionsAreRead(t *testing.T) {
	r := &Router{instance: "a"}
	for said, want := range map[string]desired.Namespace{
		"10.0.1.1:name:web 1@9/f0":  {Name: "web 1", Inode: 9, Identity: 0xf0},
		"-:name:a@b@9/f0":           {Name: "a@b", Inode: 9, Identity: 0xf0},
		"10.0.1.1:name:g%20h@9":     {Name: "g%20h", Inode: 9},
		"10.0.1.1/24:name:c%d@9/f0": {Name: "c%d", Inode: 9, Identity: 0xf0},
		"-:name:50%@9":              {Name: "50%", Inode: 9},
		"10.0.1.1:pid:7@9":          {PID: 7, Inode: 9},
	} {
		if _, _, ns, ok := r.readMark(alias("a", isWorkload, "eni-1") + ":" + said); !ok || ns != want {
			t.Errorf("%s: %+v, %t", said, ns, ok)
		}
	}
}

func FuzzParseNetconf(f *testing.F) {
	f.Add([]byte{2, 0, 0, 0, 8, 0, 1, 0, 1, 0, 0, 0})
	f.Fuzz(func(t *testing.T, message []byte) {
		parseNetconf(message) // must not panic
	})
}
