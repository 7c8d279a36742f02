// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"os"
	"path/filepath"
	"testing"
)

var told = resolvConf{Nameservers: []string{"10.0.0.2", "fd00:ec2::253"}, Search: []string{"ec2.internal", "lab"}}

const toldText = resolvConfHead + "\nsearch ec2.internal lab\nnameserver 10.0.0.2\nnameserver fd00:ec2::253\n"

func content(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A file that is there follows what a workload is told, also when that gets shorter,
// until the workload writes it itself.
func TestResolvConfFollows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(path, []byte(toldText), 0o644); err != nil {
		t.Fatal(err)
	}
	f := resolvFile{path, toldText}
	for _, c := range []struct {
		told resolvConf
		want string
	}{
		{told, toldText},
		{resolvConf{Nameservers: []string{"10.9.0.53"}}, resolvConfHead + "\nnameserver 10.9.0.53\n"},
		{resolvConf{}, resolvConfHead + "\nnameserver 10.9.0.53\n"},
		{told, toldText},
	} {
		if err := f.set(c.told); err != nil || content(t, path) != c.want {
			t.Errorf("told %+v: %v, %q", c.told, err, content(t, path))
		}
	}
	if err := os.WriteFile(path, []byte("nameserver 192.0.2.1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := f.set(resolvConf{Search: []string{"lab"}}); err != nil || content(t, path) != "nameserver 192.0.2.1\n" {
		t.Errorf("%v: what the workload wrote is %q", err, content(t, path))
	}
}

// A namespace's file is written for who asks for it, and nobody's own is lost.
func TestResolvConfOfANamespace(t *testing.T) {
	folder := t.TempDir()
	for range 2 {
		if err := told.writeFor(folder, "web"); err != nil || content(t, filepath.Join(folder, "web", "resolv.conf")) != toldText {
			t.Error(err)
		}
	}
	path := filepath.Join(folder, "web", "resolv.conf")
	if err := os.WriteFile(path, []byte("nameserver 192.0.2.1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := told.writeFor(folder, "web"); err == nil || content(t, path) != "nameserver 192.0.2.1\n" {
		t.Errorf("%v: somebody's own file is %q", err, content(t, path))
	}
	for _, name := range []string{"..", ".", "a/b", ""} {
		if err := told.writeFor(folder, name); err == nil {
			t.Errorf("%q is a namespace", name)
		}
	}
}
