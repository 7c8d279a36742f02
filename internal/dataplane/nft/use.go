// SPDX-License-Identifier: Apache-2.0

package nft

import (
	"context"
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/dataplane/nft/nfnl"
)

// Use says how much of a router's connection tracking is taken, and what was
// refused since its rules were first loaded.
type Use struct {
	// Connections are those that are remembered, Room is how many can be.
	Connections, Room int
	// Lost counts first packets that were lost in silence because there was no
	// room or no port.
	Lost uint64
	// Refused counts the connections that were beyond a share, by the share.
	Refused Refused
}

// Refused counts connections by the share that they were beyond, and packets to the
// resolver; see Shares.
type Refused struct{ Client, NAT, Association, Fabric, Outside, Ports, Queries uint64 }

// Sum adds up the connections.
func (r Refused) Sum() uint64 {
	return r.Client + r.NAT + r.Association + r.Fabric + r.Outside + r.Ports
}

// Messages and attributes of linux/netfilter/nfnetlink_conntrack.h.
const (
	messageStatsCPU = 4
	messageStats    = 5

	attrStatsInsertFailed = 9
	attrStatsDrop         = 10

	attrEntries    = 1
	attrMaxEntries = 2
)

// Use asks the kernel.
func (t *Table) Use(ctx context.Context) (Use, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var u Use
	err := ctx.Err()
	if err == nil {
		err = t.connect()
	}
	if err == nil {
		err = u.readTracking(t.conn)
	}
	if err == nil {
		err = u.readRefused(t.conn)
	}
	if err != nil {
		t.forget()
		return Use{}, fmt.Errorf("read use of connection tracking: %w", err)
	}
	return u, nil
}

func (u *Use) readTracking(c *nfnl.Conn) error {
	var b nfnl.Builder
	b.Message(unix.NFNL_SUBSYS_CTNETLINK, messageStats, 0, unix.AF_UNSPEC)
	err := c.Get(&b, func(_ uint8, attributes []byte) {
		u.Connections = int(number32(attributes, attrEntries))
		u.Room = int(number32(attributes, attrMaxEntries))
	})
	if err != nil {
		return err
	}
	var perCPU nfnl.Builder
	perCPU.Message(unix.NFNL_SUBSYS_CTNETLINK, messageStatsCPU, 0, unix.AF_UNSPEC)
	return c.Dump(&perCPU, func() { u.Lost = 0 }, func(_ uint8, attributes []byte) {
		u.Lost += uint64(number32(attributes, attrStatsInsertFailed)) + uint64(number32(attributes, attrStatsDrop))
	})
}

func (u *Use) readRefused(c *nfnl.Conn) error {
	r := &u.Refused
	return readCounters(c, map[string]*uint64{
		"client": &r.Client, "nats": &r.NAT, "association": &r.Association, "fabric": &r.Fabric, "outside": &r.Outside, "ports": &r.Ports, setQueries: &r.Queries,
	})
}

// readCounters reads the packets that named counters of our table have counted.
func readCounters(c *nfnl.Conn, into map[string]*uint64) error {
	var b nfnl.Builder
	message(&b, unix.NFT_MSG_GETOBJ, 0)
	b.String(unix.NFTA_OBJ_TABLE, tableName)
	restart := func() {
		for _, n := range into {
			*n = 0
		}
	}
	return c.Dump(&b, restart, func(family uint8, attributes []byte) {
		if family != unix.NFPROTO_INET || nfnl.Text(attributes, unix.NFTA_OBJ_TABLE) != tableName {
			return
		}
		packets := nfnl.Attribute(nfnl.Attribute(attributes, unix.NFTA_OBJ_DATA), unix.NFTA_COUNTER_PACKETS)
		if n := into[nfnl.Text(attributes, unix.NFTA_OBJ_NAME)]; n != nil && len(packets) == 8 {
			*n = binary.BigEndian.Uint64(packets)
		}
	})
}

func number32(attributes []byte, typ uint16) uint32 {
	value := nfnl.Attribute(attributes, typ)
	if len(value) != 4 {
		return 0
	}
	return binary.BigEndian.Uint32(value)
}
