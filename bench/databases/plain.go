// SPDX-License-Identifier: Apache-2.0

package databases

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/posternhq/postern/bench/scope"
	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/internal/engine"
	"github.com/posternhq/postern/internal/engine/postgres"
	"github.com/posternhq/postern/test/testnet"
)

// plainServer is a PostgreSQL server that Postern does not run, in a namespace. It trusts
// whoever comes.
type plainServer struct {
	ns        *testnet.NS
	installed engine.Installation
	folder    string
	scope     *scope.Scope
	killed    bool // it need not be stopped
}

// newPlainServer prepares one, which goes with the scope.
func newPlainServer(ctx context.Context, s *scope.Scope, ns *testnet.NS) (*plainServer, error) {
	found, err := postgres.New().Discover(ctx)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, errors.New("PostgreSQL's programs are not there: apt-get install postgresql")
	}
	p := &plainServer{ns: ns, installed: found[0], scope: s}
	if p.folder, err = os.MkdirTemp("", "postern-bench-pg-"); err != nil {
		return nil, err
	}
	s.Add(func() error { return os.RemoveAll(p.folder) })
	return p, os.Chown(p.folder, int(p.installed.UID), int(p.installed.GID))
}

func (p *plainServer) data() string { return filepath.Join(p.folder, "data") }

// initialize makes an empty database.
func (p *plainServer) initialize(ctx context.Context) error {
	if out, err := p.program(ctx, "initdb", "-U", serverUser, "-A", "trust", "-N", "-D", p.data()).CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return os.WriteFile(filepath.Join(p.data(), "pg_hba.conf"), []byte("host all all all trust\nhost replication all all trust\n"), 0o644)
}

// start starts the server with more options.
func (p *plainServer) start(ctx context.Context, options string) error {
	log := filepath.Join(p.folder, "log")
	start := p.program(ctx, "pg_ctl", "-w", "-D", p.data(), "-l", log, "-o", "-c listen_addresses=* -c unix_socket_directories= "+options, "start")
	p.scope.Add(func() error {
		if p.killed {
			return nil
		}
		out, err := p.program(context.WithoutCancel(ctx), "pg_ctl", "-w", "-m", "immediate", "-D", p.data(), "stop").CombinedOutput()
		if err != nil {
			return fmt.Errorf("stop the server: %w\n%s", err, out)
		}
		return nil
	})
	// It asks whether the server answers, at a socket of the file system that is not there.
	start.Env = append(os.Environ(), "PGHOST=127.0.0.1")
	if err := start.Run(); err != nil {
		text, _ := os.ReadFile(log)
		return fmt.Errorf("start the server: %w\n%s", err, text)
	}
	return nil
}

// program is a program of PostgreSQL's in the server's namespace, run by its user.
func (p *plainServer) program(ctx context.Context, program string, args ...string) *exec.Cmd {
	command := []string{"--net=" + filepath.Join(network.Directory, p.ns.Name), "runuser", "-u", p.installed.User, "--", filepath.Join(p.installed.Programs, program)}
	cmd := exec.CommandContext(ctx, "nsenter", append(command, args...)...)
	cmd.Dir = "/"
	return cmd
}
