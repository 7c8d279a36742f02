// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
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
)

// patience bounds what must come; no test depends on how fast a machine is.
const patience = 2 * time.Minute

// binaries gives the folder of the newest PostgreSQL of this machine.
func binaries(t *testing.T) string {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	_, err := user.Lookup("postgres")
	if os.Getuid() == 0 && len(found) > 0 && err == nil {
		return filepath.Dir(slices.Max(found))
	}
	if os.Getenv("CI") != "" {
		t.Fatal("needs root, PostgreSQL and its user")
	}
	t.Skip("needs root, PostgreSQL and its user")
	return ""
}

// servers are PostgreSQL servers on loopback that listen at one port, each at an address of
// its own, as databases that exist already.
type servers struct {
	*testing.T
	bin, folder string
	port        int
	owner       *syscall.Credential
	running     map[string]*child.Process
}

func newServers(t *testing.T) *servers {
	s := &servers{T: t, bin: binaries(t), running: map[string]*child.Process{}}
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
	free, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	s.port = free.Addr().(*net.TCPAddr).Port
	free.Close()
	s.certify()
	return s
}

func (s *servers) data(id string) string { return filepath.Join(s.folder, id) }

// socket is the folder of a server's Unix socket.
func (s *servers) socket(id string) string { return filepath.Join(s.folder, "socket"+id) }

// addr is where a server listens: its id is a digit.
func (s *servers) addr(id string) netip.Addr { return netip.MustParseAddr("127.0.0." + id) }

func (s *servers) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Env, cmd.Dir = []string{"HOME=/nonexistent", "PATH=" + os.Getenv("PATH"), "LC_ALL=C"}, s.folder
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.owner}
	return cmd
}

func (s *servers) do(name string, args ...string) string {
	s.Helper()
	out, err := s.command(name, args...).CombinedOutput()
	if err != nil {
		s.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (s *servers) sql(id, statement string) string {
	s.Helper()
	return s.do("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", s.socket(id), "-p", strconv.Itoa(s.port), "-U", "postgres", "-d", "postgres", "-c", statement)
}

// write puts a file into the folder of a server, or into that of all.
func (s *servers) write(name, text string) {
	s.Helper()
	path := filepath.Join(s.folder, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.Fatal(err)
	}
	if err := os.Chown(path, int(s.owner.Uid), int(s.owner.Gid)); err != nil {
		s.Fatal(err)
	}
}

// certify makes an authority and a certificate of it for pg.prod.internal.
func (s *servers) certify() {
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
	make("pg.prod.internal", root, key)
}

func (s *servers) authority() string {
	text, err := os.ReadFile(filepath.Join(s.folder, "root.crt"))
	if err != nil {
		s.Fatal(err)
	}
	return string(text)
}

// found makes the data of a server that writes.
func (s *servers) found(id string) {
	s.Helper()
	s.do("initdb", "-D", s.data(id), "-U", "postgres", "-A", "trust", "-N", "--locale=C", "-E", "UTF8")
	s.write(id+"/pg_hba.conf", "local all all trust\nhost replication all 127.0.0.0/8 trust\nhostssl all watch 127.0.0.0/8 scram-sha-256\n")
	s.configure(id)
}

func (s *servers) configure(id string) {
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
		s.port, s.addr(id), s.socket(id), filepath.Join(s.folder, "pg.prod.internal.crt"), filepath.Join(s.folder, "pg.prod.internal.key")))
}

// replicate makes the data of a replica of a server.
func (s *servers) replicate(id, of string) {
	s.Helper()
	s.do("pg_basebackup", "-D", s.data(id), "-h", s.addr(of).String(), "-p", strconv.Itoa(s.port), "-U", "postgres", "-R", "-c", "fast", "-N")
	s.configure(id)
}

// start starts a server, and waits until it can be asked.
func (s *servers) start(id string) {
	s.Helper()
	p, err := child.Start(s.command("postgres", "-D", s.data(id)))
	if err != nil {
		s.Fatal(err)
	}
	s.running[id] = p
	s.Cleanup(func() { s.freeze(id, false); s.kill(id) })
	for deadline := time.Now().Add(patience); s.command("pg_isready", "-h", s.socket(id), "-p", strconv.Itoa(s.port)).Run() != nil; time.Sleep(20 * time.Millisecond) {
		if _, ended := p.Status(); ended || time.Now().After(deadline) {
			s.Fatalf("server %s did not start:\n%s", id, p.Output())
		}
	}
}

func (s *servers) kill(id string) {
	p := s.running[id]
	p.Signal(syscall.SIGQUIT) // which its processes follow
	if _, err := p.Wait(patience); err != nil {
		s.Error(err)
	}
}

// freeze stops all processes of a server, or has them go on. It takes connections all the
// same: the kernel does that.
func (s *servers) freeze(id string, on bool) {
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

// loopback is a network without gateways.
type loopback struct{}

// Dial implements Network.
func (loopback) Dial(ctx context.Context, _ string, _ netip.Addr, to netip.AddrPort) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", to.String())
}
