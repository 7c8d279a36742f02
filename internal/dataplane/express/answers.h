// SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0)

// Names: questions of workloads to their VPC's resolver that it has answered
// before are answered here, where they come into the router, and the answer goes
// back at once.
//
// The process that resolves names puts what it has answered into a map, if it is the
// same for whoever asks in that VPC. Each such answer says under which generations
// of what it was made of it holds; the process raises them before it says that a
// change is done. What is not there, or no longer holds, and all that is not as plain
// as a question can be, goes up to the process. Nothing is lost when it is thrown
// away.

#pragma once

// What the agent sets.
struct asking {
	__u32 term;	// of the process that resolves names: what others have put does not count
	__u32 reserved; // zero
	__u64 each;	// nanoseconds that a packet to the resolver takes of its interface's share
	__u64 ahead;	// how many an interface may have taken at once
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct asking);
} asking SEC(".maps");

// What the process says of a router, by its cookie: it is where the sockets are, and
// this address of IPv4 is one of them.
struct site {
	__u32 term;
	__be32 address;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, ROUTERS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct site);
} sites SEC(".maps");

// Generations of what answers are made of, by numbers that the process gives.
#define SOURCES (1 << 16)

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SOURCES);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, __u64);
} sources SEC(".maps");

// A question as a workload of a router asks it: all that an answer depends on. Names
// that are longer go up.
#define LONGEST 132

struct question {
	__u64 router; // cookie of the network namespace
	__be16 type;
	__u8 options; // an OPT record and its bit DO
	__u8 length;  // of the name
	__u8 name[LONGEST]; // in wire form and small letters, and then zeros
};

enum { EXTENDED = 1, SIGNED = 2 };

// The longest of what comes behind the question in an answer.
#define MOST 256

struct answer {
	__u32 term;
	__u32 turn; // where the next answer begins, of records that come in turn
	__u32 from[2]; // it holds while these sources
	__u64 generations[2]; // have these generations
	__be16 flags; // of the header, but for what is copied of the question
	__be16 answers, authority, more; // records
	__u16 length; // of the data
	__u16 count, size; // of records that come in turn
	__u16 reserved; // zero
	__u8 data[MOST]; // the records
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 17);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct question);
	__type(value, struct answer);
} answers SEC(".maps");

// What was answered of a router here, and what was beyond the share of its interfaces.
struct said {
	__u64 answered, bytes, refused;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, ROUTERS);
	__type(key, __u32);
	__type(value, struct said);
} said SEC(".maps");

// Room for what does not fit on the stack.
struct room {
	struct question q;
	struct answer a;
	__u8 rest[256]; // so that a bounded step into data stays within the room
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct room);
} rooms SEC(".maps");

// Where resolvers are, in the byte order of the network: 169.254.169.253 and
// fd00:ec2::253.
#define EVERYWHERE bpf_htonl(0xa9fea9fd)
#define EVERYWHERE6 {bpf_htonl(0xfd000ec2), 0, 0, bpf_htonl(0x253)}

// A packet to port 53.
struct asked {
	__u64 router;
	__be32 saddr[4], daddr[4];
	__u8 family;
	__u8 at; // where the header of UDP or TCP is
	__u16 length; // of UDP
	__u32 slot;
	__u8 macs[12];
};

// resolves says whether a packet goes to the VPC's resolver.
static __always_inline bool resolves(const struct asked *p, const struct site *s)
{
	const __be32 six[4] = EVERYWHERE6;

	if (p->family == AF_INET)
		return p->daddr[0] == EVERYWHERE || (s->address && p->daddr[0] == s->address);
	return p->daddr[0] == six[0] && p->daddr[1] == six[1] && p->daddr[2] == six[2] && p->daddr[3] == six[3];
}

// beyond counts a packet for its interface, and says whether it is beyond its share.
static __always_inline bool beyond(struct listed *l, const struct asking *k)
{
	__u64 now = bpf_ktime_get_coarse_ns();

	if (l->taken < now)
		l->taken = now;
	else if (l->taken - now > k->ahead)
		return true;
	__sync_fetch_and_add(&l->taken, k->each);
	return false;
}

// holds says whether what a source had is what it has.
static __always_inline bool holds(__u32 from, __u64 generation)
{
	const __u64 *now = bpf_map_lookup_elem(&sources, &from);

	return now && *now == generation;
}

// small makes capital letters of eight bytes small ones: bytes below 128 that are at
// least 'A', and at most 'Z'. The length of a label is none.
static __always_inline __u64 small(__u64 w)
{
	const __u64 ones = 0x0101010101010101ull, low = 0x7f * ones;
	__u64 from = (w & low) + (0x80 - 'A') * ones, beyond = (w & low) + (0x80 - 'Z' - 1) * ones;

	return w | ((from & ~beyond & ~w & ~low) >> 2);
}

// read reads the question of a packet. It returns where it ends, or zero for what is
// not plain: one question for one name, without anything that is not an OPT record
// without options, and nothing behind it. What lies in the name's place is a name if
// the process has put it so; nobody else looks.
static __always_inline __u32 read(struct __sk_buff *skb, const struct asked *p, const struct dns *header,
				  struct question *q)
{
	__u8 tail[16] = {};
	__u32 at = p->at + sizeof(struct udp) + sizeof(struct dns);
	bool extended = header->more != 0;
	__u32 behind = extended ? 4 + 11 : 4;
	__u32 length = p->length - sizeof(struct udp) - sizeof(struct dns) - behind;

	if (header->flags & ~bpf_htons(RD | AD | CD) || header->questions != bpf_htons(1) || header->answers ||
	    header->authority || (header->more && header->more != bpf_htons(1)))
		return 0;
	if (length < 1 || length > LONGEST)
		return 0;
	if (bpf_skb_load_bytes(skb, at + length, tail, extended ? 15 : 4))
		return 0;
	if (tail[2] || tail[3] != 1) // class
		return 0;
	// The root's name, type, size, code, version, bits, length.
	if (extended && (tail[4] || tail[5] || tail[6] != 41 || tail[9] || tail[10] || tail[11] & 0x7f || tail[12] ||
			 tail[13] || tail[14]))
		return 0;
	__builtin_memset(q, 0, sizeof(*q));
	if (bpf_skb_load_bytes(skb, at, q->name, length))
		return 0;
	// name begins at 4 bytes behind a multiple of eight.
	__u32 *first = (__u32 *)q->name;
	__u64 *rest = (__u64 *)(q->name + 4);
	*first = small(*first);
#pragma unroll
	for (int i = 0; i < (LONGEST - 4) / 8; i++)
		rest[i] = small(rest[i]);
	q->router = p->router;
	q->type = (__be16)(tail[0] | tail[1] << 8);
	q->options = extended ? EXTENDED | (tail[11] & 0x80 ? SIGNED : 0) : 0;
	q->length = length;
	return at + length + 4;
}

// known finds the answer to a question, in room of our own: what is in the map may
// become another answer at any time. It is the question's if it is so before and after.
static __always_inline bool known(struct room *r, const struct asking *k)
{
	struct answer *a = bpf_map_lookup_elem(&answers, &r->q);

	if (!a || a->term != k->term || !holds(a->from[0], a->generations[0]) || !holds(a->from[1], a->generations[1]))
		return false;
	__builtin_memcpy(&r->a, a, sizeof(*a));
	if (r->a.count > 1)
		r->a.turn = __sync_fetch_and_add(&a->turn, 1);
	barrier();
	return bpf_map_lookup_elem(&answers, &r->q) == a && a->term == r->a.term && a->generations[0] == r->a.generations[0] &&
	       a->generations[1] == r->a.generations[1];
}

// put writes what comes behind the question: records in turn, and then the rest.
static __always_inline int put(struct __sk_buff *skb, __u32 at, const struct answer *a)
{
	__u32 all = (__u32)a->count * a->size, length = a->length, start = 0, first;

	if (length < 1 || length > MOST)
		return -1;
	if (a->count > 1) {
		if (all < 1 || all > 255 || all > length)
			return -1;
		start = a->turn % a->count * a->size & 255;
	}
	if (start) {
		first = all - start;
		if (first < 1 || first > 255)
			return -1;
		if (bpf_skb_store_bytes(skb, at, a->data + start, first, 0) ||
		    bpf_skb_store_bytes(skb, at + first, a->data, start, 0))
			return -1;
		length -= all;
		if (length < 1 || length > MOST)
			return 0;
		return bpf_skb_store_bytes(skb, at + all, a->data + (all & 255), length, 0);
	}
	return bpf_skb_store_bytes(skb, at, a->data, length, 0);
}

// turn makes an answer of the headers of a question, whose length has become another.
static __always_inline int turn(struct __sk_buff *skb, const struct asked *p, const struct answer *a)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	__u16 length = skb->len - p->at;
	struct eth *eth = data;
	struct dns *dns;
	struct udp *udp;

	if (p->family == AF_INET) {
		struct ip4 *ip = data + ETH_HLEN;
		udp = (void *)(ip + 1);
		dns = (void *)(udp + 1);
		if ((void *)(dns + 1) > end)
			return -1;
		ip->tos = 0;
		ip->length = bpf_htons(length + sizeof(*ip));
		ip->id = 0;
		ip->fragment = bpf_htons(0x4000);
		ip->ttl = 64;
		ip->checksum = 0;
		ip->saddr = p->daddr[0];
		ip->daddr = p->saddr[0];
		const __u16 *word = (void *)ip;
		__u32 sum = 0;
#pragma unroll
		for (int i = 0; i < 10; i++)
			sum += word[i];
		ip->checksum = ~folded(sum);
	} else {
		struct ip6 *ip = data + ETH_HLEN;
		udp = (void *)(ip + 1);
		dns = (void *)(udp + 1);
		if ((void *)(dns + 1) > end)
			return -1;
		ip->version_flow = bpf_htonl(0x60000000);
		ip->length = bpf_htons(length);
		ip->hop_limit = 64;
		__builtin_memcpy(ip->saddr, p->daddr, 16);
		__builtin_memcpy(ip->daddr, p->saddr, 16);
	}
	// What is to be summed up later begins with the sum of addresses, protocol and
	// length, of which only the length is another one.
	__u32 sum = (__u32)udp->checksum + bpf_htons(length) + (__u16)~udp->length;
	udp->checksum = folded(sum);
	udp->length = bpf_htons(length);
	udp->dport = udp->sport;
	udp->sport = bpf_htons(53);
	dns->flags = a->flags | (dns->flags & bpf_htons(RD | CD));
	dns->answers = a->answers;
	dns->authority = a->authority;
	dns->more = a->more;
	__builtin_memcpy(eth, p->macs, sizeof(p->macs));
	return 0;
}

// parse_asked reads the headers of a packet to port 53, of UDP or TCP, as it may be
// answered here. It returns what it is of, or zero for any other.
static __always_inline __u8 parse_asked(struct __sk_buff *skb, struct asked *p)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct udp *udp;
	__u8 protocol;

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		struct ip4 *ip = data + ETH_HLEN;
		udp = (void *)(ip + 1);
		if ((void *)(udp + 1) > end || ip->version_length != 0x45 || ip->fragment & bpf_htons(0x3fff) ||
		    bpf_ntohs(ip->length) != skb->len - ETH_HLEN)
			return 0;
		p->family = AF_INET;
		p->at = ETH_HLEN + sizeof(*ip);
		p->saddr[0] = ip->saddr;
		p->daddr[0] = ip->daddr;
		protocol = ip->protocol;
	} else if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		struct ip6 *ip = data + ETH_HLEN;
		udp = (void *)(ip + 1);
		if ((void *)(udp + 1) > end || bpf_ntohs(ip->length) != skb->len - ETH_HLEN - sizeof(*ip))
			return 0;
		p->family = AF_INET6;
		p->at = ETH_HLEN + sizeof(*ip);
		__builtin_memcpy(p->saddr, ip->saddr, 32);
		protocol = ip->next;
	} else {
		return 0;
	}
	if (udp->dport != bpf_htons(53))
		return 0;
	p->length = bpf_ntohs(udp->length);
	return protocol == IPPROTO_UDP || protocol == IPPROTO_TCP ? protocol : 0;
}

// pending says whether the checksum of a packet is one that its sender has left to
// the device: it cannot be wrong.
static __always_inline bool pending(struct __sk_buff *skb)
{
	return BPF_CORE_READ_BITFIELD((struct sk_buff *)bpf_cast_to_kern_ctx(skb), ip_summed) == CHECKSUM_PARTIAL;
}

// genuine says whether the sender of a packet lives where it came from, as the rules of
// the slow path want it, and fills in the way back to it.
static __always_inline bool genuine(struct __sk_buff *skb, struct asked *p)
{
	struct way back = {};

	if (route(skb, p->family, skb->ifindex, p->daddr, p->saddr, 0, &back) || back.device != skb->ifindex)
		return false;
	__builtin_memcpy(p->macs, back.macs, sizeof(p->macs));
	return true;
}

// names answers a packet of a workload to its resolver, or lets it go up.
static __noinline int names(struct __sk_buff *skb)
{
	__u32 zero = 0;
	struct asked p = {};
	__u8 protocol = parse_asked(skb, &p);

	if (!protocol)
		return TC_ACT_UNSPEC;
	p.router = ((struct sk_buff *)bpf_cast_to_kern_ctx(skb))->dev->nd_net.net->net_cookie;
	struct device key = {.router = p.router, .device = skb->ifindex};
	const struct asking *k = bpf_map_lookup_elem(&asking, &zero);
	const struct site *s = bpf_map_lookup_elem(&sites, &p.router);
	struct listed *l = bpf_map_lookup_elem(&devices, &key);
	struct room *r = bpf_map_lookup_elem(&rooms, &zero);

	if (!k || !s || !l || !r || !l->workload || s->term != k->term || !resolves(&p, s) || !genuine(skb, &p))
		return TC_ACT_UNSPEC;
	__u32 slot = l->slot;
	struct said *t = bpf_map_lookup_elem(&said, &slot);
	if (!t)
		return TC_ACT_UNSPEC;
	if (beyond(l, k)) {
		t->refused++;
		return TC_ACT_SHOT;
	}
	if (protocol != IPPROTO_UDP || p.length != skb->len - p.at || skb->gso_size || !pending(skb))
		return TC_ACT_UNSPEC;
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct dns *header = data + (p.family == AF_INET ? ETH_HLEN + sizeof(struct ip4) : ETH_HLEN + sizeof(struct ip6)) +
			     sizeof(struct udp);
	if ((void *)(header + 1) > end)
		return TC_ACT_UNSPEC;
	struct dns copy = *header;
	__u32 at = read(skb, &p, &copy, &r->q);
	if (!at || !known(r, k))
		return TC_ACT_UNSPEC;
	if (bpf_skb_change_tail(skb, at + r->a.length, 0))
		return TC_ACT_UNSPEC;
	if (put(skb, at, &r->a) || turn(skb, &p, &r->a))
		return TC_ACT_SHOT;
	t->answered++;
	t->bytes += skb->len - ETH_HLEN;
	return bpf_redirect_peer(skb->ifindex, 0);
}

// What there can be to do with a packet.
enum { TCP = 1, QUESTION = 2 };

// sort says what may be done with a packet: it is of TCP, or to port 53.
static __always_inline int sort(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct udp *udp; // TCP begins with its ports too
	__u8 protocol;

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		struct ip4 *ip = data + ETH_HLEN;
		udp = (void *)(ip + 1);
		if ((void *)(udp + 1) > end)
			return 0;
		protocol = ip->protocol;
	} else if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		struct ip6 *ip = data + ETH_HLEN;
		udp = (void *)(ip + 1);
		if ((void *)(udp + 1) > end)
			return 0;
		protocol = ip->next;
	} else {
		return 0;
	}
	if (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP)
		return 0;
	return (protocol == IPPROTO_TCP ? TCP : 0) | (udp->dport == bpf_htons(53) ? QUESTION : 0);
}
