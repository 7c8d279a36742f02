// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/posternhq/postern/internal/aws/codec"
	"github.com/posternhq/postern/internal/aws/codec/protocols"
	"github.com/posternhq/postern/internal/aws/schema"
	"github.com/posternhq/postern/internal/aws/server"
	ec2 "github.com/posternhq/postern/internal/aws/shape/ec2"
	iam "github.com/posternhq/postern/internal/aws/shape/iam"
	organizations "github.com/posternhq/postern/internal/aws/shape/organizations"
	ram "github.com/posternhq/postern/internal/aws/shape/ram"
	lattice "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/internal/client"
	"github.com/posternhq/postern/internal/control"
	"github.com/posternhq/postern/internal/control/makers"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/account"
	"github.com/posternhq/postern/internal/service/identity"
	"github.com/posternhq/postern/internal/service/servicetest"
)

// The accounts of a tenancy. The one that manages has nothing and gets nothing.
const (
	boss   = servicetest.Account
	vendor = "222233334444"
	red    = servicetest.OtherAccount
	blue   = "777788889999"
	// clerk is a user of red's, who may do what a policy says.
	clerk = "clerk"
)

// tenancy is an installation in virtual time with everything but a kernel: the server as
// clients reach it, the makers of rows and the controller, and a host that does what it
// is told at once. It never uses its T to say that something is wrong: rapid has the say.
type tenancy struct {
	ctx      context.Context
	world    *servicetest.World
	services map[string]*schema.Service
	handler  http.Handler
	keys     map[string]*client.Client
	c        *control.Controller
	mu       sync.Mutex      // of sent
	sent     []desired.Delta // what the host has not yet said that it has done
	vpcs     map[string]string
	subnets  map[string]string
	gateway  string
	unit     [2]string // the root of the organization, and a unit below it
	unitARN  string
}

// wrong is what ends a run of a tenancy.
type wrong string

func fail(format string, args ...any) { panic(wrong(fmt.Sprintf(format, args...))) }

func must(err error) {
	if err != nil {
		fail("%v", err)
	}
}

// inTenancy calls fn in a bubble of virtual time, and gives what it found wrong. Unless
// cleared, nobody takes away what is left of invitations and shares that have ended.
func inTenancy(t *testing.T, cleared bool, fn func(*tenancy)) (found string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		v := &tenancy{world: servicetest.New(t), services: map[string]*schema.Service{}, keys: map[string]*client.Client{}, vpcs: map[string]string{}, subnets: map[string]string{}}
		v.world.Now = time.Now
		ctx, cancel := context.WithCancel(t.Context())
		v.ctx = ctx
		ended := make(chan error, 2)
		v.serve()
		v.c = control.New(control.Config{
			DB: v.world.DB, Host: model.Host{Name: "h"}, Log: slog.New(slog.DiscardHandler), Now: time.Now,
			Send: v.send,
		})
		all := makers.All(makers.Means{Alloc: v.world.Alloc(), Texts: func(context.Context, string) ([]string, error) { return nil, nil }})
		m := makers.New(makers.Config{
			DB: v.world.DB, Campaign: v.world.Store.Campaign, Host: "h", Now: time.Now, Log: slog.New(slog.DiscardHandler),
			Makers: slices.DeleteFunc(all, func(m makers.Maker) bool { return m == makers.Shares{} && !cleared }),
		})
		go func() { ended <- v.c.Run(ctx) }()
		go func() { ended <- m.Run(ctx) }()
		func() {
			defer func() {
				if p := recover(); p != nil {
					if w, ok := p.(wrong); ok {
						found = string(w)
						return
					}
					panic(p)
				}
			}()
			v.build()
			fn(v)
		}()
		cancel()
		for range 2 {
			if err := <-ended; err != nil && found == "" {
				found = err.Error()
			}
		}
	})
	return found
}

// serve makes the handler that the binary serves, but for the audit log.
func (v *tenancy) serve() {
	d := &daemon{env: v.world.Env, db: v.world.DB, config: Config{Regions: v.world.Regions, Log: slog.New(slog.DiscardHandler)}}
	mounted := d.services(nobodyObserves{}, nil, nil)
	for _, m := range mounted {
		v.services[m.Service.Name] = m.Service
	}
	callers := identity.New(v.world.Env)
	handler, err := server.New(server.Config{Regions: v.world.Regions, Credentials: credentials{callers}, Decider: callers, Services: mounted})
	if err != nil {
		panic(err)
	}
	v.handler = handler
}

// call makes a signed request of somebody and gives the answer, or what it was refused with.
func call[Out any](v *tenancy, who string, service *schema.Service, operation string, in any) (*Out, error) {
	request, err := v.keys[who].NewRequest(v.ctx, service, operation, in)
	must(err)
	request.RequestURI, request.RemoteAddr = request.URL.RequestURI(), "192.0.2.1:1"
	answer := httptest.NewRecorder()
	v.handler.ServeHTTP(answer, request)
	protocol, err := protocols.For(service)
	must(err)
	out, err := protocol.DecodeResponse(service.Operation(operation), &codec.Response{Status: answer.Code, Header: answer.Header(), Body: answer.Body.Bytes()})
	if answer.Code >= http.StatusInternalServerError {
		fail("%s by %s: %d %s", operation, who, answer.Code, answer.Body)
	}
	if err != nil {
		return nil, err
	}
	typed, ok := out.(*Out)
	if !ok {
		fail("%s answers %s", operation, reflect.TypeOf(out))
	}
	return typed, nil
}

// get is call, for what nobody refuses.
func get[Out any](v *tenancy, who string, service *schema.Service, operation string, in any) *Out {
	out, err := call[Out](v, who, service, operation, in)
	if err != nil {
		fail("%s by %s: %v", operation, who, err)
	}
	return out
}

// send is the way to the host.
func (v *tenancy) send(d desired.Delta) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.sent = append(v.sent, d)
	return nil
}

// take gives what was sent since it was asked last.
func (v *tenancy) take() []desired.Delta {
	v.mu.Lock()
	defer v.mu.Unlock()
	sent := v.sent
	v.sent = nil
	return sent
}

// settle lets the host do what it was told, until nothing is left to be done.
func (v *tenancy) settle() {
	for {
		synctest.Wait()
		sent := v.take()
		if len(sent) == 0 {
			time.Sleep(time.Second) // of the bubble: states are written patiently
			synctest.Wait()
			if sent = v.take(); len(sent) == 0 {
				return
			}
		}
		v.c.Acknowledge(control.Acknowledgement{Revision: sent[len(sent)-1].Revision})
	}
}

// build makes accounts with a network each, all with the same addresses, an organization of
// all of them, and the vendor's gateway.
func (v *tenancy) build() {
	for _, id := range []string{boss, vendor, red, blue} {
		fresh, err := account.New(v.world.Env, id, "of a model")
		must(err)
		fresh.Account.Management = id == boss
		must(fresh.Create(v.ctx, v.world.Env))
		v.keys[id] = client.New("http://postern.test", servicetest.Region, fresh.Key.ID, fresh.Secret)
	}
	for _, id := range []string{vendor, red, blue} {
		vpc := get[ec2.CreateVpcOutput](v, id, ec2.Service, "CreateVpc", &ec2.CreateVpcInput{CidrBlock: new("10.0.0.0/16")})
		v.vpcs[id] = *vpc.Vpc.VpcId
		subnet := get[ec2.CreateSubnetOutput](v, id, ec2.Service, "CreateSubnet", &ec2.CreateSubnetInput{VpcId: vpc.Vpc.VpcId, CidrBlock: new("10.0.0.0/20")})
		v.subnets[id] = *subnet.Subnet.SubnetId
	}
	gateway := get[lattice.CreateResourceGatewayOutput](v, vendor, lattice.Service, "CreateResourceGateway", &lattice.CreateResourceGatewayInput{
		Name: new("gateway"), VpcIdentifier: new(v.vpcs[vendor]), SubnetIds: []string{v.subnets[vendor]},
	})
	v.gateway = *gateway.Id
	get[iam.CreateUserOutput](v, red, iam.Service, "CreateUser", &iam.CreateUserInput{UserName: new(clerk)})
	key := get[iam.CreateAccessKeyOutput](v, red, iam.Service, "CreateAccessKey", &iam.CreateAccessKeyInput{UserName: new(clerk)}).AccessKey
	v.keys[clerk] = client.New("http://postern.test", servicetest.Region, *key.AccessKeyId, *key.SecretAccessKey)
	get[organizations.CreateOrganizationOutput](v, boss, organizations.Service, "CreateOrganization", &organizations.CreateOrganizationInput{})
	root := get[organizations.ListRootsOutput](v, boss, organizations.Service, "ListRoots", &organizations.ListRootsInput{}).Roots[0].Id
	unit := get[organizations.CreateOrganizationalUnitOutput](v, boss, organizations.Service, "CreateOrganizationalUnit", &organizations.CreateOrganizationalUnitInput{ParentId: root, Name: new("unit")})
	v.unit, v.unitARN = [2]string{*root, *unit.OrganizationalUnit.Id}, *unit.OrganizationalUnit.Arn
	for name, action := range map[string]string{"networks": "*Association", "all": "*"} {
		get[ram.CreatePermissionOutput](v, vendor, ram.Service, "CreatePermission", &ram.CreatePermissionInput{
			Name: &name, ResourceType: new("vpc-lattice:ResourceConfiguration"), PolicyTemplate: new(`{"Effect":"Allow","Action":"vpc-lattice:` + action + `"}`),
		})
	}
	v.settle()
}
