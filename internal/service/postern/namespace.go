// SPDX-License-Identifier: Apache-2.0

package postern

import (
	"context"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/postern"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// Namespaces finds network namespaces of the host without the service knowing
// the kernel. Its methods are called concurrently and must not block. Both give a
// namespace with all that it takes to find it again and not mistake it.
type Namespaces interface {
	// Redeem gives the namespace that a handle stands for, once, to the access
	// key that it was made for. Any other handle is an error.
	Redeem(handle, accessKeyID string) (desired.Namespace, error)
	// Find gives a namespace that is named. One that is not there or is not for
	// workloads is an error, whose text is for the caller.
	Find(desired.Namespace) (desired.Namespace, error)
}

// namespace gives the namespace that a request is about. A handle is used up
// whatever becomes of the rest of the request.
func (a *API) namespace(ctx context.Context, who access.View, in *shape.AttachNetworkInterfaceInput) (desired.Namespace, error) {
	if err := checkNaming(in); err != nil {
		return desired.Namespace{}, err
	}
	ns, err := a.redeemOrFind(ctx, who, in)
	if err == nil && ns.PID == 0 && service.Value(in.DeleteOnTermination) {
		err = fault.Validation("deleteOnTermination", "deleteOnTermination goes with a process only: a named namespace does not end by itself")
	}
	return ns, err
}

func checkNaming(in *shape.AttachNetworkInterfaceInput) error {
	ways := 0
	for _, given := range []bool{in.NetnsHandle != nil, in.NetnsName != nil, in.Pid != nil} {
		if given {
			ways++
		}
	}
	switch {
	case ways != 1:
		return fault.Validation("netnsHandle", "exactly one of netnsHandle, netnsName and pid is needed: the namespace that was handed over, or its name, or a process in it")
	case in.NetnsHandle != nil && in.NetnsInode != nil:
		return fault.Validation("netnsInode", "netnsInode does not go with netnsHandle, which stands for one namespace already")
	}
	return nil
}

func (a *API) redeemOrFind(ctx context.Context, who access.View, in *shape.AttachNetworkInterfaceInput) (desired.Namespace, error) {
	named := desired.Namespace{Name: service.Value(in.NetnsName), PID: int(service.Value(in.Pid)), Inode: uint64(service.Value(in.NetnsInode))}
	tx, err := a.DB.View(ctx)
	if err == nil {
		err = mayUse(tx, who, in)
	}
	switch {
	case err != nil:
		return named, err
	case a.Namespaces == nil:
		return named, fault.Conflict(kindHost, "", "no host carries networks yet; try again when the agent has started")
	case in.NetnsHandle == nil:
		found, err := a.Namespaces.Find(named)
		if err != nil {
			return named, fault.Validation(namingField(in), "the network namespace cannot be used: %v", err)
		}
		return found, nil
	}
	found, err := a.Namespaces.Redeem(*in.NetnsHandle, who.AccessKeyID)
	if err != nil {
		return named, fault.AccessDenied("the handle of the network namespace is not good: it was used, is too old, or is not for this access key; hand the namespace over again with postern attach").WithCause(err)
	}
	return found, nil
}

func namingField(in *shape.AttachNetworkInterfaceInput) string {
	if in.Pid != nil {
		return "pid"
	}
	return "netnsName"
}

// mayUse refuses requests of accounts that are not trusted and name a namespace.
// It says nothing of what they named, not even whether it exists.
func mayUse(tx *table.Txn, who access.View, in *shape.AttachNetworkInterfaceInput) error {
	if in.NetnsHandle != nil {
		return nil
	}
	if account, ok := state.Accounts.Get(tx, "", "", who.Account); ok && account.Trusted() {
		return nil
	}
	return fault.AccessDenied("account %s may not name network namespaces or processes of the host: their owner hands the namespace over with postern attach, "+
		"or the management account trusts the account with postern account trust", who.Account)
}
