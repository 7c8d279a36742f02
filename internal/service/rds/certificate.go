// SPDX-License-Identifier: Apache-2.0

package rds

import (
	"context"
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/authority"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/rds"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
)

// certificateNames are what the authority of an account in a region is called: its own name,
// and those that configurations made for AWS have. It is shown by the name that it was asked
// for with, since clients take another name for a change.
var certificateNames = []string{authority.Name, "rds-ca-ecc384-g1", "rds-ca-rsa2048-g1", "rds-ca-rsa4096-g1"}

// certificateName reads the name of an authority; empty stands for the default one.
func certificateName(text string) (string, error) {
	if text == "" {
		return authority.Name, nil
	}
	if name := strings.ToLower(text); slices.Contains(certificateNames, name) {
		return name, nil
	}
	return "", fault.RDS("CertificateNotFound", "Certificate not found: %s. There is %s, which is also called: %s", text, authority.Name, strings.Join(certificateNames[1:], ", "))
}

// office keeps certificate authorities.
func (a *API) office() authority.Office {
	return authority.Office{DB: a.DB, Seal: a.Seal, Now: a.Now}
}

// DescribeCertificates shows the certificate authority of the account in the region, which the
// first request makes, by its own name or by the one that is asked for.
func (a *API) DescribeCertificates(ctx context.Context, in *shape.DescribeCertificatesInput) (*shape.DescribeCertificatesOutput, error) {
	if _, err := (properties[string]{}).compile(in.Filters); err != nil {
		return nil, err
	}
	name, err := certificateName(service.Value(in.CertificateIdentifier))
	if err != nil {
		return nil, err
	}
	who := access.From(ctx)
	page, marker, err := paginate(query{who, "DescribeCertificates", name, in.Marker, in.MaxRecords}, []string{name}, func(name string) string { return name })
	if err != nil {
		return nil, err
	}
	ca, err := a.office().Authority(ctx, who.Account, who.Region)
	if err != nil {
		return nil, err
	}
	from, till := ca.Valid()
	return &shape.DescribeCertificatesOutput{
		DefaultCertificateForNewLaunches: new(authority.Name), Marker: marker,
		Certificates: service.Each(page, func(name string) shape.Certificate {
			return shape.Certificate{
				CertificateIdentifier: &name, CertificateType: new("CA"), Thumbprint: new(ca.Thumbprint()), ValidFrom: &from, ValidTill: &till,
				CertificateArn: new(model.ARN("rds", who.Region, "", "cert:"+name)), CustomerOverride: new(false),
			}
		}),
	}, nil
}
