// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/aws/shape/iam"
	"github.com/posternhq/postern/internal/client"
)

// workloadUser is whose key is good through the hub alone.
const workloadUser = "workload"

// bundle is the setting by which the AWS CLI trusts Postern's authority, and nobody else.
func (d *demo) bundle() string {
	return "AWS_CA_BUNDLE=" + filepath.Join(d.hub.certificates, "authority.pem")
}

// aws shows a call of the AWS CLI in one of the consumers, to the service that the first word
// names, and runs it with a key. The service's address is an option, as the CLI of
// version 1 does not take that of RDS in us-east-1 from its environment.
func (d *demo) aws(ctx context.Context, consumer int, who key, words ...string) (output string, status int, err error) {
	return d.awsAt(ctx, consumer, who, "https://"+words[0]+"."+hubDomain, words...)
}

// awsAt is aws for a service at an address.
func (d *demo) awsAt(ctx context.Context, consumer int, who key, address string, words ...string) (output string, status int, err error) {
	words = append([]string{"--endpoint-url", address}, words...)
	shown := make([]string, len(words))
	for i, w := range words {
		shown[i] = quote(w)
	}
	subnet, group := d.hub.consumers[consumer].subnet, d.hub.clientGroups[consumer]
	d.showProgram(subnet, group, "", append([]string{"aws"}, shown...)...)
	// Not in the environment of postern run, which calls the API too, as the operator.
	program := []string{
		"env", d.bundle(), "AWS_DEFAULT_REGION=us-east-1", "AWS_ACCESS_KEY_ID=" + who.id, "AWS_SECRET_ACCESS_KEY=" + who.secret,
		"AWS_CONFIG_FILE=" + os.DevNull, "AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull, d.tools.aws,
	}
	return run(ctx, d.workload(subnet, group, "", append(program, words...)...))
}

// awsSays wants a call of the administrator to succeed, and to say something.
func (d *demo) awsSays(ctx context.Context, consumer int, want string, words ...string) error {
	said, status, err := d.aws(ctx, consumer, d.hub.administrator, words...)
	if err != nil {
		return err
	}
	if status != 0 || !strings.Contains(said, want) {
		return fmt.Errorf("aws %s ended with status %d and did not say %q:\n%s", strings.Join(words, " "), status, want, said)
	}
	d.screen.say(said)
	return nil
}

// awsRefuses wants a call with a key to be refused for a reason.
func (d *demo) awsRefuses(ctx context.Context, consumer int, who key, reason string, words ...string) error {
	said, status, err := d.aws(ctx, consumer, who, words...)
	if err != nil {
		return err
	}
	if status == 0 || !strings.Contains(said, reason) {
		return fmt.Errorf("aws %s ended with status %d and was not refused for %q:\n%s", strings.Join(words, " "), status, reason, said)
	}
	refusal, _, _ := strings.Cut(lastLine(said), sealedReason)
	d.screen.say(refusal)
	return nil
}

// bindKey makes a user who may read, and only by the hub's endpoint to the EC2 API.
func (d *demo) bindKey(ctx context.Context) error {
	endpoint, err := d.endpointOf("ec2")
	if err != nil {
		return err
	}
	if _, err := call[iam.CreateUserOutput](ctx, d, iam.Service, "CreateUser", &iam.CreateUserInput{UserName: new(workloadUser)}); err != nil {
		return err
	}
	policy := fmt.Sprintf(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"ec2:Describe*","Resource":"*","Condition":{"StringEquals":{"aws:SourceVpce":"%s"}}}}`, endpoint)
	if _, err := call[iam.PutUserPolicyOutput](ctx, d, iam.Service, "PutUserPolicy",
		&iam.PutUserPolicyInput{UserName: new(workloadUser), PolicyName: new("by-the-hub"), PolicyDocument: &policy}); err != nil {
		return err
	}
	made, err := call[iam.CreateAccessKeyOutput](ctx, d, iam.Service, "CreateAccessKey", &iam.CreateAccessKeyInput{UserName: new(workloadUser)})
	if err != nil {
		return err
	}
	d.hub.workload = key{*made.AccessKey.AccessKeyId, *made.AccessKey.SecretAccessKey}
	vpc := d.hub.consumers[1].vpc
	said, status, err := d.aws(ctx, 1, d.hub.workload, "ec2", "describe-vpcs", "--vpc-ids", vpc, "--query", "Vpcs[].VpcId", "--output", "text")
	if err != nil {
		return err
	}
	if status != 0 || !strings.Contains(said, vpc) {
		return fmt.Errorf("the user's call through the hub ended with status %d:\n%s", status, said)
	}
	d.screen.say(said)
	a := d.postern.Access()
	d.screen.command("# the same key, not through the hub")
	elsewhere := client.New(a.URL, a.Region, d.hub.workload.id, d.hub.workload.secret)
	in := &ec2.DescribeVpcsInput{VpcIds: []string{vpc}}
	d.screen.command(commandLine(ec2.Service, "DescribeVpcs", in))
	if err := d.refused(elsewhere.Do(ctx, ec2.Service, "DescribeVpcs", in, new(ec2.DescribeVpcsOutput)), "the key outside of the hub"); err != nil {
		return err
	}
	d.screen.done("aws:SourceVpce is the endpoint that a request came by; a key that is taken elsewhere opens nothing")
	return nil
}

// denyByEndpoint denies an action to all who come by the hub.
func (d *demo) denyByEndpoint(ctx context.Context) error {
	const policy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"},{"Effect":"Deny","Principal":"*","Action":"ec2:CreateVpc","Resource":"*"}]}`
	endpoint, err := d.endpointOf("ec2")
	if err != nil {
		return err
	}
	if _, err := call[ec2.ModifyVpcEndpointOutput](ctx, d, ec2.Service, "ModifyVpcEndpoint",
		&ec2.ModifyVpcEndpointInput{VpcEndpointId: &endpoint, PolicyDocument: new(policy)}); err != nil {
		return err
	}
	if err := d.awsRefuses(ctx, 0, d.hub.administrator, "UnauthorizedOperation", "ec2", "create-vpc", "--cidr-block", networkCIDR); err != nil {
		return err
	}
	d.screen.done("nobody makes VPCs through the hub, not even the administrator, who elsewhere may")
	return nil
}

// freeAddress gives an address of the loopback device at which nobody listens.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}

func writeText(file, text string) error { return os.WriteFile(file, []byte(text+"\n"), 0o644) }
