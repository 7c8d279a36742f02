// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/posternhq/postern/internal/aws/shape/postern"
)

type accountCommand struct {
	Create accountCreate `cmd:"" help:"Make an account with an administrator key, and print its environment."`
	List   accountList   `cmd:"" help:"List the accounts."`
	Trust  accountTrust  `cmd:"" help:"Let an account name any network namespace of this host in API calls, or no longer."`
}

type accountCreate struct {
	location
	ID   string `arg:"" optional:"" help:"Twelve digits; chosen when not given." placeholder:"ID"`
	Name string `help:"A name for people."`
}

func (c *accountCreate) Run(in *Invocation) error {
	t, err := c.find(in)
	if err != nil {
		return err
	}
	var input postern.CreateAccountInput
	if c.ID != "" {
		input.AccountId = &c.ID
	}
	if c.Name != "" {
		input.Name = &c.Name
	}
	var out postern.CreateAccountOutput
	if err := t.client().Do(in.Context, postern.Service, "CreateAccount", &input, &out); err != nil {
		return err
	}
	_, err = fmt.Fprintf(in.Stdout, "# account %s\nexport AWS_ACCESS_KEY_ID=%s\nexport AWS_SECRET_ACCESS_KEY=%s\n",
		*out.AccountId, *out.AccessKeyId, *out.SecretAccessKey)
	return err
}

type accountList struct {
	location
	Output string `short:"o" help:"Form of the answer: text or json." default:"text" enum:"text,json"`
}

func (c *accountList) Run(in *Invocation) error {
	t, err := c.find(in)
	if err != nil {
		return err
	}
	var out postern.ListAccountsOutput
	if err := t.client().Do(in.Context, postern.Service, "ListAccounts", &postern.ListAccountsInput{}, &out); err != nil {
		return err
	}
	if c.Output == "json" {
		e := json.NewEncoder(in.Stdout)
		e.SetIndent("", "  ")
		return e.Encode(out.Accounts)
	}
	for _, a := range out.Accounts {
		if err := printAccount(in, *a.AccountId, text(a.Name), *a.Trusted); err != nil {
			return err
		}
	}
	return nil
}

func printAccount(in *Invocation, id, name string, trusted bool) error {
	words := []string{id}
	if name != "" {
		words = append(words, name)
	}
	if trusted {
		words = append(words, "(trusted)")
	}
	_, err := fmt.Fprintln(in.Stdout, strings.Join(words, " "))
	return err
}

type accountTrust struct {
	location
	ID     string `arg:"" help:"The account." placeholder:"ID"`
	Revoke bool   `help:"Trust it no longer. What it has attached stays."`
}

func (c *accountTrust) Run(in *Invocation) error {
	t, err := c.find(in)
	if err != nil {
		return err
	}
	var out postern.UpdateAccountOutput
	input := postern.UpdateAccountInput{AccountId: &c.ID, Trusted: new(!c.Revoke)}
	if err := t.client().Do(in.Context, postern.Service, "UpdateAccount", &input, &out); err != nil {
		return err
	}
	return printAccount(in, *out.AccountId, text(out.Name), *out.Trusted)
}
