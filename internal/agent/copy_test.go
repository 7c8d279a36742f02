// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/posternhq/postern/internal/desired"
)

var alpha = Whose{Host: "alpha one", Instance: "k3v9x", Boot: "6f1c"}

func keep(t *testing.T) *keeper {
	t.Helper()
	k := &keeper{path: filepath.Join(t.TempDir(), "desired.txt"), whose: alpha}
	t.Cleanup(k.close)
	return k
}

func member(n byte) desired.Entry {
	return desired.Member{VPC: "vpc-a", Group: "sg-1", Addr: netip.AddrFrom4([4]byte{10, 0, 1, n})}
}

// wantCopy wants a copy to be of these entries.
func wantCopy(t *testing.T, path string, revision int64, entries ...desired.Entry) {
	t.Helper()
	c, err := ReadCopy(path, desired.Kinds()...)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(desired.Records(entries), desired.Records(c.Entries)); diff != "" || c.Revision != revision || c.Whose != alpha {
		t.Errorf("copy of revision %d of %s, want %d: %s", c.Revision, c.Whose, revision, diff)
	}
}

// A copy has each delta at once, with whose the endpoints are, whatever is in names.
func TestACopyFollowsDeltas(t *testing.T) {
	k := keep(t)
	var all []desired.Entry
	for _, kind := range desired.Kinds() {
		all = append(all, kind.Examples()...)
	}
	odd := desired.Workload{VPC: "vpc-a", ENI: "eni 1\n# revision 9 sum 0", Device: "eth0", Namespace: desired.Namespace{Name: "web\n- x"}}
	if err := k.replace(1, all); err != nil {
		t.Fatal(err)
	}
	wantCopy(t, k.path, 1, all...)
	if err := k.note(desired.Delta{Revision: 2, Put: []desired.Entry{odd, member(1)}, Delete: []desired.Key{all[0].Key()}}); err != nil {
		t.Fatal(err)
	}
	wantCopy(t, k.path, 2, append(all[1:], odd, member(1))...)
	if err := k.note(desired.Delta{Revision: 3, Delete: []desired.Key{odd.Key(), member(1).Key(), member(2).Key()}}); err != nil {
		t.Fatal(err)
	}
	wantCopy(t, k.path, 3, all[1:]...)
	if err := k.note(desired.Delta{Revision: 4, Full: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(k.path); !os.IsNotExist(err) {
		t.Errorf("the copy of a state that is not wanted any more is there: %v", err)
	}
	if err := k.replace(4, nil); err != nil {
		t.Fatal(err)
	}
	wantCopy(t, k.path, 4)
}

// crowd is as many entries as some hundred endpoints have, or some thousand.
func crowd(n int) (entries []desired.Entry) {
	for i := range n {
		addr := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		entries = append(entries, desired.Endpoint{
			VPC: "vpc-0123456789abcdef0", Addr: addr, Target: netip.MustParseAddr("240.8.0.1"), Ports: []desired.PortRange{{From: 5432, To: 5432}},
			Owner: "vpce-0123456789abcdef0",
		})
	}
	return entries
}

// A state that is written in several pieces is whole, and what is added to it too.
func TestALargeCopyIsWhole(t *testing.T) {
	k, all := keep(t), crowd(4*piece/100)
	if err := k.replace(1, slices.Clone(all)); err != nil {
		t.Fatal(err)
	}
	if k.state < 3*piece {
		t.Fatalf("the state is %d bytes, too few for several pieces", k.state)
	}
	wantCopy(t, k.path, 1, all...)
	if err := k.note(desired.Delta{Revision: 2, Delete: []desired.Key{all[0].Key()}}); err != nil {
		t.Fatal(err)
	}
	wantCopy(t, k.path, 2, all[1:]...)
}

// BenchmarkReplace writes the state of ten thousand endpoints.
func BenchmarkReplace(b *testing.B) {
	k := &keeper{path: filepath.Join(b.TempDir(), "desired.txt"), whose: alpha}
	defer k.close()
	all := crowd(20_000)
	b.ReportAllocs()
	for b.Loop() {
		if err := k.replace(1, slices.Clone(all)); err != nil {
			b.Fatal(err)
		}
	}
}

// Whatever was changed in a copy, cut from it or put in its place is refused, and
// nothing of it is used.
func TestSpoiledCopiesAreRefused(t *testing.T) {
	write := func(t *testing.T) string {
		k := keep(t)
		if err := k.replace(1, []desired.Entry{member(1), member(2)}); err != nil {
			t.Fatal(err)
		}
		for i := range byte(2) {
			if err := k.note(desired.Delta{Revision: int64(i) + 2, Put: []desired.Entry{member(i + 10)}, Delete: []desired.Key{member(i + 1).Key()}}); err != nil {
				t.Fatal(err)
			}
		}
		return k.path
	}
	spoil := func(t *testing.T, path string, change func(text string) string) {
		text, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(path, []byte(change(string(text))), 0o600) // in place: the file is the same
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	refused := func(t *testing.T, path, says string) {
		t.Helper()
		if c, err := ReadCopy(path, desired.Kinds()...); err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), path) || c.Entries != nil {
			t.Errorf("%v, %v; want an error that says %q", c, err, says)
		}
	}
	path := write(t)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	blocks := 0
	for i := range text {
		cut, flipped := string(text[:i]), []byte(string(text))
		flipped[i] ^= 1
		spoil(t, path, func(string) string { return cut })
		if strings.HasSuffix(cut, "\n") && strings.Contains(cut[strings.LastIndex(cut[:len(cut)-1], "\n")+1:], blockEnd) {
			blocks++ // the end of a block is where a copy may end
		} else {
			refused(t, path, "")
		}
		spoil(t, path, func(string) string { return string(flipped) })
		refused(t, path, "")
	}
	if blocks != 2 {
		t.Errorf("a copy of three blocks ended whole at %d places before its end", blocks)
	}
	for says, change := range map[string]func(string) string{
		"it does not begin as a copy":  func(s string) string { return s[strings.Index(s, "\n")+1:] },
		"its end is missing":           func(s string) string { return s + "member vpc-a sg-1/10.0.1.9\n" },
		"is not what was written":      func(s string) string { return strings.Replace(s, "10.0.1.10\n", "10.0.1.11\n", 1) },
		`there is no kind "tunnel"`:    func(s string) string { return strings.Replace(s, "member", "tunnel", 1) },
		"was put there by others":      func(s string) string { return s[:strings.Index(s, "file=")+5] + "1" + s[strings.Index(s, "\n"):] },
		"another version may have wri": func(string) string { return "member vpc-a sg-1/10.0.1.9\n" },
	} {
		path := write(t)
		spoil(t, path, change)
		refused(t, path, says)
	}
	path = write(t)
	other := path + ".old"
	if err := os.WriteFile(other, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(other, path); err != nil {
		t.Fatal(err)
	}
	refused(t, path, "was put there by others")
	refused(t, filepath.Join(t.TempDir(), "none"), "no such file")
}

// What an earlier attempt left does not stand in the way, and when nothing can be
// written there is no copy rather than an old one.
func TestLeftoversDoNotStopTheCopy(t *testing.T) {
	for name, leave := range map[string]func(path string) error{
		"half a file":              func(path string) error { return os.WriteFile(path+".new", []byte("ha"), 0o600) },
		"a folder":                 func(path string) error { return os.MkdirAll(filepath.Join(path+".new", "x"), 0o700) },
		"a folder under its name":  func(path string) error { return os.MkdirAll(filepath.Join(path, "x"), 0o700) },
		"a file nobody may write":  func(path string) error { return os.WriteFile(path+".new", nil, 0) },
		"an older file under both": func(path string) error { return os.WriteFile(path, []byte("a longer text"), 0o600) },
		"a link that leads away":   func(path string) error { return os.Symlink("/nowhere/at/all", path+".new") },
	} {
		k := keep(t)
		if err := leave(k.path); err != nil {
			t.Fatal(err)
		}
		if err := k.replace(1, []desired.Entry{member(1)}); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		wantCopy(t, k.path, 1, member(1))
		if _, err := os.Lstat(k.path + ".new"); !os.IsNotExist(err) {
			t.Errorf("%s: %s.new is left (%v)", name, k.path, err)
		}
	}
	k := keep(t)
	if err := k.replace(1, []desired.Entry{member(1)}); err != nil {
		t.Fatal(err)
	}
	k.file.Close() // as a full disk, nothing can be written
	if err := k.note(desired.Delta{Revision: 2, Put: []desired.Entry{member(2)}}); err == nil {
		t.Error("a delta that cannot be written is no error")
	}
	if _, err := os.Stat(k.path); !os.IsNotExist(err) {
		t.Errorf("a copy that is not current any more is there: %v", err)
	}
}

// A copy is written anew when more was added to it than it began with.
func TestACopyDoesNotGrowForEver(t *testing.T) {
	k := keep(t)
	if !k.due() {
		t.Error("no copy, and none is due")
	}
	if err := k.replace(1, nil); err != nil {
		t.Fatal(err)
	}
	for n := 0; !k.due(); n++ {
		if err := k.note(desired.Delta{Revision: int64(n) + 2, Put: []desired.Entry{member(byte(n))}}); err != nil || n > 2000 {
			t.Fatalf("after %d deltas none is due: %v", n, err)
		}
	}
	if err := k.replace(9999, []desired.Entry{member(1)}); err != nil || k.due() {
		t.Errorf("due %v after it was written, %v", k.due(), err)
	}
	wantCopy(t, k.path, 9999, member(1))
	if err := os.Truncate(k.path, 100); err != nil || !k.due() {
		t.Errorf("due %v after somebody has cut it, %v", k.due(), err)
	}
	if err := os.Remove(k.path); err != nil || !k.due() {
		t.Errorf("due %v after somebody has removed it, %v", k.due(), err)
	}
	if err := os.WriteFile(k.path, nil, 0o600); err != nil || !k.due() {
		t.Errorf("due %v after somebody has put another file there, %v", k.due(), err)
	}
}

// BenchmarkNote is what a change of one endpoint costs before it is carried out.
func BenchmarkNote(b *testing.B) {
	k := &keeper{path: filepath.Join(b.TempDir(), "desired.txt"), whose: alpha}
	defer k.close()
	if err := k.replace(1, nil); err != nil {
		b.Fatal(err)
	}
	var d desired.Delta
	for _, kind := range []desired.Kind{desired.KindEndpoint, desired.KindAddress, desired.KindMember, desired.KindAllow} {
		d.Put = append(d.Put, kind.Examples()[0])
	}
	for b.Loop() {
		if err := k.note(d); err != nil {
			b.Fatal(err)
		}
	}
}
