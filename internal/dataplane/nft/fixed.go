// SPDX-License-Identifier: Apache-2.0

package nft

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/template"
)

// Fixed are the rules of a namespace of ours that is no router: all that is in its
// table "inet postern". They say what they were made for, and what has another value
// has other rules.
type Fixed struct {
	rules *skeleton
	said  []string
}

// Said is the chain that says what rules were made for, by the comments of its rules.
const chainSaid = "said"

// maxComment is the longest comment of a rule (NFTNL_UDATA_COMMENT_MAXLEN of libnftnl).
const maxComment = 127

// fixed renders rules from a template that has a chain {{.Marker}} and this package's
// layout of one rule a line, for a value that said prints.
func fixed(t *template.Template, value any, said ...string) (Fixed, error) {
	for _, s := range said {
		if len(s) > maxComment || strings.ContainsAny(s, "\"\n") {
			return Fixed{}, fmt.Errorf("%q cannot be said in a comment", s)
		}
	}
	render := func(marker string) (string, error) {
		var b strings.Builder
		err := t.Execute(&b, map[string]any{"Marker": marker, "Value": value, "Said": said})
		return b.String(), err
	}
	text, err := render(markerPrefix)
	if err != nil {
		return Fixed{}, fmt.Errorf("render rules: %w", err)
	}
	sum := sha256.Sum256([]byte(text))
	marker := markerPrefix + hex.EncodeToString(sum[:6])
	if text, err = render(marker); err != nil {
		return Fixed{}, fmt.Errorf("render rules: %w", err)
	}
	return Fixed{&skeleton{text: text, marker: marker, rules: countRules(text)}, said}, nil
}

// Replace puts rules in the place of those that are there, in one transaction.
// Connections and named counters stay as they are.
func (t *Table) Replace(ctx context.Context, f Fixed) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.forget()
	if err := t.know(ctx); err != nil {
		return fmt.Errorf("replace rules: %w", err)
	}
	present := slices.Sorted(maps.Keys(t.picture.chains))
	if err := t.load(ctx, f.rules, present, f.rules.over(present)); err != nil {
		return fmt.Errorf("replace rules: %w", err)
	}
	return nil
}

// Has reports whether these rules are there, and whole.
func (t *Table) Has(ctx context.Context, f Fixed) (bool, error) {
	said, there, err := t.saying(ctx)
	if err != nil || len(said) != len(f.said) {
		return false, err
	}
	for i, s := range f.said {
		if said[i] != s {
			return false, nil
		}
	}
	return f.rules.whole(there), nil
}

// Saying reads what the rules that are there were made for; nothing when there are
// none, or none that say it.
func (t *Table) Saying(ctx context.Context) ([]string, error) {
	said, _, err := t.saying(ctx)
	return said, err
}

func (t *Table) saying(ctx context.Context) (said []string, chains map[string][]string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.forget()
	if err := t.know(ctx); err != nil {
		return nil, nil, fmt.Errorf("read rules: %w", err)
	}
	return t.picture.chains[chainSaid], t.picture.chains, nil
}

// whole compares chains that were read with those of the text.
func (s *skeleton) whole(chains map[string][]string) bool {
	if len(chains) != len(s.rules) {
		return false
	}
	for name, rules := range s.rules {
		texts, there := chains[name]
		if !there || len(texts) != rules {
			return false
		}
	}
	return true
}
