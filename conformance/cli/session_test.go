// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"strings"
	"testing"

	"github.com/posternhq/postern/conformance/harness"
)

// with gives a terminal with the temporary key of an answer.
func (c *terminal) with(a answer) *terminal {
	c.t.Helper()
	session := newTerminal(c.t, harness.Key{ID: a.at("Credentials.AccessKeyId"), Secret: a.at("Credentials.SecretAccessKey")})
	session.environment = append(session.environment, "AWS_SESSION_TOKEN="+a.at("Credentials.SessionToken"))
	return session
}

// TestSessions begins sessions of every kind.
func TestSessions(t *testing.T) {
	t.Parallel()
	vendor, key := newAccount(t), server.NewAccount(t)
	partner := newTerminal(t, key)
	role := vendor.ok(`iam create-role --role-name operator --assume-role-policy-document {"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"%s"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"story"}}}}`, key.Account).at("Role.Arn")
	vendor.ok(`iam put-role-policy --role-name operator --policy-name own --policy-document {"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"ec2:Describe*","Resource":"*"}}`)
	partner.refused("AccessDenied", "sts assume-role --role-arn %s --role-session-name ann", role)
	assumed := partner.ok("sts assume-role --role-arn %s --role-session-name ann --external-id story --duration-seconds 900", role)
	session := partner.with(assumed)
	session.ok("sts get-caller-identity").is("Arn", assumed.at("AssumedRoleUser.Arn"))
	session.ok("ec2 describe-vpcs").has("Vpcs", 1)
	session.refused("UnauthorizedOperation", "ec2 create-vpc --cidr-block 10.0.0.0/16")

	denied := session.run("ec2 create-vpc --cidr-block 10.0.0.0/16").Stderr
	_, encoded, _ := strings.Cut(denied, "Encoded authorization failure message: ")
	vendor.ok("sts decode-authorization-message --encoded-message %s", strings.Fields(encoded + " none")[0])

	own := partner.ok("sts get-session-token --duration-seconds 900")
	partner.with(own).ok("sts get-caller-identity").is("Account", key.Account)
	partner.with(own).refused("AccessDenied", "sts get-session-token")
	federated := partner.ok(`sts get-federation-token --name bob --policy {"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"ec2:Describe*","Resource":"*"}}`)
	bob := partner.with(federated)
	bob.ok("ec2 describe-vpcs").has("Vpcs", 1)
	bob.refused("UnauthorizedOperation", "ec2 create-vpc --cidr-block 10.0.0.0/16")
	partner.ok("sts get-access-key-info --access-key-id %s", federated.at("Credentials.AccessKeyId")).is("Account", key.Account)
	partner.refused("InvalidAuthorizationMessageException", "sts decode-authorization-message --encoded-message nothing")
}
