// SPDX-License-Identifier: Apache-2.0

// Package server is the HTTP handler in front of all AWS services. It takes a
// request through fixed steps: size, signature, service, region, operation,
// decoding, the constraints of the model, authorization, dry run, handler. The first step that
// refuses ends the request, in the words and the envelope of the service that
// was asked, and nothing behind that step has happened.
//
// Service and region come from the credential scope of the signature. There is
// no way to turn authentication off.
package server

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/codec"
	"github.com/posternhq/postern/internal/aws/codec/protocols"
	"github.com/posternhq/postern/internal/aws/fault"
	"github.com/posternhq/postern/internal/aws/route"
	"github.com/posternhq/postern/internal/aws/schema"
	"github.com/posternhq/postern/internal/aws/sigv4"
)

// DefaultMaxBody is the largest request body, in bytes, unless Config says
// otherwise.
const DefaultMaxBody = 1 << 20

// Credential is what an access key stands for.
type Credential struct {
	Secret string
	// SessionToken must come with the requests of temporary keys; it is empty
	// for long-term ones.
	SessionToken string
	// Caller is who signs with the key; the server fills in the rest of it, which is of
	// the request.
	Caller access.Caller
	// Disabled keys are refused like unknown ones.
	Disabled bool
	// Expired keys were temporary; that is told to who has the secret.
	Expired bool
}

// Credentials finds access keys. Lookup returns false for a key that does not
// exist, or a temporary one that the session token is not for; an error means that
// nobody knows, and the request fails as internal.
// It is called for every request, by many goroutines.
type Credentials interface {
	Lookup(ctx context.Context, accessKeyID, token string) (Credential, bool, error)
}

// Decider says of requests whether they are allowed.
type Decider interface {
	// Decide says of every request whether it is allowed; an error means that
	// nobody knows, and the request fails as internal. Many goroutines call it; it
	// keeps nothing of the request.
	Decide(context.Context, *access.Request) (access.Decision, error)
	// Bind returns the context for the handler of a request that goes on, with a copy of the
	// caller's view (see access.From). It sees to it that what was decided still holds when the
	// handler reads or changes something. The error of a handler that comes from there is an
	// *access.Refused.
	Bind(context.Context, *access.Request) context.Context
}

// Mounted is a service and its implementation, a value of the generated API
// interface of that service.
type Mounted struct {
	Service *schema.Service
	API     any
	// Check has rules for inputs that the model does not know; nil for none. It is
	// asked when an input has met the constraints of the model, before a dry run
	// is answered, and its error goes to the client.
	Check func(op *schema.Operation, in any) error
}

// Explainer is a service of the form protocols that knows why some operations
// are not served. Unserved returns nil where nothing but that can be said.
type Explainer interface {
	Unserved(operation string) error
}

// Config is what New needs. Regions, Credentials, Decider and Services are required.
type Config struct {
	Regions     []string
	Credentials Credentials
	Decider     Decider
	Services    []Mounted
	Log         *slog.Logger     // nil discards
	Now         func() time.Time // nil is time.Now
	MaxBody     int64            // bytes; zero is DefaultMaxBody
	// Observe is told of each request that was answered; nil for nobody.
	Observe func(Observation)
	// Record is given what is to be kept of each request, a line of package audit, before
	// it is answered, and the account that the line is for, empty when nobody was proven
	// to ask. It keeps nothing of the line. nil is for nobody.
	Record func(account string, line []byte)
	// NewRequestID makes ids that are unique; nil makes random UUIDs.
	NewRequestID func() string
}

// handler serves all mounted services.
type handler struct {
	Config
	verifier  sigv4.Verifier
	services  map[string]*mounted // by signing name
	order     []*mounted          // as configured
	buffers   sync.Pool           // of *bytes.Buffer, for bodies
	exchanges sync.Pool           // of *exchange
	lines     sync.Pool           // of *[]byte, for records
}

// mounted is a service made ready for requests.
type mounted struct {
	*schema.Service
	api        any
	check      func(*schema.Operation, any) error // may be nil
	codec      codec.Codec
	router     *route.Router                // REST protocols only
	operations map[string]*schema.Operation // protocols of which requests name the operation
	words      vocabulary
	access     map[*schema.Operation]*access.Operation
	hides      bool // what the caller may not see does not exist
}

// New returns the handler of a whole endpoint. It is an error to mount two
// services with one signing name, or a service that no codec knows.
func New(config Config) (http.Handler, error) {
	if len(config.Regions) == 0 || config.Credentials == nil || config.Decider == nil || len(config.Services) == 0 {
		return nil, errors.New("new server: regions, credentials, a decider and services are required")
	}
	h := &handler{Config: config, services: map[string]*mounted{}}
	if h.Log == nil {
		h.Log = slog.New(slog.DiscardHandler)
	}
	if h.Now == nil {
		h.Now = time.Now
	}
	if h.MaxBody == 0 {
		h.MaxBody = DefaultMaxBody
	}
	if h.NewRequestID == nil {
		h.NewRequestID = newRequestID
	}
	for _, m := range config.Services {
		if err := h.mount(m); err != nil {
			return nil, fmt.Errorf("mount service %s: %w", m.Service.Name, err)
		}
	}
	return h, nil
}

// newRequestID makes a random UUID. Nobody may take it for a secret, so that it need
// not cost a question to the kernel.
func newRequestID() string {
	var id uuid.UUID
	binary.NativeEndian.PutUint64(id[:8], rand.Uint64())
	binary.NativeEndian.PutUint64(id[8:], rand.Uint64())
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80 // RFC 9562, section 5.4
	return id.String()
}

func (h *handler) mount(m Mounted) error {
	if h.services[m.Service.SigningName] != nil {
		return fmt.Errorf("signing name %q is taken", m.Service.SigningName)
	}
	c, err := protocols.For(m.Service)
	if err != nil {
		return err
	}
	s := &mounted{Service: m.Service, api: m.API, check: m.Check, codec: c, words: vocabularyOf(m.Service)}
	if err := s.mountAccess(); err != nil {
		return err
	}
	if isForm(m.Service.Protocol) || isTarget(m.Service.Protocol) {
		s.operations = make(map[string]*schema.Operation, len(m.Service.Operations))
		for _, op := range m.Service.Operations {
			s.operations[op.Name] = op
		}
	} else if s.router, err = route.New(m.Service); err != nil {
		return err
	}
	h.services[m.Service.SigningName] = s
	h.order = append(h.order, s)
	return nil
}

// mountAccess finds what each operation asks for. None can be reached without.
func (s *mounted) mountAccess() error {
	table := access.Services[s.Name]
	if table == nil {
		return errors.New("the table of actions does not have it")
	}
	s.hides, s.access = table.Hides, make(map[*schema.Operation]*access.Operation, len(s.Operations))
	for _, op := range s.Operations {
		if s.access[op] = table.Operations[op.Name]; s.access[op] == nil {
			return fmt.Errorf("the table of actions does not have operation %s", op.Name)
		}
	}
	return nil
}

// isForm reports whether the parameters of a protocol travel as a form, with
// the operation in the parameter Action.
func isForm(protocol string) bool {
	return protocol == fault.ProtocolEC2 || protocol == fault.ProtocolQuery
}

// isTarget reports whether a header of the requests of a protocol names the operation.
func isTarget(protocol string) bool { return protocol == fault.ProtocolJSON11 }

func (h *handler) serviceNames() []string {
	names := make([]string, 0, len(h.services))
	for name := range h.services {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// HTTPServer returns a server with time and size limits that suit API calls:
// nobody holds a connection by sending slowly. The handlers' own time is part
// of the write limit. Address and TLS are the caller's to set.
func HTTPServer(handler http.Handler, logger *slog.Logger) *http.Server {
	var errorLog *log.Logger
	if logger != nil {
		errorLog = slog.NewLogLogger(logger.Handler(), slog.LevelWarn)
	}
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      2 * time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          errorLog,
	}
}
