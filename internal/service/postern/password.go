// SPDX-License-Identifier: Apache-2.0

package postern

import (
	"context"
	"fmt"
	"strings"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/postern"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/seal"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/state"
)

// GetMasterUserPassword gives the password that was made for the master user of a cluster, or
// of an instance that is a database of its own. It stands for GetSecretValue of AWS Secrets
// Manager, which there is none of here. Passwords that users gave are not told.
func (a *API) GetMasterUserPassword(ctx context.Context, in *shape.GetMasterUserPasswordInput) (*shape.GetMasterUserPasswordOutput, error) {
	if (in.ClusterIdentifier == nil) == (in.InstanceIdentifier == nil) {
		return nil, fault.Validation("clusterIdentifier", "name either a cluster or an instance")
	}
	who := access.From(ctx)
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	if in.ClusterIdentifier != nil {
		for c := range state.DBClustersByIdentifier.Rows(tx, who.Own(strings.ToLower(*in.ClusterIdentifier))) {
			return a.passwordOf(&c.Meta, &c.Database, c.ARN())
		}
		return nil, fault.NotFound(kindDatabase, *in.ClusterIdentifier)
	}
	for i := range state.DBInstancesByIdentifier.Rows(tx, who.Own(strings.ToLower(*in.InstanceIdentifier))) {
		if c, ok := state.DBClusters.Get(tx, i.Account, i.Region, i.Cluster); ok {
			return nil, fault.Conflict(kindDatabase, i.Identifier, "DB instance %s is a member of the cluster %s, which has the password", i.Identifier, c.Identifier)
		}
		return a.passwordOf(&i.Meta, &i.Database, i.ARN())
	}
	return nil, fault.NotFound(kindDatabase, *in.InstanceIdentifier)
}

func (a *API) passwordOf(of *model.Meta, d *model.Database, arn string) (*shape.GetMasterUserPasswordOutput, error) {
	secret := d.SecretARN(of)
	if secret == "" {
		return nil, fault.Conflict(kindDatabase, d.Identifier, "the master user password of %s was given by a user, not made with ManageMasterUserPassword, and is not told", d.Identifier)
	}
	text, err := a.Seal.OpenText(seal.DatabasePassword, d.Password, of.ID)
	if err != nil {
		return nil, fmt.Errorf("read the password of %s: %w", arn, err)
	}
	return &shape.GetMasterUserPasswordOutput{Arn: &arn, SecretArn: &secret, Username: service.Optional(d.MasterUser), Password: new(string(text))}, nil
}
