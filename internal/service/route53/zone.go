// SPDX-License-Identifier: Apache-2.0

package route53

import (
	"context"
	"strings"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/route53"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// nameServers are those that private zones have on AWS.
var nameServers = []string{"ns-1536.awsdns-00.co.uk", "ns-0.awsdns-00.com", "ns-1024.awsdns-00.org", "ns-512.awsdns-00.net"}

// The records that zones are made with:
// https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/SOA-NSrecords.html
const (
	startOfAuthority = "ns-1536.awsdns-00.co.uk. awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400"
	ttlOfSOA         = 900
	ttlOfNS          = 172800
)

// ownRecords gives the record sets that a zone is made with.
func ownRecords(zone *model.HostedZone) []*model.RecordSet {
	ns := &model.RecordSet{Account: zone.Account, Zone: zone.ID, Name: zone.Name, Type: shape.RRTypeNs, TTL: ttlOfNS}
	for _, server := range nameServers {
		ns.Values = append(ns.Values, server+".")
	}
	soa := &model.RecordSet{Account: zone.Account, Zone: zone.ID, Name: zone.Name, Type: shape.RRTypeSoa, TTL: ttlOfSOA, Values: []string{startOfAuthority}}
	return []*model.RecordSet{ns, soa}
}

// isOwn reports whether a record set is of those that a zone always has.
func isOwn(zone *model.HostedZone, r *model.RecordSet) bool {
	return r.Name == zone.Name && (r.Type == shape.RRTypeNs || r.Type == shape.RRTypeSoa)
}

// CreateHostedZone makes a private hosted zone. Public ones are not served.
func (a *API) CreateHostedZone(ctx context.Context, in *shape.CreateHostedZoneInput) (*shape.CreateHostedZoneOutput, error) {
	name, err := zoneName(*in.Name)
	if err != nil {
		return nil, err
	}
	if err := checkPrivate(in); err != nil {
		return nil, err
	}
	who, now := access.From(ctx), a.Now()
	zone := &model.HostedZone{
		Meta: model.Meta{Account: who.Account, ID: a.newID("Z"), CreatedAt: now},
		Name: name, CallerReference: *in.CallerReference,
	}
	if in.HostedZoneConfig != nil {
		zone.Comment = service.Value(in.HostedZoneConfig.Comment)
	}
	change := a.newChange(who, nil)
	change.Zone = zone.Ref()
	var out *shape.CreateHostedZoneOutput
	_, err = a.DB.Update(ctx, func(tx *table.Txn) error {
		vpc, err := a.zoneRoom(tx, who, zone, in.VPC)
		if err != nil {
			return err
		}
		zone.VPCs = []model.Ref{vpc}
		state.HostedZones.Put(tx, zone)
		for _, r := range ownRecords(zone) {
			state.RecordSets.Put(tx, r)
		}
		state.ZoneChanges.Put(tx, change)
		out = &shape.CreateHostedZoneOutput{
			HostedZone: zoneShape(tx, zone), ChangeInfo: changeShape(tx, change), DelegationSet: &shape.DelegationSet{NameServers: nameServers},
			VPC: vpcShape(vpc), Location: new("https://route53.amazonaws.com/2013-04-01" + zonePrefix + zone.ID),
		}
		return nil
	})
	return out, err
}

// checkPrivate wants a request to be for a private zone.
func checkPrivate(in *shape.CreateHostedZoneInput) error {
	switch config := in.HostedZoneConfig; {
	case in.VPC == nil && config != nil && service.Value(config.PrivateZone):
		return invalidInput("When you're creating a private hosted zone (when you specify true for PrivateZone), you must also specify values for VPCId and VPCRegion.")
	case in.VPC == nil:
		return invalidInput("Public hosted zones are not served here: specify VPC, with VPCId and VPCRegion, to create a private hosted zone.")
	case in.DelegationSetId != nil:
		return invalidInput("DelegationSetId: a private hosted zone cannot have a reusable delegation set.")
	}
	return nil
}

// zoneRoom sees to the quota, and to what a new zone must not have in common with others,
// and gives its VPC.
func (a *API) zoneRoom(tx *table.Txn, who access.View, zone *model.HostedZone, vpc *shape.VPC) (model.Ref, error) {
	for range state.HostedZonesByReference.Rows(tx, who.Own(zone.CallerReference)) {
		return model.Ref{}, fault.Route53("HostedZoneAlreadyExists", "A hosted zone has already been created with the specified caller reference.")
	}
	ref, err := ownVPC(tx, who, vpc)
	if err != nil {
		return ref, err
	}
	if err := a.checkConflict(tx, zone, ref); err != nil {
		return ref, err
	}
	if most := a.Quotas.ZonesPerAccount; view.Count(tx, who, state.HostedZones) >= most {
		return ref, fault.Route53("TooManyHostedZones", "The account has %d hosted zones, the most it can have.", most)
	}
	return ref, nil
}

// zoneName reads the name of a new zone.
func zoneName(text string) (string, error) {
	name, err := model.NormalName(text)
	wrong := func(why string) error {
		return fault.Route53("InvalidDomainName", "%s", why)
	}
	switch {
	case err != nil:
		return "", wrong(fatal(err))
	case topLevel(name):
		return "", wrong("Name: " + name + " is a top-level domain, for which there cannot be a hosted zone.")
	case strings.HasPrefix(name, model.WildcardLabel+"."):
		return "", wrong("Name: a hosted zone cannot begin with an asterisk: " + name)
	}
	return name, nil
}

// topLevel reports whether a name is the root, or a domain right below it that is
// publicly known. Other names of one label, such as corp, are often those of private
// zones.
func topLevel(name string) bool {
	label := strings.TrimSuffix(name, ".")
	if strings.Contains(label, ".") {
		return false
	}
	switch label {
	case "com", "net", "org", "edu", "gov", "mil", "int", "arpa", "info", "biz", "name", "pro":
		return true
	}
	return len(label) <= 2 // those of countries have two
}

func zoneShape(tx *table.Txn, z *model.HostedZone) *shape.HostedZone {
	return &shape.HostedZone{
		Id: new(zonePrefix + z.ID), Name: new(z.Name), CallerReference: new(z.CallerReference),
		Config:                 &shape.HostedZoneConfig{Comment: service.Optional(z.Comment), PrivateZone: new(true)},
		ResourceRecordSetCount: new(int64(state.RecordSetsByZone.Count(tx, z.Ref()))),
	}
}

// GetHostedZone shows a zone with its VPCs.
func (a *API) GetHostedZone(ctx context.Context, in *shape.GetHostedZoneInput) (*shape.GetHostedZoneOutput, error) {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	zone, err := findZone(tx, access.From(ctx), *in.Id)
	if err != nil {
		return nil, err
	}
	out := &shape.GetHostedZoneOutput{HostedZone: zoneShape(tx, zone), VPCs: []shape.VPC{}}
	for _, vpc := range zone.VPCs {
		out.VPCs = append(out.VPCs, *vpcShape(vpc))
	}
	return out, nil
}

// GetHostedZoneCount counts the caller's zones.
func (a *API) GetHostedZoneCount(ctx context.Context, _ *shape.GetHostedZoneCountInput) (*shape.GetHostedZoneCountOutput, error) {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	return &shape.GetHostedZoneCountOutput{HostedZoneCount: new(int64(view.Count(tx, access.From(ctx), state.HostedZones)))}, nil
}

// UpdateHostedZoneComment changes the comment of a zone, or takes it away.
func (a *API) UpdateHostedZoneComment(ctx context.Context, in *shape.UpdateHostedZoneCommentInput) (*shape.UpdateHostedZoneCommentOutput, error) {
	var out *shape.UpdateHostedZoneCommentOutput
	_, err := service.Change(ctx, a.Env, state.HostedZones, findZone, *in.Id, func(tx *table.Txn, zone *model.HostedZone) error {
		zone.Comment = service.Value(in.Comment)
		out = &shape.UpdateHostedZoneCommentOutput{HostedZone: zoneShape(tx, zone)}
		return nil
	})
	return out, err
}

// DeleteHostedZone removes a zone that has no records but its own, and the authorizations
// for it.
func (a *API) DeleteHostedZone(ctx context.Context, in *shape.DeleteHostedZoneInput) (*shape.DeleteHostedZoneOutput, error) {
	who := access.From(ctx)
	change := a.newChange(who, nil)
	var out *shape.DeleteHostedZoneOutput
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		zone, err := findZone(tx, who, *in.Id)
		if err != nil {
			return err
		}
		for r := range state.RecordSetsByZone.Rows(tx, zone.Ref()) {
			if !isOwn(zone, r) {
				return fault.Route53("HostedZoneNotEmpty", "The specified hosted zone contains non-required resource record sets and so cannot be deleted.")
			}
			account, region, id := r.RowKey()
			state.RecordSets.Delete(tx, account, region, id)
		}
		for authorization := range state.VPCAssociationAuthorizationsByZone.Rows(tx, zone.Ref()) {
			account, region, id := authorization.RowKey()
			state.VPCAssociationAuthorizations.Delete(tx, account, region, id)
		}
		state.HostedZones.Delete(tx, zone.Account, zone.Region, zone.ID)
		state.Statuses.Delete(tx, zone.Account, zone.Region, zone.ID)
		change.Zone = zone.Ref()
		state.ZoneChanges.Put(tx, change)
		out = &shape.DeleteHostedZoneOutput{ChangeInfo: changeShape(tx, change)}
		return nil
	})
	return out, err
}

// GetDNSSEC is refused for private zones, as on AWS.
func (a *API) GetDNSSEC(ctx context.Context, in *shape.GetDNSSECInput) (*shape.GetDNSSECOutput, error) {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := findZone(tx, access.From(ctx), *in.HostedZoneId); err != nil {
		return nil, err
	}
	return nil, fault.Route53("InvalidArgument", "Operation is unsupported for private")
}
