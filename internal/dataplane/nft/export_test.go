// SPDX-License-Identifier: Apache-2.0

package nft

import (
	"context"
	"strings"
	"text/template"

	"github.com/posternhq/postern/internal/desired"
)

// LoadWithoutSlots loads the rules as they were before targets had slots.
func LoadWithoutSlots(ctx context.Context, t *Table, r desired.Router) error {
	var text strings.Builder
	for line := range strings.Lines(skeletonText) {
		later := false
		for _, set := range []string{setSlot, setCut, setForward, setCutPort, setExcept} {
			later = later || strings.Contains(line, set+"4") || strings.Contains(line, set+"6")
		}
		if !later {
			text.WriteString(line)
		}
	}
	now := skeletonTemplate
	defer func() { skeletonTemplate = now }()
	skeletonTemplate = template.Must(template.New("earlier").Parse(text.String()))
	return t.Load(ctx, r)
}
