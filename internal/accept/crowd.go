// SPDX-License-Identifier: Apache-2.0

package accept

import (
	"container/list"
	"io"
	"sync"
)

// Crowd has room for so many connections. One more ends the one that was used longest ago of
// the source that has most, so that whoever opens many ends his own, and nobody else's as long
// as he has more than they. Sources are values that can be compared.
type Crowd struct {
	most int

	mu      sync.Mutex
	all     int
	sources map[any]*list.List // of *Place, the one that was used longest ago first
}

// Place is that of a connection.
type Place struct {
	crowd  *Crowd
	source any
	conn   io.Closer
	at     *list.Element // nil when it has left; the crowd's lock is held for it
}

// NewCrowd makes a Crowd with room for some connections, at least one.
func NewCrowd(most int) *Crowd {
	return &Crowd{most: max(most, 1), sources: map[any]*list.List{}}
}

// Enter gives a connection a place, and closes another one when there is none.
func (c *Crowd) Enter(source any, conn io.Closer) *Place {
	c.mu.Lock()
	var ended *Place
	if c.all >= c.most {
		ended = c.oldestOfMost()
		c.drop(ended)
	}
	own := c.sources[source]
	if own == nil {
		own = list.New()
		c.sources[source] = own
	}
	p := &Place{crowd: c, source: source, conn: conn}
	p.at = own.PushBack(p)
	c.all++
	c.mu.Unlock()
	if ended != nil {
		_ = ended.conn.Close()
	}
	return p
}

// oldestOfMost finds who has to leave. The lock is held, and somebody is there.
func (c *Crowd) oldestOfMost() *Place {
	var found *list.List
	for _, own := range c.sources {
		if found == nil || own.Len() > found.Len() {
			found = own
		}
	}
	return found.Front().Value.(*Place)
}

// drop takes a place away. The lock is held.
func (c *Crowd) drop(p *Place) {
	if p.at == nil {
		return
	}
	own := c.sources[p.source]
	own.Remove(p.at)
	if p.at = nil; own.Len() == 0 {
		delete(c.sources, p.source)
	}
	c.all--
}

// Used says that the connection was used just now.
func (p *Place) Used() {
	p.crowd.mu.Lock()
	defer p.crowd.mu.Unlock()
	if p.at != nil {
		p.crowd.sources[p.source].MoveToBack(p.at)
	}
}

// Leave gives the place back. It may be called again, and for one that was taken away.
func (p *Place) Leave() {
	p.crowd.mu.Lock()
	defer p.crowd.mu.Unlock()
	p.crowd.drop(p)
}

// Len is how many places are taken.
func (c *Crowd) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.all
}

// All gives the connections that have places.
func (c *Crowd) All() (all []io.Closer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, own := range c.sources {
		for at := own.Front(); at != nil; at = at.Next() {
			all = append(all, at.Value.(*Place).conn)
		}
	}
	return all
}
