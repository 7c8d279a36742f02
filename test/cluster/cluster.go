// SPDX-License-Identifier: Apache-2.0

// Package cluster starts etcd servers for tests, with the limits that etcd has by
// itself, as clusters of users' own have them.
package cluster

import (
	"net/url"
	"os"
	"testing"

	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
)

// Server is an etcd server that listens on a Unix socket. It can be away for a while.
type Server struct {
	// URL is where it is to be found.
	URL string

	config *embed.Config
	server *embed.Etcd // nil while it is away
}

// Start starts a server that listens on a Unix socket, with a quota of bytes, which is
// etcd's own when it is zero. It returns the URL, and ends it with the test.
func Start(t testing.TB, quota int64) string {
	t.Helper()
	s := New(t, quota)
	s.Start(t)
	return s.URL
}

// New is a server that is not started yet. It goes with the test.
func New(t testing.TB, quota int64) *Server {
	t.Helper()
	// The name of a socket is at most 107 bytes long, a test's folder may be longer.
	dir, err := os.MkdirTemp("/tmp", "etcd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := []url.URL{{Scheme: "unix", Path: dir + "/socket"}}
	config := embed.NewConfig()
	config.Dir = dir + "/data"
	config.Name = "external"
	config.ListenPeerUrls, config.AdvertisePeerUrls = nil, socket
	config.ListenClientUrls, config.AdvertiseClientUrls = socket, socket
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	config.TickMs, config.ElectionMs = 20, 100
	config.UnsafeNoFsync, config.QuotaBackendBytes = true, quota
	config.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	s := &Server{URL: "unix://" + dir + "/socket", config: config}
	t.Cleanup(s.Stop)
	return s
}

// Start starts the server with what it has.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	server, err := embed.StartEtcd(s.config)
	if err != nil {
		t.Fatal(err)
	}
	s.server = server
	<-server.Server.ReadyNotify()
}

// Stop ends the server. What it has stays.
func (s *Server) Stop() {
	if s.server != nil {
		s.server.Close()
	}
	s.server = nil
}
