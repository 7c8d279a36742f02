// SPDX-License-Identifier: Apache-2.0

package vpclattice

import (
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/internal/model"
)

// form is which members a request for a resource configuration of a type must have, and
// which it can have. Others are refused in AWS's words:
// https://docs.aws.amazon.com/vpc-lattice/latest/ug/resource-configuration.html
type form struct {
	required, possible []string
}

const (
	memberGateway      = "resourceGatewayIdentifier"
	memberGroup        = "resourceConfigurationGroupIdentifier"
	memberDefinition   = "resourceConfigurationDefinition"
	memberPorts        = "portRanges"
	memberProtocol     = "protocol"
	memberShareable    = "allowAssociationToShareableServiceNetwork"
	memberCustom       = "customDomainName"
	memberGroupDomain  = "groupDomain"
	memberVerification = "domainVerificationIdentifier"
)

var forms = map[string]form{
	model.TypeSingle: {
		[]string{memberGateway, memberDefinition},
		[]string{memberPorts, memberProtocol, memberShareable, memberCustom, memberVerification},
	},
	model.TypeGroup: {
		[]string{memberGateway},
		[]string{memberPorts, memberProtocol, memberShareable, memberGroupDomain, memberVerification},
	},
	model.TypeChild: {
		[]string{memberGroup, memberDefinition},
		[]string{memberPorts, memberCustom},
	},
	model.TypeARN: {
		[]string{memberGateway, memberDefinition},
		[]string{memberShareable},
	},
}

// members tells which of the members that depend on the type a request has, in the order
// in which they are complained of.
func members(in *shape.CreateResourceConfigurationInput) (has []string) {
	for _, m := range []struct {
		name string
		has  bool
	}{
		{memberGateway, in.ResourceGatewayIdentifier != nil},
		{memberGroup, in.ResourceConfigurationGroupIdentifier != nil},
		{memberDefinition, in.ResourceConfigurationDefinition != nil},
		{memberPorts, in.PortRanges != nil},
		{memberProtocol, in.Protocol != nil},
		{memberShareable, in.AllowAssociationToShareableServiceNetwork != nil},
		{memberCustom, in.CustomDomainName != nil},
		{memberGroupDomain, in.GroupDomain != nil},
		{memberVerification, in.DomainVerificationIdentifier != nil},
	} {
		if m.has {
			has = append(has, m.name)
		}
	}
	return has
}

// checkForm holds the members of a request against its type.
func checkForm(in *shape.CreateResourceConfigurationInput) error {
	f, ok := forms[*in.Type]
	if !ok {
		return fault.Validation("type", "resource configurations of type %s are not served yet; use SINGLE, GROUP, CHILD or ARN", *in.Type)
	}
	has := members(in)
	for _, name := range has {
		if !slices.Contains(f.required, name) && !slices.Contains(f.possible, name) {
			return unexpected(name, *in.Type)
		}
	}
	for _, name := range f.required {
		if !slices.Contains(has, name) {
			return fault.Validation(name, "%s is required for type %s", name, *in.Type)
		}
	}
	for name, domain := range map[string]*string{memberCustom: in.CustomDomainName, memberGroupDomain: in.GroupDomain} {
		if domain != nil {
			if err := checkDomain(name, *domain); err != nil {
				return err
			}
		}
	}
	return nil
}

// unexpected refuses a member in AWS's words.
func unexpected(name, kind string) error {
	return fault.Validation(name, "Unexpected attribute %s for type %s", name, kind)
}

// checkBelow sees that the custom domain of a child is below the domain of its group, if
// that has one.
func checkBelow(domain string, group *model.ResourceConfiguration) error {
	if domain == "" || group.GroupDomain == "" {
		return nil
	}
	if !strings.HasSuffix(plain(domain), "."+plain(group.GroupDomain)) {
		return fault.Validation(memberCustom, "%s is not a subdomain of %s, the group domain of %s", domain, group.GroupDomain, group.ID)
	}
	return nil
}

// plain gives one form to names that are the same.
func plain(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }
