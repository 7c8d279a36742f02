// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"fmt"
	"io"
	"strings"
)

// screen prints the story: numbered steps, the command lines that a reader
// could type for them, and what came out.
type screen struct {
	out   io.Writer
	color bool
	steps int
}

// The colours, as ECMA-48 numbers them.
const (
	bold  = 1
	dim   = 2
	red   = 31
	green = 32
)

func (s *screen) paint(color int, text string) string {
	if !s.color {
		return text
	}
	return fmt.Sprintf("\x1b[%dm%s\x1b[0m", color, text)
}

// Writing to the screen cannot fail in a way that the demo could do anything
// about: a reader who has gone needs no story.
func (s *screen) line(text string) { _, _ = fmt.Fprintln(s.out, text) }

// step begins the next step.
func (s *screen) step(title string) {
	s.steps++
	s.title(fmt.Sprintf("%-3d%s", s.steps, title))
}

func (s *screen) title(text string) {
	s.line("")
	s.line(s.paint(bold, text))
}

// say prints a sentence or a picture, indented.
func (s *screen) say(text string) {
	for line := range strings.Lines(strings.Trim(text, "\n")) {
		s.line("   " + strings.TrimRight(line, "\n"))
	}
}

// command prints what a reader would type.
func (s *screen) command(line string) { s.line("   " + s.paint(dim, "$ "+line)) }

// done prints what held.
func (s *screen) done(format string, values ...any) {
	s.line("   " + s.paint(green, "✓") + " " + fmt.Sprintf(format, values...))
}

// failed prints what did not hold.
func (s *screen) failed(err error) {
	s.line("   " + s.paint(red, "✗") + " " + strings.ReplaceAll(err.Error(), "\n", "\n     "))
}
