//go:build ignore

// SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0)

// The express lane: TCP connections that were answered pass a router here, on the
// ingress of its devices, instead of going through its routes, its connection
// tracking and its rules for each packet.
//
// The slow path remains the truth. It alone admits connections: whatever is
// not known here goes there. When a connection has been admitted and answered
// there, and both connection tracking and the router's routes say where its
// packets go, that is remembered for both directions; from then on packets are
// rewritten and handed on straight to the other end of the next veth. That is only
// done between devices that the agent has listed: anything else cannot take such
// packets. What is remembered is asked for again every few seconds, which also
// keeps the entry in connection tracking alive, and whenever the router's
// generation changes. Nothing is lost when an entry is thrown away: its packets
// take the slow path again.
//
// Every router does this for itself and knows nothing of the next one.
//
// Questions to the VPC's resolver are answered here too, if it has answered them before:
// answers.h. The edge of an uplink, which knows no connections, has a lane of its own:
// edge.h.

#include "kernel.h"

char _license[] SEC("license") = "Dual BSD/GPL";

// What the agent sets.
struct control {
	__u32 enabled;
	__u32 idle;	// timeout of an open connection, in milliseconds
	__u64 refresh;	// how long something is believed, in nanoseconds
	__u32 closed;	// timeout of one that both ends have closed, in milliseconds
	__u32 share;	// connections that may be remembered of one router
	__u32 late;	// closed connections of one router that keep their ports for all of that timeout
	__u32 reserved; // zero
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct control);
} control SEC(".maps");

// How many routers have a slot. The first one is nobody's.
#define ROUTERS (1 << 13)

// What the agent says of a router, in its slot.
struct router {
	__u64 cookie;	  // of its network namespace; zero in a slot that is free
	__u32 generation; // what was remembered under another one is asked for again
	__u32 reserved;	  // zero
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, ROUTERS);
	__type(key, __u32);
	__type(value, struct router);
} routers SEC(".maps");

// A device of a router.
struct device {
	__u64 router; // cookie of the network namespace
	__u32 device;
	__u32 reserved; // zero
};

// What the agent says of a device that packets may come from and go to: it
// carries this program, and is one end of a veth whose other end is in another
// namespace.
struct listed {
	__u32 slot; // of its router
	__u8 mac[6]; // that a device which got its number later does not have
	__u16 workload; // it leads to one, and not to another router
	__u32 mark; // by which packets that come from it are routed; zero for none
	__u64 taken; // until when its share of questions is taken, in nanoseconds
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 16);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct device);
	__type(value, struct listed);
} devices SEC(".maps");

// What comes to a target from other routers.
struct target {
	__u64 router; // cookie of the network namespace
	__be32 daddr[4]; // as in a flow
};

// The marks by which it is routed, if it has any.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 16);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct target);
	__type(value, __u32);
} steers SEC(".maps");

// What the agent reads: of all routers, and what was carried of each.
enum { LEARNED, GIVEN_UP, NO_ROOM, COUNTERS };

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, COUNTERS);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

struct total {
	__u64 packets, bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, ROUTERS);
	__type(key, __u32);
	__type(value, struct total);
} totals SEC(".maps");

// One direction of a connection as it comes into a router: by which device,
// and with which addresses. IPv4 addresses are in the first word.
struct flow {
	__u64 router; // cookie of the network namespace
	__u32 device;
	__be16 sport, dport;
	__be32 saddr[4], daddr[4];
};

// What happens to the packets of a flow.
struct way {
	__be32 saddr[4], daddr[4];
	__be16 sport, dport;
	__u32 device; // where they leave; zero when they take the slow path
	__u8 macs[12]; // destination and source, as in the frame
	__u32 mtu;
	__u16 slot; // of the router
	__u8 family;
	__u8 reply; // it is the direction of the answers
	// What is above says where the flow goes. Below is what came of it.
	__u32 addresses_changed, ports_changed; // differences for checksums
	__u32 generation;
	__u64 checked; // when connection tracking was asked, in nanoseconds
	__u64 packets, bytes; // that were carried, as the kernel counts them: from the IP header on
	__u32 end; // the sequence number after the end of this direction
	__u32 fin; // this direction has ended
	__u8 closed; // both have
	__u8 heard; // both have closed, and the end of this direction was acknowledged
	__u8 reserved[6];
};

// The part of a way that says where the flow goes, in words.
#define WHERE (__builtin_offsetof(struct way, addresses_changed) / 4)

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1 << 17);
	__type(key, struct flow);
	__type(value, struct way);
} flows SEC(".maps");

// What a router has of what all share.
struct use {
	__u64 since; // begin of a time of refresh
	__s32 learned; // connections that were asked about since, and not forgotten
	__u32 no_room; // packets that would have been one more
	__u64 late; // until when the ports of closed connections are spoken for
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, ROUTERS);
	__type(key, __u32);
	__type(value, struct use);
} uses SEC(".maps");

// Room for what does not fit on the stack. A program is not interrupted by another one
// of its kind on the same processor.
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct way);
} spare SEC(".maps");

// Marks a connection in connection tracking that has been closed here, where
// it did not see it.
#define CLOSED (1u << 31)

// How long the ports of a closed connection are kept that must make room, in
// milliseconds: what was lost at the very end comes again before, after the 200 ms
// that TCP waits at the least. Later than that it is answered with a reset, which
// ends what is over.
#define SOON 250

// A packet while it is looked at.
struct packet {
	struct flow flow;
	__u8 family;
	__u8 flags; // of TCP
	__u8 hops; // that it may still go
	__u8 headers; // bytes of IP and TCP
	__u32 sequence, acknowledgement;
};

static __always_inline void count(__u32 what)
{
	__u64 *n = bpf_map_lookup_elem(&counters, &what);
	if (n)
		(*n)++;
}

// parse reads the headers. It returns 0 for what can take the lane: TCP
// without options of IP, in one piece.
static __always_inline int parse(struct __sk_buff *skb, struct packet *p)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct tcp *tcp;

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		struct ip4 *ip = data + ETH_HLEN;
		tcp = (void *)(ip + 1);
		if ((void *)(tcp + 1) > end)
			return -1;
		if (ip->version_length != 0x45 || ip->protocol != IPPROTO_TCP || ip->fragment & bpf_htons(0x3fff))
			return -1;
		p->family = AF_INET;
		p->hops = ip->ttl;
		p->headers = sizeof(*ip);
		p->flow.saddr[0] = ip->saddr;
		p->flow.daddr[0] = ip->daddr;
	} else if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		struct ip6 *ip = data + ETH_HLEN;
		tcp = (void *)(ip + 1);
		if ((void *)(tcp + 1) > end)
			return -1;
		if (ip->next != IPPROTO_TCP)
			return -1;
		p->family = AF_INET6;
		p->hops = ip->hop_limit;
		p->headers = sizeof(*ip);
		__builtin_memcpy(p->flow.saddr, ip->saddr, 32);
	} else {
		return -1;
	}
	p->flow.sport = tcp->sport;
	p->flow.dport = tcp->dport;
	p->flags = tcp->flags;
	p->headers += tcp->offset >> 4 << 2;
	p->sequence = bpf_ntohl(tcp->sequence);
	p->acknowledgement = bpf_ntohl(tcp->acknowledgement);
	return 0;
}

// used finds what a router has.
static __always_inline struct use *used(__u32 slot)
{
	return bpf_map_lookup_elem(&uses, &slot);
}

// current says whether what was found out of a router, under a generation and at a
// time, is still believed.
static __always_inline bool current(__u32 slot, __u32 generation, __u64 checked, const struct control *c)
{
	const struct router *r = bpf_map_lookup_elem(&routers, &slot);

	return r && generation == r->generation && bpf_ktime_get_coarse_ns() - checked <= c->refresh;
}

// add counts a packet that is carried through a router.
static __always_inline void add(__u32 slot, __u32 bytes)
{
	struct total *t = bpf_map_lookup_elem(&totals, &slot);

	if (t) {
		t->packets++;
		t->bytes += bytes;
	}
}

// length is how long a packet is, or each of those that it is to be cut into.
static __always_inline __u32 length(const struct __sk_buff *skb, const struct packet *p)
{
	return skb->gso_size ? p->headers + skb->gso_size : skb->len - ETH_HLEN;
}

// room says whether a router may have a connection remembered, whose way may be
// known. What is remembered is asked for again in each time of refresh when it is
// in use; so those that were asked for in one are those that are in use. The
// others make room by themselves.
static __always_inline bool room(struct use *u, const struct control *c, const struct way *known)
{
	__u64 now = bpf_ktime_get_coarse_ns();

	if (now - u->since > c->refresh) {
		u->since = now;
		u->learned = 0;
	}
	if ((known && known->checked >= u->since) || u->learned < (__s32)c->share)
		return true;
	u->no_room++;
	count(NO_ROOM);
	return false;
}

// tracked finds the connection of a packet in the router's connection
// tracking. The caller releases it.
static __always_inline struct nf_conn *tracked(struct __sk_buff *skb, const struct packet *p, __u8 *direction)
{
	struct bpf_ct_opts opts = {.netns_id = BPF_F_CURRENT_NETNS, .l4proto = IPPROTO_TCP};
	struct bpf_sock_tuple t = {};
	struct nf_conn *ct;

	if (p->family == AF_INET) {
		t.ipv4.saddr = p->flow.saddr[0];
		t.ipv4.daddr = p->flow.daddr[0];
		t.ipv4.sport = p->flow.sport;
		t.ipv4.dport = p->flow.dport;
		ct = bpf_skb_ct_lookup(skb, &t, sizeof(t.ipv4), &opts, sizeof(opts));
	} else {
		__builtin_memcpy(t.ipv6.saddr, p->flow.saddr, 32);
		t.ipv6.sport = p->flow.sport;
		t.ipv6.dport = p->flow.dport;
		ct = bpf_skb_ct_lookup(skb, &t, sizeof(t.ipv6), &opts, sizeof(opts));
	}
	if (ct)
		*direction = opts.dir;
	return ct;
}

// The flag of bpf_fib_lookup by which a mark counts, since Linux 6.10. Before, a lookup
// with it is refused, and the flow takes the slow path.
#define BY_MARK (1u << 5)

// The flags by which a lookup is in one table, since Linux 6.5, and the tables that hold
// the routes of a route table's number (package network, table.go). Rules are of no use
// for IPv6: without a socket the kernel does not leave out the main table's default
// route, as a rule says (fib6_rule_suppress in net/ipv6/fib6_rules.c).
#define IN_TABLE ((1u << 0) | (1u << 3))
#define TABLE_MAIN 254
#define TABLES_BEFORE 10000
#define TABLES_BEHIND 20000

// steered gives the mark by which packets for an address are routed that come in by a
// device.
static __always_inline __u32 steered(__u64 router, const struct listed *from, const __be32 *daddr)
{
	struct target key = {.router = router};
	const __u32 *mark;

	if (!from || from->mark || from->workload)
		return from ? from->mark : 0;
	__builtin_memcpy(key.daddr, daddr, 16);
	mark = bpf_map_lookup_elem(&steers, &key);
	return mark ? *mark : 0;
}

// lookup asks the kernel for a route, with flags and what they need: a mark or a table.
static __always_inline int lookup(struct __sk_buff *skb, struct bpf_fib_lookup *fib, __u8 family, __u32 from,
				  const __be32 *saddr, const __be32 *daddr, __u32 flags, __u32 by)
{
	__builtin_memset(fib, 0, sizeof(*fib));
	fib->family = family;
	fib->l4_protocol = IPPROTO_TCP;
	fib->ifindex = from;
	__builtin_memcpy(fib->ipv6_src, saddr, 16);
	__builtin_memcpy(fib->ipv6_dst, daddr, 16);
	if (flags == IN_TABLE)
		fib->tbid = by;
	else // where the answer has hardware addresses
		__builtin_memcpy(fib->smac, &by, sizeof(by));
	return bpf_fib_lookup(skb, fib, sizeof(*fib), flags);
}

// route fills in where packets to an address leave the router, when the
// address of the next hop is known.
static __always_inline int route(struct __sk_buff *skb, __u8 family, __u32 from, const __be32 *saddr,
				 const __be32 *daddr, __u32 mark, struct way *w)
{
	struct bpf_fib_lookup fib = {};

	if (mark && family == AF_INET6) {
		__u32 number = mark >> 16;
		int found = lookup(skb, &fib, family, from, saddr, daddr, IN_TABLE, TABLES_BEFORE + number);

		if (found == BPF_FIB_LKUP_RET_NOT_FWDED) {
			found = lookup(skb, &fib, family, from, saddr, daddr, IN_TABLE, TABLE_MAIN);
			if (found)
				found = lookup(skb, &fib, family, from, saddr, daddr, IN_TABLE, TABLES_BEHIND + number);
		}
		if (found)
			return -1;
	} else if (lookup(skb, &fib, family, from, saddr, daddr, mark ? BY_MARK : 0, mark)) {
		return -1;
	}
	w->device = fib.ifindex;
	w->mtu = fib.mtu_result;
	__builtin_memcpy(w->macs, fib.dmac, 6);
	__builtin_memcpy(w->macs + 6, fib.smac, 6);
	return 0;
}

// differences works out what a way changes for checksums, which cover
// addresses and ports (RFC 1624).
static __always_inline void differences(const struct flow *f, struct way *w)
{
	__be32 before = (__u32)f->sport << 16 | f->dport, after = (__u32)w->sport << 16 | w->dport;

	w->addresses_changed = bpf_csum_diff((__be32 *)f->saddr, 32, w->saddr, 32, 0);
	w->ports_changed = before == after ? 0 : bpf_csum_diff(&before, 4, &after, 4, 0);
}

// folded adds the carries of a checksum.
static __always_inline __u16 folded(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

// opposite is the flow of the packets that come back.
static __always_inline void opposite(const struct flow *f, const struct way *w, struct flow *back)
{
	back->router = f->router;
	back->device = w->device;
	back->sport = w->dport;
	back->dport = w->sport;
	__builtin_memcpy(back->saddr, w->daddr, 16);
	__builtin_memcpy(back->daddr, w->saddr, 16);
}

// forget throws a connection away.
static __always_inline void forget(const struct flow *f, const struct way *w)
{
	struct flow back;
	struct use *u = used(w->slot);

	opposite(f, w, &back);
	bpf_map_delete_elem(&flows, &back);
	bpf_map_delete_elem(&flows, f);
	if (u && u->learned > 0)
		__sync_fetch_and_add(&u->learned, -1);
}

// carried says whether the lane may carry a connection: it has been admitted and
// answered. One that was closed here may still have late packets.
static __always_inline bool carried(struct nf_conn *ct)
{
	__u8 state = ct->proto.tcp.state;

	return state == TCP_CONNTRACK_SYN_RECV || state == TCP_CONNTRACK_ESTABLISHED;
}

// keep tells connection tracking that an open connection is in use. The last
// packet of the handshake takes the lane: connection tracking stays in SYN_RECV
// then, from where any packet of the client takes it on, should the slow path
// have to. It is not to make room for others like one that is half open.
static __always_inline void keep(struct nf_conn *ct, const struct control *c)
{
	if (!(ct->status & IPS_ASSURED))
		bpf_ct_change_status(ct, ct->status | IPS_ASSURED);
	bpf_ct_change_timeout(ct, c->idle);
}

// same says whether a flow goes where it went.
static __always_inline bool same(const struct way *one, const struct way *other)
{
	const __u32 *a = (const void *)one, *b = (const void *)other;

#pragma unroll
	for (__u32 i = 0; i < WHERE; i++)
		if (a[i] != b[i])
			return false;
	return true;
}

// inherit takes over what was known of a direction that goes on.
static __always_inline void inherit(struct way *w, const struct way *known)
{
	w->fin = known->fin;
	w->end = known->end;
	w->packets = known->packets;
	w->bytes = known->bytes;
}

// remember keeps the way of a flow and the way back. What the one that was known
// before knew of the connection is kept, and when nothing has changed, all but the
// time stays as it is.
static __always_inline struct way *remember(const struct flow *f, struct way *to, const struct flow *returning,
					    struct way *back, struct way *known)
{
	struct way *was = known && known->device ? bpf_map_lookup_elem(&flows, returning) : 0;

	if (was && known->generation == to->generation && was->generation == to->generation && same(known, to) &&
	    same(was, back)) {
		known->checked = was->checked = to->checked;
		if (to->closed)
			known->closed = was->closed = 1;
		return known;
	}
	if (known)
		inherit(to, known);
	if (was)
		inherit(back, was);
	differences(f, to);
	differences(returning, back);
	if (bpf_map_update_elem(&flows, returning, back, BPF_ANY) || bpf_map_update_elem(&flows, f, to, BPF_ANY))
		return 0;
	return bpf_map_lookup_elem(&flows, f);
}

// ways fills in where a packet and its answers go. What answers will look like
// says what becomes of the packet. It returns 1 when the two do not have one way
// because of what marks say: such a flow takes the slow path.
static __always_inline int ways(struct __sk_buff *skb, const struct packet *p, const struct listed *from,
				const struct nf_conntrack_tuple *answer, struct way *to, struct way *back)
{
	struct device key = {.router = p->flow.router};

	for (int i = 0; i < 4; i++) {
		to->saddr[i] = answer->dst.u3.all[i];
		to->daddr[i] = answer->src.u3.all[i];
	}
	to->sport = answer->dst.u.all;
	to->dport = answer->src.u.all;
	__u32 mark = steered(p->flow.router, from, p->flow.daddr);
	if (route(skb, p->family, p->flow.device, p->flow.saddr, to->daddr, mark, to))
		return mark ? 1 : -1;
	key.device = to->device;
	const struct listed *next = bpf_map_lookup_elem(&devices, &key);
	// What a workload sends on for others to where sources are translated is another
	// connection with the same addresses, in a zone of its own: not the one found here.
	if (p->family == AF_INET && from->workload && next && !next->workload && to->saddr[0] == p->flow.saddr[0])
		return 1;
	// The sender must be where the packet came from.
	__u32 returning = steered(p->flow.router, next, to->saddr);
	if (route(skb, p->family, to->device, to->daddr, p->flow.saddr, returning, back) || back->device != p->flow.device)
		return mark | returning ? 1 : -1;
	__builtin_memcpy(back->saddr, p->flow.daddr, 16);
	__builtin_memcpy(back->daddr, p->flow.saddr, 16);
	back->sport = p->flow.dport;
	back->dport = p->flow.sport;
	return 0;
}

// leads says whether a frame with these addresses leaves by the device that was listed.
static __always_inline bool leads(const struct listed *l, const __u8 *macs)
{
	const __u16 *listed = (const void *)l->mac, *source = (const void *)(macs + 6);

	return listed[0] == source[0] && listed[1] == source[1] && listed[2] == source[2];
}

// carries says whether packets can be handed on to the device where a way leaves.
static __always_inline bool carries(__u64 router, const struct way *w)
{
	struct device key = {.router = router, .device = w->device};
	const struct listed *l = bpf_map_lookup_elem(&devices, &key);

	return l && leads(l, w->macs);
}

// leave remembers that a flow takes the slow path, so that not each of its packets
// asks: it leaves by a device that cannot take it from here.
static __always_inline struct way *leave(const struct flow *f, struct way *to)
{
	__builtin_memset(to, 0, WHERE * 4 - 4); // all but slot, family and direction
	if (bpf_map_update_elem(&flows, f, to, BPF_ANY))
		return 0;
	return bpf_map_lookup_elem(&flows, f);
}

// learn asks connection tracking and the routes for the way of a packet, and
// remembers it and the way back in the place of the one that was known, if any.
// It returns NULL when there is none.
static __always_inline struct way *learn(struct __sk_buff *skb, const struct packet *p, const struct control *c,
					 struct way *known)
{
	struct way to = {};
	struct flow returning;
	struct nf_conn *ct;
	__u32 zero = 0;
	struct way *back = bpf_map_lookup_elem(&spare, &zero);
	struct device key = {.router = p->flow.router, .device = p->flow.device};
	const struct listed *from = bpf_map_lookup_elem(&devices, &key);
	__u8 direction = 0;

	if (!from || !back)
		return 0;
	__builtin_memset(back, 0, sizeof(*back));
	__u32 slot = from->slot;
	const struct router *r = bpf_map_lookup_elem(&routers, &slot);
	struct use *u = used(slot);
	if (!r || !u || !room(u, c, known))
		return 0;
	// Before anything is asked: what changes meanwhile is asked for again.
	to.generation = back->generation = r->generation;
	to.checked = back->checked = bpf_ktime_get_coarse_ns();
	to.slot = back->slot = slot;
	to.family = back->family = p->family;
	ct = tracked(skb, p, &direction);
	if (!ct)
		return 0;
	to.reply = direction;
	back->reply = !direction;
	int way = carried(ct) ? ways(skb, p, from, direction ? &ct->tuplehash[0].tuple : &ct->tuplehash[1].tuple, &to, back) : -1;
	bool failed = way < 0;
	bool slow = way > 0 || (!failed && !(carries(p->flow.router, &to) && leads(from, back->macs)));
	if (slow) {
		// Connection tracking sees its packets.
	} else if (ct->mark & CLOSED) {
		// Something was lost and comes again. It is to arrive.
		to.closed = back->closed = 1;
		bpf_ct_change_timeout(ct, c->closed);
	} else if (!failed)
		keep(ct, c);
	bpf_ct_release(ct);
	if (failed)
		return 0;
	if (!known || known->checked < u->since)
		__sync_fetch_and_add(&u->learned, 1);
	if (slow)
		return leave(&p->flow, &to);
	opposite(&p->flow, &to, &returning);
	return remember(&p->flow, &to, &returning, back, known);
}

// reopen lets a connection be admitted anew whose ports are used again: what
// connection tracking has of the one before is over. It is for the sender alone
// to say so.
static __always_inline void reopen(struct __sk_buff *skb, const struct packet *p)
{
	struct way back = {};
	__u8 direction;
	struct nf_conn *ct = tracked(skb, p, &direction);

	if (!ct)
		return;
	if (ct->mark & CLOSED && !route(skb, p->family, p->flow.device, p->flow.daddr, p->flow.saddr, 0, &back) &&
	    back.device == p->flow.device)
		bpf_ct_change_timeout(ct, 0);
	bpf_ct_release(ct);
}

// finish notes that a direction has ended. It returns 0 when the packet can
// take the lane. After both ends connection tracking is told, and keeps the
// ports for as long as the server does.
static __always_inline int finish(struct __sk_buff *skb, const struct packet *p, struct way *w,
				  const struct control *c)
{
	struct flow returning;
	struct way *back;
	struct nf_conn *ct;
	__u8 direction;

	opposite(&p->flow, w, &returning);
	back = bpf_map_lookup_elem(&flows, &returning);
	if (!back) {
		bpf_map_delete_elem(&flows, &p->flow);
		return -1;
	}
	w->end = p->sequence + skb->len - ETH_HLEN - p->headers + 1;
	// A full barrier: of two ends that close at once one sees the other.
	__sync_fetch_and_or(&w->fin, 1);
	if (!back->fin || w->closed)
		return 0;
	w->closed = back->closed = 1;
	back->heard = p->acknowledgement == back->end;
	ct = tracked(skb, p, &direction);
	if (!ct)
		return 0;
	ct->mark |= CLOSED;
	bpf_ct_change_timeout(ct, c->closed);
	bpf_ct_release(ct);
	return 0;
}

// settle frees the ports of a connection soon that is over for both ends, when
// its router has so many others of the kind that they would take the place of
// open ones. What was lost and may come again keeps its full time.
static __always_inline void settle(struct __sk_buff *skb, const struct packet *p, const struct way *w,
				   const struct control *c)
{
	__u64 now = bpf_ktime_get_coarse_ns(), whole = c->closed * 1000000ull;
	struct flow returning;
	const struct way *back;
	struct use *u = used(w->slot);
	struct nf_conn *ct;
	__u8 direction;

	opposite(&p->flow, w, &returning);
	back = bpf_map_lookup_elem(&flows, &returning);
	if (!u || !back || !back->fin || !w->heard || p->acknowledgement != back->end)
		return;
	if (u->late < now)
		u->late = now;
	if (u->late - now < whole) {
		u->late += whole / (c->late ?: 1);
		return;
	}
	ct = tracked(skb, p, &direction);
	if (!ct)
		return;
	bpf_ct_change_timeout(ct, SOON);
	bpf_ct_release(ct);
}

// rewrite makes the packet what the router would have made of it.
static __always_inline int rewrite(struct __sk_buff *skb, const struct packet *p, const struct way *w)
{
	__u32 at = ETH_HLEN + (p->family == AF_INET ? sizeof(struct ip4) : sizeof(struct ip6));
	__u32 checksum = at + __builtin_offsetof(struct tcp, checksum);
	void *data, *end;
	struct tcp *tcp;

	if (bpf_l4_csum_replace(skb, checksum, 0, w->addresses_changed, BPF_F_PSEUDO_HDR))
		return -1;
	if (w->ports_changed && bpf_l4_csum_replace(skb, checksum, 0, w->ports_changed, 0))
		return -1;
	data = (void *)(long)skb->data;
	end = (void *)(long)skb->data_end;
	if (p->family == AF_INET) {
		struct ip4 *ip = data + ETH_HLEN;
		tcp = (void *)(ip + 1);
		if ((void *)(tcp + 1) > end)
			return -1;
		// One hop less is one less in the first byte of its word.
		__u32 sum = (__u16)~ip->checksum + (__u16)~bpf_htons(0x0100) + folded(w->addresses_changed);
		ip->checksum = ~folded(sum);
		ip->ttl--;
		ip->saddr = w->saddr[0];
		ip->daddr = w->daddr[0];
	} else {
		struct ip6 *ip = data + ETH_HLEN;
		tcp = (void *)(ip + 1);
		if ((void *)(tcp + 1) > end)
			return -1;
		ip->hop_limit--;
		__builtin_memcpy(ip->saddr, w->saddr, 32);
	}
	tcp->sport = w->sport;
	tcp->dport = w->dport;
	__builtin_memcpy(data, w->macs, sizeof(w->macs));
	return 0;
}

// carry carries a packet of a connection, if it may.
static __noinline int carry(struct __sk_buff *skb)
{
	const struct control *c;
	struct packet p = {};
	struct way *w;
	__u32 zero = 0;

	c = bpf_map_lookup_elem(&control, &zero);
	if (!c || parse(skb, &p))
		return TC_ACT_UNSPEC;
	p.flow.device = skb->ifindex;
	p.flow.router = ((struct sk_buff *)bpf_cast_to_kern_ctx(skb))->dev->nd_net.net->net_cookie;

	w = bpf_map_lookup_elem(&flows, &p.flow);
	if (p.flags & (SYN | RST)) {
		if (w)
			forget(&p.flow, w);
		if ((p.flags & (SYN | ACK)) == SYN)
			reopen(skb, &p);
		return TC_ACT_UNSPEC;
	}
	if (!w || !current(w->slot, w->generation, w->checked, c)) {
		bool known = w, carried = w && w->device;

		w = learn(skb, &p, c, w);
		if (!w) {
			if (known)
				bpf_map_delete_elem(&flows, &p.flow);
			if (carried)
				count(GIVEN_UP);
			return TC_ACT_UNSPEC;
		}
		if (w->device && !carried) {
			// Nobody knows here whether the other end has closed.
			if (p.flags & FIN && !w->closed) {
				forget(&p.flow, w);
				return TC_ACT_UNSPEC;
			}
			count(LEARNED);
		}
	}
	if (!w->device || p.hops < 2 || length(skb, &p) > w->mtu)
		return TC_ACT_UNSPEC;
	if (p.flags & FIN) {
		if (finish(skb, &p, w, c))
			return TC_ACT_UNSPEC;
	}
	__u32 device = w->device;
	__sync_fetch_and_add(&w->packets, 1);
	__sync_fetch_and_add(&w->bytes, skb->len - ETH_HLEN);
	add(w->slot, skb->len - ETH_HLEN);
	bool last = w->closed && !(p.flags & FIN);
	if (rewrite(skb, &p, w))
		return TC_ACT_SHOT;
	if (last) {
		settle(skb, &p, w, c);
		forget(&p.flow, w);
	}
	return bpf_redirect_peer(device, 0);
}

#include "answers.h"
#include "edge.h"

SEC("tc")
int postern_express(struct __sk_buff *skb)
{
	__u32 zero = 0;
	const struct control *c = bpf_map_lookup_elem(&control, &zero);

	if (!c || !c->enabled || skb->pkt_type != PACKET_HOST || skb->vlan_present)
		return TC_ACT_UNSPEC;
	switch (skb->tc_classid) {
	case INTO_EDGE:
		return pass(skb);
	case OUT_OF_EDGE:
		return see(skb);
	}
	switch (sort(skb)) {
	case TCP:
		return carry(skb);
	case QUESTION:
		return names(skb);
	case QUESTION | TCP:
		if (names(skb) == TC_ACT_SHOT)
			return TC_ACT_SHOT;
		return carry(skb);
	}
	return TC_ACT_UNSPEC;
}
