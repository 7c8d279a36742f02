// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/posternhq/postern/bench/load"
	"github.com/posternhq/postern/test/child"
	"github.com/posternhq/postern/test/instance"
)

// Proxies run in router A, with the idle timeout of Postern and as many
// connections as their files allow. All else is as they come.

const haproxyConfig = `global
	maxconn %d
	maxpipes 100
defaults
	mode tcp
	option splice-auto
	timeout connect 5s
	timeout client 350s
	timeout server 350s
`

const nginxConfig = `load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off;
worker_processes auto;
error_log stderr;
pid %s/nginx.pid;
events { worker_connections %d; }
stream {
	proxy_timeout 350s;
	proxy_half_close on;
%s}
`

// patience is how long a proxy may take to listen, and to end.
const patience = 15 * time.Second

// spareFiles is how many of its files a proxy needs for itself.
const spareFiles = 500

// haproxy starts HAProxy in router A.
func (l *lab) haproxy(ctx context.Context, files int) error {
	config := strings.Builder{}
	fmt.Fprintf(&config, haproxyConfig, (files-spareFiles)/2)
	for service := range load.Ports {
		fmt.Fprintf(&config, "listen service%d\n\tbind %v:%d\n\tserver only %v:%d\n",
			service, routerA, haproxyBase+service, server, haproxyBase+service)
	}
	file, err := l.file("haproxy.cfg", config.String())
	if err != nil {
		return err
	}
	return l.run(ctx, haproxyBase, exec.Command("haproxy", "-db", "-f", file))
}

// nginx starts nginx in router A.
func (l *lab) nginx(ctx context.Context, files int) error {
	servers := strings.Builder{}
	for service := range load.Ports {
		fmt.Fprintf(&servers, "\tserver { listen %v:%d; proxy_pass %v:%d; }\n",
			routerA, nginxBase+service, server, nginxBase+service)
	}
	folder, err := l.folder()
	if err != nil {
		return err
	}
	file := filepath.Join(folder, "nginx.conf")
	if err := os.WriteFile(file, fmt.Appendf(nil, nginxConfig, folder, files-spareFiles, servers.String()), 0o600); err != nil {
		return err
	}
	return l.run(ctx, nginxBase, exec.Command("nginx", "-e", "stderr", "-p", folder, "-c", file))
}

// copying starts the plain Go proxy in router A, with a thread for each core.
func (l *lab) copying(ctx context.Context, threads int) error {
	a, err := l.agent(ctx, l.a, threads)
	if err != nil {
		return err
	}
	return a.Forward(netip.AddrPortFrom(routerA, copyBase), netip.AddrPortFrom(server, copyBase))
}

// run starts a proxy and waits until it listens.
func (l *lab) run(ctx context.Context, port uint16, cmd *exec.Cmd) error {
	p, err := child.StartWithin(l.a.Run, cmd)
	if err != nil {
		return err
	}
	l.Add(func() error {
		_, err := p.Stop(patience)
		return err
	})
	return instance.Poll(ctx, patience, cmd.Path, func() (bool, error) {
		if _, ended := p.Status(); ended {
			return false, p.Early()
		}
		conn, err := l.a.Dial(ctx, "tcp", netip.AddrPortFrom(routerA, port).String())
		if err != nil {
			return false, nil // not yet
		}
		return true, conn.Close()
	})
}

// folder makes a folder that goes with the lab.
func (l *lab) folder() (string, error) {
	folder, err := os.MkdirTemp("", "postern-bench-")
	if err != nil {
		return "", err
	}
	l.Add(func() error { return os.RemoveAll(folder) })
	return folder, nil
}

// file writes a file that goes with the lab.
func (l *lab) file(name, text string) (string, error) {
	folder, err := l.folder()
	if err != nil {
		return "", err
	}
	path := filepath.Join(folder, name)
	return path, os.WriteFile(path, []byte(text), 0o600)
}
