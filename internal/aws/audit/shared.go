// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"strings"

	"github.com/posternhq/postern/internal/access"
)

// told are the operations of which the owner of what they are about hears, when it is
// another account than the caller's
// (https://docs.aws.amazon.com/vpc-lattice/latest/ug/monitoring-cloudtrail.html).
var told = map[string]bool{
	"CreateServiceNetworkResourceAssociation": true, "DeleteServiceNetworkResourceAssociation": true, "GetServiceNetworkResourceAssociation": true,
	"CreateServiceNetworkServiceAssociation": true, "DeleteServiceNetworkServiceAssociation": true, "GetServiceNetworkServiceAssociation": true,
	"CreateServiceNetworkVpcAssociation": true, "DeleteServiceNetworkVpcAssociation": true, "GetServiceNetworkVpcAssociation": true,
	"GetService": true, "GetServiceNetwork": true, "GetResourceConfiguration": true,
}

const lattice = "vpc-lattice"

// Others gives what other accounts hear of an event that was no refusal: each account
// once, with its line. The id is that of the new event.
func (e *Event) Others(b []byte, newID func() string, give func(account string, line []byte)) []byte {
	if e.Error != nil || e.Operation == nil {
		return b
	}
	for _, n := range e.Notices {
		if n.Account != e.Caller.Account {
			b = e.toParty(b[:0], newID(), n)
			give(n.Account, b)
		}
	}
	if e.Service.Name != lattice && e.Operation.Name != "AssumeRole" {
		return b
	}
	for i, a := range e.Asks {
		owner := a.Resource.Account
		if a.Resource.Kind == nil || owner == "" || owner == e.Caller.Account || heard(e.Asks[:i], owner) {
			continue
		}
		switch {
		case e.Service.Name == lattice && told[e.Operation.Name]:
			b = e.toOwner(b[:0], newID(), owner)
		case e.Service.Name == "sts":
			b = e.toRole(b[:0], newID(), owner)
		default:
			continue
		}
		give(owner, b)
	}
	return b
}

func heard(asks []access.Ask, owner string) bool {
	for _, a := range asks {
		if a.Resource.Kind != nil && a.Resource.Account == owner {
			return true
		}
	}
	return false
}

// toOwner is the event of VPC Lattice to whom a resource belongs that somebody else
// used. Whoever has the one end of an association and removes the other is its owner.
func (e *Event) toOwner(b []byte, id, owner string) []byte {
	name := e.Operation.Name + "BySharee"
	var theirs []access.Resource
	for _, a := range e.Asks {
		if a.Resource.Kind == nil || a.Resource.Account != owner {
			continue
		}
		theirs = append(theirs, a.Resource)
		if strings.HasPrefix(name, "Delete") && strings.HasSuffix(a.Resource.Kind.Type, "association") {
			name = e.Operation.Name + "ByOwner"
		}
	}
	return e.ofService(b, id, owner, name, nil, theirs)
}

// toParty is the event to who hears of it by a notice.
func (e *Event) toParty(b []byte, id string, n access.Notice) []byte {
	return e.ofService(b, id, n.Account, n.Event, n.Details, nil)
}

// ofService is an event that the service itself tells an account of: it learns which account
// asked, and nothing else of who did and what exactly.
func (e *Event) ofService(b []byte, id, recipient, name string, details []access.Detail, about []access.Resource) []byte {
	w := writer{b: b}
	w.open()
	w.text("eventVersion", version)
	w.name("userIdentity")
	w.open()
	w.text("type", "Unknown")
	w.close()
	shown := *e
	shown.Source, shown.UserAgent = e.source(), e.source()
	shown.headOf(&w, name)
	w.name("requestParameters")
	w.b = append(w.b, "null"...)
	w.name("responseElements")
	w.b = append(w.b, "null"...)
	w.name("additionalEventData")
	w.open()
	w.text("callerAccountId", e.Caller.Account)
	for _, d := range details {
		w.text(d.Name, d.Value)
	}
	w.close()
	w.text("requestID", e.RequestID)
	w.tail(id, recipient, e.readOnly(), "AwsServiceEvent", about)
	return append(w.b, '\n')
}

// toRole is the event to the account of a role that another account assumed.
func (e *Event) toRole(b []byte, id, owner string) []byte {
	w := writer{b: b}
	w.open()
	w.text("eventVersion", version)
	w.name("userIdentity")
	w.open()
	w.text("type", "AWSAccount")
	w.text("principalId", e.Caller.UserID)
	w.text("accountId", e.Caller.Account)
	w.close()
	e.head(&w)
	w.name("requestParameters")
	w.told(e.In, e.Operation, true, func(string) {})
	w.name("responseElements")
	w.told(e.Out, e.Operation, false, func(string) {})
	w.text("requestID", e.RequestID)
	w.tail(id, owner, true, "AwsApiCall", wanted(e.Asks).named)
	return append(w.b, '\n')
}
