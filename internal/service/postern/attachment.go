// SPDX-License-Identifier: Apache-2.0

package postern

import (
	"context"
	"strconv"
	"time"

	"github.com/posternhq/postern/internal/aws/caller"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/postern"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// AttachNetworkInterface puts an interface of the caller into a network
// namespace of the host, which is named or has a process in it. The data plane
// does the work afterwards; GetAttachment tells how far it is.
func (a *API) AttachNetworkInterface(ctx context.Context, in *shape.AttachNetworkInterfaceInput) (*shape.AttachNetworkInterfaceOutput, error) {
	if err := checkNamespace(in); err != nil {
		return nil, err
	}
	who, id, now := caller.From(ctx), a.NewID("eni-attach"), a.Now()
	var out shape.Attachment
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		row, err := newAttachment(tx, who, in)
		if err != nil {
			return err
		}
		row.ID, row.CreatedAt = id, now
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

func checkNamespace(in *shape.AttachNetworkInterfaceInput) error {
	switch {
	case (in.NetnsName == nil) == (in.Pid == nil):
		return fault.Validation("netnsName", "exactly one of netnsName and pid is needed: the namespace by its name, or by a process in it")
	case in.Pid == nil && deref(in.DeleteOnTermination):
		return fault.Validation("deleteOnTermination", "deleteOnTermination goes with pid only: a named namespace does not end by itself")
	}
	return nil
}

// newAttachment checks the request against the state and makes the row.
func newAttachment(tx *table.Txn, who caller.Caller, in *shape.AttachNetworkInterfaceInput) (*model.Attachment, error) {
	ni, ok := state.NetworkInterfaces.Get(tx, who.Account, who.Region, *in.NetworkInterfaceId)
	switch {
	case !ok:
		return nil, fault.NotFound(kindInterface, *in.NetworkInterfaceId)
	case ni.Type != model.InterfaceWorkload:
		return nil, fault.Validation("networkInterfaceId", "network interface %s belongs to %s and cannot be attached", ni.ID, ni.Owner)
	}
	if other, ok := state.Attachments.Get(tx, ni.Account, ni.Region, ni.ID); ok {
		return nil, fault.Conflict(kindInterface, ni.ID, "network interface %s is attached already: %s", ni.ID, other.ID)
	}
	host, err := theHost(tx)
	if err != nil {
		return nil, err
	}
	row := &model.Attachment{
		Account: ni.Account, Region: ni.Region, Interface: ni.ID, Host: host.Name,
		NamespaceName: deref(in.NetnsName), PID: int(deref(in.Pid)), Inode: uint64(deref(in.NetnsInode)), DeleteOnTermination: deref(in.DeleteOnTermination),
	}
	row.Device, err = device(tx, row, deref(in.DeviceName))
	return row, err
}

// theHost gives the host that interfaces are attached on: there is one yet.
func theHost(tx *table.Txn) (*model.Host, error) {
	for h := range state.Hosts.By(tx, state.ByAll, state.Everything) {
		return h, nil
	}
	return nil, fault.Conflict(kindHost, "", "no host carries networks yet; try again when the agent has started")
}

// device gives the interface's name in the namespace: the one asked for, or the
// first of eth0, eth1, … that no other attachment there has.
func device(tx *table.Txn, row *model.Attachment, wanted string) (string, error) {
	taken := make(map[string]string)
	for other := range state.Attachments.By(tx, state.ByHost, row.Host) {
		if other.NamespaceName == row.NamespaceName && other.PID == row.PID {
			taken[other.Device] = other.Interface
		}
	}
	if wanted != "" {
		if other, ok := taken[wanted]; ok {
			return "", fault.Conflict(kindInterface, other, "the namespace has a device %s already: network interface %s", wanted, other)
		}
		return wanted, nil
	}
	for i := 0; ; i++ {
		if name := "eth" + strconv.Itoa(i); taken[name] == "" {
			return name, nil
		}
	}
}

// DetachNetworkInterface starts to take an interface out of its namespace. Doing
// it again changes nothing.
func (a *API) DetachNetworkInterface(ctx context.Context, in *shape.DetachNetworkInterfaceInput) (*shape.DetachNetworkInterfaceOutput, error) {
	who, now := caller.From(ctx), a.Now()
	var out shape.Attachment
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		row, err := getAttachment(tx, who, *in.NetworkInterfaceId)
		if err != nil {
			return err
		}
		if row.DeletedAt.IsZero() {
			row = detached(row, now)
			state.Attachments.Put(tx, row)
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
	row.DeletedAt = now
	return row
}

// GetAttachment tells how far the attachment of an interface is.
func (a *API) GetAttachment(ctx context.Context, in *shape.GetAttachmentInput) (*shape.GetAttachmentOutput, error) {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	row, err := getAttachment(tx, caller.From(ctx), *in.NetworkInterfaceId)
	if err != nil {
		return nil, err
	}
	return new(shape.GetAttachmentOutput(attachmentShape(tx, row))), nil
}

// ListAttachments lists the caller's attachments in the region.
func (a *API) ListAttachments(ctx context.Context, _ *shape.ListAttachmentsInput) (*shape.ListAttachmentsOutput, error) {
	who := caller.From(ctx)
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	out := &shape.ListAttachmentsOutput{Attachments: []shape.Attachment{}}
	for row := range state.Attachments.Scope(tx, who.Account, who.Region) {
		out.Attachments = append(out.Attachments, attachmentShape(tx, row))
	}
	return out, nil
}

// getAttachment gives the attachment of the caller's interface with this id.
func getAttachment(tx *table.Txn, who caller.Caller, id string) (*model.Attachment, error) {
	row, ok := state.Attachments.Get(tx, who.Account, who.Region, id)
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
		NetnsName: optional(row.NamespaceName), Pid: optional(int64(row.PID)), DeleteOnTermination: &row.DeleteOnTermination,
	}
	status, reason := attachmentStatus(tx, row)
	out.Status, out.Reason = &status, optional(reason)
	ni, ok := state.NetworkInterfaces.Get(tx, row.Account, row.Region, row.Interface)
	if !ok {
		return out
	}
	out.MacAddress = &ni.MAC
	for _, addr := range ni.All() {
		out.Addresses = append(out.Addresses, addr.String())
	}
	out.Gateways, out.DnsServers = gateways(tx, ni), resolvers(tx, ni)
	return out
}

func attachmentStatus(tx *table.Txn, row *model.Attachment) (status, reason string) {
	said, _ := state.Statuses.Get(tx, row.Account, row.Region, row.Interface)
	switch model.LifecycleOf(&model.Meta{DeletedAt: row.DeletedAt}, said) {
	case model.Ready:
		return shape.AttachmentStatusAttached, ""
	case model.Failed:
		return shape.AttachmentStatusFailed, said.Reason
	case model.Deleting:
		return shape.AttachmentStatusDetaching, ""
	}
	return shape.AttachmentStatusAttaching, ""
}

// routerLinkLocal is the router's address for IPv6 on every workload's link.
const routerLinkLocal = "fe80::1"

func gateways(tx *table.Txn, ni *model.NetworkInterface) []string {
	var out []string
	if s, ok := state.Subnets.Get(tx, ni.Account, ni.Region, ni.Subnet); ok && len(ni.Addresses) > 0 {
		out = append(out, s.Router().String())
	}
	if len(ni.Addresses6) > 0 {
		out = append(out, routerLinkLocal)
	}
	return out
}

// resolver6 is where workloads without IPv4 ask for names.
const resolver6 = "fd00:ec2::253"

// resolvers gives the VPC's resolver when the VPC has DNS support: the VPC's base
// address plus two, or for IPv6 one fixed address
// (https://docs.aws.amazon.com/vpc/latest/userguide/AmazonDNS-concepts.html).
func resolvers(tx *table.Txn, ni *model.NetworkInterface) []string {
	v, ok := state.VPCs.Get(tx, ni.Account, ni.Region, ni.VPC)
	if !ok || !v.DNSSupport || len(v.CIDRs) == 0 {
		return nil
	}
	if len(ni.Addresses) == 0 {
		return []string{resolver6}
	}
	return []string{v.CIDRs[0].Prefix.Masked().Addr().Next().Next().String()}
}
