// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/posternhq/postern/internal/engine"
)

// SetUsers implements engine.Server. That there is a master says that its database was
// made: it may have been dropped since, and stays so. A reset gives the master back what it
// can do, as it does with RDS.
func (s *server) SetUsers(ctx context.Context, u engine.Users) error {
	err := s.with(ctx, func(conn *pgconn.PgConn) error {
		replica, err := query(ctx, conn, "SELECT pg_is_in_recovery()")
		if err != nil {
			return err
		}
		if replica != "f" {
			return engine.ErrRole
		}
		if err := setReplication(ctx, conn, u.Replication); err != nil {
			return err
		}
		return setMaster(ctx, conn, u)
	})
	if err != nil {
		return fmt.Errorf("set the users of %s: %w", s.Spec.ID, err)
	}
	return nil
}

// setReplication lets members log in with a password. What is so already is not written
// again.
func setReplication(ctx context.Context, conn *pgconn.PgConn, password string) error {
	has, err := query(ctx, conn, "SELECT coalesce((SELECT rolpassword FROM pg_authid WHERE rolcanlogin AND rolname = '"+replication+"'), '')")
	if err != nil || verifies(has, password) {
		return err
	}
	v, err := Driver{}.Verifier(password)
	if err != nil {
		return err
	}
	_, err = query(ctx, conn, "ALTER ROLE "+replication+" LOGIN PASSWORD "+literal(v))
	return err
}

func setMaster(ctx context.Context, conn *pgconn.PgConn, u engine.Users) error {
	var has struct{ Master, Database bool }
	err := ask(ctx, conn, fmt.Sprintf(`SELECT json_build_object('Master', EXISTS (SELECT FROM pg_roles WHERE rolname = %s),
		'Database', EXISTS (SELECT FROM pg_database WHERE datname = %s))`, literal(u.Master), literal(u.Database)), &has)
	if err != nil {
		return err
	}
	master := identifier(u.Master)
	if has.Master {
		if u.Reset {
			_, err = query(ctx, conn, strings.Join([]string{
				"BEGIN",
				"ALTER ROLE " + master + " LOGIN INHERIT CREATEDB CREATEROLE CONNECTION LIMIT -1 PASSWORD " + literal(u.Verifier) + " VALID UNTIL 'infinity'",
				"GRANT " + superuser + " TO " + master,
				"COMMIT",
			}, ";\n"))
		}
		return err
	}
	databases := []string{"postgres"}
	if u.Database != "" && u.Database != "postgres" {
		databases = append(databases, u.Database)
		if !has.Database {
			if _, err := query(ctx, conn, "CREATE DATABASE "+identifier(u.Database)); err != nil {
				return err
			}
		}
	}
	steps := []string{
		"BEGIN",
		"CREATE ROLE " + master + " LOGIN CREATEDB CREATEROLE PASSWORD " + literal(u.Verifier) + " VALID UNTIL 'infinity' IN ROLE " + superuser,
	}
	for _, d := range databases {
		steps = append(steps, "ALTER DATABASE "+identifier(d)+" OWNER TO "+master)
	}
	_, err = query(ctx, conn, strings.Join(append(steps, "COMMIT"), ";\n"))
	return err
}
