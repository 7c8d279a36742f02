// SPDX-License-Identifier: Apache-2.0

package token_test

import (
	"encoding/base64"
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/policy"
	"github.com/posternhq/postern/internal/seal"
	"github.com/posternhq/postern/internal/token"
)

var issued = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func newKeys(t testing.TB) *seal.Keys {
	t.Helper()
	r, err := seal.New(issued)
	if err != nil {
		t.Fatal(err)
	}
	return seal.Using(r)
}

func session() *access.Session {
	return &access.Session{
		KeyID: "ASIAEXAMPLE", Secret: "secret", Account: "111122223333", Kind: policy.Role, Entity: "AROAEXAMPLE", Name: "work",
		Issued: issued, Expires: issued.Add(time.Hour),
	}
}

func drawn(t *rapid.T) *access.Session {
	texts := func(name string, most int) (all []string) {
		for range rapid.IntRange(0, most).Draw(t, name+"s") {
			all = append(all, rapid.StringN(0, 300, -1).Draw(t, name))
		}
		return all
	}
	text := func(name string) string { return rapid.StringN(0, 64, -1).Draw(t, name) }
	s := &access.Session{
		KeyID: text("key"), Secret: rapid.StringN(1, 40, -1).Draw(t, "secret"), Account: text("account"),
		Kind: rapid.SampledFrom([]policy.PrincipalKind{policy.Root, policy.User, policy.Role, policy.Federated}).Draw(t, "kind"), Entity: text("entity"), Parent: text("parent"), Name: text("name"),
		Through: rapid.SampledFrom([][]string{nil, {"111122223333"}, {"111122223333", "444455556666"}}).Draw(t, "through"),
		Issued:  time.Unix(rapid.Int64Range(0, 1<<35).Draw(t, "issued"), 0).UTC(), Expires: time.Unix(rapid.Int64Range(0, 1<<35).Draw(t, "expires"), 0).UTC(),
		Policies: texts("policy", 3), PolicyARNs: texts("ARN", 3), Bounded: rapid.Bool().Draw(t, "bounded"),
		Transitive: texts("transitive", 3), SourceIdentity: text("source identity"),
	}
	if rapid.Bool().Draw(t, "tagged") {
		s.Tags = map[string]string{text("tag"): text("value"), "x": "y"}
	}
	return s
}

// A token says of its session what was sealed, and nothing to whoever has another key or
// alters it.
func TestTokensAreTheirSession(t *testing.T) {
	keys, others := newKeys(t), newKeys(t)
	rapid.Check(t, func(t *rapid.T) {
		s := drawn(t)
		least := rapid.IntRange(0, token.MaxLength).Draw(t, "at least")
		text, err := token.Seal(keys, s, least)
		if errors.Is(err, token.ErrTooLarge) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(text) > token.MaxLength || len(text) < least {
			t.Fatalf("the token has %d characters", len(text))
		}
		got, err := token.Open(keys, s.KeyID, text)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(s, got); diff != "" {
			t.Fatalf("the session (-sealed +opened):\n%s", diff)
		}
		at := rapid.IntRange(0, len(text)-1).Draw(t, "at")
		altered := text[:at] + string(rapid.ByteRange(0, 127).Filter(func(b byte) bool { return b != text[at] }).Draw(t, "other")) + text[at+1:]
		for name, open := range map[string]func() (*access.Session, error){
			"another access key":  func() (*access.Session, error) { return token.Open(keys, s.KeyID+"x", text) },
			"other sealing keys":  func() (*access.Session, error) { return token.Open(others, s.KeyID, text) },
			"an altered token":    func() (*access.Session, error) { return token.Open(keys, s.KeyID, altered) },
			"a token with a line": func() (*access.Session, error) { return token.Open(keys, s.KeyID, text[:at]+"\n"+text[at:]) },
			"half a token":        func() (*access.Session, error) { return token.Open(keys, s.KeyID, text[:at]) },
			"more than a token":   func() (*access.Session, error) { return token.Open(keys, s.KeyID, text+"AAAA") },
		} {
			if got, err := open(); !errors.Is(err, token.ErrInvalid) {
				t.Fatalf("%s: %v, %v", name, got, err)
			}
		}
	})
}

// A token has room for what AWS lets sessions have in common, and what no token holds is
// refused. How full it is said to be agrees with that.
func TestWhatTokensHold(t *testing.T) {
	keys := newKeys(t)
	common := session()
	common.Policies, common.Bounded = []string{strings.Repeat(`{"Effect":"Allow","Action":"ec2:Describe*","Resource":"*"},`, 35)[:2048]}, true
	for i := range 10 {
		common.PolicyARNs = append(common.PolicyARNs, "arn:aws:iam::aws:policy/AmazonEC2ReadOnlyAccess"+strconv.Itoa(i))
	}
	common.Tags = map[string]string{}
	for i := range 50 {
		common.Tags["department-"+strconv.Itoa(i)] = "engineering"
	}
	if _, err := token.Seal(keys, common, 0); err != nil {
		t.Errorf("a session with much that is alike: %v", err)
	}
	if share, err := token.Share(keys, session()); err != nil || share != 0 {
		t.Errorf("a session of nothing takes %d %%, %v", share, err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	last := 0
	for n := 0; n < 4500; n += 50 {
		noise := make([]byte, n)
		for i := range noise {
			noise[i] = byte(' ' + random.IntN(95))
		}
		s := session()
		s.Policies = []string{string(noise)}
		share, err := token.Share(keys, s)
		if err != nil {
			t.Fatal(err)
		}
		_, err = token.Seal(keys, s, 0)
		if share > 100 != errors.Is(err, token.ErrTooLarge) || share <= 100 && err != nil {
			t.Errorf("%d characters take %d %%, and sealing says %v", n, share, err)
		}
		if share+1 < last {
			t.Errorf("%d characters take %d %%, fewer took %d %%", n, share, last)
		}
		last = share
	}
	if last <= 100 {
		t.Errorf("4500 characters take %d %%", last)
	}
}

// A session that began under a key which is not the newest any more goes on.
func TestTokensOutliveASealingKey(t *testing.T) {
	keys := newKeys(t)
	text, err := token.Seal(keys, session(), 0)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := keys.Ring().Renewed(issued.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	keys.Use(ring)
	if _, err := token.Open(keys, session().KeyID, text); err != nil {
		t.Error(err)
	}
}

func FuzzOpen(f *testing.F) {
	keys := newKeys(f)
	text, err := token.Seal(keys, session(), 0)
	if err != nil {
		f.Fatal(err)
	}
	f.Add("ASIAEXAMPLE", "")
	f.Add("ASIAOTHER", text)
	f.Add("ASIAEXAMPLE", "IQoJb3JpZ2luX2VjEA==")
	f.Fuzz(func(t *testing.T, id, text string) {
		if s, err := token.Open(keys, id, text); err == nil {
			t.Fatalf("opened %v", s)
		}
	})
}

// What is sealed by a key that only Postern has is read without harm all the same,
// whatever it is.
func FuzzOpenSealed(f *testing.F) {
	keys := newKeys(f)
	f.Add([]byte(`j{"x":"y","t":{"a":"b"}}`))
	f.Add([]byte("z"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, packed []byte) {
		text := base64.StdEncoding.EncodeToString(keys.Seal(seal.SessionToken, packed, "id"))
		if s, err := token.Open(keys, "id", text); err == nil && s.Secret == "" {
			t.Fatal("a session without a secret")
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	keys := newKeys(b)
	text, err := token.Seal(keys, session(), 0)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := token.Open(keys, session().KeyID, text); err != nil {
			b.Fatal(err)
		}
	}
}

func TestRefusalsAreForTheirAccount(t *testing.T) {
	keys := newKeys(t)
	for _, text := range []string{"", "why", strings.Repeat("because ", 2000)} {
		sealed := token.SealRefusal(keys, "111122223333", []byte(text))
		if sealed == "" || strings.ContainsAny(sealed, "+/= ") {
			t.Errorf("%d characters are sealed as %q", len(text), sealed)
		}
		if got, err := token.OpenRefusal(keys, "111122223333", sealed); err != nil || string(got) != text {
			t.Errorf("opened %q, %v", got, err)
		}
		for _, bad := range []string{sealed + "A", sealed[1:], ""} {
			if got, err := token.OpenRefusal(keys, "111122223333", bad); !errors.Is(err, token.ErrNoRefusal) {
				t.Errorf("opened %q, %v", got, err)
			}
		}
		if got, err := token.OpenRefusal(keys, "444455556666", sealed); !errors.Is(err, token.ErrNoRefusal) {
			t.Errorf("another account opened %q, %v", got, err)
		}
	}
	noise := make([]byte, 12000)
	random := rand.NewChaCha8([32]byte{1})
	if _, err := random.Read(noise); err != nil {
		t.Fatal(err)
	}
	if sealed := token.SealRefusal(keys, "111122223333", noise); sealed != "" {
		t.Errorf("%d characters were made of too much", len(sealed))
	}
}
