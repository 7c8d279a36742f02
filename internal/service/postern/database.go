// SPDX-License-Identifier: Apache-2.0

package postern

import (
	"cmp"
	"context"
	"crypto/x509"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/postern"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/seal"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// defaultREST is where Patroni answers unless it is told another port.
const defaultREST = 8008

// askedOf says which engines are asked in which way; any by whether a port is open.
var askedOf = map[string][]string{
	model.AskPostgres: {"postgres", "aurora-postgresql"},
	model.AskPatroni:  {"postgres", "aurora-postgresql"},
	model.AskMySQL:    {"mysql", "mariadb", "aurora-mysql"},
}

// registration is a request to register a database, as rows.
type registration struct {
	cluster *model.DBCluster
	members []*model.DBInstance
}

// RegisterDatabase has a database that exists without Postern be one that can be offered
// like any other. It is a cluster of as many instances as it has servers. Postern asks them
// who writes, and changes nothing of them.
func (a *API) RegisterDatabase(ctx context.Context, in *shape.RegisterDatabaseInput) (*shape.RegisterDatabaseOutput, error) {
	who := access.From(ctx)
	r, err := a.registration(who, in)
	if err != nil {
		return nil, err
	}
	var out shape.RegisteredDatabase
	_, err = a.DB.Update(ctx, func(tx *table.Txn) error {
		if err := a.checkRegistration(tx, who, r); err != nil {
			return err
		}
		state.DBClusters.Put(tx, r.cluster)
		putUnknown(tx, &r.cluster.Meta)
		for _, m := range r.members {
			state.DBInstances.Put(tx, m)
			putUnknown(tx, &m.Meta)
		}
		out = registered(tx, r.cluster, a.DatabaseSuffix)
		return nil
	})
	return (*shape.RegisterDatabaseOutput)(&out), err
}

// putUnknown says of something that nothing is known of it, until it has been asked.
func putUnknown(tx *table.Txn, m *model.Meta) {
	state.DatabaseStates.Put(tx, &model.DatabaseState{Account: m.Account, Region: m.Region, ID: m.ID, Phase: model.DatabaseCreating, At: m.CreatedAt})
}

// registration checks what can be checked without looking at anything else.
func (a *API) registration(who access.View, in *shape.RegisterDatabaseInput) (*registration, error) {
	ask, engine := *in.Ask, *in.Engine
	if engines, ok := askedOf[ask]; ok && !slices.Contains(engines, engine) {
		return nil, fault.Validation("engine", "ask %s goes with engine %s, not with %s", ask, strings.Join(engines, " or "), engine)
	}
	if *in.Port == 0 {
		return nil, fault.Validation("port", "port 0 is none; name the port at which the servers listen")
	}
	if err := service.CheckTagMap(in.Tags); err != nil {
		return nil, fault.Validation("tags", "%v", err)
	}
	how, err := a.howToAsk(in)
	if err != nil {
		return nil, err
	}
	now, identifier := a.Now(), strings.ToLower(*in.Identifier)
	own := func(id string) model.Meta {
		return model.Meta{Account: who.Account, Region: who.Region, ID: id, CreatedAt: now, UpdatedAt: now}
	}
	r := &registration{cluster: &model.DBCluster{
		Meta: own(a.NewDatabaseID("cluster-")),
		Database: model.Database{
			Identifier: identifier, Engine: engine, Version: service.Value(in.EngineVersion), Port: uint16(*in.Port), VPC: *in.VpcId, Registered: how,
		},
	}}
	r.cluster.Tags = in.Tags
	r.cluster.Registered.Password = a.sealed(service.Value(in.Password), r.cluster.ID)
	for i, m := range in.Members {
		row, err := memberOf(r, m, i)
		if err != nil {
			return nil, err
		}
		row.Meta = own(a.NewDatabaseID("db-"))
		r.members = append(r.members, row)
	}
	return r, nil
}

// howToAsk reads how a database is asked who writes.
func (a *API) howToAsk(in *shape.RegisterDatabaseInput) (how model.RegisteredDatabase, err error) {
	how.Ask = *in.Ask
	if how.Ask == model.AskPatroni {
		how.RESTPort = defaultREST
	}
	if err := (questioner{in.User, in.Password, in.CertificateAuthority, in.RestPort, in.MaxLag}).set(&how); err != nil {
		return how, err
	}
	if how.Writer, err = ownName("writerName", in.WriterName); err == nil {
		how.Reader, err = ownName("readerName", in.ReaderName)
	}
	if err == nil && how.Writer != "" && how.Writer == how.Reader {
		err = fault.Validation("readerName", "readerName is the same as writerName; a name leads to one of the two")
	}
	return how, err
}

// questioner is with what a database is asked, as requests have it: nil leaves it as it is.
type questioner struct {
	user, password, authority *string
	restPort                  *int32
	maxLag                    *int64
}

// set changes how a database is asked, but for the password, which is sealed for its row.
func (q questioner) set(how *model.RegisteredDatabase) error {
	how.User, how.Authority = service.Or(q.user, how.User), service.Or(q.authority, how.Authority)
	how.MaxLag = service.Or(q.maxLag, how.MaxLag)
	if port := service.Value(q.restPort); port != 0 {
		how.RESTPort = uint16(port)
	}
	switch asks := how.Ask == model.AskPostgres || how.Ask == model.AskMySQL; {
	case asks && how.User == "":
		return fault.Validation("user", "ask %s needs a user: a role that may log in, and needs no other right", how.Ask)
	case !asks && (q.user != nil || q.password != nil):
		return fault.Validation("user", "ask %s takes no user and no password", how.Ask)
	case how.Ask != model.AskPatroni && q.restPort != nil:
		return fault.Validation("restPort", "restPort goes with ask patroni only")
	case how.MaxLag < 0:
		return fault.Validation("maxLag", "maxLag %d is not a number of bytes", how.MaxLag)
	}
	if how.Authority != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(how.Authority)) {
		return fault.Validation("certificateAuthority", "certificateAuthority has no certificate in PEM")
	}
	return nil
}

// sealed gives a password as the row of an id has it.
func (a *API) sealed(password, id string) string {
	if password == "" {
		return ""
	}
	return a.Seal.SealText(seal.DatabasePassword, []byte(password), id)
}

// ownName reads a name that the database has already.
func ownName(field string, text *string) (string, error) {
	if service.Value(text) == "" {
		return "", nil
	}
	name, err := model.NormalName(*text)
	if err != nil || strings.Contains(name, `\`) || strings.Count(name, ".") < 2 {
		return "", fault.Validation(field, "%s %q is not a domain name of two labels or more, such as pg.prod.internal", field, *text)
	}
	return name, nil
}

// memberOf reads one server of a database, whose place in the list names it if nothing does.
func memberOf(r *registration, m shape.DatabaseMember, place int) (*model.DBInstance, error) {
	field := fmt.Sprintf("members.%d", place)
	addr, err := netip.ParseAddr(*m.Address)
	switch {
	case err != nil || addr.Is4In6() || addr.Zone() != "":
		return nil, fault.Validation(field+".address", "%q is not an IP address", *m.Address)
	case addr.IsUnspecified(), addr.IsLoopback(), addr.IsMulticast(), addr.IsLinkLocalUnicast(), model.Transit4.Contains(addr), model.Transit6.Contains(addr):
		return nil, fault.Validation(field+".address", "no server can have the address %s in a VPC", addr)
	case m.Arn != nil, m.Status != nil, m.Reason != nil, m.Writer != nil:
		return nil, fault.Validation(field, "a member is given by identifier, address and name; the rest is found out")
	}
	name, err := ownName(field+".name", m.Name)
	if err != nil {
		return nil, err
	}
	c := r.cluster
	row := &model.DBInstance{
		Database: model.Database{
			Identifier: cmp.Or(strings.ToLower(service.Value(m.Identifier)), fmt.Sprintf("%s-%d", c.Identifier, place+1)),
			Engine:     c.Engine, Version: c.Version, Port: c.Port, VPC: c.VPC, Registered: model.RegisteredDatabase{Ask: c.Registered.Ask},
		},
		Cluster: c.ID, Addr: addr, DNS: name,
	}
	for _, other := range r.members {
		switch {
		case other.Addr == addr:
			return nil, fault.Validation(field+".address", "%s is the address of two members", addr)
		case other.Identifier == row.Identifier:
			return nil, fault.Validation(field+".identifier", "%s is the identifier of two members", row.Identifier)
		case other.Addr.Is4() != addr.Is4():
			return nil, fault.Validation(field+".address", "%s and %s are of different address families; connections go to one of them", other.Addr, addr)
		case name != "" && other.DNS == name:
			return nil, fault.Validation(field+".name", "%s is the name of two members", *m.Name)
		}
	}
	if name != "" && (name == c.Registered.Writer || name == c.Registered.Reader) {
		return nil, fault.Validation(field+".name", "%s is the name of a member and of the writer or the readers", *m.Name)
	}
	return row, nil
}

// checkRegistration holds a request against the state.
func (a *API) checkRegistration(tx *table.Txn, who access.View, r *registration) error {
	c := r.cluster
	if vpc, ok := view.Get(tx, who, state.VPCs, c.VPC); !ok || !view.Own(who, vpc.Ref()) {
		return fault.NotFound(kindVPC, c.VPC)
	}
	for other := range state.DBClustersByIdentifier.Rows(tx, who.Own(c.Identifier)) {
		return fault.Conflict(kindDatabase, other.ID, "a DB cluster %s exists already", c.Identifier)
	}
	for _, m := range r.members {
		for other := range state.DBInstancesByIdentifier.Rows(tx, who.Own(m.Identifier)) {
			return fault.Conflict(kindDatabase, other.ID, "a DB instance %s exists already", m.Identifier)
		}
	}
	clusters, instances := view.Count(tx, who, state.DBClusters), view.Count(tx, who, state.DBInstances)
	if clusters >= a.Quotas.DBClustersPerRegion || instances+len(r.members) > a.Quotas.DBInstancesPerRegion {
		return fault.Conflict(kindDatabase, c.Identifier, "the account has %d DB clusters and %d DB instances in this region; it can have %d and %d",
			clusters, instances, a.Quotas.DBClustersPerRegion, a.Quotas.DBInstancesPerRegion)
	}
	return nil
}

// UpdateRegisteredDatabase changes with what a registered database is asked. What is not
// given stays; an empty password or authority is none from then on. It is asked in the new
// way at once, and connections stay where they are.
func (a *API) UpdateRegisteredDatabase(ctx context.Context, in *shape.UpdateRegisteredDatabaseInput) (*shape.UpdateRegisteredDatabaseOutput, error) {
	who := access.From(ctx)
	var out shape.RegisteredDatabase
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		c, err := registeredNamed(tx, who, *in.Identifier, "ModifyDBCluster of RDS changes it")
		if err != nil {
			return err
		}
		c = c.Clone()
		if err := (questioner{in.User, in.Password, in.CertificateAuthority, in.RestPort, in.MaxLag}).set(&c.Registered); err != nil {
			return err
		}
		if in.Password != nil {
			c.Registered.Password = a.sealed(*in.Password, c.ID)
		}
		c.Secret++ // so that whoever asks reads it again
		c.UpdatedAt = a.Now()
		state.DBClusters.Put(tx, c)
		out = registered(tx, c, a.DatabaseSuffix)
		return nil
	})
	return (*shape.UpdateRegisteredDatabaseOutput)(&out), err
}

// registeredNamed finds a registered database of the caller; instead says what changes one
// that is not.
func registeredNamed(tx *table.Txn, who access.View, identifier, instead string) (*model.DBCluster, error) {
	for c := range state.DBClustersByIdentifier.Rows(tx, who.Own(strings.ToLower(identifier))) {
		if !c.IsRegistered() {
			return nil, fault.Conflict(kindDatabase, c.ID, "DB cluster %s is managed, not registered; %s", c.Identifier, instead)
		}
		return c, nil
	}
	return nil, fault.NotFound(kindDatabase, identifier)
}

// DeregisterDatabase has Postern know a database no more. The database itself is left as it
// is; resource configurations of it lead nowhere from then on.
func (a *API) DeregisterDatabase(ctx context.Context, in *shape.DeregisterDatabaseInput) (*shape.DeregisterDatabaseOutput, error) {
	who := access.From(ctx)
	var out shape.RegisteredDatabase
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		c, err := registeredNamed(tx, who, *in.Identifier, "DeleteDBCluster of RDS deletes it")
		if err != nil {
			return err
		}
		out = registered(tx, c, a.DatabaseSuffix)
		for m := range state.DBInstancesByCluster.Rows(tx, c.Ref()) {
			state.DBInstances.Delete(tx, m.Account, m.Region, m.ID)
			state.DatabaseStates.Delete(tx, m.Account, m.Region, m.ID)
		}
		for e := range state.DBClusterEndpointsByCluster.Rows(tx, c.Ref()) {
			state.DBClusterEndpoints.Delete(tx, e.Account, e.Region, e.ID)
		}
		state.DBClusters.Delete(tx, c.Account, c.Region, c.ID)
		state.DatabaseStates.Delete(tx, c.Account, c.Region, c.ID)
		return nil
	})
	return (*shape.DeregisterDatabaseOutput)(&out), err
}

// ListRegisteredDatabases lists the caller's databases that exist without Postern, by their
// identifiers. RDS describes them too.
func (a *API) ListRegisteredDatabases(ctx context.Context, _ *shape.ListRegisteredDatabasesInput) (*shape.ListRegisteredDatabasesOutput, error) {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	out := &shape.ListRegisteredDatabasesOutput{Databases: []shape.RegisteredDatabase{}}
	for c := range view.All(tx, access.From(ctx), state.DBClusters) {
		if c.IsRegistered() {
			out.Databases = append(out.Databases, registered(tx, c, a.DatabaseSuffix))
		}
	}
	slices.SortFunc(out.Databases, func(a, b shape.RegisteredDatabase) int { return strings.Compare(*a.Identifier, *b.Identifier) })
	return out, nil
}

// registered tells of a database, whose password nobody is told.
func registered(tx *table.Txn, c *model.DBCluster, suffix string) shape.RegisteredDatabase {
	status, reason := saidOf(tx, &c.Meta)
	d := shape.RegisteredDatabase{
		Identifier: &c.Identifier, Arn: new(c.ARN()), ResourceId: &c.ID, Engine: &c.Engine, EngineVersion: service.Optional(c.Version), Ask: &c.Registered.Ask,
		VpcId: &c.VPC, Port: new(int32(c.Port)), WriterName: service.Optional(shown(c.WriterName(suffix))), ReaderName: service.Optional(shown(c.ReaderName(suffix))),
		Status: status, Reason: reason, CreatedAt: new(c.CreatedAt.UTC().Format(time.RFC3339)), Members: []shape.DatabaseMember{},
	}
	for m := range state.DBInstancesByCluster.Rows(tx, c.Ref()) {
		status, reason := saidOf(tx, &m.Meta)
		d.Members = append(d.Members, shape.DatabaseMember{
			Identifier: &m.Identifier, Address: new(m.Addr.String()), Name: service.Optional(shown(m.NameIn(suffix))), Arn: new(m.ARN()),
			Status: status, Reason: reason, Writer: new(m.ID == c.Writer),
		})
	}
	slices.SortFunc(d.Members, func(a, b shape.DatabaseMember) int { return strings.Compare(*a.Identifier, *b.Identifier) })
	return d
}

// saidOf is the status of a database or a server in the words of RDS, and why.
func saidOf(tx *table.Txn, m *model.Meta) (status, reason *string) {
	s := state.SaidOf(tx, m)
	if s == nil {
		return nil, nil
	}
	return new(string(s.Phase)), service.Optional(s.Reason)
}
