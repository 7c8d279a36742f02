// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"context"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/iam"
)

// What users and accounts of AWS can have and cannot here: passwords, second factors,
// certificates, and what belongs to services that are not served. Clients ask for all of it
// before they delete a user or a role, or look what there is.

// mustBeUser wants a user to exist, or the caller to be one.
func (a *API) mustBeUser(ctx context.Context, name *string) error {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return err
	}
	_, err = a.selfOr(tx, access.From(ctx), name)
	return err
}

func (a *API) noLoginProfile(ctx context.Context, name *string) error {
	if err := a.mustBeUser(ctx, name); err != nil {
		return err
	}
	if name == nil {
		name = new(access.From(ctx).EntityName)
	}
	return fault.IAM("NoSuchEntity", "Login Profile for User %s cannot be found.", *name)
}

// GetLoginProfile says that a user has no password.
func (a *API) GetLoginProfile(ctx context.Context, in *shape.GetLoginProfileInput) (*shape.GetLoginProfileOutput, error) {
	return nil, a.noLoginProfile(ctx, in.UserName)
}

// DeleteLoginProfile says that a user has no password.
func (a *API) DeleteLoginProfile(ctx context.Context, in *shape.DeleteLoginProfileInput) (*shape.DeleteLoginProfileOutput, error) {
	return nil, a.noLoginProfile(ctx, in.UserName)
}

// ListMFADevices says that a user has no second factor.
func (a *API) ListMFADevices(ctx context.Context, in *shape.ListMFADevicesInput) (*shape.ListMFADevicesOutput, error) {
	if err := a.mustBeUser(ctx, in.UserName); err != nil {
		return nil, err
	}
	return &shape.ListMFADevicesOutput{MFADevices: []shape.MFADevice{}, IsTruncated: new(false)}, nil
}

// ListSSHPublicKeys says that a user has no SSH keys.
func (a *API) ListSSHPublicKeys(ctx context.Context, in *shape.ListSSHPublicKeysInput) (*shape.ListSSHPublicKeysOutput, error) {
	if err := a.mustBeUser(ctx, in.UserName); err != nil {
		return nil, err
	}
	return &shape.ListSSHPublicKeysOutput{SSHPublicKeys: []shape.SSHPublicKeyMetadata{}, IsTruncated: new(false)}, nil
}

// ListSigningCertificates says that a user has no certificates.
func (a *API) ListSigningCertificates(ctx context.Context, in *shape.ListSigningCertificatesInput) (*shape.ListSigningCertificatesOutput, error) {
	if err := a.mustBeUser(ctx, in.UserName); err != nil {
		return nil, err
	}
	return &shape.ListSigningCertificatesOutput{Certificates: []shape.SigningCertificate{}, IsTruncated: new(false)}, nil
}

// ListServiceSpecificCredentials says that a user has no credentials of single services.
func (a *API) ListServiceSpecificCredentials(ctx context.Context, in *shape.ListServiceSpecificCredentialsInput) (*shape.ListServiceSpecificCredentialsOutput, error) {
	if err := a.mustBeUser(ctx, in.UserName); err != nil {
		return nil, err
	}
	return &shape.ListServiceSpecificCredentialsOutput{ServiceSpecificCredentials: []shape.ServiceSpecificCredentialMetadata{}, IsTruncated: new(false)}, nil
}

// ListInstanceProfilesForRole says that a role is in no instance profile.
func (a *API) ListInstanceProfilesForRole(ctx context.Context, in *shape.ListInstanceProfilesForRoleInput) (*shape.ListInstanceProfilesForRoleOutput, error) {
	if _, _, err := roles.read(ctx, a, *in.RoleName); err != nil {
		return nil, err
	}
	return &shape.ListInstanceProfilesForRoleOutput{InstanceProfiles: []shape.InstanceProfile{}, IsTruncated: new(false)}, nil
}

// ListInstanceProfiles says that there are none.
func (a *API) ListInstanceProfiles(context.Context, *shape.ListInstanceProfilesInput) (*shape.ListInstanceProfilesOutput, error) {
	return &shape.ListInstanceProfilesOutput{InstanceProfiles: []shape.InstanceProfile{}, IsTruncated: new(false)}, nil
}

// ListVirtualMFADevices says that there are none.
func (a *API) ListVirtualMFADevices(context.Context, *shape.ListVirtualMFADevicesInput) (*shape.ListVirtualMFADevicesOutput, error) {
	return &shape.ListVirtualMFADevicesOutput{VirtualMFADevices: []shape.VirtualMFADevice{}, IsTruncated: new(false)}, nil
}

// ListServerCertificates says that there are none.
func (a *API) ListServerCertificates(context.Context, *shape.ListServerCertificatesInput) (*shape.ListServerCertificatesOutput, error) {
	return &shape.ListServerCertificatesOutput{ServerCertificateMetadataList: []shape.ServerCertificateMetadata{}, IsTruncated: new(false)}, nil
}

// ListOpenIDConnectProviders says that there are none.
func (a *API) ListOpenIDConnectProviders(context.Context, *shape.ListOpenIDConnectProvidersInput) (*shape.ListOpenIDConnectProvidersOutput, error) {
	return &shape.ListOpenIDConnectProvidersOutput{OpenIDConnectProviderList: []shape.OpenIDConnectProviderListEntry{}}, nil
}

// ListSAMLProviders says that there are none.
func (a *API) ListSAMLProviders(context.Context, *shape.ListSAMLProvidersInput) (*shape.ListSAMLProvidersOutput, error) {
	return &shape.ListSAMLProvidersOutput{SAMLProviderList: []shape.SAMLProviderListEntry{}}, nil
}

// GetAccountPasswordPolicy says that there is none.
func (a *API) GetAccountPasswordPolicy(ctx context.Context, _ *shape.GetAccountPasswordPolicyInput) (*shape.GetAccountPasswordPolicyOutput, error) {
	return nil, fault.IAM("NoSuchEntity", "The Password Policy with domain name %s cannot be found.", access.From(ctx).Account)
}
