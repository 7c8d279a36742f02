// SPDX-License-Identifier: Apache-2.0

package databases

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/posternhq/postern/test/child"
	"github.com/posternhq/postern/test/instance"
)

// settings are those of Patroni and of HAProxy that say how soon a failure is noticed.
type settings struct {
	name string
	// ttl, loop and retry are Patroni's ttl, loop_wait and retry_timeout in seconds, and
	// start its primary_start_timeout: for how long a crashed server is started again
	// before another one is promoted.
	ttl, loop, retry, start int
	checks                  string // of HAProxy
}

var (
	// asDocumented are the defaults of Patroni, and the checks of the HAProxy configuration
	// that it comes with.
	asDocumented = settings{"Patroni, defaults", 30, 10, 10, 300, "inter 3s fall 3 rise 2"}
	// tuned are the least that Patroni's documentation allows
	// (https://patroni.readthedocs.io/en/latest/dynamic_configuration.html), and checks as
	// often as Python answers them without taking a processor.
	tuned = settings{"Patroni, tuned", 20, 1, 3, 0, "inter 100ms fall 2 rise 1"}
)

const (
	restPort  = "8008"
	etcdPort  = "2379"
	proxyPort = "5000"
)

// patroniPrograms are what a cluster of Patroni's is made of, with the package of each.
var patroniPrograms = map[string]string{"patroni": "patroni", "etcd": "etcd-server", "haproxy": "haproxy"}

// patroni is a database of three servers that Patroni manages, with etcd as its store, and
// HAProxy in front, which both are in a plain router between servers and client. The servers
// are in the provider's VPC too.
type patroni struct {
	*star
	nodes     []*node
	addresses []string // in the VPC
	proxy     *child.Process
}

// node is a server with its Patroni. They have a process namespace of their own, so that
// nothing of it is left when it ends.
type node struct {
	*plainServer
	name    string
	patroni *child.Process // nil while it does not run
}

// newPatroni makes one with settings, which the caller closes also when it is not whole.
func newPatroni(ctx context.Context, w *world, s settings) (p *patroni, err error) {
	p = &patroni{}
	if p.star, err = newStar(members); err != nil {
		return p, err
	}
	if err := p.startStore(); err != nil {
		return p, err
	}
	for i, ns := range p.places {
		p.addresses = append(p.addresses, fmt.Sprintf("10.0.2.%d", 50+i))
		if err := w.provider.AttachIn(ctx, ns, w.others, p.addresses[i]); err != nil {
			return p, err
		}
		server, err := newPlainServer(ctx, &p.Scope, ns)
		if err != nil {
			return p, err
		}
		n := &node{plainServer: server, name: fmt.Sprintf("node%d", i)}
		p.nodes = append(p.nodes, n)
		if err := n.configure(spoke(i+1, far).String(), spoke(1, near).String(), s); err != nil {
			return p, err
		}
		p.Add(n.end)
	}
	_, err = p.whole(ctx)
	return p, err
}

// startStore starts etcd.
func (p *patroni) startStore() error {
	data, err := folder(&p.Scope)
	if err != nil {
		return err
	}
	peer := "http://127.0.0.1:2380"
	cmd := exec.Command("etcd", "--name", "store", "--data-dir", filepath.Join(data, "etcd"), "--initial-cluster", "store="+peer, "--initial-advertise-peer-urls", peer, "--listen-peer-urls", peer,
		"--listen-client-urls", "http://0.0.0.0:"+etcdPort, "--advertise-client-urls", "http://"+spoke(1, near).String()+":"+etcdPort)
	cmd.Dir = "/"
	store, err := child.StartWithin(p.router.Run, cmd)
	if err == nil {
		p.Add(func() error { store.Kill(); return nil })
	}
	return err
}

// configure writes the node's configuration. YAML, which Patroni reads, has JSON in it.
func (n *node) configure(address, store string, s settings) error {
	object := func(pairs ...any) map[string]any {
		o := map[string]any{}
		for i := 0; i < len(pairs); i += 2 {
			o[pairs[i].(string)] = pairs[i+1]
		}
		return o
	}
	super := object("username", serverUser)
	text, err := json.Marshal(object(
		"scope", "bench", "name", n.name,
		"restapi", object("listen", "0.0.0.0:"+restPort, "connect_address", address+":"+restPort),
		"etcd3", object("host", store+":"+etcdPort),
		"bootstrap", object("initdb", []any{"data-checksums", "no-sync"}, "dcs", s.dynamic()),
		"postgresql", object(
			"listen", "0.0.0.0:"+port, "connect_address", address+":"+port, "data_dir", n.data(), "bin_dir", n.installed.Programs, "pgpass", filepath.Join(n.folder, "pgpass"),
			"authentication", object("superuser", super, "replication", super, "rewind", super),
			"pg_hba", []string{"local all all trust", "host all all all trust", "host replication all all trust"},
			"parameters", object("unix_socket_directories", n.folder, "wal_retrieve_retry_interval", "100ms"),
		),
	))
	if err != nil {
		return err
	}
	return os.WriteFile(n.configuration(), text, 0o644)
}

func (n *node) configuration() string { return filepath.Join(n.folder, "patroni.yml") }

// dynamic is the part of the settings that Patroni has in its store. A commit waits for a
// replica, so that none is lost.
func (s settings) dynamic() map[string]any {
	return map[string]any{
		"ttl": s.ttl, "loop_wait": s.loop, "retry_timeout": s.retry, "primary_start_timeout": s.start,
		"synchronous_mode": true, "postgresql": map[string]any{"use_pg_rewind": true, "use_slots": true},
	}
}

// begin starts Patroni, which starts the server.
func (n *node) begin() (err error) {
	id := func(n uint32) string { return strconv.FormatUint(uint64(n), 10) }
	cmd := exec.Command("unshare", "--pid", "--fork", "--mount-proc", "--ipc",
		"setpriv", "--reuid", id(n.installed.UID), "--regid", id(n.installed.GID), "--clear-groups", "--pdeathsig", "KILL", "patroni", n.configuration())
	cmd.Dir = "/"
	n.patroni, err = child.StartWithin(n.ns.Run, cmd)
	return err
}

// end ends the node with all of its processes at once.
func (n *node) end() error {
	if n.patroni == nil {
		return nil
	}
	// The first of the process namespace is of the group, and all others end with it.
	if err := syscall.Kill(-n.patroni.PID, syscall.SIGKILL); err != nil && err != syscall.ESRCH {
		return fmt.Errorf("kill %s: %w", n.name, err)
	}
	<-n.patroni.Ended()
	n.patroni = nil
	return nil
}

// crash ends the first process of the node's server, and leaves its Patroni alone.
func (n *node) crash() error {
	paths, _ := filepath.Glob("/proc/[0-9]*/cmdline") // the pattern is one
	for _, path := range paths {
		line, _ := os.ReadFile(path) // one that has ended has none
		if args := strings.Split(string(line), "\x00"); len(args) > 2 && filepath.Base(args[0]) == "postgres" && args[1] == "-D" && args[2] == n.data() {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			if err != nil {
				return err
			}
			return syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	return fmt.Errorf("find the server of %s: no process has its folder", n.name)
}

// rest asks the REST API of a node, which may be sent something.
func (p *patroni) rest(ctx context.Context, of int, method, path string, in, out any) error {
	var body bytes.Buffer
	if in != nil {
		if err := json.NewEncoder(&body).Encode(in); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+net.JoinHostPort(spoke(of+1, far).String(), restPort)+path, &body)
	if err != nil {
		return err
	}
	client := &http.Client{Timeout: born, Transport: &http.Transport{DialContext: p.client.Dial, DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, text)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(text, out)
}

// standing is what Patroni says of its cluster.
type standing struct {
	Members []struct{ Name, Role, State string }
}

// leader gives the node that has the lock, when all others follow it and one of them has
// all that is committed.
func (p *patroni) leader(ctx context.Context) (int, bool) {
	var now standing
	if p.rest(ctx, 0, http.MethodGet, "/cluster", nil, &now) != nil {
		return 0, false
	}
	leader, follow, sync := -1, 0, 0
	for _, m := range now.Members {
		switch up := m.State == "running" || m.State == "streaming"; {
		case m.Role == "leader" && up:
			leader, _ = strconv.Atoi(strings.TrimPrefix(m.Name, "node"))
		case m.Role == "sync_standby" && up:
			sync++
			follow++
		case m.Role == "replica" && up:
			follow++
		}
	}
	return leader, leader >= 0 && sync == 1 && follow == members-1
}

// whole starts nodes that do not run, waits until there is a writer with two replicas, and
// gives it.
func (p *patroni) whole(ctx context.Context) (writer *node, err error) {
	for _, n := range p.nodes {
		if n.patroni != nil {
			continue
		}
		if err := n.begin(); err != nil {
			return nil, err
		}
	}
	err = instance.Poll(ctx, born, "Patroni", func() (bool, error) {
		for _, n := range p.nodes {
			if _, ended := n.patroni.Status(); ended {
				return false, n.patroni.Early()
			}
		}
		leader, ok := p.leader(ctx)
		if !ok {
			return false, ctx.Err()
		}
		writer = p.nodes[leader]
		ok, err := writer.has(ctx, members-1)
		return ok && err == nil, ctx.Err() // it may have become another one
	})
	return writer, err
}

// configure has Patroni keep to other settings, and returns when all nodes do: what holds
// is read in each turn of a node, and the lock is taken with it one turn later.
func (p *patroni) configure(ctx context.Context, s settings) error {
	if _, err := p.whole(ctx); err != nil {
		return err
	}
	if err := p.rest(ctx, 0, http.MethodPatch, "/config", s.dynamic(), nil); err != nil {
		return err
	}
	until := time.Now().Add(time.Duration(s.loop+2) * time.Second).Unix()
	return instance.Poll(ctx, born, "other settings of Patroni", func() (bool, error) {
		for i := range p.nodes {
			var now struct {
				Seen int64 `json:"dcs_last_seen"`
			}
			if err := p.rest(ctx, i, http.MethodGet, "/patroni", nil, &now); err != nil || now.Seen < until {
				return false, err
			}
		}
		return true, nil
	})
}

// front puts a new HAProxy in front of the servers, in the place of the one before.
func (p *patroni) front(ctx context.Context, s settings) error {
	if p.proxy != nil {
		p.proxy.Kill()
	}
	dir, err := folder(&p.Scope)
	if err != nil {
		return err
	}
	text := "global\n maxconn 100\ndefaults\n mode tcp\n retries 2\n timeout client 30m\n timeout connect 4s\n timeout server 30m\n timeout check 5s\nlisten writer\n bind *:" + proxyPort +
		"\n option httpchk OPTIONS /primary\n http-check expect status 200\n default-server " + s.checks + " on-marked-down shutdown-sessions\n"
	for i, n := range p.nodes {
		text += fmt.Sprintf(" server %s %s:%s maxconn 100 check port %s\n", n.name, spoke(i+1, far), port, restPort)
	}
	path := filepath.Join(dir, "haproxy.cfg")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return err
	}
	cmd := exec.Command("haproxy", "-db", "-f", path)
	cmd.Dir = "/"
	if p.proxy, err = child.StartWithin(p.router.Run, cmd); err != nil {
		return err
	}
	proxy := p.proxy
	p.Add(func() error { proxy.Kill(); return nil })
	return instance.Poll(ctx, born, "HAProxy", func() (bool, error) {
		if _, ended := proxy.Status(); ended {
			return false, proxy.Early()
		}
		// It takes servers that it has not asked yet for writers, and leads to all in turns.
		for range p.nodes {
			conn, err := p.dial(ctx)
			if err != nil {
				return false, ctx.Err()
			}
			replica, err := value(ctx, conn, "select pg_is_in_recovery()")
			_ = conn.Close(ctx) // nothing is under way
			if err != nil || replica != "f" {
				return false, ctx.Err()
			}
		}
		return true, nil
	})
}

// dial connects to the writer by HAProxy.
func (p *patroni) dial(ctx context.Context) (*pgconn.PgConn, error) {
	config, err := pgconn.ParseConfig(fmt.Sprintf("host=%s port=%s user=%s dbname=postgres sslmode=disable connect_timeout=10", spoke(0, near), proxyPort, serverUser))
	if err != nil {
		return nil, err
	}
	config.DialFunc = p.client.Dial
	return pgconn.ConnectConfig(ctx, config)
}
