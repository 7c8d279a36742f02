// SPDX-License-Identifier: Apache-2.0

// Package client calls AWS services from their generated tables: it encodes an
// input, signs the request and decodes the answer. The command line uses it, so
// that the binary carries no SDK; programs of others should take an SDK.
package client

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/posternhq/postern/internal/aws/codec"
	"github.com/posternhq/postern/internal/aws/codec/protocols"
	"github.com/posternhq/postern/internal/aws/schema"
)

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 64 << 20

// Client calls services at one URL with one access key. It may be used by
// many goroutines.
type Client struct {
	url         string
	region      string
	credentials aws.Credentials
	signer      *v4.Signer
	http        *http.Client
}

// Error is the answer of a service that refused a request.
type Error struct {
	Code, Message string
	Status        int // of HTTP
	RequestID     string
}

// Error returns code and message.
func (e *Error) Error() string {
	if e.Message == "" {
		return fmt.Sprintf("%s (HTTP %d)", e.Code, e.Status)
	}
	return e.Code + ": " + e.Message
}

// New returns a client for the services at an http or https URL. Nothing is
// connected or checked before the first call.
func New(url, region, accessKey, secret string) *Client {
	return &Client{
		url:         url,
		region:      region,
		credentials: aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: secret},
		signer:      v4.NewSigner(),
		http:        &http.Client{Timeout: 2 * time.Minute, CheckRedirect: noRedirect},
	}
}

// WithRoots returns a client like c that trusts these certificate authorities, and no other.
func (c *Client) WithRoots(roots *x509.CertPool) *Client {
	d, h := *c, *c.http
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	h.Transport = transport
	d.http = &h
	return &d
}

// WithSessionToken returns a client like c that uses a temporary key's token.
func (c *Client) WithSessionToken(token string) *Client {
	d := *c
	d.credentials.SessionToken = token
	return &d
}

// noRedirect returns redirects as answers: a signature is good for one path.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Do calls the named operation of a service with in, a pointer to the input's
// struct, and stores the answer in out, a pointer to the output's struct; nil
// drops the answer. A refusal of the service is an *Error. Nothing is retried.
func (c *Client) Do(ctx context.Context, service *schema.Service, operation string, in, out any) error {
	fail := func(err error) error { return fmt.Errorf("call %s of %s: %w", operation, service.Name, err) }
	request, err := c.NewRequest(ctx, service, operation, in)
	if err != nil {
		return err
	}
	answer, err := c.send(request)
	if err != nil {
		return fail(err)
	}
	protocol, err := protocols.For(service)
	if err != nil {
		return fail(err)
	}
	got, err := protocol.DecodeResponse(service.Operation(operation), answer)
	var remote *codec.RemoteError
	if errors.As(err, &remote) {
		return &Error{Code: remote.Code, Message: remote.Message, Status: remote.Status, RequestID: remote.RequestID}
	}
	if err != nil {
		return fail(err)
	}
	return store(out, got)
}

// NewRequest makes the signed request of a call, for callers that send it
// themselves. The signature is good for some minutes, and for as many
// repetitions as one likes.
func (c *Client) NewRequest(ctx context.Context, service *schema.Service, operation string, in any) (*http.Request, error) {
	fail := func(err error) error { return fmt.Errorf("make request %s of %s: %w", operation, service.Name, err) }
	op := service.Operation(operation)
	if op == nil {
		return nil, fail(errors.New("there is no such operation"))
	}
	protocol, err := protocols.For(service)
	if err != nil {
		return nil, fail(err)
	}
	encoded, err := protocol.EncodeRequest(op, in)
	if err != nil {
		return nil, fail(err)
	}
	request, err := c.request(ctx, service.SigningName, encoded)
	if err != nil {
		return nil, fail(err)
	}
	return request, nil
}

// request makes a signed HTTP request of an encoded one.
func (c *Client) request(ctx context.Context, signingName string, encoded *codec.Request) (*http.Request, error) {
	u, err := url.Parse(c.url)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("%q is not a URL with a host", c.url)
	}
	u.RawPath = strings.TrimSuffix(u.EscapedPath(), "/") + encoded.Path
	if u.Path, err = url.PathUnescape(u.RawPath); err != nil {
		return nil, fmt.Errorf("path %q: %w", u.RawPath, err)
	}
	u.RawQuery = encoded.Query.Encode()
	request, err := http.NewRequestWithContext(ctx, encoded.Method, u.String(), bytes.NewReader(encoded.Body))
	if err != nil {
		return nil, err
	}
	for name, values := range encoded.Header {
		request.Header[name] = values
	}
	sum := sha256.Sum256(encoded.Body)
	err = c.signer.SignHTTP(ctx, c.credentials, request, hex.EncodeToString(sum[:]), signingName, c.region, time.Now())
	if err != nil {
		return nil, fmt.Errorf("sign request: %w", err)
	}
	return request, nil
}

func (c *Client) send(request *http.Request) (*codec.Response, error) {
	response, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	if len(body) > maxAnswer {
		return nil, fmt.Errorf("answer is larger than %d bytes", maxAnswer)
	}
	return &codec.Response{Status: response.StatusCode, Header: response.Header, Body: body}, nil
}

// store copies the struct that got points to into the one that out points to.
func store(out, got any) error {
	if out == nil {
		return nil
	}
	to, from := reflect.ValueOf(out), reflect.ValueOf(got)
	if to.Type() != from.Type() {
		return fmt.Errorf("answer is a %T, which does not fit into a %T", got, out)
	}
	to.Elem().Set(from.Elem())
	return nil
}
