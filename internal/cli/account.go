// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/posternhq/postern/internal/aws/shape/postern"
)

type accountCommand struct {
	Create  accountCreate  `cmd:"" help:"Make an account with an administrator key, and print its environment."`
	List    accountList    `cmd:"" help:"List the accounts."`
	Disable accountDisable `cmd:"" help:"Refuse all keys and sessions of an account from now on. What it has goes on working."`
	Enable  accountEnable  `cmd:"" help:"Let a disabled account in again."`
	Trust   accountTrust   `cmd:"" help:"Let an account name any network namespace of this host in API calls, or no longer."`
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
	return printKey(in, *out.AccountId, *out.AccessKeyId, *out.SecretAccessKey)
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
		if err := printAccount(in, a); err != nil {
			return err
		}
	}
	return nil
}

func printAccount(in *Invocation, a postern.AccountSummary) error {
	words := []string{*a.AccountId}
	if name := text(a.Name); name != "" {
		words = append(words, name)
	}
	for _, mark := range []struct {
		is   *bool
		word string
	}{{a.Trusted, "(trusted)"}, {a.Disabled, "(disabled)"}} {
		if mark.is != nil && *mark.is {
			words = append(words, mark.word)
		}
	}
	_, err := fmt.Fprintln(in.Stdout, strings.Join(words, " "))
	return err
}

// update changes an account and prints what it is now.
func (l location) update(in *Invocation, input postern.UpdateAccountInput) error {
	t, err := l.find(in)
	if err != nil {
		return err
	}
	var out postern.UpdateAccountOutput
	if err := t.client().Do(in.Context, postern.Service, "UpdateAccount", &input, &out); err != nil {
		return err
	}
	return printAccount(in, postern.AccountSummary(out))
}

type accountTrust struct {
	location
	ID     string `arg:"" help:"The account." placeholder:"ID"`
	Revoke bool   `help:"Trust it no longer. What it has attached stays."`
}

func (c *accountTrust) Run(in *Invocation) error {
	return c.update(in, postern.UpdateAccountInput{AccountId: &c.ID, Trusted: new(!c.Revoke)})
}

type accountDisable struct {
	location
	ID string `arg:"" help:"The account." placeholder:"ID"`
}

func (c *accountDisable) Run(in *Invocation) error {
	return c.update(in, postern.UpdateAccountInput{AccountId: &c.ID, Disabled: new(true)})
}

type accountEnable struct {
	location
	ID string `arg:"" help:"The account." placeholder:"ID"`
}

func (c *accountEnable) Run(in *Invocation) error {
	return c.update(in, postern.UpdateAccountInput{AccountId: &c.ID, Disabled: new(false)})
}
