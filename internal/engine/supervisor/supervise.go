// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/engine"
	"github.com/posternhq/postern/internal/socket"
)

// Config is what a supervisor is told when it is started.
type Config struct {
	// Folder is the server's, with its parts.
	Folder string
	// UID and GID are those of the user that the server runs as.
	UID, GID uint32
	Version  string
	// Ready is closed when the supervisor answers; when it cannot, it gets the reason first.
	Ready *os.File
}

// How long the lock of the folder may be another's that is about to end, and how long a
// server has to end when the machine goes down.
const (
	lockTime     = 5 * time.Second
	shutdownTime = 30 * time.Second
)

// Supervise is the supervisor's process. It returns when it is told to end, or cannot
// begin. It must be the first process of its namespace.
func Supervise(ctx context.Context, cfg Config) error {
	p, err := begin(ctx, cfg)
	if err != nil {
		if errors.Is(err, engine.ErrTaken) {
			err = engine.ErrTaken // the words by which it is known
		}
		fmt.Fprintln(cfg.Ready, err)
		return errors.Join(err, cfg.Ready.Close())
	}
	if err := cfg.Ready.Close(); err != nil {
		return err
	}
	signal.Ignore(unix.SIGHUP, unix.SIGXFSZ, unix.SIGPIPE)
	down := make(chan os.Signal, 1)
	signal.Notify(down, unix.SIGTERM, unix.SIGINT)
	served := make(chan error, 1)
	go func() { served <- p.http.Serve(socket.RootOnly{UnixListener: p.listener}) }()
	select {
	case <-down:
		p.server.stop(shutdownTime)
		return nil
	case <-p.end:
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = p.http.Shutdown(ctx) // so that who asked for it gets the answer
		return nil
	case err := <-served:
		return fmt.Errorf("serve the supervisor's socket: %w", err)
	}
}

func begin(ctx context.Context, cfg Config) (*process, error) {
	if os.Getpid() != 1 {
		return nil, errors.New("supervise: this command is Postern's own, and the first process of a namespace")
	}
	keepDescriptors()
	lock, err := lockFolder(ctx, cfg.Folder)
	if err != nil {
		return nil, err
	}
	if err := settle(cfg.Folder); err != nil {
		return nil, err
	}
	var ns unix.Stat_t
	if err := unix.Stat("/proc/self/ns/net", &ns); err != nil {
		return nil, fmt.Errorf("look at the network namespace: %w", err)
	}
	protect()
	listener, err := socket.Listen(home, socketName)
	if err != nil {
		return nil, fmt.Errorf("open the supervisor's socket: %w", err)
	}
	nursery := newNursery(cfg.UID, cfg.GID, lock)
	log := &journal{path: inside(engine.PartLog, LogName)}
	p := &process{
		server: newServer(nursery, log), listener: listener, end: make(chan struct{}),
		own: Status{Version: cfg.Version, Protocol: protocol, Since: time.Now(), Namespace: ns.Ino},
	}
	p.http = &http.Server{Handler: p.mux(), ReadHeaderTimeout: readTime}
	return p, nil
}

// lockFolder takes the lock of a folder. All processes of a supervisor have it, so it is
// free a moment after the supervisor was killed.
func lockFolder(ctx context.Context, folder string) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(folder, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock folder %s: %w", folder, err)
	}
	ctx, cancel := context.WithTimeout(ctx, lockTime)
	defer cancel()
	for {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return file, nil
		}
		if err != unix.EWOULDBLOCK {
			return nil, fmt.Errorf("lock folder %s: %w", folder, errors.Join(err, file.Close()))
		}
		conn, err := socket.Dial(ctx, folder, socketName)
		if err == nil { // it lives
			return nil, errors.Join(fmt.Errorf("lock folder %s: %w", folder, engine.ErrTaken), conn.Close(), file.Close())
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("lock folder %s: %w", folder, engine.ErrTaken), file.Close())
		}
	}
}

// keepDescriptors gives none to servers that this process was given, be it by mistake.
// Kernels before 5.11 cannot do it at once; there only the one that is known is kept.
func keepDescriptors() {
	if unix.CloseRange(ReadyFD, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC) != nil {
		unix.CloseOnExec(ReadyFD)
	}
}

// protect keeps this process, and with it the server, from being killed first when memory
// runs out; what a server does for clients it may offer instead. Where the machine does not
// let this be it is left.
func protect() { _ = os.WriteFile("/proc/self/oom_score_adj", []byte("-900"), 0) }
