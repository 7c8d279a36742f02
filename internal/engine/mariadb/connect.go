// SPDX-License-Identifier: Apache-2.0

package mariadb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"

	"github.com/go-sql-driver/mysql"
	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/engine"
	"github.com/posternhq/postern/internal/socket"
)

// socketName is the server's socket in engine.PartRun.
const socketName = "mariadb.sock"

// connection is one to the server.
type connection struct {
	*sql.Conn
	pool *sql.DB // of this connection alone
}

// connect connects to the server as root, by its Unix socket. The caller closes the
// connection.
func (s *server) connect(ctx context.Context) (*connection, error) {
	cfg := mysql.NewConfig()
	cfg.User, cfg.Net, cfg.Addr, cfg.Logger = "root", "unix", socketName, &mysql.NopLogger{}
	// What users set for everybody is not for this one.
	cfg.Params = map[string]string{"max_statement_time": "0", "sql_mode": "''", "idle_transaction_timeout": "0", "wait_timeout": "86400", "autocommit": "1"}
	cfg.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return socket.Dial(ctx, s.Part(engine.PartRun), socketName)
	}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to the server: %w", err)
	}
	c := &connection{pool: sql.OpenDB(connector)}
	c.pool.SetMaxOpenConns(1)
	if c.Conn, err = c.pool.Conn(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("connect to the server: %w", err), c.pool.Close())
	}
	return c, nil
}

func (c *connection) close() {
	_ = c.Conn.Close() // the server notices, or it does not
	_ = c.pool.Close()
}

// with runs fn with a connection of its own.
func (s *server) with(ctx context.Context, fn func(*connection) error) error {
	c, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	return fn(c)
}

// do runs statements.
func (c *connection) do(ctx context.Context, statements ...string) error {
	for _, statement := range statements {
		if _, err := c.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// literal and identifier write texts in SQL, where sql_mode is empty.
func literal(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `''`, "\n", `\n`, "\r", `\r`, "\x00", `\0`).Replace(text) + "'"
}

func identifier(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

// Codes of errors (https://mariadb.com/kb/en/mariadb-error-code-reference/).
const (
	codeTooManyConnections = 1040
	codeShutdown           = 1053
)

// codeOf gives the code of a server's error, or zero.
func codeOf(err error) uint16 {
	var of *mysql.MySQLError
	if errors.As(err, &of) {
		return of.Number
	}
	return 0
}

// nobody reports whether there is nobody to answer yet.
func nobody(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ECONNREFUSED)
}
