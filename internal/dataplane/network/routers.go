// SPDX-License-Identifier: Apache-2.0

package network

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/desired"
)

// ErrNoRouter says that a VPC has no router on this host.
var ErrNoRouter = errors.New("vpc has no router on this host")

// DefaultIdle is how long connection tracking remembers an idle established
// TCP connection: the figure of AWS for VPC endpoints.
const DefaultIdle = 350 * time.Second

// AnyIdle leaves what routers have; no router can be made with it.
const AnyIdle = time.Duration(-1)

// Routers are the VPC routers of one instance on this host. What it opens it
// keeps open until the router goes or Close is called. Its methods, and those
// of its routers, may be called from several goroutines.
type Routers struct {
	instance string
	idle     time.Duration
	lane     Lane // nil when there is none

	mu   sync.Mutex // guards open, and users and lost of every router
	open map[string]*Router

	making sync.Mutex // held from choosing an interface's name to marking it
}

// NewRouters prepares the use of an instance's routers; the kernel is not
// asked yet. An idle of zero means DefaultIdle. Without a lane it is nil.
func NewRouters(instance string, idle time.Duration, lane Lane) (*Routers, error) {
	if err := CheckInstance(instance); err != nil {
		return nil, err
	}
	if idle == 0 {
		idle = DefaultIdle
	}
	return &Routers{instance: instance, idle: idle, lane: lane, open: map[string]*Router{}}, nil
}

// Instance is the one whose routers they are.
func (rs *Routers) Instance() string { return rs.instance }

// Router is an open router of a VPC, or another namespace of ours. Whoever got it calls
// Release.
type Router struct {
	// VPC is the identifier of the VPC, or the name that NameOf gives.
	VPC string

	instance string
	idle     time.Duration
	ns       *os.File
	inode    uint64
	cookie   uint64
	handle   *netlink.Handle

	// tables are what was wanted last of them, or found; calls about one router take
	// turns (dataplane.Host).
	tables map[int]desired.Table

	set   *Routers
	users int
	lost  bool
}

// Names lists the VPCs that have a router, sorted.
func (rs *Routers) Names() ([]string, error) {
	all, err := marked(rs.instance)
	if err != nil {
		return nil, err
	}
	var vpcs []string
	for _, m := range all {
		if realmOf(m.vpc).Sort() == desired.Routers {
			vpcs = append(vpcs, m.vpc)
		}
	}
	return vpcs, nil
}

// Open returns the router of a VPC, or ErrNoRouter. A router that is open and
// whose namespace somebody took the name of is still there, with all that goes
// through it: it is returned, and Make gives it its name back. When the name means
// another namespace by now, it is not returned any more. The caller calls Release
// when it is done.
func (rs *Routers) Open(vpc string) (*Router, error) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	r, err := rs.openLocked(vpc)
	if err == nil {
		r.users++
	}
	return r, err
}

// Release gives a router back. It is closed when it is lost and nobody else
// uses it: a socket that is closed under a user would be a socket of another
// namespace for the next call.
func (r *Router) Release() {
	r.set.mu.Lock()
	defer r.set.mu.Unlock()
	r.users--
	r.closeUnused()
}

func (r *Router) closeUnused() {
	if r.lost && r.users == 0 {
		r.handle.Close()
		r.ns.Close()
	}
}

// drop takes a router that has lost its name out of use.
func (rs *Routers) drop(r *Router) error {
	delete(rs.open, r.VPC)
	r.lost = true
	defer r.closeUnused()
	return r.abandon()
}

func (rs *Routers) openLocked(vpc string) (*Router, error) {
	name := NamespaceName(rs.instance, vpc)
	if r := rs.open[vpc]; r != nil {
		switch {
		case r.lost: // it is being removed
			return nil, fmt.Errorf("open router %s: %w", vpc, ErrNoRouter)
		case r.named() || !isNamespace(filepath.Join(Directory, name)):
			return r, nil
		}
		if err := rs.drop(r); err != nil {
			return nil, fmt.Errorf("clear up lost router %s: %w", vpc, err)
		}
	}
	ns, err := OpenNamespace(name)
	if errors.Is(err, ErrNamespaceGone) {
		return nil, fmt.Errorf("open router %s: %w", vpc, ErrNoRouter)
	}
	if err != nil {
		return nil, err
	}
	r, err := rs.adopt(vpc, ns)
	if err != nil {
		ns.Close()
		return nil, fmt.Errorf("open router %s: %w", vpc, err)
	}
	rs.open[vpc] = r
	return r, nil
}

// adopt checks the mark inside the namespace: its name alone is not enough.
func (rs *Routers) adopt(vpc string, ns *os.File) (*Router, error) {
	inode, err := Inode(ns)
	if err != nil {
		return nil, err
	}
	number, err := cookie(ns)
	if err != nil {
		return nil, fmt.Errorf("read cookie of its namespace: %w", err)
	}
	h, err := openHandle(ns)
	if err != nil {
		return nil, err
	}
	lo, err := linkNamed(h, "lo")
	if err == nil && (lo == nil || lo.Attrs().Alias != alias(rs.instance, isRouter, vpc)) {
		err = errors.New("its namespace does not carry the mark of this instance")
	}
	r := &Router{VPC: vpc, instance: rs.instance, idle: rs.idle, ns: ns, inode: inode, cookie: number, handle: h, set: rs}
	if err == nil && r.idle != AnyIdle {
		err = r.idles()
	}
	if err != nil {
		h.Close()
		return nil, err
	}
	return r, nil
}

// Make returns the router of a VPC under its name, and makes its namespace when
// there is none. A new router forwards nothing until Start. The caller calls
// Release.
func (rs *Routers) Make(vpc string) (*Router, error) {
	r, err := rs.Open(vpc)
	if err == nil {
		if err = r.rename(); err != nil {
			r.Release()
			return nil, fmt.Errorf("name router %s: %w", vpc, err)
		}
		return r, nil
	}
	if !errors.Is(err, ErrNoRouter) {
		return nil, err
	}
	name := NamespaceName(rs.instance, vpc)
	if _, _, ok := parseNamespaceName(name); !ok {
		return nil, fmt.Errorf("make router %s: not an identifier of a vpc or nat gateway", vpc)
	}
	ns, err := MakeNamespace(name, func() error { return markCurrent(rs.instance, vpc) })
	if err != nil {
		return nil, fmt.Errorf("make router %s: %w", vpc, err)
	}
	ns.Close()
	return rs.Open(vpc)
}

// markCurrent writes the mark of a router into the calling thread's namespace.
func markCurrent(instance, vpc string) error {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("open rtnetlink socket: %w", err)
	}
	defer h.Close()
	lo, err := h.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := h.LinkSetAlias(lo, alias(instance, isRouter, vpc)); err != nil {
		return fmt.Errorf("set alias of lo: %w", err)
	}
	return nil
}

// Remove takes the router of a VPC away with everything of ours in it. The
// interfaces go first and one by one, so that their other ends are gone, and
// their names free, when Remove returns.
func (rs *Routers) Remove(vpc string) error {
	r, err := rs.Open(vpc)
	if errors.Is(err, ErrNoRouter) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove router: %w", err)
	}
	defer r.Release()
	rs.lose(r, true) // nobody opens it from here on
	if err = r.abandon(); err == nil {
		err = DeleteNamespace(NamespaceName(rs.instance, vpc))
	}
	if err != nil {
		rs.lose(r, false)
		return fmt.Errorf("remove router %s: %w", vpc, err)
	}
	rs.mu.Lock()
	defer rs.mu.Unlock()
	delete(rs.open, vpc)
	return nil
}

func (rs *Routers) lose(r *Router, lost bool) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	r.lost = lost
}

// Close closes what is open and not in use. The routers themselves stay.
func (rs *Routers) Close() {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	for _, r := range rs.open {
		r.lost = true
		r.closeUnused()
	}
	clear(rs.open)
}

// FD is the descriptor of the router's namespace. It stays open as long as the
// router does; the caller must not close it.
func (r *Router) FD() int { return int(r.ns.Fd()) }

// Inode identifies the router's namespace: when a router was remade, its inode
// is another one.
func (r *Router) Inode() uint64 { return r.inode }

// Inside runs fn on a thread in the router's namespace; see Inside.
func (r *Router) Inside(fn func() error) error { return Inside(r.ns, fn) }

// named reports whether the name still means the namespace that is open.
func (r *Router) named() bool {
	var st unix.Stat_t
	return unix.Stat(filepath.Join(Directory, NamespaceName(r.instance, r.VPC)), &st) == nil && st.Ino == r.inode
}

// rename gives the router its name back when somebody took it away.
func (r *Router) rename() error {
	if r.named() {
		return nil
	}
	name := NamespaceName(r.instance, r.VPC)
	path, err := namespacePath(name)
	if err != nil {
		return err
	}
	if err := shareDirectory(); err != nil {
		return err
	}
	if err := DeleteNamespace(name); err != nil { // an empty file may be left
		return err
	}
	return r.Inside(func() error { return nameCurrent(path) })
}

// abandon deletes the interfaces of ours in a router. When a router has only
// lost its name, it lives on while it is open, and its veths would keep the
// names of their other ends taken.
func (r *Router) abandon() error {
	links, err := r.links()
	if err != nil {
		return err
	}
	var errs []error
	for _, l := range links {
		if name, given := r.isGiven(l); given {
			errs = append(errs, r.giveBack(l, name))
		} else if r.owns(l) {
			errs = append(errs, r.remove(l))
		}
	}
	return errors.Join(append(errs, r.leave())...)
}

// owns says whether an interface in the router is a veth end of ours.
func (r *Router) owns(l netlink.Link) bool {
	_, fabric := parseAlias(l.Attrs().Alias, r.instance, isLink, 1)
	_, workload := parseAlias(l.Attrs().Alias, r.instance, isWorkload, 3)
	_, device := parseAlias(l.Attrs().Alias, r.instance, isDevice, 1) // of a namespace of ours
	_, exit := parseAlias(l.Attrs().Alias, r.instance, isExit, 1)
	_, entry := parseAlias(l.Attrs().Alias, r.instance, isEntry, 1)
	return fabric || workload || device || exit || entry || r.givenAs(l) != ""
}

type mark struct{ name, instance, vpc string }

// marked lists the router namespaces of an instance, or of all instances when
// it is empty, sorted by name. Whether they carry the mark inside is not
// looked at.
func marked(instance string) ([]mark, error) {
	files, err := os.ReadDir(Directory)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list namespaces: %w", err)
	}
	var all []mark
	for _, f := range files {
		owner, vpc, ok := parseNamespaceName(f.Name())
		if !ok || instance != "" && owner != instance || !isNamespace(filepath.Join(Directory, f.Name())) {
			continue
		}
		all = append(all, mark{f.Name(), owner, vpc})
	}
	slices.SortFunc(all, func(a, b mark) int { return strings.Compare(a.name, b.name) })
	return all, nil
}
