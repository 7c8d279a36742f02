// SPDX-License-Identifier: Apache-2.0

package express_test

import (
	"bufio"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/dataplane/nft/lab"
)

// converse opens a connection to a greeter, says something, and closes it.
func (r *rig) converse(from *lab.Namespace) error {
	conn, err := from.Dial("tcp", r.addressOf(5432), nil, 3*lab.Prompt)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(3 * lab.Prompt))
	const message = "how do you do\n"
	if _, err := io.WriteString(conn, message); err != nil {
		return err
	}
	said := bufio.NewReader(conn)
	if _, err := said.ReadString('\n'); err != nil { // whom the server sees
		return err
	}
	if echo, err := said.ReadString('\n'); err != nil || echo != message {
		return fmt.Errorf("the server says %q, %v", echo, err)
	}
	return nil
}

// Connections that come and go leave nothing behind.
func TestManyConnections(t *testing.T) {
	each(t, idle, func(t *testing.T, r *rig) {
		for i := range 1000 {
			if err := r.converse(r.Client); err != nil {
				t.Fatalf("connection %d: %v", i, err)
			}
		}
		var all sync.WaitGroup
		for i := range 64 {
			from := []*lab.Namespace{r.Client, r.Near, r.Far}[i%3]
			all.Go(func() {
				for range 10 {
					if err := r.converse(from); err != nil {
						t.Errorf("one of 64 at once: %v", err)
						return
					}
				}
			})
		}
		all.Wait()
		before := r.counters()
		if before.Learned < 2*1640 {
			t.Errorf("%d connections of 1640 were remembered in both routers", before.Learned/2)
		}
		eventually(t, "what is remembered of finished connections goes", func() bool {
			n, err := r.lane.Flows()
			if err != nil {
				t.Fatal(err)
			}
			return n <= 8
		})
		n, err := r.lane.Flows()
		t.Logf("%+v, %d directions left, %v", before, n, err)
	})
}
