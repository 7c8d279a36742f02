// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/posternhq/postern/internal/engine"
	"github.com/posternhq/postern/internal/engine/folder"
)

// Files of conf. The first one includes the others that end in .conf; each of these says in
// a setting of Postern's own which text it is, so that it can be told when the server has
// read it.
const (
	fileMain       = "postgresql.conf"
	fileUpstream   = "upstream.conf"
	fileDurability = "durability.conf"
	fileTLS        = "tls.conf"
	fileAccess     = "pg_hba.conf"
	filePeople     = "pg_ident.conf"
	filePassword   = "replication.pass"
)

// Files of tls. The certificate and its key are one file, which is replaced at once.
const (
	fileCertificate = "server.pem"
	fileAuthorities = "authorities.pem"
)

// parameterForceTLS is a parameter of users that is not PostgreSQL's.
const parameterForceTLS = "rds.force_ssl"

// Configure implements engine.Server.
func (s *server) Configure(ctx context.Context, c engine.Config) (change engine.Change, err error) {
	offer := engine.Offer{}
	for _, o := range engine.Offers() {
		if o.Driver == engine.DriverPostgres {
			offer = o
		}
	}
	if err := engine.CheckParameters(offer.Family(s.Spec.Major), c.Parameters); err != nil {
		return change, err
	}
	text := revised(fileMain, s.mainText(c))
	err = errors.Join(
		s.Write(engine.PartConf, filePeople, s.peopleText()),
		s.Write(engine.PartConf, fileAccess, accessText(c)),
		s.WriteSecret(filePassword, passwordText(c.Replication)),
		s.writeMissing(fileUpstream), s.writeMissing(fileDurability), s.writeMissing(fileTLS),
	)
	if err == nil {
		err = s.writeMain(ctx, text)
	}
	if err != nil {
		return change, fmt.Errorf("configure %s: %w", s.Spec.ID, err)
	}
	if change.Pending, err = s.reload(ctx, fileMain, text); err != nil {
		return change, fmt.Errorf("configure %s: %w", s.Spec.ID, err)
	}
	return change, nil
}

// writeMain writes the main file. A server that runs is asked what it thinks of it, before
// it reads it: with settings that it refuses it would not start again.
func (s *server) writeMain(ctx context.Context, text string) error {
	old, err := os.ReadFile(s.Part(engine.PartConf, fileMain))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if string(old) == text {
		return nil
	}
	if err := s.Write(engine.PartConf, fileMain, text); err != nil {
		return err
	}
	if p, err := s.Host.Process(ctx); err != nil || !p.Running || len(old) == 0 {
		return nil
	}
	var wrong []engine.ParameterError
	err = s.with(ctx, func(conn *pgconn.PgConn) error {
		// Another value of a setting that needs a restart is an error there, too, and so is, without
		// a name, that it is not there any more.
		return ask(ctx, conn, `SELECT coalesce(json_agg(json_build_object('Name', f.name, 'Value', f.setting, 'Reason', f.error)), '[]')
			FROM pg_file_settings f LEFT JOIN pg_settings s ON lower(s.name) = lower(f.name)
			WHERE f.error IS NOT NULL AND NOT (f.name IS NULL AND f.error LIKE '%cannot be changed without restarting%') AND (s.context IS DISTINCT FROM 'postmaster' OR f.error <> 'setting could not be applied')`, &wrong)
	})
	if err == nil && len(wrong) > 0 {
		err = &wrong[0]
	}
	if err != nil {
		return errors.Join(err, s.Write(engine.PartConf, fileMain, string(old)))
	}
	return nil
}

// SetCertificate implements engine.Server.
func (s *server) SetCertificate(ctx context.Context, c engine.Certificate) error {
	if _, err := tls.X509KeyPair(c.Chain, c.Key); err != nil {
		return fmt.Errorf("set the certificate of %s: %w", s.Spec.ID, err)
	}
	both := slices.Concat(c.Chain, []byte("\n"), c.Key)
	text := revised(fileTLS, "# "+sum(string(both)+string(c.Authorities))+"\n")
	err := errors.Join(
		s.Write(engine.PartTLS, fileAuthorities, string(c.Authorities)),
		s.Write(engine.PartTLS, fileCertificate, string(both)),
		s.Write(engine.PartConf, fileTLS, text),
	)
	if err == nil {
		_, err = s.reload(ctx, fileTLS, text)
	}
	if err != nil {
		return fmt.Errorf("set the certificate of %s: %w", s.Spec.ID, err)
	}
	return nil
}

// setting writes a line of a file of settings.
func setting(name, value string) string {
	return name + " = '" + strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(value) + "'\n"
}

// mainText is the main file: what others set, what users set, and what is Postern's. Of a
// setting that is there twice the last one counts.
func (s *server) mainText(c engine.Config) string {
	var b strings.Builder
	for _, d := range s.defaults(c) {
		b.WriteString(setting(d[0], d[1]))
	}
	fmt.Fprintf(&b, "include '%s'\n", fileDurability)
	for _, name := range slices.Sorted(maps.Keys(c.Parameters)) {
		if name != parameterForceTLS {
			b.WriteString(setting(name, c.Parameters[name]))
		}
	}
	for _, own := range s.own(c) {
		b.WriteString(setting(own[0], own[1]))
	}
	fmt.Fprintf(&b, "include '%s'\ninclude '%s'\n", fileUpstream, fileTLS)
	return b.String()
}

// defaults are settings that users may have otherwise.
func (s *server) defaults(c engine.Config) [][2]string {
	list := [][2]string{
		{"ssl_min_protocol_version", "TLSv1.2"},
		{"tcp_keepalives_idle", "60"}, {"tcp_keepalives_interval", "10"}, {"tcp_keepalives_count", "6"},
		{"checkpoint_completion_target", "0.9"}, {"log_checkpoints", "off"}, {"timezone", "UTC"}, {"log_timezone", "UTC"},
	}
	if m := c.Memory; m > 0 {
		// As of RDS' default group, with {DBInstanceClassMemory} in bytes.
		connections := min(max(m<<20/9531392, 25), 5000)
		list = append(list,
			[2]string{"shared_buffers", fmt.Sprintf("%dMB", max(m/4, 16))}, [2]string{"effective_cache_size", fmt.Sprintf("%dMB", max(m/2, 16))},
			[2]string{"max_connections", fmt.Sprint(connections)})
	}
	return list
}

// own are settings that are not users' to make.
func (s *server) own(c engine.Config) [][2]string {
	path := s.Host.Path
	return [][2]string{
		{"listen_addresses", c.Addr.String()}, {"port", fmt.Sprint(c.Port)},
		{"unix_socket_directories", path(engine.PartRun)}, {"unix_socket_permissions", "0700"},
		{"hba_file", path(engine.PartConf, fileAccess)}, {"ident_file", path(engine.PartConf, filePeople)},
		{"ssl", "on"}, {"ssl_cert_file", path(engine.PartTLS, fileCertificate)}, {"ssl_key_file", path(engine.PartTLS, fileCertificate)},
		{"password_encryption", "scram-sha-256"}, {"cluster_name", s.Spec.ID},
		{"logging_collector", "off"}, {"log_destination", "stderr"}, {"log_line_prefix", "%m [%p] %q%u@%d "},
		{"wal_level", "replica"}, {"hot_standby", "on"}, {"max_wal_senders", "40"}, {"max_replication_slots", "40"},
		// A replica that is gone must not fill the disk; one that is away for a moment must not
		// have to be copied again.
		{"wal_keep_size", "128MB"}, {"max_slot_wal_keep_size", "1GB"},
		{"wal_sender_timeout", "10s"}, {"wal_receiver_timeout", "10s"}, {"wal_receiver_status_interval", "1s"},
		// A promotion may wait for it; a replica that cannot follow writes a line to its log each time.
		{"wal_retrieve_retry_interval", "500ms"},
		// Whether a server that crashed starts again is the supervisor's to know.
		{"restart_after_crash", "off"},
		{"fsync", "on"}, {"full_page_writes", "on"}, {"archive_mode", "off"},
	}
}

// accessText says who may come, and how: the superuser by the socket, members to
// replicate, nobody else to what is Postern's own, and everybody with a password, over TLS where that is forced, as it is on
// RDS from version 15 on.
func accessText(c engine.Config) string {
	var b strings.Builder
	line := func(words ...string) { b.WriteString(strings.Join(words, " ") + "\n") }
	line("local", "all,replication", admin, "peer", "map=postern")
	line("local", "all,replication", "all", "reject")
	for _, m := range c.Members {
		line("hostssl", admin+",replication", replication, netipPrefix(m), "scram-sha-256")
	}
	line("host", "all,replication", admin+","+replication, "all", "reject")
	line("host", admin, "all", "all", "reject")
	line("host", "replication", "all", "all", "reject")
	if c.Parameters[parameterForceTLS] != "0" {
		line("hostnossl", "all", "all", "all", "reject")
	}
	line("host", "all", "all", "all", "scram-sha-256")
	return b.String()
}

func netipPrefix(m engine.Peer) string { return fmt.Sprintf("%s/%d", m.Addr, m.Addr.BitLen()) }

// peopleText says who is the superuser by the socket: root, and who the server runs as.
func (s *server) peopleText() string {
	return fmt.Sprintf("postern root %[1]s\npostern \"%[2]s\" %[1]s\n", admin, s.Spec.User)
}

// passwordText is libpq's file of passwords.
func passwordText(password string) string {
	return "*:*:*:" + replication + ":" + strings.NewReplacer(`\`, `\\`, `:`, `\:`).Replace(password) + "\n"
}

// conninfo says how to come to another member. Its name is in its certificate and needs no
// resolver.
func (s *server) conninfo(p engine.Peer) string {
	var b strings.Builder
	for _, v := range [][2]string{
		{"host", p.Name}, {"hostaddr", p.Addr.String()}, {"port", fmt.Sprint(p.Port)}, {"user", replication},
		{"passfile", s.Host.Path(engine.PartConf, filePassword)}, {"application_name", s.Spec.ID},
		{"sslmode", "verify-full"}, {"sslrootcert", s.Host.Path(engine.PartTLS, fileAuthorities)}, {"gssencmode", "disable"},
		{"connect_timeout", "5"}, {"keepalives_idle", "5"}, {"keepalives_interval", "2"}, {"keepalives_count", "3"}, {"tcp_user_timeout", "10000"},
	} {
		fmt.Fprintf(&b, "%s='%s' ", v[0], strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(v[1]))
	}
	return strings.TrimSpace(b.String())
}

// upstreamText says whom a replica follows.
func (s *server) upstreamText(of *engine.Peer) string {
	if of == nil {
		return setting("primary_conninfo", "") + setting("primary_slot_name", "") + setting("postern.upstream", "")
	}
	return setting("primary_conninfo", s.conninfo(*of)) + setting("primary_slot_name", slotOf(s.Spec.ID)) + setting("postern.upstream", of.ID)
}

// slotOf is the name of the replication slot of a member: PostgreSQL allows lower-case
// letters, digits and underscores.
func slotOf(id string) string {
	return "postern_" + strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToLower(id))
}

// revision is the setting by which a file says which text it is.
func revision(file string) string { return "postern.text_of_" + strings.TrimSuffix(file, ".conf") }

// revised adds to a text of settings which one it is.
func revised(file, text string) string { return text + setting(revision(file), sum(text)) }

func sum(text string) string {
	h := sha256.Sum256([]byte(text))
	return hex.EncodeToString(h[:8])
}

// revisionOf finds it again.
func revisionOf(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	_, value, _ := strings.Cut(lines[len(lines)-1], " = ")
	return strings.Trim(value, "'")
}

// reload has a server that runs read its settings, waits until it has read a file, and
// gives the parameters that wait for a restart. A server that does not run reads them when
// it starts. New connections have what the first process has read, so they tell.
func (s *server) reload(ctx context.Context, file, text string) (pending []string, err error) {
	p, err := s.Host.Process(ctx)
	if err != nil || !p.Running {
		if errors.Is(err, engine.ErrHost) {
			err = nil
		}
		return nil, err
	}
	for told := false; ; {
		var read struct {
			Revision string
			Pending  []string
		}
		err := s.with(ctx, func(conn *pgconn.PgConn) error {
			if !told {
				if _, err := query(ctx, conn, "SELECT pg_reload_conf()"); err != nil {
					return err
				}
				told = true
			}
			return ask(ctx, conn, `SELECT json_build_object('Revision', current_setting(`+literal(revision(file))+`, true),
				'Pending', (SELECT coalesce(json_agg(name ORDER BY name), '[]') FROM pg_settings WHERE pending_restart))`, &read)
		})
		if err == nil && read.Revision == revisionOf(text) {
			return read.Pending, nil
		}
		if err != nil && !notYet(err) {
			return nil, fmt.Errorf("reload the settings: %w", err)
		}
		if err := folder.Pause(ctx, 10*time.Millisecond); err != nil {
			return nil, fmt.Errorf("reload the settings: %w", err)
		}
	}
}

// writeMissing makes a file of settings that is not there.
func (s *server) writeMissing(name string) error {
	if _, err := os.Stat(s.Part(engine.PartConf, name)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	text := ""
	if name == fileUpstream {
		text = s.upstreamText(nil)
	}
	return s.Write(engine.PartConf, name, revised(name, text))
}
