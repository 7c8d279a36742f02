// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/posternhq/postern/internal/client"
	"github.com/posternhq/postern/internal/daemon"
)

// target is a running Postern and the key to talk to it with.
type target struct {
	url, region, accessKeyID, secret string
	// token is that of a temporary key; empty for others.
	token string
	// roots are the certificate authorities to trust; nil for the system's.
	roots *x509.CertPool
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
	if strings.HasPrefix(t.url, "https:") { // in the data folder is the plain one
		if err := t.trust(in.Getenv("AWS_CA_BUNDLE")); err != nil {
			return target{}, err
		}
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
	return target{url: running.URL, region: running.Region, accessKeyID: credentials.AccessKeyID, secret: credentials.SecretAccessKey}, nil
}

// trust takes the certificate authorities of a file, as AWS clients do.
func (t *target) trust(bundle string) error {
	if bundle == "" {
		return nil
	}
	text, err := os.ReadFile(bundle)
	if err != nil {
		return fmt.Errorf("AWS_CA_BUNDLE: %w", err)
	}
	t.roots = x509.NewCertPool()
	if !t.roots.AppendCertsFromPEM(text) {
		return fmt.Errorf("AWS_CA_BUNDLE: %s has no certificate in PEM", bundle)
	}
	return nil
}

func (t target) client() *client.Client {
	c := client.New(t.url, t.region, t.accessKeyID, t.secret).WithSessionToken(t.token)
	if t.roots != nil {
		c = c.WithRoots(t.roots)
	}
	return c
}

type envCommand struct{ location }

// Run prints the key of the first account whatever AWS_* says already: that is
// what the command is for. Where the API is served over TLS, clients are sent there.
func (c *envCommand) Run(in *Invocation) error {
	t, err := c.local()
	if err != nil {
		return err
	}
	folder := daemon.Folder(c.Data)
	running, err := folder.Running()
	if err != nil {
		return err
	}
	if running.TLS != "" {
		t.url = running.TLS
	}
	variables := [][2]string{
		{"AWS_ENDPOINT_URL", t.url},
		{"AWS_ACCESS_KEY_ID", t.accessKeyID},
		{"AWS_SECRET_ACCESS_KEY", t.secret},
		{"AWS_DEFAULT_REGION", t.region},
		{"POSTERN_DATA", c.Data},
	}
	if _, err := os.Stat(folder.BundleFile()); err == nil {
		variables = append(variables, [2]string{"AWS_CA_BUNDLE", folder.BundleFile()})
	}
	for _, v := range variables {
		if _, err := fmt.Fprintf(in.Stdout, "export %s=%s\n", v[0], v[1]); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintln(in.Stdout, "unset AWS_SESSION_TOKEN") // of a temporary key that the shell had before
	return err
}

type authorityCommand struct{ location }

// Run prints the bundle, which need not be kept secret.
func (c *authorityCommand) Run(in *Invocation) error {
	text, err := os.ReadFile(daemon.Folder(c.Data).BundleFile())
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s has no certificate authority of the API: postern up --tls makes one, and the first endpoint to an own API; with --tls-cert, it is who issued that certificate", c.Data)
	}
	if err != nil {
		return fmt.Errorf("read the certificate authority of the API: %w", err)
	}
	_, err = in.Stdout.Write(text)
	return err
}
