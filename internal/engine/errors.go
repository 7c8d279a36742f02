// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"fmt"
)

// Errors that callers act on. Drivers and hosts wrap them.
var (
	// ErrExists says that there is data which would be overwritten.
	ErrExists = errors.New("there is a database already")
	// ErrNoData says that there is no data to start with.
	ErrNoData = errors.New("there is no database")
	// ErrRunning and ErrDown say that the server runs, or does not, where it must not.
	ErrRunning = errors.New("the server runs")
	ErrDown    = errors.New("the server does not run")
	// ErrRole says that a server writes where it must not, or does not where it must.
	ErrRole = errors.New("the server is in another role")
	// ErrHost says that no supervisor answers for the folder: nothing is known of the server
	// but that it ends with its supervisor.
	ErrHost = errors.New("no supervisor answers")
	// ErrTaken says that another process has the folder.
	ErrTaken = errors.New("another process has the folder")
	// ErrFull says that no space is left on the disk.
	ErrFull = errors.New("no space is left")
	// ErrForeign says that a server is of another database.
	ErrForeign = errors.New("the server is of another database")
)

// ParameterError says what is wrong with a parameter. RDS answers it as
// InvalidParameterValue, and shows a server that does not start for it as
// incompatible-parameters.
type ParameterError struct {
	Name, Value, Reason string
}

// Error implements error.
func (e *ParameterError) Error() string {
	if e.Value == "" {
		return fmt.Sprintf("parameter %s: %s", e.Name, e.Reason)
	}
	return fmt.Sprintf("parameter %s cannot be %q: %s", e.Name, e.Value, e.Reason)
}

// StartError says that a server ended before it answered.
type StartError struct {
	// Exit is how, Words the last lines of its log.
	Exit, Words string
	// Parameters says that it ended because of its settings.
	Parameters bool
}

// Error implements error.
func (e *StartError) Error() string {
	return fmt.Sprintf("the server ended before it answered: %s: %s", e.Exit, e.Words)
}
