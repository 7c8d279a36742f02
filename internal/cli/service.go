// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/posternhq/postern/internal/aws/shape/postern"
)

type serviceCommand struct {
	Register    serviceRegister    `cmd:"" help:"Have something that answers at addresses be a service that all accounts can have interface endpoints to."`
	Deregister  serviceDeregister  `cmd:"" help:"Offer a registered service no more. What answers there is left as it is."`
	List        serviceList        `cmd:"" help:"List registered services, with their names and where they lead."`
	Certificate serviceCertificate `cmd:"" help:"Write a certificate, with its key, by which clients in VPCs know the service. Do it again before it ends."`
}

// regional is a command about services of a region.
type regional struct {
	location
	Region string `help:"The region; that of the environment or the default one, when not given." placeholder:"NAME"`
}

func (c *regional) ask(in *Invocation, operation string, input, output any) error {
	t, err := c.find(in)
	if err != nil {
		return err
	}
	if c.Region != "" {
		t.region = c.Region
	}
	return t.client().Do(in.Context, postern.Service, operation, input, output)
}

type serviceRegister struct {
	regional
	Name        string   `arg:"" help:"What endpoints call it, such as com.example.s3. Its last label is in the names of its endpoints." placeholder:"NAME"`
	Target      []string `sep:"none" required:"" xor:"where" help:"Where it answers, as the host itself reaches it: an address or a name, with the port. Once for each." placeholder:"HOST[:PORT]"`
	Balancer    []string `name:"load-balancer" sep:"none" required:"" xor:"where" help:"A network load balancer that leads to where it answers in a VPC. Once for each." placeholder:"ARN"`
	Port        []int32  `help:"At which port clients find it; by default where its targets listen. Once for each." placeholder:"PORT"`
	PrivateName string   `name:"private-dns-name" help:"The name by which clients call it in VPCs whose endpoints have private DNS; by default its last label, the region and --dns-suffix." placeholder:"NAME"`
	Wildcard    bool     `help:"All names below that one lead there too."`
}

func (c *serviceRegister) Run(in *Invocation) error {
	input := &postern.RegisterServiceInput{Name: &c.Name, Ports: c.Port, LoadBalancerArns: c.Balancer, PrivateName: given(c.PrivateName), Wildcard: &c.Wildcard}
	for _, text := range c.Target {
		t, err := parseTarget(text)
		if err != nil {
			return err
		}
		input.Targets = append(input.Targets, t)
	}
	var out postern.RegisterServiceOutput
	if err := c.ask(in, "RegisterService", input, &out); err != nil {
		return err
	}
	return printService(in, postern.RegisteredService(out))
}

// parseTarget reads HOST[:PORT], where an IPv6 address that a port follows is in
// brackets.
func parseTarget(text string) (t postern.ServiceTarget, err error) {
	host, port := text, ""
	if strings.Count(text, ":") == 1 || strings.HasPrefix(text, "[") && strings.Contains(text, "]:") {
		if host, port, err = net.SplitHostPort(text); err != nil {
			return t, fmt.Errorf("--target %q: %w; want HOST[:PORT]", text, err)
		}
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return t, fmt.Errorf("--target %q: %q is no port; want HOST[:PORT]", text, port)
		}
		t.Port = new(int32(n))
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if host == "" {
		return t, fmt.Errorf("--target %q has no address; want HOST[:PORT]", text)
	}
	t.Address = &host
	return t, nil
}

type serviceDeregister struct {
	regional
	Name string `arg:"" help:"What endpoints call it." placeholder:"NAME"`
}

func (c *serviceDeregister) Run(in *Invocation) error {
	var out postern.DeregisterServiceOutput
	return c.ask(in, "DeregisterService", &postern.DeregisterServiceInput{Name: &c.Name}, &out)
}

type serviceList struct {
	regional
	Output string `short:"o" help:"Form of the answer: text or json." default:"text" enum:"text,json"`
}

func (c *serviceList) Run(in *Invocation) error {
	var out postern.ListRegisteredServicesOutput
	if err := c.ask(in, "ListRegisteredServices", &postern.ListRegisteredServicesInput{}, &out); err != nil {
		return err
	}
	if c.Output == "json" {
		e := json.NewEncoder(in.Stdout)
		e.SetIndent("", "  ")
		return e.Encode(out.Services)
	}
	for _, s := range out.Services {
		if err := printService(in, s); err != nil {
			return err
		}
	}
	return nil
}

func printService(in *Invocation, s postern.RegisteredService) error {
	var ports, targets []string
	for _, p := range s.Ports {
		ports = append(ports, fmt.Sprint(p))
	}
	for _, t := range s.Targets {
		text := *t.Address
		if t.Port != nil {
			text = net.JoinHostPort(text, fmt.Sprint(*t.Port))
		}
		targets = append(targets, text)
	}
	targets = append(targets, s.LoadBalancerArns...)
	if ports == nil {
		ports = []string{"as its load balancers listen"}
	}
	fmt.Fprintf(in.Stdout, "%s %s %s, port %s, %d endpoints\n", *s.Name, *s.Id, text(s.Region), strings.Join(ports, " "), *s.Endpoints)
	fmt.Fprintf(in.Stdout, "  private names %s\n  endpoints in *.%s\n", strings.Join(s.PrivateNames, " "), text(s.BaseName))
	_, err := fmt.Fprintf(in.Stdout, "  leads to %s\n", strings.Join(targets, " "))
	return err
}

type serviceCertificate struct {
	regional
	Name string `arg:"" help:"What endpoints call it." placeholder:"NAME"`
	Out  string `required:"" help:"Folder for certificate.pem, key.pem and authority.pem, which is made if need be." placeholder:"DIR"`
}

func (c *serviceCertificate) Run(in *Invocation) error {
	var out postern.IssueServiceCertificateOutput
	if err := c.ask(in, "IssueServiceCertificate", &postern.IssueServiceCertificateInput{Name: &c.Name}, &out); err != nil {
		return err
	}
	if err := os.MkdirAll(c.Out, 0o755); err != nil {
		return fmt.Errorf("write the certificate: %w", err)
	}
	for _, f := range []struct {
		name, text string
		mode       os.FileMode
	}{{"key.pem", *out.PrivateKey, 0o600}, {"certificate.pem", *out.Certificate, 0o644}, {"authority.pem", text(out.Authority), 0o644}} {
		if err := replaceFile(filepath.Join(c.Out, f.name), []byte(f.text), f.mode); err != nil {
			return fmt.Errorf("write the certificate: %w", err)
		}
	}
	_, err := fmt.Fprintf(in.Stdout, "%s: good until %s, for %s\n", filepath.Join(c.Out, "certificate.pem"), text(out.ValidTill), strings.Join(out.Names, " "))
	return err
}

// replaceFile has a file be of a content and a mode, or be as it was.
func replaceFile(name string, content []byte, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-")
	if err != nil {
		return err
	}
	err = f.Chmod(mode)
	if err == nil {
		_, err = f.Write(content)
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
