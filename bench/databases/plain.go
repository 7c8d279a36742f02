// SPDX-License-Identifier: Apache-2.0

package databases

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/posternhq/postern/bench/scope"
	"github.com/posternhq/postern/internal/engine"
	"github.com/posternhq/postern/internal/engine/postgres"
	"github.com/posternhq/postern/test/child"
	"github.com/posternhq/postern/test/instance"
	"github.com/posternhq/postern/test/testnet"
)

const (
	// serverUser is the superuser of servers that Postern does not run, and anybody.
	serverUser = "postgres"
	// retry is how long a replica waits until it looks for its writer again. With the
	// default, 5 s, one in a dozen was seen to commit that much later after a promotion.
	retry = "wal_retrieve_retry_interval=100ms"
)

// plainServer is a PostgreSQL server that Postern does not run, in a namespace. It trusts
// whoever comes.
type plainServer struct {
	ns        *testnet.NS
	installed engine.Installation
	folder    string
	copies    int
	process   *child.Process // nil before the first start
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
	p := &plainServer{ns: ns, installed: found[0]}
	if p.folder, err = folder(s); err != nil {
		return nil, err
	}
	s.Add(p.close)
	return p, os.Chown(p.folder, int(p.installed.UID), int(p.installed.GID))
}

// folder makes one that goes with a scope. Servers that were killed may leave it only then.
func folder(s *scope.Scope) (string, error) {
	path, err := os.MkdirTemp("", "postern-bench-")
	s.Add(func() error { return os.RemoveAll(path) })
	return path, err
}

// data is the folder of the server's present life as the copy of another one.
func (p *plainServer) data() string { return filepath.Join(p.folder, fmt.Sprint("data-", p.copies)) }

// command is a program of PostgreSQL's, run by its user. What it leaves behind when it is
// killed, in shared memory, goes with a namespace of its own.
func (p *plainServer) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(p.installed.Programs, program), args...)
	cmd.Dir, cmd.Env = "/", child.Environment("LC_ALL=C")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setpgid: true, Cloneflags: syscall.CLONE_NEWIPC, Credential: &syscall.Credential{Uid: p.installed.UID, Gid: p.installed.GID},
	}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) } // pg_basebackup is two
	return cmd
}

// run runs a program in the server's namespace to its end.
func (p *plainServer) run(ctx context.Context, program string, args ...string) error {
	var out []byte
	err := p.ns.Run(func() (err error) {
		out, err = p.command(ctx, program, args...).CombinedOutput()
		return err
	})
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", program, err, out)
	}
	return nil
}

// initialize makes an empty database.
func (p *plainServer) initialize(ctx context.Context) error {
	if err := p.run(ctx, "initdb", "-U", serverUser, "-A", "trust", "-N", "-D", p.data()); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(p.data(), "pg_hba.conf"), []byte("host all all all trust\nhost replication all all trust\n"), 0o644)
}

// copy makes the server, which does not run, a replica of one at an address.
func (p *plainServer) copy(ctx context.Context, from string) error {
	if err := os.RemoveAll(p.data()); err != nil {
		return err
	}
	p.copies++
	return p.run(ctx, "pg_basebackup", "-R", "-N", "-c", "fast", "-h", from, "-U", serverUser, "-D", p.data())
}

// start starts the server with more settings, and returns when it answers.
func (p *plainServer) start(ctx context.Context, settings ...string) error {
	args := []string{"-D", p.data()}
	// Files of shared memory that are in the data folder go with it.
	for _, s := range append([]string{"listen_addresses=*", "unix_socket_directories=", "dynamic_shared_memory_type=mmap", retry}, settings...) {
		args = append(args, "-c", s)
	}
	process, err := child.StartWithin(p.ns.Run, p.command(context.WithoutCancel(ctx), "postgres", args...))
	if err != nil {
		return err
	}
	p.process = process
	return instance.Poll(ctx, born, "a server", func() (bool, error) {
		if _, ended := process.Status(); ended {
			return false, process.Early()
		}
		conn, err := p.connect(ctx)
		if err != nil {
			return false, ctx.Err()
		}
		return true, conn.Close(ctx)
	})
}

// kill ends the server as a crash does: its first process, whose others notice.
func (p *plainServer) kill() { p.process.Kill() }

// stop ends it in order: what is committed is with its replicas then.
func (p *plainServer) stop() error {
	p.process.Signal(syscall.SIGINT)
	_, err := p.process.Wait(born)
	return err
}

func (p *plainServer) close() error {
	if p.process == nil {
		return nil
	}
	p.process.Signal(syscall.SIGQUIT)
	_, err := p.process.Wait(born)
	return err
}

// connect connects to the server from where it is.
func (p *plainServer) connect(ctx context.Context) (*pgconn.PgConn, error) {
	config, err := pgconn.ParseConfig(fmt.Sprintf("host=127.0.0.1 port=%s user=%s dbname=postgres sslmode=disable connect_timeout=10", port, serverUser))
	if err != nil {
		return nil, err
	}
	config.DialFunc = p.ns.Dial
	return pgconn.ConnectConfig(ctx, config)
}

// do runs statements on the server.
func (p *plainServer) do(ctx context.Context, statements ...string) error {
	conn, err := p.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for _, s := range statements { // not in one transaction, which some of them refuse
		if _, err := conn.Exec(ctx, s).ReadAll(); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}

// value gives the only value that a question has, as text.
func value(ctx context.Context, conn *pgconn.PgConn, question string) (string, error) {
	results, err := conn.Exec(ctx, question).ReadAll()
	if err != nil {
		return "", fmt.Errorf("%s: %w", question, err)
	}
	if len(results) != 1 || len(results[0].Rows) != 1 || len(results[0].Rows[0]) != 1 {
		return "", fmt.Errorf("%s: the answer has another form", question)
	}
	return string(results[0].Rows[0][0]), nil
}

// look is how often it is looked whether a replica was promoted.
const look = time.Millisecond

// writes waits until the server at the other end of a connection is no replica.
func writes(ctx context.Context, conn *pgconn.PgConn) error {
	for {
		replica, err := value(ctx, conn, "select pg_is_in_recovery()")
		if err != nil || replica == "f" {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(look):
		}
	}
}

// replicated waits until so many replicas follow the server, and it waits for one of them
// at each commit.
func (p *plainServer) replicated(ctx context.Context, replicas int) error {
	return instance.Poll(ctx, born, "replicas", func() (bool, error) { return p.has(ctx, replicas) })
}

// has reports what replicated waits for.
func (p *plainServer) has(ctx context.Context, replicas int) (bool, error) {
	conn, err := p.connect(ctx)
	if err != nil {
		return false, err
	}
	defer conn.Close(ctx)
	got, err := value(ctx, conn, "select count(*) filter (where state = 'streaming') || ' ' || coalesce(bool_or(sync_state in ('sync', 'quorum')), false)::text::char from pg_stat_replication")
	return got == fmt.Sprint(replicas, " t"), err
}
