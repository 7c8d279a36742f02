// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// How long psql waits for a connection, in seconds: for one that comes, and for one
// that does not.
const (
	connectTimeout = 120
	silence        = 2
)

// asked is what became of a run of psql.
type asked struct {
	output string
	status int
	// took is how long psql ran, without what it took to make its network.
	took time.Duration
}

// workload is a program as a workload of the demo's Postern. Without an address it has one
// that is free.
func (d *demo) workload(subnet, group, address string, program ...string) *exec.Cmd {
	return d.command(d.config.Postern, runArguments(subnet, group, address, program...)...)
}

func runArguments(subnet, group, address string, program ...string) []string {
	args := []string{"run", "--subnet", subnet, "--security-group", group}
	if address != "" {
		args = append(args, "--private-ip", address)
	}
	return append(append(args, "--"), program...)
}

// showProgram shows a program as a workload.
func (d *demo) showProgram(subnet, group, address string, program ...string) {
	d.screen.command("postern " + strings.Join(runArguments(subnet, group, address, program...), " "))
}

// psqlCommand is psql in the consumer's network, with its time taken, and so many
// seconds to connect.
func (d *demo) psqlCommand(patience int, address string, port int, sql ...string) *exec.Cmd {
	program := append([]string{d.config.Self, "time", d.tools.psql}, psqlArguments(address, port)...)
	for _, s := range sql {
		program = append(program, "-c", s)
	}
	cmd := d.workload(d.world.consumer.subnet, d.world.clientGroup, d.world.client, program...)
	cmd.Env = append(cmd.Env, fmt.Sprintf("PGCONNECT_TIMEOUT=%d", patience), "LC_ALL=C")
	return cmd
}

func psqlArguments(address string, port int) []string {
	return []string{"-X", "-h", address, "-p", fmt.Sprint(port), "-U", "postgres"}
}

// showPsql shows psql as a workload, with settings in its environment.
func (d *demo) showPsql(address string, port int, sql string, settings ...string) {
	command := runArguments(d.world.consumer.subnet, d.world.clientGroup, d.world.client, slices.Concat([]string{"psql"}, psqlArguments(address, port), []string{"-c", quote(sql)})...)
	d.screen.command(strings.Join(slices.Concat(settings, []string{"postern"}, command), " "))
}

// psql shows a query and asks it.
func (d *demo) psql(ctx context.Context, patience int, address string, port int, sql string) (asked, error) {
	d.showPsql(address, port, sql)
	return askedOf(run(ctx, d.psqlCommand(patience, address, port, sql)))
}

// verifiedPsql is psql that goes on only when the server has a certificate of an authority
// for the name that it is asked by.
func (d *demo) verifiedPsql(ctx context.Context, authority, name, sql string) (asked, error) {
	settings := []string{"PGSSLMODE=verify-full", "PGSSLROOTCERT=" + authority}
	d.showPsql(name, databasePort, sql, settings...)
	cmd := d.psqlCommand(connectTimeout, name, databasePort, sql)
	cmd.Env = append(cmd.Env, settings...)
	return askedOf(run(ctx, cmd))
}

// askedOf reads what a run of psql has printed.
func askedOf(output string, status int, err error) (asked, error) {
	if err != nil {
		return asked{}, err
	}
	text, last := output, ""
	if i := strings.LastIndex(output, "took "); i >= 0 {
		text, last = output[:i], output[i:]
	}
	var took int64
	if _, err := fmt.Sscanf(last, tookLine, &took); err != nil {
		return asked{}, fmt.Errorf("run psql as a workload: status %d:\n%s", status, output)
	}
	return asked{strings.TrimRight(text, "\n"), status, time.Duration(took)}, nil
}

// refused says that there was an answer, and that it was no.
func (a asked) refused() error {
	switch {
	case a.status == 0:
		return fmt.Errorf("psql was answered, want it refused:\n%s", a.output)
	case !strings.Contains(a.output, "Connection refused"):
		return fmt.Errorf("psql was not refused but ended with:\n%s", a.output)
	}
	return nil
}

// unanswered says that there was no answer for as long as psql waited.
func (a asked) unanswered() error {
	switch {
	case a.status == 0:
		return fmt.Errorf("psql was answered, want silence:\n%s", a.output)
	case a.took < silence*time.Second/2, strings.Contains(a.output, "refused"):
		return fmt.Errorf("psql was not left waiting but ended after %s with:\n%s", a.took, a.output)
	}
	return nil
}

// row is the first row of what psql prints: the line after the dashes.
func row(output string) string {
	return strings.SplitN(after(after(output, "-+-")+"\n", "\n"), "\n", 2)[0]
}

// after is what follows the first occurrence of a mark; nothing without one.
func after(text, mark string) string {
	_, rest, _ := strings.Cut(text, mark)
	return rest
}
