// SPDX-License-Identifier: Apache-2.0

package isolation

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	shape "github.com/posternhq/postern/internal/aws/shape/postern"
	"github.com/posternhq/postern/internal/aws/shape/rds"
	lattice "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/test/postern"
	"github.com/posternhq/postern/test/testnet"
)

// Ports of databases. The server that Postern runs has one that no workload answers on;
// registered servers have the first of those on which all do, and say on another one what
// they are.
const (
	managedPort    = 5433
	registeredPort = 5432
	patroniPort    = 8008
)

// Database is one that exists without Postern, of two workloads of a VPC. It is offered by
// its ARN, and what is offered leads to who does what in it.
type Database struct {
	primary, replica *Interface
	// asked is the way by which servers are asked what they are, and the others are what is
	// offered.
	asked, writer, reader *Resource
	members               map[*Interface]*Resource
	// written and read are what its VPC calls the writer and the readers.
	written, read *Name
}

const (
	managedName    = "managed"
	registeredName = "registered"
)

// databaseNumbers is which random numbers of a seed databases are drawn by: those by which
// servers are reached and are not, and come and go with network ACLs, in the first worlds.
const databaseNumbers = 1<<32 + 3

// databases draws a server that Postern runs, and a database that is registered, each in a
// VPC. What it returns offers each to another one, for which the server must be there.
func (m *maker) databases(seed uint64) (offer func()) {
	m.p.T.Helper()
	m = &maker{Rand: rand.New(rand.NewPCG(seed, databaseNumbers)), p: m.p, w: m.w}
	order := m.Perm(len(m.w.VPCs))
	server := m.managed(m.w.VPCs[order[0]])
	return func() {
		m.p.T.Helper()
		m.registered(m.w.VPCs[order[1]], m.w.VPCs[order[2]])
		if server != nil {
			m.offerManaged(server, m.w.VPCs[order[1]])
		}
	}
}

// open draws groups, mostly with the one that lets all pass: several must do so before
// anybody comes to a database of another VPC.
func (m *maker) open(v *VPC) []*Group {
	groups := some(m, v.Groups)
	if m.IntN(3) > 0 && !slices.Contains(groups, v.Groups[0]) {
		groups = append(groups, v.Groups[0])
	}
	return groups
}

// installed reports whether the machine has PostgreSQL. Where tests must run, it must.
func (m *maker) installed() bool {
	m.p.T.Helper()
	known := postern.Call[rds.DescribeDBEngineVersionsOutput](m.p, rds.Service, "DescribeDBEngineVersions", &rds.DescribeDBEngineVersionsInput{Engine: new("postgres")})
	if len(known.DBEngineVersions) > 0 {
		return true
	}
	if os.Getenv("CI") != "" {
		m.p.T.Fatal("CI is set and no PostgreSQL is installed")
	}
	m.p.T.Log("no PostgreSQL is installed: no server of Postern's is in this world")
	return false
}

// managed makes a server that Postern runs. It is a workload like any other, but for who
// made its namespace, and for the server in it.
func (m *maker) managed(v *VPC) *Interface {
	m.p.T.Helper()
	if !m.installed() {
		return nil
	}
	groups := m.open(v)
	postern.Call[rds.CreateDBSubnetGroupOutput](m.p, rds.Service, "CreateDBSubnetGroup", &rds.CreateDBSubnetGroupInput{
		DBSubnetGroupName: new("two"), DBSubnetGroupDescription: new("for a test"), SubnetIds: []string{v.Subnets[0].ID, v.Subnets[1].ID},
	})
	made := postern.Call[rds.CreateDBInstanceOutput](m.p, rds.Service, "CreateDBInstance", &rds.CreateDBInstanceInput{
		DBInstanceIdentifier: new(managedName), Engine: new("postgres"), DBInstanceClass: new("db.t3.micro"), AllocatedStorage: new(int32(20)), Port: new(int32(managedPort)),
		MasterUsername: new("boss"), MasterUserPassword: new("secret-of-boss"), DBSubnetGroupName: new("two"), VpcSecurityGroupIds: groupIDs(groups),
	}).DBInstance
	at := slices.IndexFunc(v.Subnets, func(s *postern.Subnet) bool { return s.Zone == *made.AvailabilityZone })
	ni := m.p.Interfaces("description", "RDSNetworkInterface")[0]
	w := &postern.Workload{Subnet: v.Subnets[at], ENI: *ni.NetworkInterfaceId, IP: netip.MustParseAddr(*ni.PrivateIpAddress)}
	m.p.Await("the namespace of the server", func() (bool, error) {
		var err error
		w.NS, err = testnet.Open(network.NamespaceName(m.p.Mark(), network.NameOf(desired.SandboxRealm(*made.DbiResourceId))))
		if errors.Is(err, network.ErrNamespaceGone) { // or not there yet
			return false, nil
		}
		return err == nil, err
	})
	m.p.T.Cleanup(func() { w.NS.Close() })
	server := v.add(&Interface{Name: managedName, Zone: w.Subnet.Zone, Subnet: w.Subnet, Addresses: []netip.Addr{w.IP}, Groups: groups, Attached: true, Workload: w, Server: true})
	m.w.Workloads = append(m.w.Workloads, server)
	return server
}

// offerManaged offers the server that Postern runs, when it is there.
func (m *maker) offerManaged(server *Interface, to *VPC) {
	m.p.T.Helper()
	var arn, name string
	m.p.Await("the server that Postern runs", func() (bool, error) {
		i, err := m.instance(managedName)
		if err != nil || *i.DBInstanceStatus != "available" {
			return false, err
		}
		arn, name = *i.DBInstanceArn, *i.Endpoint.Address
		return true, nil
	})
	v := server.VPC
	m.w.Names = append(m.w.Names, &Name{name, v, map[string][]netip.Addr{"": server.Addresses}})
	way := m.gatewayOf(v, to)
	m.offer(way, arn, managedName, to, map[string]*Resource{name: way.to(server.Addresses[0], managedPort)})
}

// registered makes a database of two workloads, of which one is the writer.
func (m *maker) registered(v, to *VPC) {
	m.p.T.Helper()
	way := m.gatewayOf(v, to)
	mine := slices.DeleteFunc(slices.Clone(m.w.Workloads), func(w *Interface) bool { return w.VPC != v || w.Server })
	m.Shuffle(len(mine), func(i, j int) { mine[i], mine[j] = mine[j], mine[i] })
	asked := way.to(mine[0].Addresses[0], patroniPort)
	if m.IntN(4) > 0 { // those that can be asked come first
		slices.SortStableFunc(mine, func(a, b *Interface) int { return rank(m.w.tells(asked, b)) - rank(m.w.tells(asked, a)) })
	}
	d := &Database{primary: mine[0], replica: mine[1], asked: asked, members: map[*Interface]*Resource{}}
	in := &shape.RegisterDatabaseInput{
		Identifier: new(registeredName), Engine: new("postgres"), Ask: new("patroni"), VpcId: &v.ID, Port: new(int32(registeredPort)), RestPort: new(int32(patroniPort)),
	}
	for _, i := range mine[:2] {
		m.patroni(i, i == d.primary)
		in.Members = append(in.Members, shape.DatabaseMember{Identifier: &i.Name, Address: new(i.Addresses[0].String())})
	}
	arn := *postern.Call[shape.RegisterDatabaseOutput](m.p, shape.Service, "RegisterDatabase", in).Arn
	cluster, err := m.w.cluster(m.p)
	if err != nil {
		m.p.T.Fatal(err)
	}
	first := d.primary.Addresses[0] // until it is known where it leads
	d.writer, d.reader = way.to(first, registeredPort), way.to(first, registeredPort)
	d.written, d.read = &Name{Text: *cluster.Endpoint, VPC: v}, &Name{Text: *cluster.ReaderEndpoint, VPC: v}
	m.w.Names = append(m.w.Names, d.written, d.read)
	children := map[string]*Resource{d.written.Text: d.writer, d.read.Text: d.reader}
	for _, i := range mine[:2] {
		described, err := m.instance(i.Name)
		if err != nil {
			m.p.T.Fatal(err)
		}
		d.members[i] = way.to(i.Addresses[0], registeredPort)
		children[*described.Endpoint.Address] = d.members[i]
		m.w.Names = append(m.w.Names, &Name{*described.Endpoint.Address, v, map[string][]netip.Addr{"": i.Addresses[:1]}})
	}
	m.w.Database = d
	m.offer(way, arn, registeredName, to, children)
}

// patroni has a workload say what it is, as Patroni does
// (https://patroni.readthedocs.io/en/latest/rest_api.html).
func (m *maker) patroni(i *Interface, writes bool) {
	m.p.T.Helper()
	l, err := i.Workload.Listen("tcp", fmt.Sprintf(":%d", patroniPort))
	if err != nil {
		m.p.T.Fatal(err)
	}
	role, status := "replica", http.StatusServiceUnavailable
	if writes {
		role, status = "master", http.StatusOK
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		// Who does not get the answer asks again.
		_ = json.NewEncoder(w).Encode(map[string]any{"state": "running", "role": role, "database_system_identifier": "1"})
	})}
	go server.Serve(l)
	m.p.T.Cleanup(func() { server.Close() })
}

// databaseWay is a gateway that leads to databases, from a zone that the consumer has, too.
type databaseWay struct {
	made    *postern.Gateway
	sender  *Interface
	subnet  *postern.Subnet // of the gateway
	at      *postern.Subnet // of the consumer
	sources map[string][]netip.Prefix
}

func (m *maker) gatewayOf(v, consumer *VPC) *databaseWay {
	m.p.T.Helper()
	w := &databaseWay{}
	zones := map[string]*postern.Subnet{}
	for _, s := range v.Subnets {
		zones[s.Zone] = s
	}
	w.at = consumer.Subnets[slices.IndexFunc(consumer.Subnets, func(s *postern.Subnet) bool { return zones[s.Zone] != nil })]
	w.subnet = zones[w.at.Zone]
	name, groups := "to-databases-"+testnet.RandomName(4), m.open(v)
	w.made = v.Gateway(name, []*postern.Subnet{w.subnet}, groupIDs(groups))
	w.sender, w.sources = sender(v, name, w.made, groups), w.made.Sources()
	return w
}

// to is what the gateway leads to at a server.
func (w *databaseWay) to(server netip.Addr, port uint16) *Resource {
	return &Resource{Gateway: w.sender, Sources: w.sources, Subnets: []*postern.Subnet{w.subnet}, IP: server, Ports: [][2]uint16{{port, port}}}
}

// offer makes a resource configuration of a database, of which these are the children by
// their names, and an endpoint to it in another VPC.
func (m *maker) offer(way *databaseWay, arn, name string, to *VPC, children map[string]*Resource) {
	m.p.T.Helper()
	c := way.made.Database(name, arn)
	m.p.Await("the children of "+name, func() (bool, error) {
		var out lattice.ListResourceConfigurationsOutput
		err := m.p.Do(lattice.Service, "ListResourceConfigurations", &lattice.ListResourceConfigurationsInput{ResourceConfigurationGroupIdentifier: &c.ID}, &out)
		active := func(c lattice.ResourceConfigurationSummary) bool {
			return *c.Status == lattice.ResourceConfigurationStatusActive
		}
		return err == nil && len(out.Items) == len(children) && !slices.ContainsFunc(out.Items, func(c lattice.ResourceConfigurationSummary) bool { return !active(c) }), err
	})
	groups := m.open(to)
	e := to.PrivateEndpoint(c, []*postern.Subnet{way.at}, groupIDs(groups)...)
	own := map[string]string{} // what endpoints call what databases call otherwise
	m.p.Await("the names of "+e.ID, func() (bool, error) {
		var out ec2.DescribeVpcEndpointAssociationsOutput
		err := m.p.Do(ec2.Service, "DescribeVpcEndpointAssociations", &ec2.DescribeVpcEndpointAssociationsInput{VpcEndpointIds: []string{e.ID}}, &out)
		for _, a := range out.VpcEndpointAssociations {
			if a.DnsEntry != nil && a.PrivateDnsEntry != nil {
				own[*a.PrivateDnsEntry.DnsName] = *a.DnsEntry.DnsName
			}
		}
		return err == nil && len(own) == len(children), err
	})
	asks := m.w.Workloads[slices.IndexFunc(m.w.Workloads, func(i *Interface) bool { return i.VPC == to })]
	left := slices.Clone(e.Addresses[way.at.Zone])
	for text, r := range children {
		// Which address is whose is told by names only. Each must be one of the endpoint's,
		// and no two the same.
		q := &question{from: asks, text: own[text], at: resolvers[0]}
		q.ask()
		if len(q.found) != 1 || !slices.Contains(left, q.found[0]) {
			m.p.T.Fatalf("%s is at %v (%v), want one of %v", own[text], q.found, q.err, left)
		}
		left = slices.DeleteFunc(left, func(a netip.Addr) bool { return a == q.found[0] })
		to.add(&Interface{Name: strings.SplitN(text, ".", 2)[0] + " by " + e.ID, Zone: way.at.Zone, Addresses: q.found, Groups: groups, Endpoint: r})
		for _, n := range []string{text, own[text]} {
			m.w.Names = append(m.w.Names, &Name{n, to, map[string][]netip.Addr{way.at.Zone: q.found}})
		}
	}
	to.add(&Interface{Name: "own addresses of " + e.ID, Zone: way.at.Zone, Addresses: left, Groups: groups})
}

func (m *maker) instance(name string) (*rds.DBInstance, error) {
	var out rds.DescribeDBInstancesOutput
	if err := m.p.Do(rds.Service, "DescribeDBInstances", &rds.DescribeDBInstancesInput{DBInstanceIdentifier: &name}, &out); err != nil {
		return nil, err
	}
	return &out.DBInstances[0], nil
}

func (w *World) cluster(p *postern.Postern) (*rds.DBCluster, error) {
	var out rds.DescribeDBClustersOutput
	if err := p.Do(rds.Service, "DescribeDBClusters", &rds.DescribeDBClustersInput{DBClusterIdentifier: new(registeredName)}, &out); err != nil {
		return nil, err
	}
	return &out.DBClusters[0], nil
}

func rank(is bool) int {
	if is {
		return 1
	}
	return 0
}

// tells reports whether a server of a database can be asked by a way: what cannot counts as
// down.
func (w *World) tells(asked *Resource, i *Interface) bool {
	t, r := &trip{protocol: "tcp", port: patroniPort}, *asked
	r.IP = i.Addresses[0]
	v := t.filtered(w.fromGateway(t, &r, r.Subnets[0]))
	return v.Reaches == i && v.Outcome != Dropped
}

// settle waits until Postern knows of the registered database what there is to be known, and
// says where what is offered of it leads then.
func (w *World) settle(p *postern.Postern) {
	p.T.Helper()
	d := w.Database
	if d == nil {
		return
	}
	up := map[*Interface]bool{d.primary: w.tells(d.asked, d.primary), d.replica: w.tells(d.asked, d.replica)}
	var writer *Interface // whoever was it, while nobody says so
	p.Await(fmt.Sprintf("word of %s, which can be asked: %v, and of %s: %v", d.primary.Name, up[d.primary], d.replica.Name, up[d.replica]), func() (bool, error) {
		for i, up := range up {
			var out rds.DescribeDBInstancesOutput
			if err := p.Do(rds.Service, "DescribeDBInstances", &rds.DescribeDBInstancesInput{DBInstanceIdentifier: &i.Name}, &out); err != nil {
				return false, err
			}
			if status := *out.DBInstances[0].DBInstanceStatus; (status == "available") != up {
				return false, nil
			}
		}
		c, err := w.cluster(p)
		if err != nil {
			return false, err
		}
		writer = nil
		for _, m := range c.DBClusterMembers {
			if *m.IsClusterWriter {
				writer = d.primary // the other one never says so
				if *m.DBInstanceIdentifier != d.primary.Name {
					return false, fmt.Errorf("%s is the writer", *m.DBInstanceIdentifier)
				}
			}
		}
		return writer != nil || !up[d.primary], nil
	})
	reads := writer
	if up[d.replica] {
		reads = d.replica
	}
	for i, r := range d.members {
		if !up[i] {
			i = nil
		}
		r.lead(i)
	}
	d.writer.lead(writer)
	d.reader.lead(reads)
	d.written.is(writer)
	d.read.is(reads)
	p.Await("what was learned of databases", func() (bool, error) {
		s := p.Status()
		return *s.DesiredEntries > 0 && *s.DesiredEntries == *s.ProgrammedEntries, nil
	})
}

// lead has a resource be a workload; nil is nobody.
func (r *Resource) lead(i *Interface) {
	if r.Nowhere = i == nil; i != nil {
		r.IP = i.Addresses[0]
	}
}

// is has a name be that of a workload; nil is nobody.
func (n *Name) is(i *Interface) {
	if n.Addresses = nil; i != nil {
		n.Addresses = map[string][]netip.Addr{"": i.Addresses[:1]}
	}
}

// sslRequest asks a PostgreSQL server whether it encrypts, which it says to whomever it is
// reached by (https://www.postgresql.org/docs/current/protocol-message-formats.html).
var sslRequest = []byte{0, 0, 0, 8, 4, 210, 22, 47}

// askServer has the server that Postern runs say that it is there: nobody else has its port.
func askServer(conn io.ReadWriter) (name string, err error) {
	answer := make([]byte, 1)
	if _, err = conn.Write(sslRequest); err == nil {
		_, err = conn.Read(answer)
	}
	if err == nil && answer[0] != 'S' {
		err = fmt.Errorf("%q is not how PostgreSQL answers", answer)
	}
	return managedName, err
}
