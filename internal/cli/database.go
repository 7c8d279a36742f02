// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/posternhq/postern/internal/aws/shape/postern"
)

type databaseCommand struct {
	Register   databaseRegister   `cmd:"" help:"Have a database that exists already be offered like those of RDS. Postern asks it who writes, and changes nothing of it."`
	Change     databaseChange     `cmd:"" help:"Ask a registered database with another role, password or certificate authority. What is not given stays."`
	Deregister databaseDeregister `cmd:"" help:"Know a registered database no more. The database itself is left as it is."`
	List       databaseList       `cmd:"" help:"List registered databases, with who writes and what is the matter."`
}

type databaseRegister struct {
	location
	Name     string   `arg:"" help:"Its identifier, as of a DB cluster of RDS." placeholder:"NAME"`
	VPC      string   `name:"vpc" required:"" help:"The VPC in which it is reached." placeholder:"ID"`
	Member   []string `required:"" sep:"none" help:"A server: its address, perhaps with its identifier before and its own name behind. Once for each." placeholder:"[ID=]ADDRESS[,NAME]"`
	Engine   string   `help:"The engine, in the words of RDS." default:"postgres" placeholder:"ENGINE"`
	Ask      string   `help:"How to ask who writes: postgres, mysql, patroni, or tcp, by which the first server whose port is open does." default:"postgres" enum:"postgres,mysql,patroni,tcp"`
	Port     int32    `required:"" help:"Where the servers listen." placeholder:"PORT"`
	User     string   `help:"Role to ask as; it needs no right but to log in." placeholder:"NAME"`
	Password string   `help:"File with the role's password; - is the standard input." placeholder:"FILE"`
	CA       string   `name:"ca" help:"File with the certificate, in PEM, that the servers' certificates are checked with. Without it they are not." type:"existingfile" placeholder:"FILE"`
	Writer   string   `help:"The database's own name for the writer." placeholder:"NAME"`
	Reader   string   `help:"The database's own name for the readers." placeholder:"NAME"`
	RESTPort int32    `name:"rest-port" help:"Where Patroni answers; by default 8008." placeholder:"PORT"`
	MaxLag   int64    `name:"max-lag" help:"How many bytes behind the writer a reader may be; by default any." placeholder:"BYTES"`
}

func (c *databaseRegister) Run(in *Invocation) error {
	t, err := c.find(in)
	if err != nil {
		return err
	}
	input, err := c.input(in)
	if err != nil {
		return err
	}
	var out postern.RegisterDatabaseOutput
	if err := t.client().Do(in.Context, postern.Service, "RegisterDatabase", input, &out); err != nil {
		return err
	}
	return printDatabase(in, postern.RegisteredDatabase(out))
}

func (c *databaseRegister) input(in *Invocation) (*postern.RegisterDatabaseInput, error) {
	input := &postern.RegisterDatabaseInput{
		Identifier: &c.Name, Engine: &c.Engine, Ask: &c.Ask, VpcId: &c.VPC, Port: &c.Port, WriterName: given(c.Writer), ReaderName: given(c.Reader), User: given(c.User),
	}
	if c.RESTPort != 0 {
		input.RestPort = &c.RESTPort
	}
	if c.MaxLag != 0 {
		input.MaxLag = &c.MaxLag
	}
	for _, text := range c.Member {
		m, err := parseMember(text)
		if err != nil {
			return nil, err
		}
		input.Members = append(input.Members, m)
	}
	var err error
	input.CertificateAuthority, input.Password, err = readAccess(in, c.CA, c.Password)
	return input, err
}

// readAccess reads what servers are checked with, and the password that they are told, from
// the files that are named.
func readAccess(in *Invocation, authority, secret string) (ca, password *string, err error) {
	if authority != "" {
		text, err := os.ReadFile(authority)
		if err != nil {
			return nil, nil, fmt.Errorf("read the certificate authority: %w", err)
		}
		ca = new(string(text))
	}
	if secret != "" {
		text, err := readPassword(in, secret)
		if err != nil {
			return nil, nil, err
		}
		password = &text
	}
	return ca, password, nil
}

type databaseChange struct {
	location
	Name     string `arg:"" help:"Its identifier." placeholder:"NAME"`
	User     string `help:"Role to ask as." placeholder:"NAME"`
	Password string `help:"File with the role's password; - is the standard input." placeholder:"FILE"`
	CA       string `name:"ca" xor:"ca" help:"File with the certificate, in PEM, that the servers' certificates are checked with." type:"existingfile" placeholder:"FILE"`
	NoCA     bool   `name:"no-ca" xor:"ca" help:"Check the servers' certificates no more."`
	RESTPort int32  `name:"rest-port" help:"Where Patroni answers." placeholder:"PORT"`
	MaxLag   *int64 `name:"max-lag" help:"How many bytes behind the writer a reader may be; 0 for any." placeholder:"BYTES"`
}

func (c *databaseChange) Run(in *Invocation) error {
	t, err := c.find(in)
	if err != nil {
		return err
	}
	input := &postern.UpdateRegisteredDatabaseInput{Identifier: &c.Name, User: given(c.User), MaxLag: c.MaxLag}
	if input.CertificateAuthority, input.Password, err = readAccess(in, c.CA, c.Password); err != nil {
		return err
	}
	if c.NoCA {
		input.CertificateAuthority = new("")
	}
	if c.RESTPort != 0 {
		input.RestPort = &c.RESTPort
	}
	var out postern.UpdateRegisteredDatabaseOutput
	if err := t.client().Do(in.Context, postern.Service, "UpdateRegisteredDatabase", input, &out); err != nil {
		return err
	}
	return printDatabase(in, postern.RegisteredDatabase(out))
}

// parseMember reads [ID=]ADDRESS[,NAME].
func parseMember(text string) (m postern.DatabaseMember, err error) {
	rest, name, _ := strings.Cut(text, ",")
	id, address, has := strings.Cut(rest, "=")
	if !has {
		id, address = "", rest
	}
	if address == "" {
		return m, fmt.Errorf("--member %q has no address; want [ID=]ADDRESS[,NAME]", text)
	}
	return postern.DatabaseMember{Identifier: given(id), Address: &address, Name: given(name)}, nil
}

func given(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// longestPassword is how much of a file is read for a password.
const longestPassword = 4096

// readPassword reads a password, which is what a file has without the line's end.
func readPassword(in *Invocation, name string) (string, error) {
	file := in.Stdin
	if name != "-" {
		opened, err := os.Open(name)
		if err != nil {
			return "", fmt.Errorf("read the password: %w", err)
		}
		defer opened.Close()
		file = opened
	}
	text, err := io.ReadAll(io.LimitReader(file, longestPassword))
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	password := strings.TrimRight(string(text), "\r\n")
	if password == "" {
		return "", errors.New("the file with the password is empty")
	}
	return password, nil
}

type databaseDeregister struct {
	location
	Name string `arg:"" help:"Its identifier." placeholder:"NAME"`
}

func (c *databaseDeregister) Run(in *Invocation) error {
	t, err := c.find(in)
	if err != nil {
		return err
	}
	var out postern.DeregisterDatabaseOutput
	return t.client().Do(in.Context, postern.Service, "DeregisterDatabase", &postern.DeregisterDatabaseInput{Identifier: &c.Name}, &out)
}

type databaseList struct {
	location
	Output string `short:"o" help:"Form of the answer: text or json." default:"text" enum:"text,json"`
}

func (c *databaseList) Run(in *Invocation) error {
	t, err := c.find(in)
	if err != nil {
		return err
	}
	var out postern.ListRegisteredDatabasesOutput
	if err := t.client().Do(in.Context, postern.Service, "ListRegisteredDatabases", &postern.ListRegisteredDatabasesInput{}, &out); err != nil {
		return err
	}
	if c.Output == "json" {
		e := json.NewEncoder(in.Stdout)
		e.SetIndent("", "  ")
		return e.Encode(out.Databases)
	}
	for _, d := range out.Databases {
		if err := printDatabase(in, d); err != nil {
			return err
		}
	}
	return nil
}

func printDatabase(in *Invocation, d postern.RegisteredDatabase) error {
	line := fmt.Sprintf("%s %s %s %s", *d.Identifier, text(d.Engine), text(d.Arn), text(d.Status))
	if reason := text(d.Reason); reason != "" {
		line += ": " + reason
	}
	fmt.Fprintln(in.Stdout, line)
	fmt.Fprintf(in.Stdout, "  writer %s\n  reader %s\n", text(d.WriterName), text(d.ReaderName))
	for _, m := range d.Members {
		line := fmt.Sprintf("  %s %s:%d %s %s", text(m.Identifier), text(m.Address), *d.Port, text(m.Name), text(m.Status))
		if m.Writer != nil && *m.Writer {
			line += ", writes"
		}
		if reason := text(m.Reason); reason != "" {
			line += ": " + reason
		}
		if _, err := fmt.Fprintln(in.Stdout, line); err != nil {
			return err
		}
	}
	return nil
}
