// SPDX-License-Identifier: Apache-2.0

// Package postgres is the driver of PostgreSQL, from version 13 on: the first whose
// replicas change whom they follow without a restart.
//
// What is a cluster in PostgreSQL's words, a server with its data, is a server here.
// Settings are outside of the data, in conf, so that a copy of another server's data never
// brings its settings. The superuser rdsadmin comes by the Unix socket only, as root or as
// the server's own user; users of a database are never superusers.
package postgres

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/posternhq/postern/internal/engine"
	"github.com/posternhq/postern/internal/engine/folder"
)

// Accounts and names that are Postern's, as they are on RDS
// (https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Appendix.PostgreSQL.CommonDBATasks.Roles.html).
const (
	admin       = "rdsadmin"      // the superuser, and a database that users cannot come to
	replication = "rdsrepladmin"  // as whom members replicate
	superuser   = "rds_superuser" // what masters are members of
)

// oldest is the first major version that the driver knows.
const oldest = "13"

// Driver is the driver. Places are patterns of folders with programs; the account that
// servers run as is User.
type Driver struct {
	Places []string
	User   string
}

// New gives the driver for where distributions put PostgreSQL.
func New() Driver {
	return Driver{
		Places: []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql/bin"},
		User:   "postgres",
	}
}

var _ engine.Driver = Driver{}

// Name implements engine.Driver.
func (Driver) Name() string { return engine.DriverPostgres }

// programs are those that are needed.
var programs = []string{"postgres", "initdb", "pg_basebackup", "pg_rewind", "pg_controldata"}

// versionTime bounds how long a program may take to say its version.
const versionTime = 10 * time.Second

// Discover implements engine.Driver. Of a major version that is there twice the first one
// found counts.
func (d Driver) Discover(ctx context.Context) (found []engine.Installation, err error) {
	uid, gid, known, err := folder.Account(d.User)
	if err != nil || !known {
		return nil, err
	}
	for _, pattern := range d.Places {
		places, err := filepath.Glob(pattern)
		if err != nil {
			return nil, fmt.Errorf("look for PostgreSQL in %s: %w", pattern, err)
		}
		for _, place := range places {
			version, err := versionIn(ctx, place)
			if err != nil {
				continue // not all programs are there, or they do not run here
			}
			major, _, _ := strings.Cut(version, ".")
			known := slices.ContainsFunc(found, func(i engine.Installation) bool { return i.Major == major })
			if !known && engine.CompareVersions(major, oldest) >= 0 {
				found = append(found, engine.Installation{
					Driver: engine.DriverPostgres, Version: version, Major: major, Programs: place,
					User: d.User, UID: uid, GID: gid,
				})
			}
		}
	}
	slices.SortFunc(found, func(a, b engine.Installation) int { return engine.CompareVersions(b.Version, a.Version) })
	return found, nil
}

// versionIn asks the server's program in a folder for its version, such as 15.4.
func versionIn(ctx context.Context, place string) (string, error) {
	for _, name := range programs {
		if _, err := exec.LookPath(filepath.Join(place, name)); err != nil {
			return "", err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, versionTime)
	defer cancel()
	out, err := exec.CommandContext(ctx, filepath.Join(place, "postgres"), "--version").Output()
	if err != nil {
		return "", err
	}
	// postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)
	words := bytes.Fields(out)
	if len(words) < 3 || strings.Trim(string(words[2]), "0123456789.") != "" {
		return "", fmt.Errorf("%s says it is %q", place, out) // also of versions that are not released
	}
	return string(words[2]), nil
}

// Open implements engine.Driver.
func (Driver) Open(spec engine.Spec, host engine.Host) (engine.Server, error) {
	f, err := folder.Open(spec, host)
	if err != nil {
		return nil, err
	}
	return &server{Folder: f}, nil
}

// Rounds of the hash of a password, as PostgreSQL's own.
const rounds = 4096

// Verifier implements engine.Driver: SCRAM-SHA-256 (RFC 5803). Passwords are of printable
// ASCII, which SASLprep leaves as it is.
func (Driver) Verifier(password string) (string, error) {
	if password == "" || strings.ContainsFunc(password, func(r rune) bool { return r < ' ' || r > '~' }) {
		return "", errors.New("make a verifier: passwords have printable characters of ASCII only")
	}
	salt := make([]byte, 16)
	rand.Read(salt) // never fails
	return verifier(password, salt, rounds)
}

func verifier(password string, salt []byte, rounds int) (string, error) {
	salted, err := pbkdf2.Key(sha256.New, password, salt, rounds, sha256.Size)
	if err != nil {
		return "", fmt.Errorf("make a verifier: %w", err)
	}
	sum := func(text string) []byte {
		h := hmac.New(sha256.New, salted)
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	stored := sha256.Sum256(sum("Client Key"))
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", rounds, b64(salt), b64(stored[:]), b64(sum("Server Key"))), nil
}

// verifies reports whether a password is that of a verifier.
func verifies(v, password string) bool {
	var n int
	head, _, ok := strings.Cut(strings.TrimPrefix(v, "SCRAM-SHA-256$"), "$")
	count, text, ok2 := strings.Cut(head, ":")
	salt, err := base64.StdEncoding.DecodeString(text)
	n, err2 := strconv.Atoi(count)
	if !ok || !ok2 || err != nil || err2 != nil {
		return false
	}
	same, err := verifier(password, salt, n)
	return err == nil && hmac.Equal([]byte(same), []byte(v))
}
