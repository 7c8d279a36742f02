// SPDX-License-Identifier: Apache-2.0

package nfnl

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

func TestAttributesComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 40), 1, 8).Draw(t, "values")
		var b Builder
		b.Nest(7, func() {
			for i, v := range values {
				b.Bytes(uint16(i+1), v)
			}
		})
		inner := Attribute(b.data, 7)
		for i, v := range values {
			if got := Attribute(inner, uint16(i+1)); !bytes.Equal(got, v) {
				t.Fatalf("attribute %d is %x, want %x", i+1, got, v)
			}
		}
	})
}

func TestTextLosesItsZero(t *testing.T) {
	var b Builder
	b.String(3, "postern")
	if got := Text(b.data, 3); got != "postern" {
		t.Errorf("got %q", got)
	}
	if got := Text(b.data, 4); got != "" {
		t.Errorf("got %q for a missing attribute", got)
	}
}

func FuzzMessages(f *testing.F) {
	var b Builder
	b.Message(10, 1, 0, 2)
	b.Nest(1, func() { b.Uint32(2, 3) })
	b.end()
	f.Add(b.data)
	f.Fuzz(func(t *testing.T, data []byte) {
		for m := range messages(data) {
			for _, value := range Attributes(m.body) {
				for range Attributes(value) {
				}
			}
		}
	})
}
