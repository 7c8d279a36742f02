// SPDX-License-Identifier: Apache-2.0

package postern

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/alloc"
	"github.com/posternhq/postern/internal/aws/fault"
	ec2shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	shape "github.com/posternhq/postern/internal/aws/shape/postern"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// AttachNetworkInterface puts an interface of the caller, or a new one, into a
// network namespace of the host. The namespace is what a handle stands for;
// accounts that are trusted may also name it, or a process in it. A new interface
// and its attachment are made together or not at all. The data plane does the work
// afterwards; GetAttachment tells how far it is.
func (a *API) AttachNetworkInterface(ctx context.Context, in *shape.AttachNetworkInterfaceInput) (*shape.AttachNetworkInterfaceOutput, error) {
	who, id, now := access.From(ctx), a.NewID("eni-attach"), a.Now()
	find, err := a.interfaceFor(who, in)
	if err != nil {
		return nil, err
	}
	ns, err := a.namespace(ctx, who, in)
	if err != nil {
		return nil, err
	}
	var out shape.Attachment
	_, err = a.DB.Update(ctx, func(tx *table.Txn) error {
		if err := mayUse(tx, who, in); err != nil {
			return err
		}
		ni, err := find(tx)
		if err != nil {
			return err
		}
		row, err := newAttachment(tx, ni, ns, service.Value(in.DeviceName))
		if err != nil {
			return err
		}
		if _, err = a.Interfaces.Launch(tx, ni); err != nil {
			return err
		}
		row.ID, row.CreatedAt, row.DeleteOnTermination = id, now, service.Value(in.DeleteOnTermination)
		state.Attachments.Put(tx, row)
		// What the data plane said about an attachment before is not about this one.
		state.Statuses.Delete(tx, row.Account, row.Region, row.Interface)
		out = attachmentShape(tx, row)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return new(shape.AttachNetworkInterfaceOutput(out)), nil
}

// interfaceFor gives what finds the interface of a request, or makes it.
func (a *API) interfaceFor(who access.View, in *shape.AttachNetworkInterfaceInput) (func(*table.Txn) (*model.NetworkInterface, error), error) {
	fresh := in.NewNetworkInterface
	switch {
	case (in.NetworkInterfaceId == nil) == (fresh == nil):
		return nil, fault.Validation("networkInterfaceId", "exactly one of networkInterfaceId and newNetworkInterface is needed")
	case fresh == nil:
		return func(tx *table.Txn) (*model.NetworkInterface, error) {
			return freeInterface(tx, who, *in.NetworkInterfaceId)
		}, nil
	}
	request := &ec2shape.CreateNetworkInterfaceInput{
		SubnetId: fresh.SubnetId, Groups: fresh.SecurityGroupIds, PrivateIpAddress: fresh.PrivateIpAddress, Description: fresh.Description,
	}
	if len(fresh.Tags) > 0 {
		spec := ec2shape.TagSpecification{ResourceType: new(ec2shape.ResourceTypeNetworkInterface)}
		for _, key := range slices.Sorted(maps.Keys(fresh.Tags)) {
			spec.Tags = append(spec.Tags, ec2shape.Tag{Key: &key, Value: new(fresh.Tags[key])})
		}
		request.TagSpecifications = []ec2shape.TagSpecification{spec}
	}
	return a.Interfaces.PrepareInterface(who, request)
}

// freeInterface gives the caller's interface with this id, which can be attached
// and is not.
func freeInterface(tx *table.Txn, who access.View, id string) (*model.NetworkInterface, error) {
	ni, ok := view.Get(tx, who, state.NetworkInterfaces, id)
	switch {
	case !ok:
		return nil, fault.NotFound(kindInterface, id)
	case ni.Type != model.InterfaceWorkload:
		return nil, fault.Validation("networkInterfaceId", "network interface %s belongs to %s and cannot be attached", ni.ID, ni.Owner)
	}
	if other, ok := state.Attachments.Get(tx, ni.Account, ni.Region, ni.ID); ok {
		return nil, fault.Conflict(kindInterface, ni.ID, "network interface %s is attached already: %s", ni.ID, other.ID)
	}
	return ni, nil
}

// newAttachment makes the row that puts an interface into a namespace.
func newAttachment(tx *table.Txn, ni *model.NetworkInterface, ns desired.Namespace, wanted string) (*model.Attachment, error) {
	host, err := theHost(tx)
	if err != nil {
		return nil, err
	}
	row := &model.Attachment{
		Account: ni.Account, Region: ni.Region, Interface: ni.ID, Host: host.Name,
		NamespaceName: ns.Name, PID: ns.PID, Inode: ns.Inode, Identity: ns.Identity,
	}
	row.Device, err = device(tx, row, wanted)
	return row, err
}

// theHost gives the host that interfaces are attached on: there is one yet.
func theHost(tx *table.Txn) (*model.Host, error) {
	for h := range state.HostsByAll.Rows(tx, state.Everything) {
		return h, nil
	}
	return nil, fault.Conflict(kindHost, "", "no host carries networks yet; try again when the agent has started")
}

// device gives the interface's name in the namespace: the one asked for, or the
// first of eth0, eth1, … that no other attachment there has. Whose the other
// attachment is, the error does not say: it may be another account's.
func device(tx *table.Txn, row *model.Attachment, wanted string) (string, error) {
	taken := make(map[string]bool)
	for other := range state.AttachmentsByHost.Rows(tx, row.Host) {
		if sameNamespace(row, other) {
			taken[other.Device] = true
		}
	}
	if wanted != "" {
		if taken[wanted] {
			return "", fault.Conflict(kindInterface, row.Interface, "the namespace has a device %s already", wanted)
		}
		return wanted, nil
	}
	for i := 0; ; i++ {
		if name := "eth" + strconv.Itoa(i); !taken[name] {
			return name, nil
		}
	}
}

// sameNamespace compares by identity, because one namespace may be named in
// several ways.
func sameNamespace(a, b *model.Attachment) bool {
	if a.Identity != 0 && b.Identity != 0 {
		return a.Identity == b.Identity
	}
	return a.NamespaceName == b.NamespaceName && a.PID == b.PID
}

// DetachNetworkInterface starts to take an interface out of its namespace. Doing
// it again changes nothing.
func (a *API) DetachNetworkInterface(ctx context.Context, in *shape.DetachNetworkInterfaceInput) (*shape.DetachNetworkInterfaceOutput, error) {
	who, now := access.From(ctx), a.Now()
	var out shape.Attachment
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		row, err := getAttachment(tx, who, *in.NetworkInterfaceId)
		if err != nil {
			return err
		}
		if row.DeletedAt.IsZero() {
			row = detached(row, now)
			state.Attachments.Put(tx, row)
			alloc.Unpublish(tx, row.Meta().Ref(), now)
		}
		out = attachmentShape(tx, row)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return new(shape.DetachNetworkInterfaceOutput(out)), nil
}

func detached(row *model.Attachment, now time.Time) *model.Attachment {
	row = row.Clone()
	row.Delete(now)
	return row
}

// GetAttachment tells how far the attachment of an interface is.
func (a *API) GetAttachment(ctx context.Context, in *shape.GetAttachmentInput) (*shape.GetAttachmentOutput, error) {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	row, err := getAttachment(tx, access.From(ctx), *in.NetworkInterfaceId)
	if err != nil {
		return nil, err
	}
	return new(shape.GetAttachmentOutput(attachmentShape(tx, row))), nil
}

// ListAttachments lists the caller's attachments in the region.
func (a *API) ListAttachments(ctx context.Context, _ *shape.ListAttachmentsInput) (*shape.ListAttachmentsOutput, error) {
	who := access.From(ctx)
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	out := &shape.ListAttachmentsOutput{Attachments: []shape.Attachment{}}
	for row := range view.All(tx, who, state.Attachments) {
		out.Attachments = append(out.Attachments, attachmentShape(tx, row))
	}
	return out, nil
}

// getAttachment gives the attachment of the caller's interface with this id.
func getAttachment(tx *table.Txn, who access.View, id string) (*model.Attachment, error) {
	row, ok := view.Get(tx, who, state.Attachments, id)
	if !ok {
		return nil, fault.NotFound(kindAttachment, id)
	}
	return row, nil
}

// attachmentShape tells an attachment with what a workload needs to know of its
// network: addresses, gateways and resolvers.
func attachmentShape(tx *table.Txn, row *model.Attachment) shape.Attachment {
	out := shape.Attachment{
		NetworkInterfaceId: &row.Interface, Host: &row.Host, DeviceName: &row.Device,
		NetnsName: service.Optional(row.NamespaceName), Pid: service.Optional(int64(row.PID)), DeleteOnTermination: &row.DeleteOnTermination,
	}
	status, reason := attachmentStatus(tx, row)
	out.Status, out.Reason = &status, service.Optional(reason)
	ni, ok := state.NetworkInterfaces.Get(tx, row.Account, row.Region, row.Interface)
	if !ok {
		return out
	}
	out.MacAddress = &ni.MAC
	for _, addr := range ni.All() {
		out.Addresses = append(out.Addresses, addr.String())
	}
	for _, p := range slices.Concat(ni.Prefixes4, ni.Prefixes6) {
		out.Prefixes = append(out.Prefixes, p.String())
	}
	out.Gateways = gateways(tx, ni)
	out.DnsServers, out.DnsSearch = optionsFor(tx, ni)
	return out
}

func attachmentStatus(tx *table.Txn, row *model.Attachment) (status, reason string) {
	said, _ := state.Statuses.Get(tx, row.Account, row.Region, row.Interface)
	switch model.LifecycleOf(row.Meta(), said) {
	case model.Ready:
		return shape.AttachmentStatusAttached, ""
	case model.Failed, model.UpdateFailed:
		return shape.AttachmentStatusFailed, said.Reason
	case model.Deleting:
		return shape.AttachmentStatusDetaching, ""
	case model.DeleteFailed:
		return shape.AttachmentStatusDetaching, said.Reason
	}
	return shape.AttachmentStatusAttaching, ""
}

// routerLinkLocal is the router's address for IPv6 on every workload's link.
const routerLinkLocal = "fe80::1"

func gateways(tx *table.Txn, ni *model.NetworkInterface) []string {
	var out []string
	if s, ok := state.SubnetOf(tx, ni); ok && len(ni.Addresses) > 0 {
		out = append(out, s.Router().String())
	}
	if len(ni.Addresses6)+len(ni.Prefixes6) > 0 {
		out = append(out, routerLinkLocal)
	}
	return out
}
