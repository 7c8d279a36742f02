// SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0)

// What the program knows of the kernel's own types: only the fields that it
// reads, found in the running kernel by their names when the program is loaded
// (CO-RE, Documentation/bpf/libbpf/libbpf_overview.rst of Linux).

#pragma once

#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

typedef struct {
	struct net *net;
} possible_net_t;

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct net {
	__u64 net_cookie;
};

struct net_device {
	possible_net_t nd_net;
};

struct sk_buff {
	struct net_device *dev;
	__u8 ip_summed : 2;
};

union nf_inet_addr {
	__u32 all[4];
};

union nf_conntrack_man_proto {
	__be16 all;
};

struct nf_conntrack_man {
	union nf_inet_addr u3;
	union nf_conntrack_man_proto u;
};

struct nf_conntrack_tuple {
	struct nf_conntrack_man src;
	struct {
		union nf_inet_addr u3;
		union {
			__be16 all;
		} u;
		__u8 protonum;
		__u8 dir;
	} dst;
};

struct nf_conntrack_tuple_hash {
	struct nf_conntrack_tuple tuple;
};

struct ip_ct_tcp {
	__u8 state;
};

union nf_conntrack_proto {
	struct ip_ct_tcp tcp;
};

struct nf_conn {
	struct nf_conntrack_tuple_hash tuplehash[2];
	unsigned long status;
	__u32 mark;
	union nf_conntrack_proto proto;
};

#pragma clang attribute pop

// Of linux/netfilter/nf_conntrack_common.h and nf_conntrack_tcp.h.
#define IPS_ASSURED (1 << 2)
#define TCP_CONNTRACK_SYN_RECV 2
#define TCP_CONNTRACK_ESTABLISHED 3

// The options of the functions below: net/netfilter/nf_conntrack_bpf.c.
struct bpf_ct_opts {
	__s32 netns_id;
	__s32 error;
	__u8 l4proto;
	__u8 dir;
	__u16 ct_zone_id;
	__u8 ct_zone_dir;
	__u8 reserved[3];
};

struct nf_conn *bpf_skb_ct_lookup(struct __sk_buff *skb, struct bpf_sock_tuple *tuple, __u32 size,
				  struct bpf_ct_opts *opts, __u32 opts_size) __ksym;
int bpf_ct_change_timeout(struct nf_conn *ct, __u32 milliseconds) __ksym;
int bpf_ct_change_status(struct nf_conn *ct, __u32 status) __ksym;
void bpf_ct_release(struct nf_conn *ct) __ksym;
void *bpf_cast_to_kern_ctx(void *ctx) __ksym;

// Of linux/if_ether.h, if_packet.h, in.h, ip.h, tcp.h.
#define ETH_HLEN 14
#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86DD
#define PACKET_HOST 0
#define AF_INET 2
#define AF_INET6 10
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define TC_ACT_UNSPEC (-1)
#define TC_ACT_SHOT 2

// Of linux/skbuff.h.
#define CHECKSUM_PARTIAL 3

#define FIN 0x01
#define SYN 0x02
#define RST 0x04
#define ACK 0x10

struct eth {
	__u8 dmac[6], smac[6];
	__be16 protocol;
} __attribute__((packed));

struct ip4 {
	__u8 version_length, tos;
	__be16 length, id, fragment;
	__u8 ttl, protocol;
	__u16 checksum;
	__be32 saddr, daddr;
};

struct ip6 {
	__be32 version_flow;
	__be16 length;
	__u8 next, hop_limit;
	__be32 saddr[4], daddr[4];
};

struct tcp {
	__be16 sport, dport;
	__be32 sequence, acknowledgement;
	__u8 offset, flags;
	__be16 window;
	__u16 checksum;
	__be16 urgent;
};

struct udp {
	__be16 sport, dport, length;
	__u16 checksum;
};

// The header of a message of the domain name system: RFC 1035 §4.1.1.
struct dns {
	__be16 id, flags, questions, answers, authority, more;
};

#define RD 0x0100
#define AD 0x0020
#define CD 0x0010
