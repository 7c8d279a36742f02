// SPDX-License-Identifier: Apache-2.0

package iface

import (
	"context"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/group"
	"github.com/posternhq/postern/internal/service/ec2/request"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// ModifyNetworkInterfaceAttribute changes one attribute of a workload's
// interface.
func (a Interfaces) ModifyNetworkInterfaceAttribute(ctx context.Context, in *shape.ModifyNetworkInterfaceAttributeInput) (*shape.ModifyNetworkInterfaceAttributeOutput, error) {
	change, err := interfaceChange(in)
	if err != nil {
		return nil, err
	}
	id := service.Value(in.NetworkInterfaceId)
	if in.Attachment != nil {
		err = a.modifyAttachment(ctx, id, in.Attachment)
	} else {
		_, err = service.Change(ctx, a.Env, state.NetworkInterfaces, ownInterface, id, func(tx *table.Txn, ni *model.NetworkInterface) error {
			change(ni)
			if in.AssociatePublicIpAddress != nil {
				return a.publish(tx, ni, *in.AssociatePublicIpAddress)
			}
			if in.Groups == nil {
				return nil
			}
			v, ok := state.VPCOf(tx, ni)
			if !ok {
				return request.Unknown(state.VPCs.Kind(), ni.VPC)
			}
			_, err := group.ForInterface(tx, a.Env, access.From(ctx), v, ni.Groups)
			return err
		})
	}
	if err != nil {
		return nil, err
	}
	return &shape.ModifyNetworkInterfaceAttributeOutput{}, nil
}

// interfaceChange reads which attribute is to be changed; for the attachment,
// which is a row of its own, the change does nothing.
func interfaceChange(in *shape.ModifyNetworkInterfaceAttributeInput) (func(*model.NetworkInterface), error) {
	type change = func(*model.NetworkInterface)
	switch {
	case in.EnaSrdSpecification != nil:
		return nil, request.Unserved("ENA Express settings")
	case service.Value(in.EnablePrimaryIpv6):
		return nil, request.Unserved("primary IPv6 addresses")
	case in.ConnectionTrackingSpecification != nil:
		return nil, request.Unserved("connection tracking settings of network interfaces")
	case len(in.AssociatedSubnetIds) > 0:
		return nil, request.Unserved("associated subnets of network interfaces")
	case in.Groups != nil && len(in.Groups) == 0:
		return nil, fault.EC2("InvalidParameterValue", "groupSet is empty; a network interface has at least one security group")
	}
	changes := map[string]change{
		"description": nil, "groupSet": nil, "attachment": nil, "associatePublicIpAddress": nil,
		"sourceDestCheck": request.SetBool(in.SourceDestCheck, func(ni *model.NetworkInterface, on bool) { ni.SourceDestCheck = on }),
	}
	if in.Description != nil {
		changes["description"] = func(ni *model.NetworkInterface) { ni.Description = service.Value(in.Description.Value) }
	}
	if in.AssociatePublicIpAddress != nil {
		changes["associatePublicIpAddress"] = func(*model.NetworkInterface) {} // it takes a transaction
	}
	if in.Groups != nil {
		changes["groupSet"] = func(ni *model.NetworkInterface) { ni.Groups = in.Groups }
	}
	if in.Attachment != nil {
		changes["attachment"] = func(*model.NetworkInterface) {}
	}
	return request.TheOne(changes)
}

// ResetNetworkInterfaceAttribute has the router check addresses again at a workload's
// interface.
func (a Interfaces) ResetNetworkInterfaceAttribute(ctx context.Context, in *shape.ResetNetworkInterfaceAttributeInput) (*shape.ResetNetworkInterfaceAttributeOutput, error) {
	if in.SourceDestCheck == nil {
		return nil, fault.EC2("MissingParameter", "The request must contain the parameter sourceDestCheck")
	}
	_, err := service.Change(ctx, a.Env, state.NetworkInterfaces, ownInterface, service.Value(in.NetworkInterfaceId), func(_ *table.Txn, ni *model.NetworkInterface) error {
		ni.SourceDestCheck = true
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.ResetNetworkInterfaceAttributeOutput{}, nil
}

func (a Interfaces) modifyAttachment(ctx context.Context, id string, in *shape.NetworkInterfaceAttachmentChanges) error {
	who := access.From(ctx)
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		ni, err := ownInterface(tx, who, id)
		if err != nil {
			return err
		}
		row, ok := attachmentOf(tx, ni)
		if !ok || row.ID != service.Value(in.AttachmentId) {
			return fault.EC2("InvalidAttachmentID.NotFound", "The attachment '%s' of network interface %s does not exist", service.Value(in.AttachmentId), ni.ID)
		}
		if in.DefaultEnaQueueCount != nil || in.EnaQueueCount != nil {
			return request.Unserved("ENA queues")
		}
		if in.DeleteOnTermination != nil {
			row = row.Clone()
			row.DeleteOnTermination = *in.DeleteOnTermination
			state.Attachments.Put(tx, row)
		}
		return nil
	})
	return err
}

// DescribeNetworkInterfaceAttribute tells one attribute of an interface.
func (a Interfaces) DescribeNetworkInterfaceAttribute(ctx context.Context, in *shape.DescribeNetworkInterfaceAttributeInput) (*shape.DescribeNetworkInterfaceAttributeOutput, error) {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	ni, err := request.Get(tx, access.From(ctx), state.NetworkInterfaces, service.Value(in.NetworkInterfaceId))
	if err != nil {
		return nil, err
	}
	out := &shape.DescribeNetworkInterfaceAttributeOutput{NetworkInterfaceId: new(ni.ID)}
	switch service.Value(in.Attribute) {
	case shape.NetworkInterfaceAttributeDescription:
		out.Description = &shape.AttributeValue{Value: new(ni.Description)}
	case shape.NetworkInterfaceAttributeGroupSet:
		out.Groups = groupShapes(tx, ni)
	case shape.NetworkInterfaceAttributeSourceDestCheck:
		out.SourceDestCheck = &shape.AttributeBooleanValue{Value: new(ni.SourceDestCheck)}
	case shape.NetworkInterfaceAttributeAttachment:
		out.Attachment = attachmentShape(tx, ni)
	case shape.NetworkInterfaceAttributeAssociatePublicIpAddress:
		out.AssociatePublicIpAddress = new(ni.AssociatePublic > 0)
	default:
		return nil, fault.EC2("MissingParameter", "The request must contain the parameter attribute")
	}
	return out, nil
}
