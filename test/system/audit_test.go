// SPDX-License-Identifier: Apache-2.0

package system

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/aws/shape/cloudtrail"
	"github.com/posternhq/postern/test/postern"
)

// created gives the VPCs of which the audit log has the creation, the newest first.
func created(p *postern.Postern) (ids []string) {
	in := &cloudtrail.LookupEventsInput{LookupAttributes: []cloudtrail.LookupAttribute{{AttributeKey: new("EventName"), AttributeValue: new("CreateVpc")}}}
	for {
		out := postern.Call[cloudtrail.LookupEventsOutput](p, cloudtrail.Service, "LookupEvents", in)
		for _, e := range out.Events {
			for _, r := range e.Resources {
				ids = append(ids, *r.ResourceName)
			}
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			return ids
		}
	}
}

// What was answered is in the audit log, also when the process is killed at once.
func TestWhatWasAskedSurvivesAKill(t *testing.T) {
	p := postern.Start(t)
	var want []string
	for range 3 {
		id, err := createVPC(p)
		if err != nil {
			t.Fatal(err)
		}
		want = append([]string{id}, want...)
		p.Kill()
		p.Up()
		if got := created(p); !slices.Equal(got, want) {
			t.Fatalf("the audit log has %v, want %v", got, want)
		}
	}
	files, err := filepath.Glob(filepath.Join(p.Data, "audit", "*", "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("files are %v, %v", files, err)
	}
	for _, file := range files {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", file, info.Mode(), err)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if credentials, err := os.ReadFile(filepath.Join(p.Data, "credentials.json")); err != nil || strings.Contains(string(text), secretIn(string(credentials))) {
			t.Errorf("%s has the secret: %v", file, err)
		}
	}
}

func secretIn(credentials string) string {
	_, rest, _ := strings.Cut(credentials, `"secretAccessKey": "`)
	secret, _, _ := strings.Cut(rest, `"`)
	return secret
}

// Without room nothing is recorded, which stops nobody and is said; with room it goes on.
func TestNoRoomForTheAuditLogIsSaid(t *testing.T) {
	dir := smallDisk(t, "160m")
	p := postern.StartOn(t, filepath.Join(dir, "data"))
	id, err := createVPC(p)
	if err != nil {
		t.Fatal(err)
	}
	filler := fill(t, dir)
	p.Await("status to say that nothing is recorded", func() (bool, error) { // each question is a request, too
		return strings.Contains(*p.Status().Hosts[0].State, "requests are not recorded"), nil
	})
	status := p.Status()
	if status.Counters["audit log: requests not recorded"] == 0 {
		t.Errorf("the counters are %v", status.Counters)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if got := created(p); !slices.Equal(got, []string{id}) {
		t.Errorf("the audit log has %v, want %s", got, id)
	}
	if state := *p.Status().Hosts[0].State; strings.Contains(state, "requests are not recorded") {
		t.Errorf("with room the state is %q", state)
	}
}
