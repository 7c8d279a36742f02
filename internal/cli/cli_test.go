// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/posternhq/postern/internal/aws/shape/postern"
)

// invoke runs a command line and gives what it said.
func invoke(t *testing.T, env map[string]string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = Main(Invocation{
		Context: t.Context(), Args: args, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs,
		Getenv: func(name string) string { return env[name] },
	})
	return status, out.String(), errs.String()
}

func TestHelpNamesEveryCommandForPeople(t *testing.T) {
	status, out, _ := invoke(t, nil, "--help")
	if status != 0 {
		t.Errorf("status is %d, want 0", status)
	}
	for _, name := range []string{"up", "env", "run", "attach", "detach", "account", "key", "reseal", "status", "desired", "doctor", "clean", "version", "completion"} {
		if !strings.Contains(out, "\n  "+name) {
			t.Errorf("help does not name %q:\n%s", name, out)
		}
	}
	if strings.Contains(out, "workload --") {
		t.Errorf("help names an inner command:\n%s", out)
	}
}

func TestWhatIsNotUnderstoodIsStatusTwo(t *testing.T) {
	for _, args := range [][]string{{"nonsense"}, {"up", "--nonsense"}, {"attach", "eni-1"}, {"attach", "eni-1", "--netns", "a", "--pid", "1"}, {"status", "-o", "xml"}} {
		status, _, stderr := invoke(t, nil, args...)
		if status != 2 || !strings.Contains(stderr, "postern") {
			t.Errorf("postern %v gives status %d and says %q, want 2 and a reason", args, status, stderr)
		}
	}
}

func TestWithoutARunningPosternTheCommandSaysHowToStartOne(t *testing.T) {
	for _, args := range [][]string{{"env"}, {"status"}, {"desired"}, {"detach", "eni-1"}, {"key", "list"}, {"account", "disable", "1"}} {
		status, _, stderr := invoke(t, map[string]string{}, append(args, "--data", t.TempDir())...)
		if status != 1 || !strings.Contains(stderr, "postern up") {
			t.Errorf("postern %v gives status %d and says %q, want 1 and how to start", args, status, stderr)
		}
	}
}

func TestCompletionScriptsAreAcceptedByBash(t *testing.T) {
	status, script, stderr := invoke(t, nil, "completion", "bash")
	if status != 0 {
		t.Fatalf("status %d: %s", status, stderr)
	}
	cmd := exec.Command("bash", "-c", script+`
COMP_WORDS=(postern account ""); COMP_CWORD=2; _postern; echo "${COMPREPLY[@]}"
COMP_WORDS=(postern st); COMP_CWORD=1; _postern; echo "${COMPREPLY[@]}"`)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	lines := strings.Split(string(out), "\n")
	if !strings.Contains(lines[0], "create") || strings.TrimSpace(lines[1]) != "status" {
		t.Errorf("completions are %q", lines)
	}
}

// Accounts other than the management account are told of their resources only:
// what they are not told of is left out, not shown as nothing.
func TestStatusLeavesOutWhatAnAccountMayNotSee(t *testing.T) {
	seen := &postern.GetStatusOutput{Version: new("1"), Resources: []postern.Resource{{Kind: new("vpc"), Id: new("vpc-1"), State: new("ready")}}}
	var out bytes.Buffer
	if err := printStatus(&out, seen); err != nil {
		t.Fatal(err)
	}
	if first, _, _ := strings.Cut(out.String(), "\n"); first != "postern 1" || strings.Contains(out.String(), "entries") || !strings.Contains(out.String(), "vpc-1") {
		t.Errorf("an account is shown\n%s", out.String())
	}
	seen.Instance, seen.DesiredEntries = new("abcde"), new(int64(3))
	out.Reset()
	if err := printStatus(&out, seen); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(out.String(), "postern 1, instance abcde\nentries: 3 wanted, 0 programmed, 0 in error\n") {
		t.Errorf("the management account is shown\n%s", out.String())
	}
}

// Peering connections are counted by state, and each has a line that says why it is not
// active.
func TestStatusCountsPeeringConnections(t *testing.T) {
	seen := &postern.GetStatusOutput{Version: new("1")}
	for i, state := range []string{"active", "failed", "active", "pending-acceptance"} {
		r := postern.Resource{Kind: new("vpc-peering-connection"), Id: new(fmt.Sprint("pcx-", i)), State: &state}
		if state != "active" {
			r.Reason = new("because")
		}
		seen.Resources = append(seen.Resources, r)
	}
	var out bytes.Buffer
	if err := printStatus(&out, seen); err != nil {
		t.Fatal(err)
	}
	want := `postern 1
VPC peering connections: 2 active, 1 failed, 1 pending-acceptance

KIND                    ID     NAME  STATE               REASON
vpc-peering-connection  pcx-0        active              
vpc-peering-connection  pcx-1        failed              because
vpc-peering-connection  pcx-2        active              
vpc-peering-connection  pcx-3        pending-acceptance  because
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

// A name is shown with who is asked for it, where it leads, how old that is, when it is
// looked up next, and what is wrong, on a line that a terminal can show. With --errors
// only those are of which something is wrong.
func TestStatusShowsWhereResourcesLead(t *testing.T) {
	ago := func(d time.Duration) *string { return new(time.Now().Add(-d).Format(time.RFC3339Nano)) }
	seen := &postern.GetStatusOutput{Version: new("1"), Names: []postern.FollowedName{
		{
			Name: new("db.example.com."), Vpc: new("vpc-1"), AnsweredAt: ago(12 * time.Second), NextAt: ago(-30 * time.Second), LeftOut: new(int64(3)),
			Addresses: []postern.FollowedAddress{{Address: new("10.0.1.10"), Used: new(true)}, {Address: new("10.0.1.11"), Used: new(false), Down: new("refused")}},
		},
		{Name: new("gone.example.com."), Vpc: new("vpc-1"), InVpc: new(true), Problem: new("no such name"), NextAt: ago(time.Second)},
		{Name: new("many.example.com."), Vpc: new("vpc-1"), InVpc: new(false), NextAt: ago(time.Second), LeftOut: new(int64(3))},
	}}
	for i := range 64 {
		seen.Names[2].Addresses = append(seen.Names[2].Addresses, postern.FollowedAddress{Address: new(fmt.Sprintf("10.0.1.%d", i+1)), Used: new(true)})
	}
	var out bytes.Buffer
	if err := printStatus(&out, seen); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	var got []string
	for _, line := range lines[len(lines)-3:] {
		got = append(got, strings.Join(strings.Fields(line), " "))
	}
	want := []string{
		"db.example.com. vpc-1 in public 10.0.1.10, 10.0.1.11 (down), and 3 more 12s ago in 30s",
		"gone.example.com. vpc-1 in the VPC none: connections are refused not since the start now no such name",
		"many.example.com. vpc-1 in public 10.0.1.1, 10.0.1.2, 10.0.1.3, 10.0.1.4, 10.0.1.5, 10.0.1.6, and 61 more not since the start now",
	}
	if !slices.Equal(got, want) {
		t.Errorf("names are shown as\n%s", strings.Join(lines, "\n"))
	}
	if left := failing(seen.Names); len(left) != 2 || *left[0].Name != "db.example.com." || *left[1].Name != "gone.example.com." {
		t.Errorf("in error are %+v", left)
	}
}

func TestErrorsAreOfCreationsUpdatesAndDeletions(t *testing.T) {
	var all []postern.Resource
	for _, state := range []string{"ready", "failed", "updating", "update-failed", "deleting", "deletion-failed", "pending"} {
		all = append(all, postern.Resource{State: &state})
	}
	var got []string
	for _, r := range inError(all) {
		got = append(got, *r.State)
	}
	if want := "failed update-failed deletion-failed"; strings.Join(got, " ") != want {
		t.Errorf("in error are %q, want %s", got, want)
	}
}

// Names are shown with their states; VPCs that resolve nothing of their own are not, and
// with --errors only what does not resolve.
func TestStatusShowsNames(t *testing.T) {
	all := []postern.Resolver{
		{Vpc: new("vpc-plain"), State: new("on")},
		{
			Vpc: new("vpc-1"), State: new("on"), Hint: new("it does not see"), Zones: []postern.ResolverZone{{Name: new("db.example.com")}, {Name: new("example.net")}},
			DhcpOptions: new("dopt-1"), DnsServers: []string{"10.0.0.53", "AmazonProvidedDNS"}, DnsSearch: []string{"example.net"},
			PrivateDomains: []postern.PrivateDomain{{Domain: new("db.example.com"), Endpoint: new("vpce-1"), State: new("used")}, {Domain: new("x.test"), Endpoint: new("vpce-2"), State: new("left-out"), Reason: new("taken")}},
			Names:          []postern.EndpointName{{Name: new("vpce-1.x"), Endpoint: new("vpce-1"), State: new("ready")}, {Name: new("vpce-2.x"), Endpoint: new("vpce-2"), State: new("failed"), Reason: new("busy")}},
		},
	}
	var out bytes.Buffer
	verifications := []postern.Verification{{Id: new("dv-1"), Domain: new("x.test"), State: new("VERIFICATION_TIMED_OUT"), Record: new("_a.x.test"), Value: new("v"), Problem: new("nothing")}}
	if err := printStatus(&out, &postern.GetStatusOutput{Resolvers: all, Verifications: verifications}); err != nil {
		t.Fatal(err)
	}
	want := `postern 

RESOLVER OF  STATE  HOSTED ZONES                NAMES  DHCP OPTIONS                                             HINT
vpc-1        on     db.example.com example.net  2      dopt-1: 10.0.0.53 AmazonProvidedDNS, search example.net  it does not see

NAME      ENDPOINT  VPC    STATE   REASON
vpce-1.x  vpce-1    vpc-1  ready   
vpce-2.x  vpce-2    vpc-1  failed  busy

PRIVATE DOMAIN  ENDPOINT  VPC    STATE     REASON
db.example.com  vpce-1    vpc-1  used      
x.test          vpce-2    vpc-1  left-out  taken

VERIFICATION  DOMAIN  STATE                   RECORD             LOOKED   NEXT LOOK  PROBLEM
dv-1          x.test  VERIFICATION_TIMED_OUT  _a.x.test TXT "v"  not yet  never      nothing
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
	left := wrong(all)
	if len(left) != 1 || len(left[0].Names) != 1 || len(left[0].PrivateDomains) != 1 || *left[0].Names[0].Name != "vpce-2.x" {
		t.Errorf("in error are %+v", left)
	}
}
