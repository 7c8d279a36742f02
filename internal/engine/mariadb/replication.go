// SPDX-License-Identifier: Apache-2.0

package mariadb

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/posternhq/postern/internal/engine"
	"github.com/posternhq/postern/internal/engine/folder"
)

// replication is the account that read replicas log in as, of which a server has one for
// each address that a replica has.
const replication = "rdsrepladmin"

// relayName is that of the log of what a replica has received and not applied yet.
const relayName = "relay"

// Files of engine.PartConf: with what read replicas come, and from where; and whom the server
// follows itself.
const (
	fileReplication = "replication.json"
	fileUpstream    = "upstream.json"
)

// serverID is what tells a server from others in logs of changes.
func serverID(id string) uint32 {
	sum := sha256.Sum256([]byte(id))
	return max(binary.LittleEndian.Uint32(sum[:]), 1)
}

// admitted is what fileReplication says.
type admitted struct {
	Password string   `json:"password"`
	From     []string `json:"from,omitempty"`
}

func (s *server) writeReplication(c engine.Config) error {
	a := admitted{Password: c.Replication}
	for _, m := range c.Members {
		a.From = append(a.From, m.Addr.String())
	}
	slices.Sort(a.From)
	text, err := json.Marshal(a)
	if err != nil {
		return err
	}
	return s.WriteSecret(fileReplication, string(text))
}

func (s *server) readReplication() (a admitted, err error) {
	text, err := os.ReadFile(s.Part(engine.PartConf, fileReplication))
	if err == nil {
		err = json.Unmarshal(text, &a)
	}
	if err != nil {
		return a, fmt.Errorf("read who may replicate: %w", err)
	}
	return a, nil
}

// admit lets exactly those replicate that the settings say. Its accounts are no part of what
// replicas get: each server has its own.
func (s *server) admit(ctx context.Context, c *connection) error {
	a, err := s.readReplication()
	if err != nil {
		return err
	}
	password, err := Driver{}.Verifier(a.Password)
	if err != nil {
		return err
	}
	has, err := c.texts(ctx, "SELECT Host FROM mysql.global_priv WHERE User = "+literal(replication))
	if err != nil {
		return err
	}
	var steps []string
	for _, host := range has {
		if !slices.Contains(a.From, host) {
			steps = append(steps, "DROP USER "+literal(replication)+"@"+literal(host))
		}
	}
	for _, host := range a.From {
		account := literal(replication) + "@" + literal(host)
		if !slices.Contains(has, host) {
			steps = append(steps, "CREATE USER "+account)
		}
		steps = append(steps, "ALTER USER "+account+" IDENTIFIED BY PASSWORD "+literal(password)+" REQUIRE SSL", "GRANT REPLICATION SLAVE ON *.* TO "+account)
	}
	if len(steps) == 0 {
		return nil
	}
	steps = append(append([]string{"SET SESSION sql_log_bin = OFF"}, steps...), "SET SESSION sql_log_bin = ON")
	if err := c.do(ctx, steps...); err != nil {
		return fmt.Errorf("let read replicas in: %w", err)
	}
	return nil
}

// texts gives the first column of an answer.
func (c *connection) texts(ctx context.Context, query string) (list []string, err error) {
	rows, err := c.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		list = append(list, text)
	}
	return list, rows.Err()
}

// SetMembers implements engine.Server: a source keeps its log of changes for some time, and
// nothing in particular for one of its replicas.
func (s *server) SetMembers(ctx context.Context, _ []string) error {
	if err := s.with(ctx, func(c *connection) error { return s.admit(ctx, c) }); err != nil {
		return fmt.Errorf("tell %s of its read replicas: %w", s.Spec.ID, err)
	}
	return nil
}

// stream is how a replica gets on, as SHOW SLAVE STATUS has it
// (https://mariadb.com/kb/en/show-replica-status/); the zero value is of one that follows
// nobody.
type stream map[string]string

func (c *connection) stream(ctx context.Context) (stream, error) {
	rows, err := c.QueryContext(ctx, "SHOW SLAVE STATUS")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil || !rows.Next() {
		return nil, errors.Join(err, rows.Err())
	}
	values, to := make([]sql.NullString, len(names)), make([]any, len(names))
	for i := range values {
		to[i] = &values[i]
	}
	if err := rows.Scan(to...); err != nil {
		return nil, err
	}
	t := stream{}
	for i, name := range names {
		t[name] = values[i].String
	}
	return t, rows.Err()
}

func (t stream) at(p engine.Peer) bool {
	return t["Master_Host"] == p.Addr.String() && t["Master_Port"] == strconv.Itoa(int(p.Port))
}

// flows says that changes are received, and applied.
func (t stream) flows() bool { return t["Slave_IO_Running"] == "Yes" && t.applies() }

func (t stream) applies() bool { return t["Slave_SQL_Running"] == "Yes" }

// wrong is why it does not get on.
func (t stream) wrong() string {
	if text := t["Last_SQL_Error"]; text != "" {
		return text
	}
	return t["Last_IO_Error"]
}

func (t stream) lag() time.Duration {
	seconds, _ := strconv.ParseInt(t["Seconds_Behind_Master"], 10, 64) // none while it does not flow
	return time.Duration(seconds) * time.Second
}

// Follow implements engine.Server.
func (s *server) Follow(ctx context.Context, writer *engine.Peer) error {
	err := s.with(ctx, func(c *connection) error {
		if writer == nil {
			return c.do(ctx, "STOP SLAVE")
		}
		return s.follow(ctx, c, *writer)
	})
	if err != nil {
		return fmt.Errorf("have %s follow another one: %w", s.Spec.ID, err)
	}
	return nil
}

// follow has the server get its changes from another one. The certificate of that has its
// address, which is checked.
func (s *server) follow(ctx context.Context, c *connection, of engine.Peer) error {
	n, err := s.note()
	if err != nil {
		return err
	}
	if !n.Replica {
		return engine.ErrRole
	}
	t, err := c.stream(ctx)
	if err != nil || t.at(of) && t.flows() && n.Begin == "" {
		return err
	}
	a, err := s.readReplication()
	if err != nil {
		return err
	}
	if err := c.do(ctx, "STOP SLAVE"); err != nil {
		return err
	}
	if n.Begin != "" {
		begin := n.Begin
		if begin == fromTheBeginning {
			begin = ""
		}
		if err := c.do(ctx, "SET GLOBAL gtid_slave_pos = "+literal(begin)); err != nil {
			return err
		}
		n.Begin = ""
		if err := s.sign(s.Main(), n); err != nil {
			return err
		}
	}
	text, err := json.Marshal(of)
	if err == nil {
		err = s.Write(engine.PartConf, fileUpstream, string(text))
	}
	if err != nil {
		return err
	}
	return c.do(ctx, "CHANGE MASTER TO MASTER_HOST = "+literal(of.Addr.String())+fmt.Sprintf(", MASTER_PORT = %d", of.Port)+
		", MASTER_USER = "+literal(replication)+", MASTER_PASSWORD = "+literal(a.Password)+
		", MASTER_SSL = 1, MASTER_SSL_CA = "+literal(s.Host.Path(engine.PartTLS, fileAuthorities))+", MASTER_SSL_VERIFY_SERVER_CERT = 1"+
		", MASTER_USE_GTID = slave_pos, MASTER_CONNECT_RETRY = 1", "START SLAVE")
}

// upstream gives the id of whom a replica was told to follow, if it does.
func (s *server) upstream(t stream) string {
	var of engine.Peer
	text, err := os.ReadFile(s.Part(engine.PartConf, fileUpstream))
	if err != nil || json.Unmarshal(text, &of) != nil || !t.at(of) {
		return ""
	}
	return of.ID
}

// lead has the server write, and follow nobody.
func (s *server) lead(ctx context.Context, c *connection) error {
	t, err := c.stream(ctx)
	if err != nil {
		return err
	}
	if t != nil {
		if err := c.do(ctx, "STOP SLAVE", "RESET SLAVE ALL"); err != nil {
			return err
		}
	}
	return c.do(ctx, "SET GLOBAL read_only = OFF")
}

// Promote implements engine.Server. A replica applies what it has received before. That it is
// none any more is on the disk before it takes changes.
func (s *server) Promote(ctx context.Context) error {
	err := s.with(ctx, func(c *connection) error {
		n, err := s.note()
		if err != nil {
			return err
		}
		if n.Replica {
			if err := drain(ctx, c, n.Domain); err != nil {
				return err
			}
			n.Replica, n.Begin = false, ""
			if err := s.sign(s.Main(), n); err != nil {
				return err
			}
		}
		return s.lead(ctx, c)
	})
	if err != nil {
		return fmt.Errorf("promote %s: %w", s.Spec.ID, err)
	}
	return nil
}

// drain ends the receiving of changes and waits until those are applied that were received.
// What cannot be applied is not waited for.
func drain(ctx context.Context, c *connection, domain uint32) error {
	if err := c.do(ctx, "STOP SLAVE IO_THREAD"); err != nil {
		return err
	}
	for {
		t, err := c.stream(ctx)
		if err != nil {
			return err
		}
		applied, err := c.texts(ctx, "SELECT @@global.gtid_slave_pos")
		if err != nil {
			return err
		}
		received := positionOf(domain, strings.Split(t["Gtid_IO_Pos"], ","))
		if !t.applies() || !positionOf(domain, strings.Split(strings.Join(applied, ","), ",")).Before(received) {
			return c.do(ctx, "STOP SLAVE")
		}
		if err := folder.Pause(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
}

// fromTheBeginning is where a copy begins to follow that was taken before its source had
// any change.
const fromTheBeginning = "-"

// Adopt implements engine.Adopter.
func (s *server) Adopt(ctx context.Context, from string) error {
	if err := s.adopt(ctx, from); err != nil {
		return fmt.Errorf("make the data of %s a copy of another server's: %w", s.Spec.ID, folder.Full(err))
	}
	return nil
}

func (s *server) adopt(ctx context.Context, from string) error {
	next, err := s.Making(ctx)
	if err != nil {
		return err
	}
	var copied note
	text, err := os.ReadFile(filepath.Join(from, noteName))
	if err == nil {
		err = json.Unmarshal(text, &copied)
	}
	if err != nil {
		return fmt.Errorf("read what it is a copy of: %w", err)
	}
	begin, err := beginning(from, copied.Of)
	if err == nil {
		err = os.Rename(from, next)
	}
	if err == nil {
		err = forget(next)
	}
	if err == nil {
		err = s.sign(next, note{Domain: copied.Of, Major: copied.Major, Replica: true, Begin: begin})
	}
	if err != nil {
		return err
	}
	return s.Made()
}

// beginning reads up to which change a copy has all, from what mariabackup has written: the
// file of the log, the place in it, and the identifiers of transactions
// (https://mariadb.com/kb/en/files-created-by-mariadb-backup/).
func beginning(path string, domain uint32) (string, error) {
	for _, name := range []string{"xtrabackup_binlog_info", "mariadb_backup_binlog_info"} {
		text, err := os.ReadFile(filepath.Join(path, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		if words := strings.Fields(string(text)); len(words) > 2 {
			if p := positionOf(domain, strings.Split(words[2], ",")); p.Order > 0 {
				return p.Text, nil
			}
		}
		return fromTheBeginning, nil
	}
	return "", errors.New("the copy does not say up to where it goes")
}
