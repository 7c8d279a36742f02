// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/posternhq/postern/internal/aws/shape/postern"
	"github.com/posternhq/postern/internal/daemon"
)

type keyCommand struct {
	Create  keyCreate  `cmd:"" help:"Make another access key of an account itself, which may do everything in it, and print its environment."`
	List    keyList    `cmd:"" help:"List the access keys of an account, those of its users as well."`
	Rotate  keyRotate  `cmd:"" help:"Make the successor of an access key of an account itself, and print its environment."`
	Disable keyDisable `cmd:"" help:"Refuse an access key, and the sessions that it began, from now on."`
	Enable  keyEnable  `cmd:"" help:"Let a disabled access key in again."`
	Delete  keyDelete  `cmd:"" help:"Delete an access key for good."`
}

// printKey prints a new key for eval, as postern env does.
func printKey(in *Invocation, account, id, secret string) error {
	_, err := fmt.Fprintf(in.Stdout, "# account %s\nexport AWS_ACCESS_KEY_ID=%s\nexport AWS_SECRET_ACCESS_KEY=%s\nunset AWS_SESSION_TOKEN\n", account, id, secret)
	return err
}

type keyCreate struct {
	location
	Account string `help:"The account; that of the key which signs, when not given." placeholder:"ID"`
}

// Run makes a key and prints it, this once.
func (c *keyCreate) Run(in *Invocation) error {
	t, err := c.find(in)
	if err != nil {
		return err
	}
	var input postern.CreateAccessKeyInput
	if c.Account != "" {
		input.AccountId = &c.Account
	}
	var out postern.CreateAccessKeyOutput
	if err := t.client().Do(in.Context, postern.Service, "CreateAccessKey", &input, &out); err != nil {
		return err
	}
	return printKey(in, *out.AccountId, *out.AccessKeyId, *out.SecretAccessKey)
}

type keyList struct {
	location
	Account string `help:"The account; that of the key which signs, when not given." placeholder:"ID"`
	Output  string `short:"o" help:"Form of the answer: text or json." default:"text" enum:"text,json"`
}

// Run prints a line for each key.
func (c *keyList) Run(in *Invocation) error {
	t, err := c.find(in)
	if err != nil {
		return err
	}
	var input postern.ListAccessKeysInput
	if c.Account != "" {
		input.AccountId = &c.Account
	}
	var out postern.ListAccessKeysOutput
	if err := t.client().Do(in.Context, postern.Service, "ListAccessKeys", &input, &out); err != nil {
		return err
	}
	if c.Output == "json" {
		e := json.NewEncoder(in.Stdout)
		e.SetIndent("", "  ")
		return e.Encode(out.AccessKeys)
	}
	for _, k := range out.AccessKeys {
		if err := printSummary(in, k); err != nil {
			return err
		}
	}
	return nil
}

func printSummary(in *Invocation, k postern.AccessKeySummary) error {
	words := []string{*k.AccessKeyId, text(k.Arn)}
	if made := text(k.CreatedAt); made != "" {
		words = append(words, "of "+made)
	}
	if !*k.Enabled {
		words = append(words, "(disabled)")
	}
	if problem := text(k.Problem); problem != "" {
		words = append(words, "("+problem+")")
	}
	_, err := fmt.Fprintln(in.Stdout, strings.Join(words, " "))
	return err
}

type keyRotate struct {
	location
	ID      string `arg:"" help:"The key." placeholder:"KEY"`
	Disable bool   `help:"Refuse the former key from now on. Without it both are good, until the former is disabled."`
}

// Run prints the new key, and what to do with the former one.
func (c *keyRotate) Run(in *Invocation) error {
	t, err := c.find(in)
	if err != nil {
		return err
	}
	var out postern.RotateAccessKeyOutput
	input := postern.RotateAccessKeyInput{AccessKeyId: &c.ID, Disable: &c.Disable}
	if err := t.client().Do(in.Context, postern.Service, "RotateAccessKey", &input, &out); err != nil {
		return err
	}
	if err := printKey(in, *out.AccountId, *out.AccessKeyId, *out.SecretAccessKey); err != nil {
		return err
	}
	if !c.Disable {
		fmt.Fprintf(in.Stderr, "The former key is still good. When nothing uses it any more: postern key disable %[1]s, and later: postern key delete %[1]s\n", c.ID)
		return nil
	}
	return c.replaced(in, c.ID)
}

// replaced waits until commands do not use a key any more that was taken away: the running
// Postern keeps a good one for them in the data folder.
func (l location) replaced(in *Invocation, id string) error {
	for range 200 {
		used, err := daemon.Folder(l.Data).Credentials()
		if err != nil || used.AccessKeyID != id {
			return nil // it is not this folder's Postern, or nobody's who may read it
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-in.Context.Done():
			return in.Context.Err()
		}
	}
	return fmt.Errorf("the key is taken away, but %s still has it in credentials.json; restart Postern", l.Data)
}

type keyDisable struct {
	location
	ID string `arg:"" help:"The key." placeholder:"KEY"`
}

func (c *keyDisable) Run(in *Invocation) error { return c.set(in, c.ID, false) }

type keyEnable struct {
	location
	ID string `arg:"" help:"The key." placeholder:"KEY"`
}

func (c *keyEnable) Run(in *Invocation) error { return c.set(in, c.ID, true) }

// set enables or disables a key and prints what it is now.
func (l location) set(in *Invocation, id string, enabled bool) error {
	t, err := l.find(in)
	if err != nil {
		return err
	}
	var out postern.UpdateAccessKeyOutput
	if err := t.client().Do(in.Context, postern.Service, "UpdateAccessKey", &postern.UpdateAccessKeyInput{AccessKeyId: &id, Enabled: &enabled}, &out); err != nil {
		return err
	}
	if err := printSummary(in, postern.AccessKeySummary(out)); err != nil || enabled {
		return err
	}
	return l.replaced(in, id)
}

type keyDelete struct {
	location
	ID string `arg:"" help:"The key." placeholder:"KEY"`
}

// Run deletes the key.
func (c *keyDelete) Run(in *Invocation) error {
	t, err := c.find(in)
	if err != nil {
		return err
	}
	if err := t.client().Do(in.Context, postern.Service, "DeleteAccessKey", &postern.DeleteAccessKeyInput{AccessKeyId: &c.ID}, nil); err != nil {
		return err
	}
	return c.replaced(in, c.ID)
}

type resealCommand struct{ location }

// Run says with which key all is sealed now.
func (c *resealCommand) Run(in *Invocation) error {
	return daemon.Reseal(in.Context, daemon.Folder(c.Data), in.Stdout)
}
