// SPDX-License-Identifier: Apache-2.0

package table

import (
	"hash/maphash"
	"slices"
	"strings"
	"sync"
)

// words lets rows share the texts that many of them have, such as their account,
// their VPC, or the value of an index, and lists of such texts. It remembers some of
// the last ones, so that it keeps nothing alive for long. Goroutines that may use it at
// the same time hold mu, as those that decode rows do. One that is nil shares nothing.
type words struct {
	mu    sync.Mutex
	seed  maphash.Seed
	known []string
	lists [512][]string
	path  string // of the row whose texts are being shared
}

// fewWords is how many are remembered where rows come one by one.
const fewWords = 4096

func newWords(size int) *words {
	return &words{seed: maphash.MakeSeed(), known: make([]string, size)}
}

// begin says that texts of the row at the path come now, and gives the path, which is
// no part of a longer text, as others have it. It is often a value of an index.
func (w *words) begin(path string) string {
	if slot := w.slot(path); *slot == path {
		path = *slot
	} else {
		*slot = path
	}
	w.path = path
	return path
}

// share gives an equal text that others may have too, and that is no part of a
// longer one but the path.
func (w *words) share(text string) string {
	if text == "" || w == nil {
		return text
	}
	slot := w.slot(text)
	if *slot != text {
		if at := strings.Index(w.path, text); at >= 0 {
			*slot = w.path[at : at+len(text)]
		} else {
			*slot = strings.Clone(text)
		}
	}
	return *slot
}

func (w *words) slot(text string) *string {
	return &w.known[maphash.String(w.seed, text)%uint64(len(w.known))]
}

// shareList gives an equal list, which is not empty, that others may have too.
func (w *words) shareList(texts []string) []string {
	slot := &w.lists[maphash.String(w.seed, texts[0])%uint64(len(w.lists))]
	if !slices.Equal(*slot, texts) {
		list := make([]string, len(texts))
		for i, text := range texts {
			list[i] = w.share(text)
		}
		*slot = list
	}
	return *slot
}
