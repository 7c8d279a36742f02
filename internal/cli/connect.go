// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/posternhq/postern/internal/client"
	"github.com/posternhq/postern/internal/daemon"
)

// target is a running Postern and the key to talk to it with.
type target struct {
	url, region, accessKeyID, secret string
	// token is that of a temporary key; empty for others.
	token string
}

// find looks for a running Postern: what AWS_* variables name comes first, as
// with any AWS client, and the data folder gives what they do not.
func (l location) find(in *Invocation) (target, error) {
	t := target{
		url:         in.Getenv("AWS_ENDPOINT_URL"),
		region:      in.Getenv("AWS_DEFAULT_REGION"),
		accessKeyID: in.Getenv("AWS_ACCESS_KEY_ID"),
		secret:      in.Getenv("AWS_SECRET_ACCESS_KEY"),
		token:       in.Getenv("AWS_SESSION_TOKEN"),
	}
	if r := in.Getenv("AWS_REGION"); r != "" {
		t.region = r
	}
	if t.url != "" && t.region != "" && t.accessKeyID != "" && t.secret != "" {
		return t, nil
	}
	found, err := l.local()
	if err != nil {
		return target{}, err
	}
	if t.url == "" {
		t.url = found.url
	}
	if t.region == "" {
		t.region = found.region
	}
	if t.accessKeyID == "" || t.secret == "" {
		t.accessKeyID, t.secret, t.token = found.accessKeyID, found.secret, ""
	}
	return t, nil
}

// local finds the Postern of the data folder.
func (l location) local() (target, error) {
	folder := daemon.Folder(l.Data)
	running, err := folder.Running()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return target{}, fmt.Errorf("no Postern is running on %s; start one with: postern up --data %s", l.Data, l.Data)
	case errors.Is(err, fs.ErrPermission):
		return target{}, fmt.Errorf("%s is readable by root only; use sudo, or set the AWS_* variables", l.Data)
	case err != nil:
		return target{}, err
	}
	credentials, err := folder.Credentials()
	if err != nil {
		return target{}, err
	}
	return target{running.URL, running.Region, credentials.AccessKeyID, credentials.SecretAccessKey, ""}, nil
}

func (t target) client() *client.Client {
	return client.New(t.url, t.region, t.accessKeyID, t.secret).WithSessionToken(t.token)
}

type envCommand struct{ location }

// Run prints the key of the first account whatever AWS_* says already: that is
// what the command is for.
func (c *envCommand) Run(in *Invocation) error {
	t, err := c.local()
	if err != nil {
		return err
	}
	for _, v := range [][2]string{
		{"AWS_ENDPOINT_URL", t.url},
		{"AWS_ACCESS_KEY_ID", t.accessKeyID},
		{"AWS_SECRET_ACCESS_KEY", t.secret},
		{"AWS_DEFAULT_REGION", t.region},
		{"POSTERN_DATA", c.Data},
	} {
		if _, err := fmt.Fprintf(in.Stdout, "export %s=%s\n", v[0], v[1]); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintln(in.Stdout, "unset AWS_SESSION_TOKEN") // of a temporary key that the shell had before
	return err
}
