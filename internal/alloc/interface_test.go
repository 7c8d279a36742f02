// SPDX-License-Identifier: Apache-2.0

package alloc

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/store/memstore"
	"github.com/posternhq/postern/internal/table"
)

// env is tables with an allocator that draws at random.
type env struct {
	*Allocator
	DB *table.DB
}

func newEnv(t testing.TB) *env {
	t.Helper()
	db, err := state.Open(t.Context(), memstore.New(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return &env{&Allocator{Intn: rand.IntN, Now: time.Now, MaxInterfaces: 5000}, db}
}

func subnet(v4, v6 string) *model.Subnet {
	s := &model.Subnet{
		Meta: model.Meta{Account: "111122223333", Region: "us-east-1", ID: "subnet-1"},
		VPC:  "vpc-1", Zone: "us-east-1a", ZoneID: "use1-az1",
	}
	if v4 != "" {
		s.CIDR = netip.MustParsePrefix(v4)
	}
	if v6 != "" {
		s.CIDR6 = model.CIDRAssociation{ID: "subnet-cidr-assoc-1", Prefix: netip.MustParsePrefix(v6)}
	}
	return s
}

func create(t testing.TB, env *env, p Params) (*model.NetworkInterface, error) {
	t.Helper()
	var ni *model.NetworkInterface
	_, err := env.DB.Update(t.Context(), func(tx *table.Txn) (err error) {
		ni, err = env.CreateInterface(tx, p)
		return err
	})
	return ni, err
}

func addrs(texts ...string) []netip.Addr {
	var out []netip.Addr
	for _, text := range texts {
		out = append(out, netip.MustParseAddr(text))
	}
	return out
}

func TestSubnetGivesEachAddressOnceThenIsExhausted(t *testing.T) {
	env, s := newEnv(t), subnet("10.0.0.16/28", "")
	seen := make(map[netip.Addr]bool)
	for i := range 11 { // 16 addresses, less the first four and the last
		ni, err := create(t, env, Params{ID: fmt.Sprintf("eni-%d", i), Subnet: s, IPv4: Want{Count: 1}})
		if err != nil {
			t.Fatalf("interface %d: %v", i, err)
		}
		addr := ni.Addresses[0]
		if seen[addr] || !s.CIDR.Contains(addr) || !Assignable(s.CIDR, addr) {
			t.Errorf("interface %d got %v", i, addr)
		}
		seen[addr] = true
	}
	_, err := create(t, env, Params{ID: "eni-late", Subnet: s, IPv4: Want{Count: 1}})
	if full := new(ExhaustedError); !errors.As(err, &full) {
		t.Fatalf("creating in a full subnet: %v, want an ExhaustedError", err)
	}
	tx := env.DB.Snapshot()
	if _, ok := state.NetworkInterfaces.Get(tx, s.Account, s.Region, "eni-late"); ok {
		t.Error("a refused interface was stored")
	}
}

func TestParallelCreatesShareNoAddress(t *testing.T) {
	env, s := newEnv(t), subnet("10.0.0.0/26", "")
	var wg sync.WaitGroup
	for i := range 59 {
		wg.Go(func() {
			if _, err := create(t, env, Params{ID: fmt.Sprintf("eni-%d", i), Subnet: s, IPv4: Want{Count: 1}}); err != nil {
				t.Errorf("interface %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	seen := make(map[netip.Addr]string)
	for ni := range state.NetworkInterfaces.Scope(env.DB.Snapshot(), s.Account, s.Region) {
		if other := seen[ni.Addresses[0]]; other != "" {
			t.Errorf("%s and %s both have %v", ni.ID, other, ni.Addresses[0])
		}
		seen[ni.Addresses[0]] = ni.ID
	}
	if len(seen) != 59 {
		t.Errorf("%d addresses given, want 59", len(seen))
	}
}

// Of a prefix and an address in it that are asked for at the same time, one is had.
func TestParallelCreatesShareNoPrefix(t *testing.T) {
	env, s := newEnv(t), subnet("10.0.0.0/24", "fd00:1:2:3::/64")
	var wg sync.WaitGroup
	for i := range 40 {
		p := netip.MustParsePrefix(fmt.Sprintf("fd00:1:2:3:%x::/80", i+1))
		var refused [2]error
		for j, params := range []Params{
			{ID: fmt.Sprintf("eni-p%d", i), Subnet: s, Prefixes6: WantPrefixes{Prefixes: []netip.Prefix{p}}},
			{ID: fmt.Sprintf("eni-a%d", i), Subnet: s, IPv6: Want{Addresses: []netip.Addr{p.Addr().Next()}}},
		} {
			wg.Go(func() { _, refused[j] = create(t, env, params) })
		}
		wg.Wait()
		taken := 0
		for _, err := range refused {
			if problem := (*AddressError)(nil); errors.As(err, &problem) && problem.Problem == Taken {
				taken++
			}
		}
		if taken != 1 {
			t.Errorf("%s: refused with %v, want one of them to be", p, refused)
		}
	}
}

func TestNamedAddressesAreChecked(t *testing.T) {
	env, s := newEnv(t), subnet("10.0.1.0/24", "fd00:1:2:3::/64")
	if _, err := create(t, env, Params{ID: "eni-1", Subnet: s,
		IPv4: Want{Addresses: addrs("10.0.1.10", "10.0.1.11")}, IPv6: Want{Addresses: addrs("fd00:1:2:3::10")}}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		v4, v6 []netip.Addr
		want   Problem
	}{
		{v4: addrs("10.0.2.10"), want: OutOfRange},
		{v4: addrs("::ffff:10.0.1.20"), want: OutOfRange},
		{v4: addrs("10.0.1.0"), want: Reserved},
		{v4: addrs("10.0.1.3"), want: Reserved},
		{v4: addrs("10.0.1.255"), want: Reserved},
		{v4: addrs("10.0.1.10"), want: Taken},
		{v4: addrs("10.0.1.20", "10.0.1.20"), want: Repeated},
		{v6: addrs("fd00:1:2:4::10"), want: OutOfRange},
		{v6: addrs("fd00:1:2:3::1"), want: Reserved},
		{v6: addrs("fd00:1:2:3:f123::1"), want: Reserved},
		{v6: addrs("fd00:1:2:3:ffff:ffff:ffff:ffff"), want: Reserved},
		{v6: addrs("fd00:1:2:3::10"), want: Taken},
	} {
		_, err := create(t, env, Params{ID: "eni-2", Subnet: s, IPv4: Want{Addresses: c.v4}, IPv6: Want{Addresses: c.v6}})
		var refused *AddressError
		if !errors.As(err, &refused) || refused.Problem != c.want {
			t.Errorf("asking for %v %v: %v, want problem %d", c.v4, c.v6, err, c.want)
		}
	}
	if got := state.AddressClaims.CountScope(env.DB.Snapshot(), s.Account, s.Region); got != 3 {
		t.Errorf("%d claims after refused requests, want 3", got)
	}
}

func TestGatewayInterfaceHasItsAddressesAndPrefix(t *testing.T) {
	env, s := newEnv(t), subnet("10.0.1.0/24", "fd00:1:2:3::/64")
	now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	ni, err := create(t, env, Params{ID: "eni-1", CreatedAt: now, Subnet: s, Type: model.InterfaceGateway, IPv4: Want{Count: 62}, Prefix6: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(ni.Addresses) != 62 || ni.Prefix6.Bits() != 80 || !s.CIDR6.Prefix.Contains(ni.Prefix6.Addr()) {
		t.Errorf("got %d addresses and prefix %v", len(ni.Addresses), ni.Prefix6)
	}
	_, err = create(t, env, Params{ID: "eni-2", Subnet: s, IPv6: Want{Addresses: []netip.Addr{ni.Prefix6.Addr().Next()}}})
	if refused := new(AddressError); !errors.As(err, &refused) {
		t.Errorf("an address of the prefix was given to another interface: %v", err)
	}
	if _, err := env.DB.Update(t.Context(), func(tx *table.Txn) error { DeleteInterface(tx, ni); return nil }); err != nil {
		t.Fatal(err)
	}
	if got := state.AddressClaims.CountScope(env.DB.Snapshot(), s.Account, s.Region); got != 0 {
		t.Errorf("%d claims left after deletion", got)
	}
}

func TestSubnetWithoutAFamilyRefusesIt(t *testing.T) {
	env := newEnv(t)
	for _, c := range []struct {
		subnet *model.Subnet
		params Params
		want   int
	}{
		{subnet("10.0.0.0/24", ""), Params{IPv6: Want{Count: 1}}, 6},
		{subnet("10.0.0.0/24", ""), Params{Prefix6: true}, 6},
		{subnet("", "fd00::/64"), Params{IPv4: Want{Count: 1}}, 4},
	} {
		c.params.ID, c.params.Subnet = "eni-1", c.subnet
		_, err := create(t, env, c.params)
		var refused *FamilyError
		if !errors.As(err, &refused) || refused.Family != c.want {
			t.Errorf("got %v, want a FamilyError for IPv%d", err, c.want)
		}
	}
}

func TestMACsAreUnicastLocalAndStable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.StringMatching(`eni-[0-9a-f]{17}`).Draw(t, "id")
		mac, err := net.ParseMAC(MAC(id))
		if err != nil || len(mac) != 6 || mac[0]&0x03 != 0x02 || MAC(id) != mac.String() {
			t.Fatalf("MAC(%s) = %s, %v", id, MAC(id), err)
		}
	})
}

func BenchmarkCreateBesideManyInterfaces(b *testing.B) {
	env, s := newEnv(b), subnet("10.0.0.0/16", "")
	env.MaxInterfaces = 1 << 20
	if _, err := env.DB.Update(b.Context(), func(tx *table.Txn) error {
		for i := range 10_000 {
			if _, err := env.CreateInterface(tx, Params{ID: fmt.Sprintf("eni-%d", i), Subnet: s, IPv4: Want{Count: 1}}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		b.Fatal(err)
	}
	for i := 0; b.Loop(); i++ {
		if _, err := create(b, env, Params{ID: fmt.Sprintf("eni-more-%d", i), Subnet: s, IPv4: Want{Count: 1}}); err != nil {
			b.Fatal(err)
		}
	}
}

func TestLargerIPv6BlocksAreUsedWhole(t *testing.T) {
	for bits := 44; bits <= 64; bits += 4 {
		env, s := newEnv(t), subnet("10.0.1.0/24", fmt.Sprintf("fd00:1::/%d", bits))
		block := s.CIDR6.Prefix
		networks := make(map[netip.Prefix]bool)
		for i := range 40 {
			ni, err := create(t, env, Params{ID: fmt.Sprintf("eni-%d", i), Subnet: s, IPv6: Want{Count: 1}, Prefix6: true})
			if err != nil {
				t.Fatal(err)
			}
			addr, room := ni.Addresses6[0], prefixRoom(block)
			networks[netip.PrefixFrom(addr, 64).Masked()] = true
			if !block.Contains(addr) || room.Contains(addr) || !Assignable(block, addr) {
				t.Errorf("/%d: address %s", bits, addr)
			}
			if p := ni.Prefix6; p.Bits() != 80 || p != p.Masked() || !room.Contains(p.Addr()) || !block.Contains(model.Last(p)) {
				t.Errorf("/%d: prefix %s, want one in %s", bits, p, room)
			}
		}
		if bits < 60 && len(networks) < 10 {
			t.Errorf("/%d: addresses are in %d networks of /64 only", bits, len(networks))
		}
		first := block.Addr()
		for _, reserved := range []netip.Addr{first, first.Next(), first.Next().Next(), first.Next().Next().Next(), model.Last(block), model.Last(prefixRoom(block))} {
			if Assignable(block, reserved) {
				t.Errorf("/%d: %s can be assigned", bits, reserved)
			}
		}
		if ordinary := first.Next().Next().Next().Next(); !Assignable(block, ordinary) {
			t.Errorf("/%d: %s cannot be assigned", bits, ordinary)
		}
	}
}
