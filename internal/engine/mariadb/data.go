// SPDX-License-Identifier: Apache-2.0

package mariadb

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/engine"
	"github.com/posternhq/postern/internal/engine/folder"
)

// noteName is a file in the data, by which they count as whole, and which says what the
// engine does not.
const noteName = "postern.json"

// note is what it says.
type note struct {
	// Domain is that of the database's transactions in their global identifiers. It is drawn
	// when a database is made, and so tells one from others.
	Domain uint32 `json:"domain"`
	Major  string `json:"major"`
	// Replica says that they are a read replica's, which took no changes of its own, and Begin
	// where it begins to follow its source; empty when it has begun.
	Replica bool   `json:"replica,omitempty"`
	Begin   string `json:"begin,omitempty"`
	// Of is in a copy the domain of the database that it is of.
	Of uint32 `json:"of,omitempty"`
}

func (n note) exists() bool { return n.Domain != 0 }

func (n note) identity() string { return fmt.Sprintf("%08x", n.Domain) }

// note reads the data's; it is empty where there are no whole data.
func (s *server) note() (n note, err error) {
	text, err := os.ReadFile(s.Main(noteName))
	if errors.Is(err, fs.ErrNotExist) {
		return n, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &n)
	}
	if err != nil {
		return n, fmt.Errorf("read whose data they are: %w", err)
	}
	return n, nil
}

// sign makes what is in a folder a database of its own, and has it on the disk.
func (s *server) sign(path string, n note) error {
	for n.Domain == 0 {
		var b [4]byte
		rand.Read(b[:]) // never fails
		n.Domain = binary.LittleEndian.Uint32(b[:])
	}
	text, err := json.Marshal(n)
	if err == nil {
		err = os.WriteFile(filepath.Join(path, noteName+".new"), text, 0o600)
	}
	if err == nil {
		err = os.Chown(filepath.Join(path, noteName+".new"), int(s.Spec.UID), int(s.Spec.GID))
	}
	if err == nil {
		err = os.Rename(filepath.Join(path, noteName+".new"), filepath.Join(path, noteName))
	}
	if err != nil {
		return err
	}
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	return unix.Syncfs(int(dir.Fd()))
}

// Inspect implements engine.Server.
func (s *server) Inspect(context.Context) (d engine.Data, err error) {
	n, err := s.note()
	if err != nil || !n.exists() {
		return d, err
	}
	d.Exists, d.Major, d.Writer, d.Own = true, n.Major, !n.Replica, !n.Replica
	d.Identity = n.identity()
	if d.Clean, err = s.clean(); err != nil {
		return d, fmt.Errorf("inspect %s: %w", s.Spec.ID, err)
	}
	if d.Clean {
		// The server writes there what its log has when it ends, and reads it when it starts.
		text, err := os.ReadFile(s.Main(logName + ".state"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return d, fmt.Errorf("inspect %s: %w", s.Spec.ID, err)
		}
		d.At = positionOf(n.Domain, strings.Fields(string(text)))
	}
	return d, nil
}

// positionOf finds the last transaction of a domain among global identifiers such as
// 0-1-100: domain, server, number.
func positionOf(domain uint32, ids []string) (p engine.Position) {
	for _, id := range ids {
		parts := strings.Split(id, "-")
		if len(parts) != 3 || parts[0] != fmt.Sprint(domain) {
			continue
		}
		if n, err := strconv.ParseUint(parts[2], 10, 64); err == nil && n > p.Order {
			p = engine.Position{Order: n, Text: id}
		}
	}
	return p
}

// logName is that of the log of changes, to which numbers are added.
const logName = "binlog"

// clean reports whether the server ended in order: its last log of changes is then not
// marked as in use (https://mariadb.com/kb/en/2-binlog-event-header/).
func (s *server) clean() (bool, error) {
	index, err := os.ReadFile(s.Main(logName + ".index"))
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil // it never ran
	}
	if err != nil {
		return false, err
	}
	names := strings.Fields(string(index))
	if len(names) == 0 {
		return true, nil
	}
	file, err := os.Open(s.Main(filepath.Base(names[len(names)-1])))
	if err != nil {
		return false, err
	}
	defer file.Close()
	const magic, flags, inUse = 4, 17, 1
	var head [magic + flags + 2]byte
	if _, err := io.ReadFull(file, head[:]); err != nil {
		return false, nil // it was begun and not finished
	}
	return binary.LittleEndian.Uint16(head[magic+flags:])&inUse == 0, nil
}

// Init implements engine.Server.
func (s *server) Init(ctx context.Context) error {
	n, err := s.note()
	if err == nil && n.exists() {
		err = engine.ErrExists
	}
	if err == nil {
		err = s.init(ctx)
	}
	if err != nil {
		return fmt.Errorf("make the database of %s: %w", s.Spec.ID, folder.Full(err))
	}
	return nil
}

// foundation leaves no accounts but those that nobody can use by the network: MariaDB's own
// for its views, root, and that of the server's own programs. A statement is a line there.
func foundation(user string) string {
	lines := []string{
		"DELETE FROM mysql.global_priv WHERE User <> 'mariadb.sys';",
		"DELETE FROM mysql.db;",
		"DELETE FROM mysql.proxies_priv;",
	}
	for _, name := range []string{"root", user} {
		lines = append(lines, "INSERT INTO mysql.global_priv VALUES ('localhost', "+literal(name)+`, '{"access":18446744073709551615,"plugin":"unix_socket"}');`)
	}
	lines = append(lines,
		"CREATE TABLE "+tableDone+" (name VARCHAR(64) PRIMARY KEY, value VARCHAR(255)) ENGINE=InnoDB;")
	return strings.Join(lines, "\n") + "\n"
}

func (s *server) init(ctx context.Context) error {
	next, err := s.Making(ctx)
	if err != nil {
		return err
	}
	if err := errors.Join(os.Mkdir(next, 0o700), os.Chown(next, int(s.Spec.UID), int(s.Spec.GID))); err != nil {
		return err
	}
	inside := s.Host.Path(engine.PartData, folder.Next)
	c, err := s.command(programInstall, "--no-defaults", "--basedir="+filepath.Dir(s.Spec.Programs), "--datadir="+inside,
		"--skip-name-resolve", "--skip-test-db", "--auth-root-authentication-method=normal")
	if err == nil {
		err = s.Host.Run(ctx, c)
	}
	if err == nil {
		err = s.bootstrap(ctx, inside, foundation(s.Spec.User))
	}
	if err == nil {
		err = s.sign(next, note{Major: s.Spec.Major})
	}
	if err != nil {
		return err
	}
	return s.Made()
}

// bootstrap runs statements without a server.
func (s *server) bootstrap(ctx context.Context, data, sql string) error {
	c, err := s.command(programServer, "--no-defaults", "--bootstrap", "--datadir="+data, "--tmpdir="+data, "--silent-startup", "--wsrep-on=OFF")
	if err != nil {
		return err
	}
	var said bytes.Buffer
	c.Input, c.Errors = []byte(sql), &said
	if err := s.Host.Run(ctx, c); err != nil {
		return fmt.Errorf("%w: %s", err, last(said.String()))
	}
	return nil
}

// last gives the last lines of a text.
func last(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], "\n")
}
