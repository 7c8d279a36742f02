// SPDX-License-Identifier: Apache-2.0

package system

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/aws/shape/sts"
	"github.com/posternhq/postern/internal/client"
	"github.com/posternhq/postern/internal/seal"
	"github.com/posternhq/postern/test/postern"
)

// caller asks who a key is, as the account's own or with a session's token.
func caller(p *postern.Postern, id, secret, token string) (string, error) {
	at := p.Access()
	var out sts.GetCallerIdentityOutput
	err := client.New(at.URL, at.Region, id, secret).WithSessionToken(token).
		Do(context.Background(), sts.Service, "GetCallerIdentity", &sts.GetCallerIdentityInput{}, &out)
	if err != nil {
		return "", err
	}
	return *out.Account, nil
}

// expectCaller wants a key to be known, or not to be.
func expectCaller(t *testing.T, p *postern.Postern, when, id, secret, token string, known bool) {
	t.Helper()
	account, err := caller(p, id, secret, token)
	var refused *client.Error
	switch {
	case known && err == nil && account != "":
	case !known && errors.As(err, &refused) && refused.Code == "InvalidClientTokenId":
	default:
		t.Errorf("%s: key %s is of %q, %v; want it known: %t", when, id, account, err, known)
	}
}

// printed reads the key that a command prints for eval.
func printed(t *testing.T, out string) (id, secret string) {
	t.Helper()
	for line := range strings.Lines(out) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), "export AWS_ACCESS_KEY_ID="); ok {
			id = value
		}
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), "export AWS_SECRET_ACCESS_KEY="); ok {
			secret = value
		}
	}
	if id == "" || secret == "" {
		t.Fatalf("no key in %q", out)
	}
	return id, secret
}

// Keys of the first account and of another one are made, rotated, disabled and deleted by
// commands, which always have one that works; what was taken away is refused at once, with
// its sessions, also after a restart.
func TestKeysOfAccounts(t *testing.T) {
	p := postern.Start(t)
	first := p.Access()
	id, secret := printed(t, expectCommand(t, p, 0, "# account 111122223333", "key", "rotate", first.AccessKeyID, "--disable"))
	expectCaller(t, p, "rotated", first.AccessKeyID, first.SecretAccessKey, "", false)
	expectCaller(t, p, "rotated", id, secret, "", true)
	expectCommand(t, p, 0, first.AccessKeyID+" arn:aws:iam::111122223333:user/admin", "key", "list")
	expectCommand(t, p, 1, "is the last one of account 111122223333 itself that works", "key", "disable", id)
	expectCommand(t, p, 0, "", "key", "delete", first.AccessKeyID)
	expectCommand(t, p, 1, "ResourceNotFoundException", "key", "delete", first.AccessKeyID)

	theirID, theirSecret := printed(t, expectCommand(t, p, 0, "# account 444455556666", "account", "create", "444455556666"))
	at := p.Access()
	var session sts.GetSessionTokenOutput
	if err := client.New(at.URL, at.Region, theirID, theirSecret).Do(t.Context(), sts.Service, "GetSessionToken", &sts.GetSessionTokenInput{}, &session); err != nil {
		t.Fatal(err)
	}
	c := session.Credentials
	both := func(when string, known bool) {
		t.Helper()
		expectCaller(t, p, when, theirID, theirSecret, "", known)
		expectCaller(t, p, when, *c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken, known)
	}
	both("made", true)
	expectCommand(t, p, 0, "444455556666 (disabled)", "account", "disable", "444455556666")
	both("account disabled", false)
	expectCommand(t, p, 1, "is the management account", "account", "disable", "111122223333")
	p.Stop()
	p.Up()
	both("account disabled, another life", false)
	expectCommand(t, p, 0, "444455556666\n", "account", "enable", "444455556666")
	both("account enabled", true)
	expectCommand(t, p, 0, "(disabled)", "key", "disable", theirID)
	both("key disabled", false)
	expectCommand(t, p, 0, theirID, "key", "enable", theirID)
	both("key enabled", true)
	expectCommand(t, p, 0, "", "key", "delete", theirID)
	both("key deleted", false)
	madeID, madeSecret := printed(t, expectCommand(t, p, 0, "# account 444455556666", "key", "create", "--account", "444455556666"))
	expectCaller(t, p, "made by the management account", madeID, madeSecret, "", true)
}

// Without the keys that sealed them, access keys are refused and told, and commands go on;
// with the file back, joined with what was made since, all of them work.
func TestSealingKeysAreLostAndFound(t *testing.T) {
	p := postern.Start(t)
	lostID, lostSecret := printed(t, expectCommand(t, p, 0, "", "account", "create", "444455556666"))
	file := filepath.Join(p.Data, "sealing-keys")
	p.Stop()
	former, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is there for all: %v, %v", info.Mode(), err)
	}
	if _, err := seal.Parse(former); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	p.Up()
	expectCaller(t, p, "lost", lostID, lostSecret, "", false)
	expectCommand(t, p, 0, "444455556666", "account", "list")
	expectCommand(t, p, 1, "", "verify")
	if r := p.Command("verify"); !strings.Contains(r.Stdout, lostID) {
		t.Errorf("verify says %s", r.Stdout)
	}
	expectCommand(t, p, 0, lostID+" arn:aws:iam::444455556666:user/admin", "key", "list", "--account", "444455556666")
	madeID, madeSecret := printed(t, expectCommand(t, p, 0, "", "key", "create", "--account", "444455556666"))
	p.Stop()
	since, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, append(since, former...), 0o600); err != nil {
		t.Fatal(err)
	}
	p.Up()
	expectCaller(t, p, "found", lostID, lostSecret, "", true)
	expectCaller(t, p, "found", madeID, madeSecret, "", true)
	expectCommand(t, p, 0, "", "verify")
}

// A new key seals all secrets, while sessions that began before go on, in another life too;
// and so does the copy of a backup that was made before.
func TestResealing(t *testing.T) {
	p := postern.Start(t)
	at := p.Access()
	var session sts.GetSessionTokenOutput
	if err := client.New(at.URL, at.Region, at.AccessKeyID, at.SecretAccessKey).Do(t.Context(), sts.Service, "GetSessionToken", &sts.GetSessionTokenInput{}, &session); err != nil {
		t.Fatal(err)
	}
	before := filepath.Join(t.TempDir(), "before")
	expectCommand(t, p, 0, "", "backup", before)
	expectCommand(t, p, 0, "; 0 access keys cannot be opened", "reseal")
	file := filepath.Join(p.Data, "sealing-keys")
	for _, when := range []string{"sealed anew", "another life"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(text), "Z "); n != 2 { // each has its time
			t.Errorf("%s: the file has %d keys, want the new one and the former", when, n)
		}
		expectCaller(t, p, when, at.AccessKeyID, at.SecretAccessKey, "", true)
		c := session.Credentials
		expectCaller(t, p, when, *c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken, true)
		expectCommand(t, p, 0, "", "verify")
		p.Stop()
		p.Up()
	}
	p.Stop()
	expectCommand(t, p, 1, "no Postern is running", "reseal")
	expectCommand(t, p, 0, "", "restore", before, "--replace")
	p.Up()
	expectCaller(t, p, "restored", at.AccessKeyID, at.SecretAccessKey, "", true)
}
