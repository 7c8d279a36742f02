// SPDX-License-Identifier: Apache-2.0

package rds

import (
	"crypto/sha256"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/posternhq/postern/internal/aws/fault"
	"github.com/posternhq/postern/internal/engine"
	"github.com/posternhq/postern/internal/service"
)

// limits are what names and passwords of an engine can be:
// https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBInstance.html
type limits struct {
	user, name, password int
	users, names         []string // reserved ones
}

var limitsOf = map[string]limits{
	engine.DriverPostgres: {63, 63, 128,
		[]string{"admin", "rdsadmin", "rdsrepladmin", "rds_superuser", "rds_password", "rds_replication", "public", "none", "user", "current_user", "session_user"},
		[]string{"db", "rdsadmin", "template0", "template1"}},
	engine.DriverMariaDB: {16, 64, 41,
		[]string{"rdsadmin", "rdsrepladmin", "root", "mysql", "mariadb.sys", "public"},
		[]string{"mysql", "information_schema", "performance_schema", "sys", "innodb", "test", "tmp"}},
}

var (
	userForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*$`)
	nameForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

func checkUser(driver, user string) error {
	l := limitsOf[driver]
	switch {
	case user == "":
		return missing("MasterUsername")
	case !userForm.MatchString(user) || len(user) > l.user:
		return invalid("The parameter MasterUsername is not valid: it must begin with a letter, have letters, digits and underscores only, and at most %d characters.", l.user)
	case slices.Contains(l.users, strings.ToLower(user)) || strings.HasPrefix(strings.ToLower(user), "pg_"):
		return invalid("MasterUsername %s cannot be used as it is a reserved word used by the engine", user)
	}
	return nil
}

func checkName(driver, parameter, name string) error {
	l := limitsOf[driver]
	switch {
	case name == "":
		return nil
	case !nameForm.MatchString(name) || len(name) > l.name:
		return invalid("%s must begin with a letter and contain only alphanumeric characters and underscores, at most %d.", parameter, l.name)
	case slices.Contains(l.names, strings.ToLower(name)):
		return invalid("%s %s cannot be used as it is a reserved word for this engine", parameter, name)
	}
	return nil
}

func checkPassword(driver, password string) error {
	const parameter = "The parameter MasterUserPassword is not a valid password"
	most := limitsOf[driver].password
	switch {
	case password == "":
		return missing("MasterUserPassword")
	case len(password) < 8:
		return invalid("%s because it is shorter than 8 characters.", parameter)
	case len(password) > most:
		return invalid("%s because it is longer than %d characters.", parameter, most)
	case strings.ContainsFunc(password, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`/@"`, r) }):
		return invalid(`%s. Only printable ASCII characters besides '/', '@', '"', ' ' may be used.`, parameter)
	}
	return nil
}

func checkPort(port *int32, usual uint16) (uint16, error) {
	if port == nil {
		return usual, nil
	}
	if *port < 1150 || *port > 65535 {
		return 0, invalid("Invalid port %d: it must be between 1150 and 65535", *port)
	}
	return uint16(*port), nil
}

// checkEncryption lets databases be made with encrypted storage where the operator says that
// the storage is so.
func (a *API) checkEncryption(wanted *bool) error {
	if service.Value(wanted) && !a.EncryptedStorage {
		return fault.RDS("KMSKeyNotAccessibleFault", "StorageEncrypted: Postern has no keys to encrypt storage with. Leave it out, or have the operator vouch for storage that is encrypted below it (postern up --encrypted-databases)")
	}
	return nil
}

func checkRetention(days *int32, least int) (int, error) {
	switch n := int(service.Value(days)); {
	case days == nil:
		return 1, nil
	case n < least || n > 35:
		return 0, invalid("Invalid backup retention period: %d. Retention period must be between %d and 35", n, least)
	default:
		return n, nil
	}
}

func checkSupport(text *string) error {
	if v := service.Value(text); v != "" && v != "open-source-rds-extended-support" && v != "open-source-rds-extended-support-disabled" {
		return invalid("Invalid EngineLifecycleSupport: %s", v)
	}
	return nil
}

// Windows have at least half an hour. Nothing happens in them here: they are checked, and
// shown again.
const (
	dayMinutes  = 24 * 60
	leastWindow = 30
)

var (
	backupForm      = regexp.MustCompile(`^([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)$`)
	maintenanceForm = regexp.MustCompile(`^(mon|tue|wed|thu|fri|sat|sun):([01]\d|2[0-3]):([0-5]\d)-(mon|tue|wed|thu|fri|sat|sun):([01]\d|2[0-3]):([0-5]\d)$`)
	days            = []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}
)

// checkWindows reads the two windows of a database; what is not said is as it was, or
// for a new one chosen by its id.
func checkWindows(id, backup, maintenance string, newBackup, newMaintenance *string) (string, string, error) {
	chosen := sha256.Sum256([]byte(id))
	if backup == "" {
		backup = fmt.Sprintf("%02d:%02d-%02d:%02d", chosen[0]%12, 0, chosen[0]%12, 30)
	}
	if maintenance == "" {
		day, hour := days[int(chosen[1])%len(days)], 12+chosen[2]%12
		maintenance = fmt.Sprintf("%s:%02d:00-%s:%02d:30", day, hour, day, hour)
	}
	if newBackup != nil {
		backup = *newBackup
	}
	if newMaintenance != nil {
		maintenance = strings.ToLower(*newMaintenance)
	}
	b, m := backupForm.FindStringSubmatch(backup), maintenanceForm.FindStringSubmatch(maintenance)
	if b == nil {
		return "", "", invalid("Invalid backup window: %s. It must have the form hh24:mi-hh24:mi", backup)
	}
	if m == nil {
		return "", "", invalid("Invalid maintenance window: %s. It must have the form ddd:hh24:mi-ddd:hh24:mi", maintenance)
	}
	from, to := minutes("", b[1], b[2]), minutes("", b[3], b[4])
	if length := (to - from + dayMinutes) % dayMinutes; length < leastWindow {
		return "", "", invalid("The backup window must be at least %d minutes: %s", leastWindow, backup)
	}
	begin, end := minutes(m[1], m[2], m[3]), minutes(m[4], m[5], m[6])
	length := (end - begin + 7*dayMinutes) % (7 * dayMinutes)
	if length < leastWindow || length >= dayMinutes {
		return "", "", invalid("The maintenance window must be at least %d minutes, and less than 24 hours: %s", leastWindow, maintenance)
	}
	for day := range 9 { // from the day before the week until the one after it
		at := (day-1)*dayMinutes + from
		if at < begin+length && at+(to-from+dayMinutes)%dayMinutes > begin {
			return "", "", invalid("The backup window and maintenance window must not overlap: %s and %s", backup, maintenance)
		}
	}
	return backup, maintenance, nil
}

// minutes since the beginning of the day, or of the week when a day is named.
func minutes(day, hour, minute string) int {
	h, _ := strconv.Atoi(hour)
	m, _ := strconv.Atoi(minute)
	return max(slices.Index(days, day), 0)*dayMinutes + h*60 + m
}
