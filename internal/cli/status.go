// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/posternhq/postern/internal/aws/shape/postern"
	"github.com/posternhq/postern/internal/daemon"
)

type statusCommand struct {
	location
	Output string `short:"o" help:"Form of the answer: text or json." default:"text" enum:"text,json"`
	Errors bool   `help:"Show only what is in error."`
}

func (c *statusCommand) Run(in *Invocation) error {
	t, err := c.find(in)
	if err != nil {
		return err
	}
	var out postern.GetStatusOutput
	if err := t.client().Do(in.Context, postern.Service, "GetStatus", &postern.GetStatusInput{}, &out); err != nil {
		return err
	}
	if c.Errors {
		out.Resources, out.Resolvers = inError(out.Resources), wrong(out.Resolvers)
		out.Names = failing(out.Names)
		out.Verifications = slices.DeleteFunc(out.Verifications, func(v postern.Verification) bool { return v.Problem == nil })
	}
	if c.Output == "json" {
		return printJSON(in.Stdout, out)
	}
	return printStatus(in.Stdout, &out)
}

func printJSON(w io.Writer, value any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(value)
}

// inError leaves those whose creation, update or deletion failed.
func inError(resources []postern.Resource) []postern.Resource {
	return slices.DeleteFunc(resources, func(r postern.Resource) bool {
		state := text(r.State)
		return !strings.HasSuffix(state, "failed") && !strings.HasPrefix(state, "incompatible-") && state != "storage-full" // the latter are of databases
	})
}

// wrong leaves the resolvers with hints, and of names and private domains those that do
// not resolve.
func wrong(all []postern.Resolver) []postern.Resolver {
	for i := range all {
		all[i].Names = slices.DeleteFunc(all[i].Names, func(n postern.EndpointName) bool { return text(n.State) != "failed" })
		all[i].PrivateDomains = slices.DeleteFunc(all[i].PrivateDomains, func(d postern.PrivateDomain) bool { return d.Reason == nil })
	}
	return slices.DeleteFunc(all, func(r postern.Resolver) bool {
		return r.Hint == nil && len(r.Names) == 0 && len(r.PrivateDomains) == 0
	})
}

func printStatus(w io.Writer, s *postern.GetStatusOutput) error {
	out := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintf(out, "postern %s", text(s.Version))
	if s.Instance != nil { // only the management account sees the hosts
		fmt.Fprintf(out, ", instance %s", *s.Instance)
	}
	fmt.Fprintln(out)
	for _, h := range s.Hosts {
		fmt.Fprintf(out, "host %s: %s, zones %s\n", text(h.Name), text(h.State), strings.Join(h.Zones, " "))
	}
	if s.DesiredEntries != nil {
		fmt.Fprintf(out, "entries: %d wanted, %d programmed, %d in error\n", number(s.DesiredEntries), number(s.ProgrammedEntries), number(s.FailedEntries))
	}
	for _, name := range slices.Sorted(maps.Keys(s.Counters)) {
		fmt.Fprintf(out, "%s: %v\n", name, s.Counters[name])
	}
	printPeerings(out, s.Resources)
	if len(s.Shares) > 0 {
		fmt.Fprintln(out, "\nSHARE\tOF\tUSED\tLIMIT\tREFUSED\tMOST OF IT")
	}
	for _, r := range s.Shares {
		fmt.Fprintf(out, "%s\t%s\t%s\t%d\t%d\t%s\n", text(r.Of), text(r.Vpc), used(r), number(r.Limit), number(r.Refused), text(r.Holder))
	}
	printResolvers(out, s.Resolvers)
	printPrivate(out, s.Resolvers)
	printVerifications(out, s.Verifications)
	printFollowed(out, s.Names)
	if len(s.Resources) > 0 {
		fmt.Fprintln(out, "\nKIND\tID\tNAME\tSTATE\tREASON")
	}
	for _, r := range s.Resources {
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\n", text(r.Kind), text(r.Id), text(r.Name), text(r.State), text(r.Reason))
	}
	return out.Flush()
}

// printPeerings counts the VPC peering connections by state, if there are any.
func printPeerings(out io.Writer, all []postern.Resource) {
	count := map[string]int{}
	for _, r := range all {
		if text(r.Kind) == "vpc-peering-connection" {
			count[text(r.State)]++
		}
	}
	var parts []string
	for _, state := range slices.Sorted(maps.Keys(count)) {
		parts = append(parts, fmt.Sprintf("%d %s", count[state], state))
	}
	if len(parts) > 0 {
		fmt.Fprintln(out, "VPC peering connections: "+strings.Join(parts, ", "))
	}
}

// printResolvers prints what VPCs resolve: those with something to say of them, and the
// names of their endpoints.
func printResolvers(out io.Writer, all []postern.Resolver) {
	head := func(text string, shown bool) bool {
		if !shown {
			fmt.Fprintln(out, text)
		}
		return true
	}
	resolvers, names := false, false
	for _, r := range all {
		if len(r.Zones) == 0 && len(r.Names) == 0 && text(r.Hint) == "" && ownResolver(r) {
			continue
		}
		resolvers = head("\nRESOLVER OF\tSTATE\tHOSTED ZONES\tNAMES\tDHCP OPTIONS\tHINT", resolvers)
		zones := make([]string, len(r.Zones))
		for i, z := range r.Zones {
			zones[i] = text(z.Name)
		}
		fmt.Fprintf(out, "%s\t%s\t%s\t%d\t%s\t%s\n", text(r.Vpc), text(r.State), orNone(strings.Join(zones, " ")), len(r.Names), optionsOf(r), text(r.Hint))
	}
	for _, r := range all {
		for _, n := range r.Names {
			names = head("\nNAME\tENDPOINT\tVPC\tSTATE\tREASON", names)
			fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\n", text(n.Name), text(n.Endpoint), text(r.Vpc), text(n.State), text(n.Reason))
		}
	}
}

func orNone(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// used says how full a share is, with a mark when that is worth a warning.
func used(s postern.Share) string {
	n, limit := number(s.Used), number(s.Limit)
	switch {
	case n == 0 || limit == 0:
		return "-"
	case n*10 >= limit*8:
		return fmt.Sprintf("%d (%d %%, nearly full)", n, 100*n/limit)
	}
	return fmt.Sprint(n)
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func number[T int32 | int64](n *T) T {
	if n == nil {
		return 0
	}
	return *n
}

type desiredCommand struct{ location }

// Run asks the running Postern; when none answers, the copy that the host keeps
// on disk tells what it goes on with.
func (c *desiredCommand) Run(in *Invocation) error {
	t, err := c.find(in)
	if err == nil {
		var out postern.GetDesiredOutput
		if err = t.client().Do(in.Context, postern.Service, "GetDesired", &postern.GetDesiredInput{}, &out); err == nil {
			_, err = io.WriteString(in.Stdout, text(out.Text))
			return err
		}
	}
	kept, fileErr := daemon.Folder(c.Data).Desired()
	if errors.Is(fileErr, fs.ErrNotExist) {
		return err
	}
	if fileErr != nil {
		return errors.Join(err, fileErr)
	}
	fmt.Fprintf(in.Stderr, "postern: no answer (%v); this is what the host was last told\n", err)
	_, err = io.WriteString(in.Stdout, kept)
	return err
}
