// SPDX-License-Identifier: Apache-2.0

// Package pgserver runs PostgreSQL servers for tests, as databases that exist without
// Postern: with a certificate for Name, a role User that may log in and nothing else, and
// no way in without TLS but for replicas.
package pgserver

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/posternhq/postern/test/child"
	"github.com/posternhq/postern/test/testnet"
)

// What a database has.
const (
	// Name is what the servers' certificates are for, User and Password the role.
	Name, User, Password = "pg.prod.internal", "watch", "sesame"
)

// binaries gives the folder of the newest PostgreSQL of this machine.
func binaries(t testing.TB) string {
	t.Helper()
	testnet.Require(t)
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if _, err := user.Lookup("postgres"); len(found) == 0 || err != nil {
		testnet.Unable(t, "PostgreSQL is not installed")
	}
	return filepath.Dir(slices.Max(found))
}

// Servers are PostgreSQL servers that listen at one port, each at an address of its own.
type Servers struct {
	testing.TB
	Port        uint16
	bin, folder string
	owner       *syscall.Credential
	servers     map[string]*server
}

// server is one of them.
type server struct {
	addr    netip.Addr
	within  func(func() error) error
	running *child.Process
}

// New makes the folder of servers at a port, and an authority for their certificates.
func New(t testing.TB, port uint16) *Servers {
	t.Helper()
	s := &Servers{TB: t, Port: port, bin: binaries(t), servers: map[string]*server{}}
	u, err := user.Lookup("postgres")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	s.owner = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	if s.folder, err = os.MkdirTemp("/tmp", "watch"); err == nil {
		err = os.Chown(s.folder, uid, gid)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(s.folder) })
	s.certify()
	return s
}

func (s *Servers) data(id string) string { return filepath.Join(s.folder, id) }

// socket is the folder of a server's Unix socket.
func (s *Servers) socket(id string) string { return filepath.Join(s.folder, "socket"+id) }

// Add says where a server is to be: its address, and what runs a function there, such as in
// a network namespace.
func (s *Servers) Add(id string, addr netip.Addr, within func(func() error) error) {
	s.servers[id] = &server{addr: addr, within: within}
}

// Here is the place of a server that is in no namespace of its own.
func Here(fn func() error) error { return fn() }

// Addr is where a server listens.
func (s *Servers) Addr(id string) netip.Addr { return s.servers[id].addr }

func (s *Servers) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Env, cmd.Dir = []string{"HOME=/nonexistent", "PATH=" + os.Getenv("PATH"), "LC_ALL=C"}, s.folder
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.owner}
	return cmd
}

// do runs a program where a server is, and gives what it prints.
func (s *Servers) do(id, name string, args ...string) string {
	s.Helper()
	var out []byte
	err := s.servers[id].within(func() (err error) {
		out, err = s.command(name, args...).CombinedOutput()
		return err
	})
	if err != nil {
		s.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (s *Servers) port() string { return strconv.Itoa(int(s.Port)) }

// SQL runs a statement on a server as its superuser, and gives what it prints.
func (s *Servers) SQL(id, statement string) string {
	s.Helper()
	return s.do(id, "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", s.socket(id), "-p", s.port(), "-U", "postgres", "-d", "postgres", "-c", statement)
}

// write puts a file into the folder of a server, or into that of all.
func (s *Servers) write(name, text string) {
	s.Helper()
	path := filepath.Join(s.folder, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.Fatal(err)
	}
	if err := os.Chown(path, int(s.owner.Uid), int(s.owner.Gid)); err != nil {
		s.Fatal(err)
	}
}

// certify makes an authority and a certificate of it for Name.
func (s *Servers) certify() {
	s.Helper()
	make := func(name string, parent *x509.Certificate, signer *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			s.Fatal(err)
		}
		c := &x509.Certificate{
			SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
			IsCA: parent == nil, BasicConstraintsValid: true, DNSNames: []string{name},
		}
		if parent == nil {
			parent, signer = c, key
		}
		der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
		if err != nil {
			s.Fatal(err)
		}
		private, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			s.Fatal(err)
		}
		s.write(name+".crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
		s.write(name+".key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
		parsed, _ := x509.ParseCertificate(der)
		return parsed, key
	}
	root, key := make("root", nil, nil)
	make(Name, root, key)
}

// Authority is the certificate that those of the servers are checked with, in PEM.
func (s *Servers) Authority() string {
	text, err := os.ReadFile(filepath.Join(s.folder, "root.crt"))
	if err != nil {
		s.Fatal(err)
	}
	return string(text)
}

// Found makes a server that writes, and starts it. All addresses may come by TLS.
func (s *Servers) Found(id string) {
	s.Helper()
	s.do(id, "initdb", "-D", s.data(id), "-U", "postgres", "-A", "trust", "-N", "--locale=C", "-E", "UTF8")
	s.write(id+"/pg_hba.conf", "local all all trust\nhost replication all 0.0.0.0/0 trust\nhostssl all "+User+" 0.0.0.0/0 scram-sha-256\n")
	s.configure(id)
	s.start(id)
	s.SQL(id, "CREATE ROLE "+User+" LOGIN PASSWORD '"+Password+"'")
}

func (s *Servers) configure(id string) {
	s.Helper()
	err := os.MkdirAll(s.socket(id), 0o700)
	if err == nil {
		err = os.Chown(s.socket(id), int(s.owner.Uid), int(s.owner.Gid))
	}
	if err != nil {
		s.Fatal(err)
	}
	s.write(id+"/postgresql.conf", fmt.Sprintf("port = %d\nlisten_addresses = '%s'\nunix_socket_directories = '%s'\nfsync = off\nshared_buffers = 16MB\nmax_wal_senders = 4\nwal_level = replica\n"+
		"wal_retrieve_retry_interval = 200\nssl = on\nssl_cert_file = '%s'\nssl_key_file = '%s'\n",
		s.Port, s.Addr(id), s.socket(id), filepath.Join(s.folder, Name+".crt"), filepath.Join(s.folder, Name+".key")))
}

// Replicate makes a replica of a server, and starts it.
func (s *Servers) Replicate(id, of string) {
	s.Helper()
	s.do(id, "pg_basebackup", "-D", s.data(id), "-h", s.Addr(of).String(), "-p", s.port(), "-U", "postgres", "-R", "-c", "fast", "-N")
	s.configure(id)
	s.start(id)
}

// start starts a server, and waits until it can be asked.
func (s *Servers) start(id string) {
	s.Helper()
	p, err := child.StartWithin(s.servers[id].within, s.command("postgres", "-D", s.data(id)))
	if err != nil {
		s.Fatal(err)
	}
	s.servers[id].running = p
	s.Cleanup(func() { s.Freeze(id, false); s.Kill(id) })
	for deadline := time.Now().Add(testnet.Patience); s.command("pg_isready", "-h", s.socket(id), "-p", s.port()).Run() != nil; time.Sleep(20 * time.Millisecond) {
		if _, ended := p.Status(); ended || time.Now().After(deadline) {
			s.Fatalf("server %s did not start:\n%s", id, p.Output())
		}
	}
}

// Kill ends a server at once.
func (s *Servers) Kill(id string) {
	p := s.servers[id].running
	p.Signal(syscall.SIGQUIT) // which its processes follow
	if _, err := p.Wait(testnet.Patience); err != nil {
		s.Error(err)
	}
}

// Freeze stops all processes of a server, or has them go on. It takes connections all the
// same: the kernel does that.
func (s *Servers) Freeze(id string, on bool) {
	text, err := os.ReadFile(filepath.Join(s.data(id), "postmaster.pid"))
	if err != nil {
		return
	}
	first, _ := strconv.Atoi(strings.TrimSpace(strings.SplitN(string(text), "\n", 2)[0]))
	signal := syscall.SIGCONT
	if on {
		signal = syscall.SIGSTOP
	}
	syscall.Kill(first, signal)
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", first, first))
	for _, pid := range strings.Fields(string(children)) {
		if n, err := strconv.Atoi(pid); err == nil {
			syscall.Kill(n, signal)
		}
	}
}
