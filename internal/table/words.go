// SPDX-License-Identifier: Apache-2.0

package table

import (
	"hash/maphash"
	"strings"
)

// words lets rows share the texts that many of them have, such as their account,
// their VPC, or the value of an index. It remembers a few thousand of the last ones,
// so that it keeps nothing alive for long. It belongs to one goroutine at a time.
type words struct {
	seed  maphash.Seed
	known [4096]string
}

func newWords() *words { return &words{seed: maphash.MakeSeed()} }

// share gives an equal text that others may have too, and that is no part of a
// longer one unless teach was told so.
func (w *words) share(text string) string {
	if text == "" {
		return ""
	}
	slot := w.slot(text)
	if *slot != text {
		*slot = strings.Clone(text)
	}
	return *slot
}

// teach makes share give this text, in the memory where it is.
func (w *words) teach(text string) {
	if slot := w.slot(text); *slot != text {
		*slot = text
	}
}

// teachID teaches the id of a row that its path ends with, as most rows have it.
func (w *words) teachID(path string) { w.teach(path[strings.LastIndexByte(path, '/')+1:]) }

func (w *words) slot(text string) *string {
	return &w.known[maphash.String(w.seed, text)%uint64(len(w.known))]
}
