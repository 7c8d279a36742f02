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
	const inTurn, atOnce, eachOf = 2000, 64, 10
	each(t, idle, func(t *testing.T, r *rig) {
		for i := range inTurn {
			if err := r.converse(r.Client); err != nil {
				t.Fatalf("connection %d: %v", i, err)
			}
		}
		var all sync.WaitGroup
		for i := range atOnce {
			from := []*lab.Namespace{r.Client, r.Near, r.Far}[i%3]
			all.Go(func() {
				for range eachOf {
					if err := r.converse(from); err != nil {
						t.Errorf("one of many at once: %v", err)
						return
					}
				}
			})
		}
		all.Wait()
		before := r.counters()
		if want := uint64(2 * (inTurn + atOnce*eachOf)); before.Learned < want {
			t.Errorf("connections were remembered %d times, want at least %d: in both routers", before.Learned, want)
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
