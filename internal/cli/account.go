// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"fmt"

	"github.com/posternhq/postern/internal/aws/shape/postern"
)

type accountCommand struct {
	Create accountCreate `cmd:"" help:"Make an account with an administrator key, and print its environment."`
	List   accountList   `cmd:"" help:"List the accounts."`
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
		name := ""
		if a.Name != nil {
			name = *a.Name
		}
		if _, err := fmt.Fprintln(in.Stdout, *a.AccountId, name); err != nil {
			return err
		}
	}
	return nil
}
