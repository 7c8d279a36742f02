// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

func TestLogsAreBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	j := &journal{path: path}
	line := append(bytes.Repeat([]byte("x"), 1<<20-1), '\n')
	const lines = (oldLogs + 3) * maxLog >> 20
	for range lines {
		if n, err := j.Write(line); n != len(line) || err != nil {
			t.Fatal(n, err)
		}
	}
	for i := range oldLogs + 2 {
		name := path
		if i > 0 {
			name = fmt.Sprintf("%s.%d", path, i)
		}
		info, err := os.Stat(name)
		switch {
		case i > oldLogs && !os.IsNotExist(err):
			t.Errorf("%s is there, one too many: %v", name, err)
		case i <= oldLogs && err != nil:
			t.Error(err)
		case i <= oldLogs && info.Size() > maxLog+1<<20:
			t.Errorf("%s has %d bytes", name, info.Size())
		}
	}
	j.begin()
	fmt.Fprintln(j, "last words")
	if words, problem := j.last(); words != "last words" || problem != nil {
		t.Errorf("it remembers %q, and says %v", words, problem)
	}
}

func TestAFullDiskKeepsNoServerWaiting(t *testing.T) {
	j := &journal{path: "/dev/full"}
	for range 2 {
		if n, err := j.Write([]byte("words\n")); n != 6 || err != nil {
			t.Fatal(n, err)
		}
	}
	if words, problem := j.last(); words != "words\nwords" || problem == nil {
		t.Errorf("it remembers %q, and says %v", words, problem)
	}
}
