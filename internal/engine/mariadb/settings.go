// SPDX-License-Identifier: Apache-2.0

package mariadb

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/posternhq/postern/internal/engine"
)

// fileMain is the file of settings in engine.PartConf. What users can set comes before the
// mark in it, and what they cannot after, so that this counts.
const (
	fileMain = "mariadb.cnf"
	markOwn  = "# What follows is Postern's to set."
)

// Files of engine.PartTLS. The certificate and its key are one file, which is replaced at
// once.
const (
	fileCertificate = "server.pem"
	fileAuthorities = "authorities.pem"
)

// family is the one of the parameters.
func (s *server) family() string {
	for _, o := range engine.Offers() {
		if o.Driver == engine.DriverMariaDB {
			return o.Family(s.Spec.Major)
		}
	}
	return ""
}

// Configure implements engine.Server.
func (s *server) Configure(ctx context.Context, c engine.Config) (change engine.Change, err error) {
	if err := engine.CheckParameters(s.family(), c.Parameters); err != nil {
		return change, err
	}
	old, err := os.ReadFile(s.Part(engine.PartConf, fileMain))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return change, fmt.Errorf("configure %s: %w", s.Spec.ID, err)
	}
	if err := errors.Join(s.Write(engine.PartConf, fileMain, s.mainText(c)), s.writeReplication(c)); err != nil {
		return change, fmt.Errorf("configure %s: %w", s.Spec.ID, err)
	}
	p, err := s.Host.Process(ctx)
	if err != nil && !errors.Is(err, engine.ErrHost) {
		return change, fmt.Errorf("configure %s: %w", s.Spec.ID, err)
	}
	if !p.Running {
		return change, nil
	}
	err = s.with(ctx, func(conn *connection) (err error) {
		if err = s.apply(ctx, conn); err == nil {
			err = s.admit(ctx, conn)
		}
		if err == nil {
			change.Pending, err = s.waiting(ctx, conn)
		}
		return err
	})
	var wrong *engine.ParameterError
	if errors.As(err, &wrong) { // it would not start with them either
		err = errors.Join(err, s.Write(engine.PartConf, fileMain, string(old)))
	}
	if err != nil {
		return change, fmt.Errorf("configure %s: %w", s.Spec.ID, err)
	}
	return change, nil
}

// options are what variables are called in files, where that is otherwise.
var options = map[string]string{"time_zone": "default_time_zone", "tx_isolation": "transaction_isolation"}

// setting writes a line of a file of settings.
func setting(name, value string) string {
	return name + ` = "` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + "\"\n"
}

// mainText is the file of settings.
func (s *server) mainText(c engine.Config) string {
	users := map[string]string{"log_output": "TABLE"}
	if c.Memory > 0 {
		// As of RDS' default group, with {DBInstanceClassMemory} in bytes.
		bytes := uint64(c.Memory) << 20
		users["innodb_buffer_pool_size"] = fmt.Sprint(max(bytes*3/4, 8<<20) &^ (8<<20 - 1))
		users["max_connections"] = fmt.Sprint(min(max(bytes/25165760, 20), 12000))
	}
	maps.Copy(users, c.Parameters)
	var b strings.Builder
	b.WriteString("[mariadbd]\n")
	for _, name := range slices.Sorted(maps.Keys(users)) {
		b.WriteString(setting(cmp.Or(options[name], name), users[name]))
	}
	b.WriteString(markOwn + "\n")
	for _, own := range s.own(c) {
		b.WriteString(setting(own[0], own[1]))
	}
	return b.String()
}

// own are settings that are not users' to make.
func (s *server) own(c engine.Config) [][2]string {
	path := s.Host.Path
	return [][2]string{
		{"bind_address", c.Addr.String()}, {"port", fmt.Sprint(c.Port)}, {"skip_name_resolve", "ON"},
		{"socket", path(engine.PartRun, socketName)}, {"pid_file", path(engine.PartRun, "mariadb.pid")},
		{"tmpdir", path(engine.PartData, partTemporary)},
		{"ssl_cert", path(engine.PartTLS, fileCertificate)}, {"ssl_key", path(engine.PartTLS, fileCertificate)}, {"tls_version", "TLSv1.2,TLSv1.3"},
		// No statement reads or writes files of the host, and no table is elsewhere than the data.
		{"secure_file_priv", path(engine.PartData, partFiles)}, {"symbolic_links", "0"},
		{"slow_query_log_file", path(engine.PartLog, "slow.log")}, {"general_log_file", path(engine.PartLog, "general.log")},
		{"server_id", fmt.Sprint(serverID(s.Spec.ID))}, {"log_bin", logName}, {"log_slave_updates", "ON"}, {"relay_log", relayName}, {"slave_net_timeout", "10"},
		{"gtid_strict_mode", "ON"}, {"max_binlog_size", "134217728"}, {"binlog_expire_logs_seconds", "3600"},
		{"sync_binlog", "1"}, {"innodb_flush_log_at_trx_commit", "1"}, {"innodb_doublewrite", "ON"},
	}
}

// wanted reads the settings in the file that users can make.
func (s *server) wanted() (map[string]string, error) {
	text, err := os.ReadFile(s.Part(engine.PartConf, fileMain))
	if err != nil {
		return nil, err
	}
	users, _, _ := strings.Cut(string(text), markOwn)
	variables := map[string]string{}
	for name, option := range options {
		variables[option] = name
	}
	list := map[string]string{}
	for line := range strings.Lines(users) {
		name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), ` = "`)
		if ok {
			list[cmp.Or(variables[name], name)] = strings.NewReplacer(`\\`, `\`, `\"`, `"`).Replace(strings.TrimSuffix(value, `"`))
		}
	}
	return list, nil
}

// variable is a parameter as a server has it.
type variable struct {
	engine.Parameter
	value string
	// set says that it is otherwise than where nobody has set anything.
	set bool
	// block is what numbers are rounded to.
	block uint64
}

// has reports whether the server has a value that somebody wants. It rounds numbers down.
func (v variable) has(wanted string) bool {
	switch v.Type {
	case engine.TypeBoolean:
		return v.value == map[string]string{"0": "OFF", "1": "ON"}[wanted]
	case engine.TypeInteger:
		n, err := strconv.ParseInt(wanted, 10, 64)
		if err == nil && n > 0 && v.block > 1 {
			n -= n % int64(min(v.block, math.MaxInt64))
		}
		return err == nil && v.value == fmt.Sprint(n)
	case engine.TypeFloat:
		a, err := strconv.ParseFloat(wanted, 64)
		b, err2 := strconv.ParseFloat(v.value, 64)
		return err == nil && err2 == nil && a == b
	}
	return strings.EqualFold(v.value, wanted)
}

// variables gives the parameters as the server has them.
func (s *server) variables(ctx context.Context, c *connection) (list []variable, err error) {
	rows, err := c.QueryContext(ctx, `SELECT LOWER(VARIABLE_NAME), COALESCE(GLOBAL_VALUE, ''), GLOBAL_VALUE_ORIGIN IN ('CONFIG', 'SQL'), COALESCE(NUMERIC_BLOCK_SIZE, '0')
		FROM information_schema.SYSTEM_VARIABLES WHERE GLOBAL_VALUE IS NOT NULL`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	known := map[string]engine.Parameter{}
	for _, p := range engine.Parameters(s.family()) {
		known[p.Name] = p
	}
	for rows.Next() {
		var name string
		var v variable
		if err := rows.Scan(&name, &v.value, &v.set, &v.block); err != nil {
			return nil, err
		}
		if p, ok := known[name]; ok {
			v.Parameter = p
			list = append(list, v)
		}
	}
	return list, rows.Err()
}

// apply gives a running server what it can have without a restart.
func (s *server) apply(ctx context.Context, c *connection) error {
	wanted, err := s.wanted()
	if err != nil {
		return err
	}
	list, err := s.variables(ctx, c)
	if err != nil {
		return err
	}
	for _, v := range list {
		value, ok := wanted[v.Name]
		if v.Static || ok && v.has(value) || !ok && !v.set {
			continue
		}
		text := "DEFAULT"
		switch {
		case ok && (v.Type == engine.TypeString || v.Type == engine.TypeList):
			text = literal(value)
		case ok:
			text = value
		}
		if err := c.do(ctx, "SET GLOBAL "+identifier(v.Name)+" = "+text); err != nil {
			if codeOf(err) != 0 && ok {
				return &engine.ParameterError{Name: v.Name, Value: value, Reason: err.Error()}
			}
			return fmt.Errorf("set %s: %w", v.Name, err)
		}
	}
	return nil
}

// waiting gives the parameters that a restart is needed for.
func (s *server) waiting(ctx context.Context, c *connection) (names []string, err error) {
	wanted, err := s.wanted()
	if err != nil {
		return nil, err
	}
	list, err := s.variables(ctx, c)
	for _, v := range list {
		if value, ok := wanted[v.Name]; v.Static && (ok && !v.has(value) || !ok && v.set) {
			names = append(names, v.Name)
		}
	}
	slices.Sort(names)
	return names, err
}

// SetCertificate implements engine.Server.
func (s *server) SetCertificate(ctx context.Context, c engine.Certificate) error {
	_, err := tls.X509KeyPair(c.Chain, c.Key)
	if err == nil {
		err = errors.Join(
			s.Write(engine.PartTLS, fileAuthorities, string(c.Authorities)),
			s.Write(engine.PartTLS, fileCertificate, string(slices.Concat(c.Chain, []byte("\n"), c.Key))),
		)
	}
	if err == nil {
		err = s.show(ctx)
	}
	if err != nil {
		return fmt.Errorf("set the certificate of %s: %w", s.Spec.ID, err)
	}
	return nil
}

// show has a server that runs show the certificate to new connections. Another one reads it
// when it starts.
func (s *server) show(ctx context.Context) error {
	p, err := s.Host.Process(ctx)
	if err != nil || !p.Running {
		if errors.Is(err, engine.ErrHost) {
			err = nil
		}
		return err
	}
	return s.with(ctx, func(c *connection) error { return c.do(ctx, "FLUSH SSL") })
}
