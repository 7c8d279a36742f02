// SPDX-License-Identifier: Apache-2.0

package names_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/dataplane/names"
)

// standIn does what systemd-run does with the arguments that it is given here, as far as
// one can see from outside; it has no systemd to ask.
const standIn = `#!/bin/bash
printf '%s\n' "$@" > "$(dirname "$0")/arguments"
while [ "$1" != -- ]; do
	case "$2" in StandardOutput=append:*) log="${2#StandardOutput=append:}";; esac
	shift
done
shift
setsid "${@//\$\$/\$}" >> "$log" 2>&1 &
`

// TestAServiceStartsAUnit has a program in the place of systemd-run, in a folder whose
// name has what the manager would replace.
func TestAServiceStartsAUnit(t *testing.T) {
	r := newRig(t)
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "systemd-run"), []byte(standIn), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	r.config.Unit, r.config.Version = "postern.service", "$HOME"
	n, _ := r.run()
	r.serve(n)
	r.answers("as a unit")
	status, err := n.Status(t.Context())
	if err != nil || !strings.HasPrefix(status.Identity, "$HOME ") {
		t.Errorf("the process was given another identity: %q, %v", status.Identity, err)
	}
	text, err := os.ReadFile(filepath.Join(bin, "arguments"))
	if err != nil {
		t.Fatal(err)
	}
	args := strings.Split(strings.TrimSpace(string(text)), "\n")
	for _, want := range []string{"--collect", "--service-type", "exec", "LimitNOFILE=524288", "Postern's resolver, started by postern.service", r.config.Program} {
		if !slices.Contains(args, want) {
			t.Errorf("systemd-run is not given %q: %q", want, args)
		}
	}
	info, err := os.Stat(filepath.Join(r.config.Folder, names.LogName))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("its log: %v, %v", info.Mode(), err)
	}
}

// TestAServiceWithoutUnitsHasNamesAllTheSame has a systemd-run that fails.
func TestAServiceWithoutUnitsHasNamesAllTheSame(t *testing.T) {
	r := newRig(t)
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "systemd-run"), []byte("#!/bin/sh\necho no bus >&2\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	r.config.Unit = "postern.service"
	n, _ := r.run()
	r.serve(n)
	r.answers("without a unit")
}
