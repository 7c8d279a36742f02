// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/posternhq/postern/internal/aws/server"
	"github.com/posternhq/postern/internal/front"
	"github.com/posternhq/postern/internal/handshake"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/state"
)

const (
	// apiPort is where clients of endpoints ask Postern's own APIs.
	apiPort = 443
	// mostGuests is how many connections there may be by endpoints to them, of all VPCs; see
	// accept.Crowd for whose end when there are more.
	mostGuests = 2048
	// sweepEvery is how soon connections end of an endpoint that is gone.
	sweepEvery = time.Second
)

// frontDesk answers what comes by endpoints to Postern's own APIs.
type frontDesk struct {
	env          *service.Env
	certificates *serviceCertificates
	handler      http.Handler
}

// newFrontDesk makes one beside what serves the API by TLS elsewhere, which may be nil.
func (d *daemon) newFrontDesk(handler http.Handler, secure *secureAPI) *frontDesk {
	c := &serviceCertificates{
		find: d.authority, publish: d.folder.writeBundle, now: d.env.Now, log: d.env.Log,
		services: serviceSubjects(d.env.Regions, d.env.Naming()),
	}
	c.usual.names, c.usual.addrs = d.config.TLS.known(netip.IPv6Unspecified())
	if secure != nil {
		c.own, c.publish = secure.certificate.give, secure.certificate.alsoKnow
	}
	return &frontDesk{env: d.env, certificates: c, handler: handler}
}

// frontPlace is where the front is on this host.
type frontPlace struct {
	namespace string
	// changed has something when the namespace may be another one.
	changed <-chan struct{}
}

// keep answers in the front's namespace, whenever there is one, until the context ends.
func (d *frontDesk) keep(ctx context.Context, at frontPlace) error {
	front.Stay(ctx, at.namespace, at.changed, d.env.Log, func(ctx context.Context, ns *os.File) error {
		if err := d.certificates.prepare(ctx); err != nil {
			return err
		}
		listener, err := front.Listen(ctx, ns, apiPort)
		if err != nil {
			return err
		}
		return d.serve(ctx, listener)
	})
	return nil
}

// serve answers who comes to a listener until the context ends.
func (d *frontDesk) serve(ctx context.Context, listener *net.TCPListener) error {
	hall := front.NewHall(&orderly{TCPListener: listener}, mostGuests, d.entrance)
	secure := handshake.New(hall, tlsConfig(d.certificates.give), handshakes, front.SourceOf)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return serveAPI(ctx, d.server(), secure) })
	g.Go(func() error {
		tick := time.NewTicker(sweepEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
				hall.Sweep(d.stays)
			}
		}
	})
	return g.Wait()
}

// server tells handlers by which endpoint a request came.
func (d *frontDesk) server() *http.Server {
	s := server.HTTPServer(d.handler, d.env.Log)
	tellTLS(s)
	tell, next := s.ConnContext, s.Handler
	s.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return server.By(tell(ctx, c), front.GuestIn(c).Of.(*server.Way))
	}
	s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		front.GuestIn(r.Context().Value(connectionKey{}).(net.Conn)).Used()
		next.ServeHTTP(w, r)
	})
	return s
}

// entrance says to which endpoint an address of the front belongs. Connections are counted
// by the VPCs that they come from.
func (d *frontDesk) entrance(at netip.Addr) (front.Entrance, bool) {
	index, ok := model.FrontIndex(at)
	if !ok {
		return front.Entrance{}, false
	}
	tx := d.env.DB.Snapshot()
	for ep := range state.VPCEndpointsByTarget.Rows(tx, state.TargetPlace{Host: d.env.Host, Index: index}) {
		offer, ok := state.OfferOf(tx, ep)
		if !ok || offer.Own == nil || !isOpen(ep) {
			continue
		}
		way := &server.Way{Signing: offer.Own.Signing}
		if way.Endpoint, way.VPC = ep.Ref(), ep.VPC; !offer.Own.Global {
			way.Region = ep.Region
		}
		return front.Entrance{Of: way, Source: ep.Sibling(ep.VPC)}, true
	}
	return front.Entrance{}, false
}

// isOpen reports whether an endpoint lets connections come.
func isOpen(ep *model.VPCEndpoint) bool { return !ep.Deleting() && ep.Accepted() }

// stays reports whether connections that came a way may go on. Each request is decided
// about besides; this is for those on which nothing is asked.
func (d *frontDesk) stays(of any) bool {
	at := of.(*server.Way).Endpoint
	ep, ok := state.VPCEndpoints.Get(d.env.DB.Snapshot(), at.Account, at.Region, at.ID)
	return ok && isOpen(ep)
}
