// SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0)

// The edge of an uplink. It remembers no connections: whether and where a packet goes on
// depends on the device that it comes in by and on its addresses, and nothing else. So
// what the rules and routes there have let pass once passes here, for as long as a
// connection is believed elsewhere.
//
// That they did is seen, and not asked: a packet that is not known gets a mark where it
// comes in, and one that leaves with it has passed. The mark is the generation that the
// edge had before anything was asked, so what changes meanwhile is not taken for what
// holds now.

#pragma once

// Where the program is, as the class of its filter says. A router's devices have none.
#define INTO_EDGE 1
#define OUT_OF_EDGE 2

// A bit that every mark has, besides the low bits of a generation.
#define SEEN (1u << 31)

// Packets that come into an edge.
struct passing {
	__u64 edge; // cookie of the network namespace
	__u32 device;
	__u32 family;
	__be32 saddr[4], daddr[4]; // as in a flow
};

// Where they go on.
struct passage {
	__u64 checked; // when they were seen to, in nanoseconds
	__u32 generation;
	__u32 device;
	__u32 mtu; // the smaller one of both devices
	__u16 slot; // of the edge
	__u8 macs[12]; // destination and source, as in the frame
	__u8 reserved[6];
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1 << 15);
	__type(key, struct passing);
	__type(value, struct passage);
} passages SEC(".maps");

// The option of TCP that says how long segments may be, where it is the first one.
struct segment {
	__u8 kind, length;
	__be16 size;
};
#define OPTION_SEGMENT 2

// edge fills in what is known of a packet in the headers.
static __always_inline void edge(const struct packet *p, __u64 cookie, __u32 device, struct passing *key)
{
	key->edge = cookie;
	key->device = device;
	key->family = p->family;
	__builtin_memcpy(key->saddr, p->flow.saddr, 32);
}

// short_enough says that nothing has to be done about the segments that the ends agree
// on: a first packet of either names a size that fits.
static __always_inline bool short_enough(struct __sk_buff *skb, const struct packet *p, __u32 mtu)
{
	__u32 headers = (p->family == AF_INET ? sizeof(struct ip4) : sizeof(struct ip6)) + sizeof(struct tcp);
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct segment *s = data + ETH_HLEN + headers;

	if (p->headers < headers + sizeof(*s) || (void *)(s + 1) > end)
		return false;
	return s->kind == OPTION_SEGMENT && s->length == sizeof(*s) && bpf_ntohs(s->size) + headers <= mtu;
}

// mark has a packet recognized when it leaves. A first packet teaches nothing: whoever
// sends to many to whom nobody answers shall not fill the table.
static __always_inline void mark(struct __sk_buff *skb, const struct packet *p, __u64 cookie)
{
	struct device key = {.router = cookie, .device = skb->ifindex};
	const struct listed *from = bpf_map_lookup_elem(&devices, &key);

	if (!from || p->flags & SYN)
		return;
	__u32 slot = from->slot;
	const struct router *r = bpf_map_lookup_elem(&routers, &slot);
	if (r)
		skb->mark = SEEN | r->generation;
}

// pass carries a packet that comes into an edge, if such packets have passed before.
static __noinline int pass(struct __sk_buff *skb)
{
	__u64 cookie = ((struct sk_buff *)bpf_cast_to_kern_ctx(skb))->dev->nd_net.net->net_cookie;
	const struct control *c;
	struct passing key = {};
	struct passage *known;
	struct packet p = {};
	__u32 zero = 0;

	c = bpf_map_lookup_elem(&control, &zero);
	if (!c || parse(skb, &p))
		return TC_ACT_UNSPEC;
	edge(&p, cookie, skb->ifindex, &key);
	known = bpf_map_lookup_elem(&passages, &key);
	if (!known || !current(known->slot, known->generation, known->checked, c)) {
		mark(skb, &p, cookie);
		return TC_ACT_UNSPEC;
	}
	if (p.hops < 2 || length(skb, &p) > known->mtu || (p.flags & SYN && !short_enough(skb, &p, known->mtu)))
		return TC_ACT_UNSPEC;
	add(known->slot, skb->len - ETH_HLEN);
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	if (p.family == AF_INET) {
		struct ip4 *ip = data + ETH_HLEN;
		if ((void *)(ip + 1) > end)
			return TC_ACT_SHOT;
		// One hop less is one less in the first byte of its word.
		ip->checksum = ~folded((__u16)~ip->checksum + (__u16)~bpf_htons(0x0100));
		ip->ttl--;
	} else {
		struct ip6 *ip = data + ETH_HLEN;
		if ((void *)(ip + 1) > end)
			return TC_ACT_SHOT;
		ip->hop_limit--;
	}
	__builtin_memcpy(data, known->macs, sizeof(known->macs));
	return bpf_redirect_peer(known->device, 0);
}

// see remembers a packet that leaves an edge, having passed what is asked there.
static __noinline int see(struct __sk_buff *skb)
{
	__u64 cookie = ((struct sk_buff *)bpf_cast_to_kern_ctx(skb))->dev->nd_net.net->net_cookie;
	struct device in = {.router = cookie, .device = skb->ingress_ifindex}, out = {.router = cookie, .device = skb->ifindex};
	struct passage found = {.device = skb->ifindex};
	__u32 came = 0, leaves = 0, generation, slot;
	const struct listed *from, *to;
	struct passing key = {};
	const struct router *r;
	struct packet p = {};

	if (!(skb->mark & SEEN) || parse(skb, &p))
		return TC_ACT_UNSPEC;
	from = bpf_map_lookup_elem(&devices, &in);
	to = bpf_map_lookup_elem(&devices, &out);
	if (!from || !to)
		return TC_ACT_UNSPEC;
	slot = to->slot;
	r = bpf_map_lookup_elem(&routers, &slot);
	generation = r ? *(const volatile __u32 *)&r->generation : 0;
	if (!r || skb->mark != (SEEN | generation))
		return TC_ACT_UNSPEC;
	found.slot = slot;
	found.generation = generation;
	found.checked = bpf_ktime_get_coarse_ns();
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	if (data + ETH_HLEN > end)
		return TC_ACT_UNSPEC;
	__builtin_memcpy(found.macs, data, sizeof(found.macs));
	if (!leads(to, found.macs) || bpf_check_mtu(skb, in.device, &came, 0, 0) < 0 || bpf_check_mtu(skb, out.device, &leaves, 0, 0) < 0)
		return TC_ACT_UNSPEC;
	found.mtu = came < leaves ? came : leaves;
	edge(&p, cookie, in.device, &key);
	bpf_map_update_elem(&passages, &key, &found, BPF_ANY);
	return TC_ACT_UNSPEC;
}
