// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/aws/shape/postern"
)

// ownResolver reports whether workloads of a VPC are told its own resolver and nothing
// else, as in most VPCs, or nothing is known of it.
func ownResolver(r postern.Resolver) bool {
	return r.DhcpOptions == nil || slices.Equal(r.DnsServers, []string{"AmazonProvidedDNS"})
}

// optionsOf says what workloads of a VPC are told of name servers.
func optionsOf(r postern.Resolver) string {
	text := orNone(text(r.DhcpOptions))
	if len(r.DnsServers) > 0 {
		text += ": " + strings.Join(r.DnsServers, " ")
	}
	if len(r.DnsSearch) > 0 {
		text += ", search " + strings.Join(r.DnsSearch, " ")
	}
	return text
}

// printPrivate prints the domains by which endpoints lead to resources in their VPCs, and
// why one does not.
func printPrivate(out io.Writer, all []postern.Resolver) {
	shown := false
	for _, r := range all {
		for _, d := range r.PrivateDomains {
			if !shown {
				fmt.Fprintln(out, "\nPRIVATE DOMAIN\tENDPOINT\tVPC\tSTATE\tREASON")
			}
			shown = true
			fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\n", orNone(text(d.Domain)), text(d.Endpoint), text(r.Vpc), text(d.State), text(d.Reason))
		}
	}
}

// printVerifications prints the domains that accounts say are theirs, with what is missing
// and when it is looked for again.
func printVerifications(out io.Writer, all []postern.Verification) {
	if len(all) > 0 {
		fmt.Fprintln(out, "\nVERIFICATION\tDOMAIN\tSTATE\tRECORD\tLOOKED\tNEXT LOOK\tPROBLEM")
	}
	for _, v := range all {
		looked, next := "not yet", "never"
		if v.LookedAt != nil {
			looked = since(v.LookedAt)
		}
		if v.NextAt != nil {
			next = until(v.NextAt)
		}
		fmt.Fprintf(out, "%s\t%s\t%s\t%s TXT %q\t%s\t%s\t%s\n", text(v.Id), text(v.Domain), text(v.State), text(v.Record), text(v.Value), looked, next, text(v.Problem))
	}
}
