// SPDX-License-Identifier: Apache-2.0

package desired

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Whatever names there are, what is printed is one line and is read as what it was.
func TestWhoIsGoneIsReadAsItIsPrinted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := Gone{
			Host: rapid.String().Draw(t, "host"), ENI: rapid.String().Draw(t, "interface"), Attachment: rapid.String().Draw(t, "attachment"), Revision: rapid.Int64().Draw(t, "revision"),
			Namespace: Namespace{Inode: rapid.Uint64().Draw(t, "inode"), Identity: rapid.Uint64().Draw(t, "identity")},
		}
		if rapid.Bool().Draw(t, "named") {
			g.Namespace.Name = rapid.StringN(1, -1, -1).Draw(t, "name")
		} else {
			g.Namespace.PID = rapid.IntRange(0, 1<<22).Draw(t, "process")
		}
		text := g.String()
		if got, err := ParseGone(text); err != nil || got != g || strings.Contains(text, "\n") {
			t.Errorf("%q is read as %+v, %v, want %+v", text, got, err, g)
		}
	})
	for _, text := range []string{"", "gone", "gone e host=h attachment=a namespace=pid:1", "gone e h attachment=a namespace=pid:1 revision=1", "gone e host=h attachment=a namespace=x revision=1", "went e host=h attachment=a namespace=pid:1 revision=1"} {
		if g, err := ParseGone(text); err == nil {
			t.Errorf("%q is read as %+v", text, g)
		}
	}
}
