// SPDX-License-Identifier: Apache-2.0

package prefixlist

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/block"
	"github.com/posternhq/postern/internal/service/ec2/request"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// CreateManagedPrefixList makes a list of blocks.
func (a PrefixLists) CreateManagedPrefixList(ctx context.Context, in *shape.CreateManagedPrefixListInput) (*shape.CreateManagedPrefixListOutput, error) {
	who := access.From(ctx)
	tags, err := request.TagsFor(in.TagSpecifications, state.PrefixLists.Kind())
	if err != nil {
		return nil, err
	}
	p := &model.PrefixList{Name: service.Value(in.PrefixListName), MaxEntries: int(service.Value(in.MaxEntries)), Version: 1}
	if err := checkName(p.Name); err != nil {
		return nil, err
	}
	switch got := service.Value(in.AddressFamily); got {
	case "IPv4", "IPv6":
		p.IPv6 = got == "IPv6"
	default:
		return nil, fault.EC2("InvalidParameterValue", "Value (%s) for parameter addressFamily is invalid, want IPv4 or IPv6", got)
	}
	if err := a.checkRoom(p.MaxEntries); err != nil {
		return nil, err
	}
	if p.Entries, err = changed(p, in.Entries, nil); err != nil {
		return nil, err
	}
	fingerprint := *in
	fingerprint.ClientToken = nil
	once := a.Idempotent(who, "CreateManagedPrefixList", in.ClientToken, fingerprint)
	p.Meta = request.Meta(a.Env, who, "pl", a.Now(), tags)
	out, err := service.Create(ctx, once,
		func(tx *table.Txn, id string) (*model.PrefixList, error) {
			return request.Get(tx, who, state.PrefixLists, id)
		},
		func(tx *table.Txn) (*model.PrefixList, error) {
			if most := a.Quotas.PrefixListsPerRegion; view.Count(tx, who, state.PrefixLists) >= most {
				return nil, fault.EC2("PrefixListLimitExceeded", "The maximum number of prefix lists (%d) has been reached.", most)
			}
			state.PrefixLists.Put(tx, p)
			return p, nil
		},
		func(_ *table.Txn, made *model.PrefixList) *shape.ManagedPrefixList {
			return listShape(made, shape.PrefixListStateCreateInProgress)
		})
	if err != nil {
		return nil, request.Fault(err)
	}
	return &shape.CreateManagedPrefixListOutput{PrefixList: out}, nil
}

// maxName is how long the name of a list may be.
const maxName = 255

func checkName(name string) error {
	switch {
	case name == "" || len(name) > maxName:
		return fault.EC2("InvalidParameterValue", "Value (%s) for parameter prefixListName is invalid, want 1 to %d characters", name, maxName)
	case strings.HasPrefix(name, "com.amazonaws"):
		return fault.EC2("InvalidParameterValue", "The prefix list name (%s) is invalid. It must not start with com.amazonaws.", name)
	}
	return nil
}

func (a PrefixLists) checkRoom(entries int) error {
	if most := a.Quotas.EntriesPerPrefixList; entries < 1 || entries > most {
		return fault.EC2("InvalidParameterValue", "Value (%d) for parameter maxEntries is invalid, want 1 to %d", entries, most)
	}
	return nil
}

// changed gives the entries of a list with others added and removed. An entry that is
// added again has the new description.
func changed(p *model.PrefixList, add []shape.AddPrefixListEntry, remove []shape.RemovePrefixListEntry) ([]model.PrefixEntry, error) {
	entries := slices.Clone(p.Entries)
	at := func(cidr netip.Prefix) int {
		return slices.IndexFunc(entries, func(e model.PrefixEntry) bool { return e.CIDR == cidr })
	}
	var named []netip.Prefix
	name := func(text *string) (netip.Prefix, error) {
		cidr, err := entryOf(p, service.Value(text))
		if err == nil && slices.Contains(named, cidr) {
			err = fault.EC2("InvalidParameterValue", "The request names the entry %s more than once", cidr)
		}
		named = append(named, cidr)
		return cidr, err
	}
	for _, e := range remove {
		cidr, err := name(e.Cidr)
		if err != nil {
			return nil, err
		}
		i := at(cidr)
		if i < 0 {
			return nil, fault.EC2("InvalidPrefixListModification", "The prefix list '%s' has no entry %s to remove", p.ID, cidr)
		}
		entries = slices.Delete(entries, i, i+1)
	}
	for _, e := range add {
		cidr, err := name(e.Cidr)
		if err != nil {
			return nil, err
		}
		entry := model.PrefixEntry{CIDR: cidr, Description: service.Value(e.Description)}
		if len(entry.Description) > maxName {
			return nil, fault.EC2("InvalidParameterValue", "The description of entry %s is longer than %d characters", cidr, maxName)
		}
		if i := at(cidr); i >= 0 {
			entries[i] = entry
		} else {
			entries = append(entries, entry)
		}
	}
	if len(entries) > p.MaxEntries {
		return nil, fault.EC2("PrefixListMaxEntriesExceeded", "You've reached the maximum number of entries for the prefix list: it has %d, and at most %d", len(entries), p.MaxEntries)
	}
	return entries, nil
}

// entryOf reads a block of the list's family. Host bits are taken away.
func entryOf(p *model.PrefixList, text string) (netip.Prefix, error) {
	cidr, err := netip.ParsePrefix(text)
	want := 4
	if p.IPv6 {
		want = 6
	}
	if err != nil || block.Family(cidr) != want {
		return netip.Prefix{}, fault.EC2("InvalidParameterValue", "Value (%s) for parameter Cidr is invalid. This is not a valid IPv%d CIDR block.", text, want)
	}
	return cidr.Masked(), nil
}

// ModifyManagedPrefixList changes the name of a list, or its entries, or how many it may
// have. Other entries make a new version.
func (a PrefixLists) ModifyManagedPrefixList(ctx context.Context, in *shape.ModifyManagedPrefixListInput) (*shape.ModifyManagedPrefixListOutput, error) {
	entries := len(in.AddEntries)+len(in.RemoveEntries) > 0
	switch {
	case service.Value(in.IpamPrefixListResolverSyncEnabled):
		return nil, request.Unserved("prefix list resolvers of IPAM")
	case entries && in.MaxEntries != nil:
		return nil, fault.EC2("InvalidParameterCombination", "You cannot modify the entries and the maximum entries for the prefix list in the same request.")
	case !entries && in.MaxEntries == nil && in.PrefixListName == nil:
		return nil, fault.EC2("MissingParameter", "The request must contain one of the parameters addEntries, removeEntries, maxEntries and prefixListName")
	}
	if in.PrefixListName != nil {
		if err := checkName(*in.PrefixListName); err != nil {
			return nil, err
		}
	}
	p, err := a.change(ctx, service.Value(in.PrefixListId), in.CurrentVersion, func(tx *table.Txn, p *model.PrefixList) error {
		if in.PrefixListName != nil {
			p.Name = *in.PrefixListName
		}
		p.Last = model.PrefixListModified
		if in.MaxEntries != nil {
			return a.resize(tx, p, int(*in.MaxEntries))
		}
		if !entries {
			return nil
		}
		now, err := changed(p, in.AddEntries, in.RemoveEntries)
		if err == nil {
			p.Become(now, model.PrefixListModified)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return &shape.ModifyManagedPrefixListOutput{PrefixList: listShape(p, shape.PrefixListStateModifyInProgress)}, nil
}

// change changes a list of the caller's, of which AWS's lists are none. The version that
// the request knows, if it says one, must be that of the list.
func (a PrefixLists) change(ctx context.Context, id string, version *int64, with func(*table.Txn, *model.PrefixList) error) (*model.PrefixList, error) {
	if err := notOfAWS(access.From(ctx), id); err != nil {
		return nil, err
	}
	return request.Change(ctx, a.Env, state.PrefixLists, id, func(tx *table.Txn, p *model.PrefixList) error {
		if version != nil && *version != p.Version {
			return fault.EC2("PrefixListVersionMismatch", "The prefix list has the incorrect version number: it is %d", p.Version)
		}
		return with(tx, p)
	})
}

func notOfAWS(who access.View, id string) error {
	if _, ok := model.AWSPrefixListOf(who.Region, id); ok {
		return fault.EC2("OperationNotPermitted", "The prefix list '%s' is managed by AWS and cannot be changed", id)
	}
	return nil
}

// resize changes how many entries a list may have, which is what references to it count
// for.
func (a PrefixLists) resize(tx *table.Txn, p *model.PrefixList, room int) error {
	if err := a.checkRoom(room); err != nil {
		return err
	}
	if room < len(p.Entries) {
		return fault.EC2("PrefixListMaxEntriesExceeded", "The prefix list '%s' has %d entries, more than %d", p.ID, len(p.Entries), room)
	}
	before := p.MaxEntries
	p.MaxEntries = room
	state.PrefixLists.Put(tx, p)
	if room <= before {
		return nil
	}
	for r := range state.RouteTablesByPrefixList.Rows(tx, p.Ref()) {
		if err := request.CheckRoutes(tx, a.Env, r); err != nil {
			return err
		}
	}
	for g := range state.SecurityGroupsByPrefixList.Rows(tx, p.Ref()) {
		if err := request.CheckRules(tx, a.Env, g); err != nil {
			return err
		}
	}
	return nil
}

// version gives the entries of a version of a list.
func (m managed) version(n int64, parameter string) ([]model.PrefixEntry, error) {
	if m.row == nil {
		return nil, fault.EC2("InvalidParameterValue", "%s: prefix list %s is managed by AWS and has no versions", parameter, m.id())
	}
	entries, ok := m.row.At(n)
	if !ok {
		return nil, fault.EC2("InvalidParameterValue", "%s: prefix list %s has no version %d", parameter, m.id(), n)
	}
	return entries, nil
}

// RestoreManagedPrefixListVersion gives a list the entries of an earlier version, as a
// version of its own.
func (a PrefixLists) RestoreManagedPrefixListVersion(ctx context.Context, in *shape.RestoreManagedPrefixListVersionInput) (*shape.RestoreManagedPrefixListVersionOutput, error) {
	p, err := a.change(ctx, service.Value(in.PrefixListId), in.CurrentVersion, func(_ *table.Txn, p *model.PrefixList) error {
		entries, err := ownManaged(p).version(service.Value(in.PreviousVersion), "PreviousVersion")
		if err != nil {
			return err
		}
		if len(entries) > p.MaxEntries {
			return fault.EC2("PrefixListMaxEntriesExceeded", "Version %d of prefix list '%s' has %d entries, more than %d", *in.PreviousVersion, p.ID, len(entries), p.MaxEntries)
		}
		p.Become(slices.Clone(entries), model.PrefixListRestored)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.RestoreManagedPrefixListVersionOutput{PrefixList: listShape(p, shape.PrefixListStateRestoreInProgress)}, nil
}

// DeleteManagedPrefixList removes a list that nothing refers to.
func (a PrefixLists) DeleteManagedPrefixList(ctx context.Context, in *shape.DeleteManagedPrefixListInput) (*shape.DeleteManagedPrefixListOutput, error) {
	who, id := access.From(ctx), service.Value(in.PrefixListId)
	if err := notOfAWS(who, id); err != nil {
		return nil, err
	}
	var gone *model.PrefixList
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		p, err := request.Get(tx, who, state.PrefixLists, id)
		if err != nil {
			return err
		}
		if by := state.Held(tx, state.PrefixLists, p); by != nil {
			return fault.EC2("DependencyViolation", "The prefix list '%s' is in use and cannot be deleted: %s", id, by)
		}
		state.PrefixLists.Delete(tx, p.Account, p.Region, p.ID)
		gone = p
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.DeleteManagedPrefixListOutput{PrefixList: listShape(gone, shape.PrefixListStateDeleteInProgress)}, nil
}
