// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/posternhq/postern/internal/engine"
)

// parseLSN reads a position in the log as PostgreSQL writes it, such as 0/3000148. What is
// none is not known.
func parseLSN(text string) engine.Position {
	high, low, ok := strings.Cut(strings.TrimSpace(text), "/")
	h, err := strconv.ParseUint(high, 16, 32)
	l, err2 := strconv.ParseUint(low, 16, 32)
	if !ok || err != nil || err2 != nil {
		return engine.Position{}
	}
	return position(h<<32 | l)
}

func position(order uint64) engine.Position {
	if order == 0 {
		return engine.Position{}
	}
	return engine.Position{Order: order, Text: fmt.Sprintf("%X/%X", order>>32, uint32(order))}
}

// later gives the later one of two positions.
func later(p, q engine.Position) engine.Position {
	if p.Before(q) {
		return q
	}
	return p
}

// parseHistory reads a history file: a line for each timeline before, with where it ended
// and why (https://www.postgresql.org/docs/current/continuous-archiving.html).
func parseHistory(text string) (turns []engine.Turn, err error) {
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		timeline, err := strconv.ParseUint(words[0], 10, 32)
		if err != nil || len(words) < 2 {
			return nil, fmt.Errorf("read a history of timelines: %q is no timeline and its end", strings.TrimSpace(line))
		}
		at := parseLSN(words[1])
		if at.Order == 0 {
			return nil, fmt.Errorf("read a history of timelines: %q is no position", words[1])
		}
		turns = append(turns, engine.Turn{Timeline: uint32(timeline), At: at})
	}
	return turns, nil
}

// turnsIn reads the history of a timeline from a data folder. Only those that began by a
// promotion have one.
func turnsIn(data string, timeline uint32) ([]engine.Turn, error) {
	text, err := os.ReadFile(filepath.Join(data, "pg_wal", fmt.Sprintf("%08X.history", timeline)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the history of timeline %d: %w", timeline, err)
	}
	return parseHistory(string(text))
}

// Fits implements engine.Driver. The writer may be one that is yet to be promoted. On a timeline that both are on a replica has nothing that
// who writes it has not, since only what is on the writer's disk is sent. It is another
// timeline of the same number when it began elsewhere, or when both have written it: who is
// promoted takes the next number that it has not heard of. When two such began at the same
// place, only their contents differ, and servers refuse to go on with each other's.
func (Driver) Fits(replica, writer engine.History) engine.Fit {
	switch {
	case replica.Identity == "" || writer.Identity == "" || replica.Timeline == 0 || writer.Timeline == 0:
		return engine.FitUnknown
	case replica.Identity != writer.Identity:
		return engine.FitForeign
	case replica.Timeline == writer.Timeline && replica.Own && writer.Own:
		return engine.FitAhead
	case replica.Timeline == writer.Timeline && len(replica.Turns) > 0 && len(writer.Turns) > 0 && !slices.Equal(replica.Turns, writer.Turns):
		return engine.FitAhead
	case replica.Timeline == writer.Timeline && !writer.Own && writer.At.Before(replica.At):
		return engine.FitAhead
	case replica.Timeline == writer.Timeline:
		return engine.FitYes
	}
	i := slices.IndexFunc(writer.Turns, func(t engine.Turn) bool { return t.Timeline == replica.Timeline })
	switch {
	case i > 0 && len(replica.Turns) > 0 && !slices.Equal(replica.Turns, writer.Turns[:i]):
		return engine.FitAhead
	case i >= 0 && replica.At.Order == 0:
		return engine.FitUnknown
	case i >= 0 && replica.At.Order <= writer.Turns[i].At.Order:
		return engine.FitYes
	case i < 0 && len(writer.Turns) == 0 && writer.Timeline > 1:
		return engine.FitUnknown // its history could not be read
	}
	return engine.FitAhead
}
