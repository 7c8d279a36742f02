// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/engine"
	"github.com/posternhq/postern/internal/socket"
)

// connect connects to the server as its superuser, by its Unix socket. The caller closes
// the connection.
func (s *server) connect(ctx context.Context) (*pgconn.PgConn, error) {
	cfg, err := pgconn.ParseConfig("host=/ port=1 sslmode=disable passfile=/dev/null servicefile=/dev/null")
	if err != nil {
		return nil, fmt.Errorf("connect to the server: %w", err)
	}
	cfg.User, cfg.Database, cfg.Password = admin, admin, ""
	cfg.Fallbacks, cfg.TLSConfig = nil, nil
	cfg.RuntimeParams = map[string]string{
		"application_name": "postern", "search_path": "pg_catalog", "lc_messages": "C", "statement_timeout": "0", "lock_timeout": "0",
		"default_transaction_read_only": "off", "synchronous_commit": "local", "log_statement": "none", "log_min_duration_statement": "-1",
	}
	cfg.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) {
		name, err := s.socket()
		if err != nil {
			return nil, err
		}
		return socket.Dial(ctx, s.Part(engine.PartRun), name)
	}
	conn, err := pgconn.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to the server: %w", err)
	}
	return conn, nil
}

// socket is the name of the server's socket, which has the port in it.
func (s *server) socket() (string, error) {
	found, err := os.ReadDir(s.Part(engine.PartRun))
	if err != nil {
		return "", err
	}
	for _, f := range found {
		if strings.HasPrefix(f.Name(), ".s.PGSQL.") && !strings.HasSuffix(f.Name(), ".lock") {
			return f.Name(), nil
		}
	}
	return "", fs.ErrNotExist
}

// with runs fn with a connection of its own.
func (s *server) with(ctx context.Context, fn func(*pgconn.PgConn) error) error {
	conn, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(ctx)
	}()
	return fn(conn)
}

// query runs statements and gives the first column of the first row of the last one.
func query(ctx context.Context, conn *pgconn.PgConn, sql string) (string, error) {
	results, err := conn.Exec(ctx, sql).ReadAll()
	if err != nil {
		return "", err
	}
	if n := len(results); n > 0 && len(results[n-1].Rows) > 0 {
		return string(results[n-1].Rows[0][0]), nil
	}
	return "", nil
}

// ask runs a query that gives JSON.
func ask(ctx context.Context, conn *pgconn.PgConn, sql string, into any) error {
	text, err := query(ctx, conn, sql)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(text), into); err != nil {
		return fmt.Errorf("read what the server answers: %w", err)
	}
	return nil
}

// literal and identifier write texts in SQL.
func literal(text string) string {
	quoted := "'" + strings.ReplaceAll(text, "'", "''") + "'"
	if strings.Contains(text, `\`) {
		return " E" + strings.ReplaceAll(quoted, `\`, `\\`)
	}
	return quoted
}

func identifier(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// Codes of errors (https://www.postgresql.org/docs/current/errcodes-appendix.html).
const (
	codeCannotConnectNow   = "57P03"
	codeAdminShutdown      = "57P01"
	codeCrashShutdown      = "57P02"
	codeTooManyConnections = "53300"
	codeDiskFull           = "53100"
)

// codeOf gives the code of a server's error, or nothing.
func codeOf(err error) string {
	var of *pgconn.PgError
	if errors.As(err, &of) {
		return of.Code
	}
	return ""
}

// notYet reports whether a server that was just started may answer later.
func notYet(err error) bool {
	return codeOf(err) == codeCannotConnectNow || codeOf(err) == codeTooManyConnections ||
		errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ECONNREFUSED)
}
