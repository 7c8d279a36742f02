// SPDX-License-Identifier: Apache-2.0

package system

import (
	lattice "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/test/postern"
)

func (tf terraform) createGateway(s *stack) {
	tf.t.Helper()
	made := postern.Call[lattice.CreateResourceGatewayOutput](tf.Postern, lattice.Service, "CreateResourceGateway", &lattice.CreateResourceGatewayInput{
		ClientToken: new("terraform-rgw"), Name: new("stack"), VpcIdentifier: &s.provider, SubnetIds: []string{s.servers},
		IpAddressType: new(lattice.ResourceGatewayIpAddressTypeIpv4), Tags: map[string]string{"Name": "stack", "Owner": "terraform"},
	})
	s.gateway, s.gatewayID = *made.Arn, *made.Id
	tf.waitGateway(*s)
}

// twice waits for a status that is seen twice in a row, as the provider does;
// any status but those on the way to it is an error.
func (tf terraform) twice(what, want string, read func() (string, error), pending ...string) {
	tf.t.Helper()
	seen := 0
	tf.Await(what, func() (bool, error) {
		status, err := read()
		if err != nil {
			return false, err
		}
		if status == want {
			seen++
			return seen == 2, nil
		}
		seen = 0
		for _, p := range pending {
			if status == p {
				return false, nil
			}
		}
		tf.t.Fatalf("%s is %s: the provider expects %s or %v", what, status, want, pending)
		return false, nil
	})
}

func (tf terraform) waitGateway(s stack) {
	tf.t.Helper()
	tf.twice("gateway", lattice.ResourceGatewayStatusActive, func() (string, error) {
		var out lattice.GetResourceGatewayOutput
		if err := tf.Do(lattice.Service, "GetResourceGateway", &lattice.GetResourceGatewayInput{ResourceGatewayIdentifier: &s.gatewayID}, &out); err != nil {
			return "", err
		}
		return *out.Status, nil
	}, lattice.ResourceGatewayStatusCreateInProgress, lattice.ResourceGatewayStatusUpdateInProgress)
}

func (tf terraform) readGateway(s stack) []any {
	tf.t.Helper()
	return []any{
		postern.Call[lattice.GetResourceGatewayOutput](tf.Postern, lattice.Service, "GetResourceGateway", &lattice.GetResourceGatewayInput{ResourceGatewayIdentifier: &s.gatewayID}),
		tf.readTags(s.gateway),
	}
}

func (tf terraform) readTags(arn string) map[string]string {
	tf.t.Helper()
	return postern.Call[lattice.ListTagsForResourceOutput](tf.Postern, lattice.Service, "ListTagsForResource", &lattice.ListTagsForResourceInput{ResourceArn: &arn}).Tags
}

func (tf terraform) deleteGateway(s stack) {
	tf.t.Helper()
	postern.Call[lattice.DeleteResourceGatewayOutput](tf.Postern, lattice.Service, "DeleteResourceGateway", &lattice.DeleteResourceGatewayInput{ResourceGatewayIdentifier: &s.gatewayID})
	tf.Await("the gateway to go", func() (bool, error) {
		var out lattice.GetResourceGatewayOutput
		err := tf.Do(lattice.Service, "GetResourceGateway", &lattice.GetResourceGatewayInput{ResourceGatewayIdentifier: &s.gatewayID}, &out)
		return tf.leaving(err, out.Status, lattice.ResourceGatewayStatusDeleteInProgress)
	})
}

// leaving judges an answer about something that is being deleted: the provider
// bears one status only until it is not found.
func (tf terraform) leaving(err error, status *string, want string) (bool, error) {
	tf.t.Helper()
	if postern.Code(err) == "ResourceNotFoundException" {
		return true, nil
	}
	if err == nil && *status != want {
		tf.t.Fatalf("status after the deletion is %s, the provider expects %s", *status, want)
	}
	return false, err
}

func (tf terraform) createConfiguration(s *stack) {
	tf.t.Helper()
	made := postern.Call[lattice.CreateResourceConfigurationOutput](tf.Postern, lattice.Service, "CreateResourceConfiguration", &lattice.CreateResourceConfigurationInput{
		ClientToken: new("terraform-rcfg"), Name: new("stack"), Type: new(lattice.ResourceConfigurationTypeSingle), ResourceGatewayIdentifier: &s.gatewayID,
		Protocol: new(lattice.ProtocolTypeTcp), PortRanges: []string{"5432"}, Tags: map[string]string{"Name": "stack", "Owner": "terraform"},
		ResourceConfigurationDefinition: &lattice.ResourceConfigurationDefinition{IpResource: &lattice.IpResource{IpAddress: new("10.0.1.10")}},
	})
	s.configuration, s.configurationID = *made.Arn, *made.Id
	tf.waitConfiguration(*s)
}

func (tf terraform) waitConfiguration(s stack) {
	tf.t.Helper()
	tf.twice("configuration", lattice.ResourceConfigurationStatusActive, func() (string, error) {
		var out lattice.GetResourceConfigurationOutput
		if err := tf.Do(lattice.Service, "GetResourceConfiguration", &lattice.GetResourceConfigurationInput{ResourceConfigurationIdentifier: &s.configurationID}, &out); err != nil {
			return "", err
		}
		return *out.Status, nil
	}, lattice.ResourceConfigurationStatusCreateInProgress, lattice.ResourceConfigurationStatusUpdateInProgress)
}

func (tf terraform) readConfiguration(s stack) []any {
	tf.t.Helper()
	return []any{
		postern.Call[lattice.GetResourceConfigurationOutput](tf.Postern, lattice.Service, "GetResourceConfiguration", &lattice.GetResourceConfigurationInput{ResourceConfigurationIdentifier: &s.configurationID}),
		tf.readTags(s.configuration),
	}
}

func (tf terraform) deleteConfiguration(s stack) {
	tf.t.Helper()
	postern.Call[lattice.DeleteResourceConfigurationOutput](tf.Postern, lattice.Service, "DeleteResourceConfiguration", &lattice.DeleteResourceConfigurationInput{ResourceConfigurationIdentifier: &s.configurationID})
	tf.Await("the configuration to go", func() (bool, error) {
		var out lattice.GetResourceConfigurationOutput
		err := tf.Do(lattice.Service, "GetResourceConfiguration", &lattice.GetResourceConfigurationInput{ResourceConfigurationIdentifier: &s.configurationID}, &out)
		return tf.leaving(err, out.Status, lattice.ResourceConfigurationStatusDeleteInProgress)
	})
}
