// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"container/list"
	"encoding/binary"
	"slices"
	"time"

	"github.com/posternhq/postern/internal/resolver/wire"
)

// Bounds of what is believed: a day for what there is, three hours for what there is not
// (RFC 2308 §5), and one to five seconds for a failure (RFC 9520 §3.2 has at most five
// minutes, which is long for somebody who waits for a server to come back).
const (
	longestThere   = 24 * time.Hour
	longestMissing = 3 * time.Hour
	leastFailure   = time.Second
	longestFailure = 5 * time.Second
	// failureKept is for how long a failure counts as the one before.
	failureKept = time.Minute
)

// cache is what one VPC remembers. The zero cache is empty.
type cache struct {
	entries map[key]*list.Element // of *remembered
	recent  list.List             // the one used last in front
	size    int
}

type remembered struct {
	key     key
	reply   wire.Reply
	err     error
	from    time.Time
	until   time.Time
	failing time.Duration // how long this failure is believed
	size    int
}

// get gives what is remembered and not too old, its records with the time that is left.
func (c *cache) get(k key, now time.Time) (wire.Reply, error, bool) {
	at, ok := c.entries[k]
	if !ok {
		return wire.Reply{}, nil, false
	}
	r := at.Value.(*remembered)
	if !now.Before(r.until) {
		return wire.Reply{}, nil, false // put replaces it
	}
	c.recent.MoveToFront(at)
	return r.aged(now), r.err, true
}

// aged gives a reply as it is a while later.
func (r *remembered) aged(now time.Time) wire.Reply {
	passed := uint32(max(now.Sub(r.from), 0) / time.Second)
	reply := r.reply
	if passed == 0 {
		return reply
	}
	for _, section := range []*[]wire.Record{&reply.Answer, &reply.Authority} {
		*section = slices.Clone(*section)
		for i := range *section {
			ttl := &(*section)[i].TTL
			*ttl -= min(*ttl, passed)
		}
	}
	return reply
}

// put remembers an answer or a failure, and keeps to a bound. It returns by how much the
// cache has grown, which may be negative.
func (c *cache) put(k key, reply wire.Reply, failure error, now time.Time, bound int) (grown int) {
	r := &remembered{key: k, reply: reply, err: failure, from: now, size: sizeOf(k, reply)}
	if failure != nil {
		r.failing = leastFailure
		if at, ok := c.entries[k]; ok {
			if old := at.Value.(*remembered); old.err != nil && now.Before(old.until.Add(failureKept)) {
				r.failing = min(2*old.failing, longestFailure)
			}
		}
		r.until = now.Add(r.failing)
	} else {
		r.until = now.Add(life(reply))
	}
	before := c.size
	if at, ok := c.entries[k]; ok {
		c.remove(at)
	}
	if r.until.After(now) && r.size <= bound {
		if c.entries == nil {
			c.entries = map[key]*list.Element{}
		}
		c.entries[k] = c.recent.PushFront(r)
		c.size += r.size
	}
	for c.size > bound {
		c.remove(c.recent.Back())
	}
	return c.size - before
}

// evict forgets what was used longest ago, and returns how much room that gives.
func (c *cache) evict() int {
	before := c.size
	c.remove(c.recent.Back())
	return before - c.size
}

func (c *cache) remove(at *list.Element) {
	r := c.recent.Remove(at).(*remembered)
	delete(c.entries, r.key)
	c.size -= r.size
}

// sizeOf is about how much memory an answer takes.
func sizeOf(k key, reply wire.Reply) int {
	n := 400 + 2*len(k.name)
	for _, section := range [][]wire.Record{reply.Answer, reply.Authority} {
		for _, r := range section {
			n += 64 + len(r.Name) + len(r.Data)
		}
	}
	return n
}

// life is for how long an answer may be believed: as long as all of it. A negative one
// without a SOA may not be kept (RFC 2308 §5).
func life(reply wire.Reply) time.Duration {
	if len(reply.Answer) == 0 && len(reply.Authority) == 0 {
		return 0
	}
	least := uint32(longestThere / time.Second)
	for _, r := range reply.Answer {
		least = min(least, r.TTL)
	}
	for _, r := range reply.Authority { // one SOA, of a negative answer
		least = min(least, r.TTL, Minimum(r.Data), uint32(longestMissing/time.Second))
	}
	return time.Duration(least) * time.Second
}

// Minimum is the last field of a SOA's data: for how long it may be believed that
// something is not there (RFC 2308 §4).
func Minimum(soa []byte) uint32 {
	if len(soa) < 4 {
		return 0
	}
	return binary.BigEndian.Uint32(soa[len(soa)-4:])
}
