// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/posternhq/postern/internal/aws/shape/postern"
)

// printFollowed prints where the names lead that connections to resources go by.
func printFollowed(out io.Writer, names []postern.FollowedName) {
	if len(names) > 0 {
		fmt.Fprintln(out, "\nRESOURCE\tVPC\tASKED\tADDRESSES\tANSWERED\tNEXT LOOK-UP\tPROBLEM")
	}
	for _, n := range names {
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", text(n.Name), text(n.Vpc), askedOf(n), addressesOf(n), since(n.AnsweredAt), until(n.NextAt), text(or(n.Problem, n.Refused)))
	}
}

// failing leaves the names of which something is wrong: a look-up, or an address.
func failing(names []postern.FollowedName) []postern.FollowedName {
	return slices.DeleteFunc(names, func(n postern.FollowedName) bool {
		down := slices.ContainsFunc(n.Addresses, func(a postern.FollowedAddress) bool { return a.Down != nil })
		return n.Problem == nil && n.Refused == nil && len(n.Addresses) > 0 && !down
	})
}

// askedOf says who is asked for a name: one name can have other addresses in a VPC than
// it has in public.
func askedOf(n postern.FollowedName) string {
	if n.InVpc != nil && *n.InVpc {
		return "in the VPC"
	}
	return "in public"
}

// shown is how many addresses of a name fit on a line. All are in the JSON.
const shown = 6

// addressesOf lists the addresses of a name; those that nothing is sent to are marked.
func addressesOf(n postern.FollowedName) string {
	list := make([]string, 0, len(n.Addresses))
	for _, a := range n.Addresses[:min(len(n.Addresses), shown)] {
		word := text(a.Address)
		switch {
		case a.Down != nil && (a.Used == nil || !*a.Used):
			word += " (down)"
		case a.Used == nil || !*a.Used:
			word += " (spare)"
		case n.Through != nil:
			word += " (endpoint " + *n.Through + ")"
		}
		list = append(list, word)
	}
	if more := number(n.LeftOut) + int64(max(0, len(n.Addresses)-shown)); more > 0 {
		list = append(list, fmt.Sprintf("and %d more", more))
	}
	if len(list) == 0 {
		return "none: connections are refused"
	}
	return strings.Join(list, ", ")
}

// since says how long ago a moment was, and until how far off it is.
func since(moment *string) string {
	at, err := time.Parse(time.RFC3339Nano, text(moment))
	if err != nil {
		return "not since the start"
	}
	return time.Since(at).Round(time.Second).String() + " ago"
}

func until(moment *string) string {
	at, err := time.Parse(time.RFC3339Nano, text(moment))
	if err != nil || !at.After(time.Now()) {
		return "now"
	}
	return "in " + time.Until(at).Round(time.Second).String()
}

func or(a, b *string) *string {
	if a == nil {
		return b
	}
	return a
}
