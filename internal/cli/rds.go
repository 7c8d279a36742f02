// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"

	"github.com/posternhq/postern/internal/aws/shape/postern"
	"github.com/posternhq/postern/internal/model"
)

type rdsCommand struct {
	CA       rdsAuthority `cmd:"" name:"ca" help:"Print the certificate authority of an account's databases in PEM, for sslrootcert and the like."`
	Password rdsPassword  `cmd:"" help:"Print the password of a database's master user that was made with ManageMasterUserPassword."`
}

type rdsPassword struct {
	location
	Database string `arg:"" help:"The identifier or ARN of an instance that is in no cluster, or of a cluster. Of two with one identifier it is the instance." placeholder:"ID"`
	Region   string `help:"The region; that of the ARN, the environment or the default one, when not given." placeholder:"NAME"`
}

// Run prints the password and nothing else, so that the output can be what a client wants. Whose
// it is goes to standard error.
func (c *rdsPassword) Run(in *Invocation) error {
	t, err := c.find(in)
	if err != nil {
		return err
	}
	name, kinds := c.Database, []string{"db", "cluster"}
	if arn, err := model.ParseARN(name); err == nil && arn.Service == "rds" {
		name, t.region, kinds = arn.ID, arn.Region, []string{arn.Type}
	}
	if c.Region != "" {
		t.region = c.Region
	}
	var out postern.GetMasterUserPasswordOutput
	for _, kind := range kinds {
		input := &postern.GetMasterUserPasswordInput{InstanceIdentifier: &name}
		if kind == "cluster" {
			input = &postern.GetMasterUserPasswordInput{ClusterIdentifier: &name}
		}
		if err = t.client().Do(in.Context, postern.Service, "GetMasterUserPassword", input, &out); !notFound(err) {
			break
		}
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(in.Stderr, "password of %s, the master user of %s\n", *out.Username, *out.Arn)
	_, err = fmt.Fprintln(in.Stdout, *out.Password)
	return err
}

type rdsAuthority struct {
	location
	Account string `help:"The account; that of the key which signs, when not given." placeholder:"ID"`
	Region  string `help:"The region; that of the environment or the default one, when not given." placeholder:"NAME"`
}

// Run prints the certificate, which need not be kept secret. What is known of it goes to
// standard error, so that the output is a file as clients want it.
func (c *rdsAuthority) Run(in *Invocation) error {
	t, err := c.find(in)
	if err != nil {
		return err
	}
	if c.Region != "" {
		t.region = c.Region
	}
	var input postern.GetCertificateAuthorityInput
	if c.Account != "" {
		input.AccountId = &c.Account
	}
	var out postern.GetCertificateAuthorityOutput
	if err := t.client().Do(in.Context, postern.Service, "GetCertificateAuthority", &input, &out); err != nil {
		return err
	}
	fmt.Fprintf(in.Stderr, "%s of account %s in %s, good until %s, SHA-1 %s\n", *out.Name, *out.AccountId, *out.Region, *out.ValidTill, *out.Thumbprint)
	if problem := text(out.Problem); problem != "" {
		fmt.Fprintln(in.Stderr, problem)
	}
	_, err = fmt.Fprint(in.Stdout, *out.Certificate)
	return err
}
