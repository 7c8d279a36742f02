// SPDX-License-Identifier: Apache-2.0

// Package mariadb is the driver of MariaDB, from version 10.5 on: the first that can say
// where each of its settings comes from.
//
// AWS has no clusters of MariaDB, and a server can be the read replica of another one, which it
// follows by global identifiers of transactions. Nobody's commits wait for a replica, and a
// writer never becomes one. All settings are in conf, none in the data. A server
// comes up read-only, and is told to write when that is its role. Postern comes by the Unix
// socket only, as root, and the server's own programs as the server's user: MariaDB asks
// the system who is at the other end. Neither can come by the network.
package mariadb

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/posternhq/postern/internal/engine"
	"github.com/posternhq/postern/internal/engine/folder"
)

// oldest is the first major version that the driver knows.
const oldest = "10.5"

// errAlone refuses what is for clusters.
var errAlone = errors.New("MariaDB servers are in no cluster")

// Driver is the driver. Places are patterns of folders with the server's program; the
// account that servers run as is User.
type Driver struct {
	Places []string
	User   string
}

// New gives the driver for where distributions put MariaDB.
func New() Driver {
	return Driver{Places: []string{"/usr/sbin", "/usr/libexec", "/usr/local/mysql/bin", "/usr/local/mariadb/bin"}, User: "mysql"}
}

var _ engine.Driver = Driver{}

// Name implements engine.Driver.
func (Driver) Name() string { return engine.DriverMariaDB }

// Programs that are needed. Only the first one is surely where Places say.
const (
	programServer  = "mariadbd"
	programInstall = "mariadb-install-db"
	programBackup  = "mariabackup"
)

// programIn finds a program: beside the server's, or in the folder bin beside that.
func programIn(place, name string) (string, error) {
	path := filepath.Join(place, name)
	if _, err := os.Stat(path); err != nil {
		path = filepath.Join(filepath.Dir(place), "bin", name)
	}
	return exec.LookPath(path)
}

// versionTime bounds how long the program may take to say its version.
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
			return nil, fmt.Errorf("look for MariaDB in %s: %w", pattern, err)
		}
		for _, place := range places {
			version, err := versionIn(ctx, place)
			if err != nil {
				continue // not all programs are there, or they do not run here
			}
			parts := strings.SplitN(version, ".", 3)
			major := strings.Join(parts[:2], ".")
			known := slices.ContainsFunc(found, func(i engine.Installation) bool { return i.Major == major })
			if !known && engine.CompareVersions(major, oldest) >= 0 {
				found = append(found, engine.Installation{
					Driver: engine.DriverMariaDB, Version: version, Major: major, Programs: place, User: d.User, UID: uid, GID: gid,
				})
			}
		}
	}
	slices.SortFunc(found, func(a, b engine.Installation) int { return engine.CompareVersions(b.Version, a.Version) })
	return found, nil
}

// versionIn asks the server's program in a folder for its version, such as 10.11.6.
func versionIn(ctx context.Context, place string) (string, error) {
	for _, name := range []string{programServer, programInstall, programBackup} {
		if _, err := programIn(place, name); err != nil {
			return "", err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, versionTime)
	defer cancel()
	out, err := exec.CommandContext(ctx, filepath.Join(place, programServer), "--no-defaults", "--version").Output()
	if err != nil {
		return "", err
	}
	return versionOf(out)
}

// versionOf reads what the program says, such as
// mariadbd  Ver 10.11.6-MariaDB-0+deb12u1 for debian-linux-gnu on x86_64 (Debian 12).
func versionOf(said []byte) (string, error) {
	words := bytes.Fields(said)
	for i, w := range words {
		if string(w) != "Ver" || i+1 == len(words) {
			continue
		}
		version, rest, _ := strings.Cut(string(words[i+1]), "-")
		if strings.HasPrefix(rest, "MariaDB") && strings.Count(version, ".") == 2 && strings.Trim(version, "0123456789.") == "" {
			return version, nil
		}
	}
	return "", fmt.Errorf("it says that it is %q", said)
}

// Open implements engine.Driver.
func (Driver) Open(spec engine.Spec, host engine.Host) (engine.Server, error) {
	f, err := folder.Open(spec, host)
	if err != nil {
		return nil, err
	}
	return &server{Folder: f}, nil
}

// Verifier implements engine.Driver: what mysql_native_password checks with, the only way
// to log in that all clients of MySQL and MariaDB know. It has no salt
// (https://mariadb.com/kb/en/authentication-plugin-mysql_native_password/).
func (Driver) Verifier(password string) (string, error) {
	if password == "" || strings.ContainsFunc(password, func(r rune) bool { return r < ' ' || r > '~' }) {
		return "", errors.New("make a verifier: passwords have printable characters of ASCII only")
	}
	once := sha1.Sum([]byte(password))
	twice := sha1.Sum(once[:])
	return "*" + strings.ToUpper(hex.EncodeToString(twice[:])), nil
}

// Fits implements engine.Driver. That a replica has what its source has not, or needs what
// that has no more, is told by the source when it is asked: positions are of different
// moments.
func (Driver) Fits(replica, writer engine.History) engine.Fit {
	switch {
	case replica.Identity == "" || writer.Identity == "":
		return engine.FitUnknown
	case replica.Identity != writer.Identity:
		return engine.FitForeign
	case replica.Own:
		return engine.FitAhead
	}
	return engine.FitYes
}
