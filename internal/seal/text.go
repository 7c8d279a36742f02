// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// heading is what a file of keys begins with.
const heading = `# Sealing keys of a Postern, one a line: id, time, key. The newest one seals.
# Who reads this file and the state can use every access key. Files may be joined.
`

// Text gives the ring as the text that Parse reads.
func (r *Ring) Text() []byte {
	text := []byte(heading)
	for _, g := range r.generations {
		text = fmt.Appendf(text, "%08x %s %s\n", g.id, g.made.Format(time.RFC3339), base64.StdEncoding.EncodeToString(g.key[:]))
	}
	return text
}

// Parse reads the text of a ring. Lines may be in any order, and be there twice, so that
// two texts make one ring. Errors never say what a key is.
func Parse(text []byte) (*Ring, error) {
	var r Ring
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		g, err := parseGeneration(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		switch known := r.find(g.id); {
		case known == nil:
			r.generations = append(r.generations, g)
		case known.key != g.key:
			return nil, fmt.Errorf("line %d: there are two keys with the id %08x", n, g.id)
		}
	}
	if len(r.generations) == 0 {
		return nil, errors.New("there is no key")
	}
	slices.SortStableFunc(r.generations, func(a, b *generation) int { return a.made.Compare(b.made) })
	return ring(r.generations)
}

func parseGeneration(line string) (*generation, error) {
	fields := strings.Fields(line)
	if len(fields) != 3 {
		return nil, fmt.Errorf("it has %d words, want three: id, time and key", len(fields))
	}
	id, err := strconv.ParseUint(fields[0], 16, 32)
	if err != nil || len(fields[0]) != 8 {
		return nil, errors.New("the id is not eight hexadecimal digits")
	}
	made, err := time.Parse(time.RFC3339, fields[1])
	if err != nil {
		return nil, errors.New("the time is not one of RFC 3339")
	}
	key, err := base64.StdEncoding.Strict().DecodeString(fields[2])
	if err != nil || len(key) != keyBytes {
		return nil, fmt.Errorf("the key is not %d bytes of base64", keyBytes)
	}
	return &generation{id: uint32(id), made: made.UTC(), key: [keyBytes]byte(key)}, nil
}
