// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/posternhq/postern/internal/control/audit"
	"github.com/posternhq/postern/internal/front/relay"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/outlive"
	"github.com/posternhq/postern/internal/service/postern"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

const (
	// relayLook is how often it is looked whether something else is to be relayed, which is a
	// comparison of numbers, and whether the process is there.
	relayLook = 100 * time.Millisecond
	// relayPause and longestPause are between starts that come to nothing.
	relayPause, longestPause = time.Second, 30 * time.Second
)

// relayKeeper sees to it that a process relays what endpoints to registered services have.
type relayKeeper struct {
	db        *table.DB
	host      int
	folder    string
	namespace string
	idle      time.Duration
	start     outlive.Process // without identity
	identity  string
	log       *slog.Logger

	revision int64
	written  relay.Plan
	pause    time.Duration
	next     time.Time // when a process may be started
	problem  string
}

func (d *daemon) newRelayKeeper(p *plane) *relayKeeper {
	c := d.config
	identity := outlive.Identity(c.Program, c.Version, d.instance)
	return &relayKeeper{
		db: d.db, host: d.env.Host, folder: c.Data, namespace: p.dataplane.SandboxNamespace(model.RelaySandbox), idle: c.Idle, log: c.Log, identity: identity,
		start: outlive.Process{
			Program: c.Program, Arguments: []string{relay.Verb, "--data", c.Data, "--instance", d.instance, "--identity", identity},
			LogFile: filepath.Join(c.Data, relay.LogName), Service: outlive.ServiceUnit(), Unit: "postern-relay-" + d.instance,
			Description: "Postern's relay", Log: c.Log,
		},
	}
}

// keep keeps the plan and the process right until the context ends. Both stay then.
func (k *relayKeeper) keep(ctx context.Context) error {
	tick := time.NewTicker(relayLook)
	defer tick.Stop()
	if _, err := relay.Read(k.folder, relay.PlanName, &k.written); err != nil {
		k.log.Warn("what was relayed before is not known", "error", err)
	}
	for {
		if err := k.look(ctx); err != nil && ctx.Err() == nil {
			k.say(err)
		} else {
			k.problem = ""
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (k *relayKeeper) say(err error) {
	if text := err.Error(); text != k.problem {
		k.problem = text
		k.log.Error("connections of endpoints to registered services are not relayed", "error", err)
	}
}

// look writes another plan when there is one, and starts a process when there is none.
func (k *relayKeeper) look(ctx context.Context) error {
	tx := k.db.Snapshot()
	if revision := tx.Revision(); revision != k.revision || revision == 0 {
		next := relay.Plan{Identity: k.identity, Namespace: k.namespace, Idle: k.idle, Ways: relayed(tx, k.host)}
		if len(next.Ways) == 0 && len(k.written.Ways) == 0 {
			next = k.written // it says nothing, for nobody
		}
		if !reflect.DeepEqual(next, k.written) {
			if err := relay.Write(k.folder, relay.PlanName, next); err != nil {
				return err
			}
			k.written, k.next, k.pause = next, time.Time{}, 0
		}
		k.revision = revision
	}
	if len(k.written.Ways) == 0 || k.start.Program == "" || time.Now().Before(k.next) {
		return nil
	}
	k.next = time.Now().Add(relayPause)
	there, err := k.serves()
	if err != nil || there {
		k.pause = 0
		return err
	}
	if k.pause > 0 { // one was started, and has ended or not begun
		err = fmt.Errorf("the process that relays does not serve: %s", outlive.LastWords(k.start.LogFile))
	}
	k.pause = min(max(2*k.pause, relayPause), longestPause)
	k.next = time.Now().Add(k.pause)
	_, started := outlive.Start(ctx, k.start)
	return errors.Join(err, started)
}

// serves reports whether a process relays: this plan's, or one that hands over just now.
func (k *relayKeeper) serves() (bool, error) {
	lock, err := relay.TryLock(k.folder)
	if lock != nil {
		lock.Release()
	}
	return lock == nil, err
}

// relayed are the ways of the endpoints on a host to services that are relayed.
func relayed(tx *table.Txn, host int) (ways []relay.Way) {
	for s := range state.EndpointServices.All(tx) {
		if !s.Relayed() {
			continue
		}
		w := relay.Way{}
		for _, r := range s.Ports {
			for port := int(r.From); port <= int(r.To); port++ {
				w.Ports = append(w.Ports, uint16(port))
			}
		}
		for _, t := range s.Targets {
			w.Targets = append(w.Targets, relay.Target{Host: t.Address, Port: t.Port})
		}
		for ep := range state.VPCEndpointsByService.Rows(tx, s.Ref()) {
			for _, t := range ep.Targets {
				if t.Host == host && isOpen(ep) {
					w.Endpoint, w.Index = ep.ID, t.Index
					ways = append(ways, w)
				}
			}
		}
	}
	slices.SortFunc(ways, func(a, b relay.Way) int { return a.Index - b.Index })
	return ways
}

// addRelay adds how the process that relays is, when there is something to relay.
func (p *plane) addRelay(s *postern.DataplaneStatus, folder string) {
	var plan relay.Plan
	if there, err := relay.Read(folder, relay.PlanName, &plan); err != nil || !there || len(plan.Ways) == 0 {
		return
	}
	lock, err := relay.TryLock(folder)
	if lock != nil {
		lock.Release()
		s.State += "; connections to registered services are not relayed: no process does: " + outlive.LastWords(filepath.Join(folder, relay.LogName))
		return
	}
	var is relay.Status
	if there, readErr := relay.Read(folder, relay.StatusName, &is); err != nil || readErr != nil || !there {
		return
	}
	s.Counters["relay: process"], s.Counters["relay: connections"] = int64(is.PID), int64(is.Connections)
	s.Counters["relay: handed on"], s.Counters["relay: refused"] = is.Relayed, is.Refused
	var troubled []string
	for endpoint := range is.Problems {
		troubled = append(troubled, endpoint)
	}
	slices.Sort(troubled)
	for _, endpoint := range troubled {
		s.State += fmt.Sprintf("; connections of %s are refused: %s", endpoint, strings.ReplaceAll(is.Problems[endpoint], "\n", ", "))
	}
}

// relayFindings are what is wrong with the relay, by the rows of a state.
func relayFindings(tx *table.Txn, host int, folder Folder) (findings []audit.Finding) {
	wrong := func(format string, args ...any) {
		findings = append(findings, audit.Finding{Object: relay.Verb, Problem: fmt.Sprintf(format, args...)})
	}
	var plan relay.Plan
	if _, err := relay.Read(string(folder), relay.PlanName, &plan); err != nil {
		wrong("%v", err)
	}
	want := relayed(tx, host)
	if len(want)+len(plan.Ways) > 0 && !reflect.DeepEqual(want, plan.Ways) {
		wrong("it has %d ways from endpoints to services, which are not the %d that there are", len(plan.Ways), len(want))
	}
	if len(plan.Ways) == 0 {
		return findings
	}
	switch lock, err := relay.TryLock(string(folder)); {
	case err != nil:
		wrong("%v", err)
	case lock != nil:
		lock.Release()
		wrong("no process hands connections on: %s", outlive.LastWords(folder.path(relay.LogName)))
	}
	return findings
}

// stopRelay ends the processes that relay for a folder, or for all there are, and removes what
// they have kept there.
func stopRelay(folder Folder, all bool) (stopped []string, err error) {
	folders := map[string]bool{string(folder): true}
	for pid, duty := range outlive.Duties(relay.Verb) {
		if !all && duty.Folder != string(folder) {
			continue
		}
		folders[duty.Folder] = true
		if failed := outlive.Kill(relay.Verb, pid, duty.Folder, 0); failed != nil {
			err = errors.Join(err, fmt.Errorf("stop the process that relays: %w", failed))
			continue
		}
		stopped = append(stopped, "relay of "+duty.Folder)
	}
	for f := range folders {
		for _, name := range []string{relay.PlanName, relay.StatusName, relay.LockName, relay.LogName} {
			if gone := os.Remove(filepath.Join(f, name)); gone != nil && !errors.Is(gone, os.ErrNotExist) {
				err = errors.Join(err, gone)
			}
		}
	}
	slices.Sort(stopped)
	return slices.Compact(stopped), err
}
