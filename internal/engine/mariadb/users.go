// SPDX-License-Identifier: Apache-2.0

package mariadb

import (
	"context"
	"fmt"
	"strings"

	"github.com/posternhq/postern/internal/engine"
)

// tableDone has what was done once, in rows of name and value, and is not done again: users
// may have undone it since.
const (
	tableDone  = "mysql.postern_done"
	doneMaster = "master"
)

// What masters may do. Of the whole server these are things that RDS gives them, too
// (https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.MasterAccounts.html),
// but for those that concern other databases of the server: these are given for all names,
// so that the more exact ones for the database mysql count there, where accounts are stored.
var (
	rightsServer = []string{"RELOAD", "PROCESS", "SHOW DATABASES", "CREATE USER", "REPLICATION CLIENT", "REPLICATION SLAVE"}
	rightsData   = []string{"SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "REFERENCES", "INDEX", "ALTER", "CREATE TEMPORARY TABLES", "LOCK TABLES",
		"EXECUTE", "CREATE VIEW", "SHOW VIEW", "CREATE ROUTINE", "ALTER ROUTINE", "EVENT", "TRIGGER"}
)

// SetUsers implements engine.Server. Members have no user: there are none.
func (s *server) SetUsers(ctx context.Context, u engine.Users) error {
	err := s.with(ctx, func(c *connection) error {
		var readOnly bool
		if err := c.QueryRowContext(ctx, "SELECT @@global.read_only").Scan(&readOnly); err != nil {
			return err
		}
		if readOnly {
			return engine.ErrRole
		}
		return setMaster(ctx, c, u)
	})
	if err != nil {
		return fmt.Errorf("set the users of %s: %w", s.Spec.ID, err)
	}
	return nil
}

// withoutLimits ends what a user may have set for the master.
const withoutLimits = " WITH MAX_QUERIES_PER_HOUR 0 MAX_UPDATES_PER_HOUR 0 MAX_CONNECTIONS_PER_HOUR 0 MAX_USER_CONNECTIONS 0"

// setMaster makes the master, or resets it with what it can do, as RDS does.
func setMaster(ctx context.Context, c *connection, u engine.Users) error {
	var done, there bool
	err := c.QueryRowContext(ctx, "SELECT EXISTS (SELECT * FROM "+tableDone+" WHERE name = "+literal(doneMaster)+" AND value = "+literal(u.Master)+"), "+
		"EXISTS (SELECT * FROM mysql.global_priv WHERE Host = '%' AND User = "+literal(u.Master)+")").Scan(&done, &there)
	if err != nil {
		return err
	}
	account := literal(u.Master) + "@'%'"
	password := " IDENTIFIED BY PASSWORD " + literal(u.Verifier)
	grants := []string{
		"GRANT " + strings.Join(rightsServer, ", ") + " ON *.* TO " + account + " WITH GRANT OPTION",
		"GRANT " + strings.Join(rightsData, ", ") + " ON `%`.* TO " + account + " WITH GRANT OPTION",
		"GRANT SELECT ON mysql.* TO " + account,
	}
	if done && there {
		if !u.Reset {
			return nil
		}
		return c.do(ctx, append(grants, "ALTER USER "+account+password+withoutLimits+" PASSWORD EXPIRE NEVER ACCOUNT UNLOCK")...)
	}
	var steps []string
	if u.Database != "" && !done {
		steps = append(steps, "CREATE DATABASE IF NOT EXISTS "+identifier(u.Database))
	}
	// Until all is there nobody can log in as it.
	steps = append(steps, "CREATE USER IF NOT EXISTS "+account+password+" ACCOUNT LOCK")
	steps = append(steps, grants...)
	steps = append(steps,
		"ALTER USER "+account+password+" PASSWORD EXPIRE NEVER ACCOUNT UNLOCK",
		"REPLACE INTO "+tableDone+" VALUES ("+literal(doneMaster)+", "+literal(u.Master)+")",
	)
	return c.do(ctx, steps...)
}
