// SPDX-License-Identifier: Apache-2.0

package isolation

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/test/testnet"
)

const (
	// settle is how long the receivers listen for what must not come.
	settle = 300 * time.Millisecond
	// again is how often what must come and does not is sent at most.
	again = 50
)

// stray is one packet that is sent by hand, and who must see it.
type stray struct {
	kind   string
	from   *Interface
	packet packet
	want   Verdict // only Reaches and Sources count
}

// sighting is a stray that a workload's interface received.
type sighting struct {
	index  int
	by     *Interface
	source netip.Addr
}

// sniffer collects what arrives at all workloads.
type sniffer struct {
	mark  string
	files []*os.File
	wg    sync.WaitGroup
	mu    sync.Mutex
	seen  map[sighting]bool
}

// Strays sends every workload's stray packets and returns where they arrived
// and must not, and where they did not arrive and must.
func (w *World) Strays() (sent int, findings []string, err error) {
	s := &sniffer{mark: "stray " + testnet.RandomName(8) + " ", seen: map[sighting]bool{}}
	defer s.close()
	for _, i := range w.senders() {
		if err := s.listen(i); err != nil {
			return 0, nil, err
		}
	}
	strays := w.strays()
	if err := s.send(strays, nil); err != nil {
		return 0, nil, err
	}
	for range again { // a packet may be lost while neighbours are found
		time.Sleep(settle)
		missing := s.missing(strays)
		if len(missing) == 0 {
			break
		}
		if err := s.send(strays, missing); err != nil {
			return 0, nil, err
		}
	}
	time.Sleep(settle)
	return len(strays), s.findings(strays), nil
}

// strays lists what is sent: datagrams, echo requests and first segments, which
// the oracle predicts, and segments of no connection and packets from addresses
// that are not the sender's, which nobody may see.
func (w *World) strays() (all []stray) {
	w.rounds++ // a packet of an earlier round may have left a connection behind
	for n, from := range w.senders() {
		ports := uint16(2000 + 4000*n + 150*w.rounds)
		for _, to := range w.Tried {
			source := from.source(to)
			if len(source) == 0 || source[0].Addr() == to {
				continue
			}
			p := packet{from: source[0].Addr(), to: to, sourcePort: ports, port: 5432}
			all = append(all, w.predicted(from, p)...)
			for flag, kind := range map[byte]string{flagACK: "bare ACK", flagSYN | flagACK: "bare SYN-ACK", flagRST: "bare RST"} {
				p.protocol, p.flags, p.sourcePort = protocolTCP, flag, ports+1+uint16(flag)
				all = append(all, stray{kind: kind, from: from, packet: p})
			}
			all = append(all, w.spoofed(from, p)...)
		}
	}
	return all
}

// predicted gives the packets that the oracle knows about.
func (w *World) predicted(from *Interface, p packet) (all []stray) {
	add := func(kind, name string, protocol byte, port uint16) {
		p.protocol, p.port, p.flags = protocol, port, flagSYN
		if want := w.Predict(from, name, p.to, port); want.Outcome != Unforetold {
			all = append(all, stray{kind, from, p, want})
		}
	}
	add("SYN", "tcp", protocolTCP, 5432)
	add("SYN", "tcp", protocolTCP, 8010)
	add("UDP", "udp", protocolUDP, 5432)
	if p.to.Is4() {
		add("echo request", "icmp", protocolICMP, 1)
	} else {
		add("echo request", "icmpv6", protocolICMPv6, 1)
	}
	return all
}

// spoofed gives packets from addresses that are not the sender's: of others in
// its VPC, of other VPCs, of the transit realm.
func (w *World) spoofed(from *Interface, p packet) (all []stray) {
	there := from.VPC.At[p.to]
	if there == nil || !there.Attached && there.Endpoint == nil {
		return nil
	}
	for _, source := range w.Tried {
		if source.Is4() != p.to.Is4() || source == p.from || source == p.to {
			continue
		}
		p := p
		p.from, p.protocol, p.flags, p.sourcePort = source, protocolTCP, flagSYN, p.sourcePort+100
		all = append(all, stray{kind: "SYN from " + source.String(), from: from, packet: p})
		p.protocol = protocolUDP
		all = append(all, stray{kind: "UDP from " + source.String(), from: from, packet: p})
	}
	return all
}

// send writes the strays, all or those of some indexes, each in its namespace.
func (s *sniffer) send(strays []stray, only []int) error {
	if only == nil {
		for i := range strays {
			only = append(only, i)
		}
	}
	bySender := map[*Interface][]int{}
	for _, i := range only {
		bySender[strays[i].from] = append(bySender[strays[i].from], i)
	}
	for from, indexes := range bySender {
		err := from.Workload.Run(func() error {
			sockets, err := rawSockets()
			if err != nil {
				return err
			}
			defer unix.Close(sockets[0])
			defer unix.Close(sockets[1])
			for _, i := range indexes {
				p := strays[i].packet
				p.payload = s.mark + strconv.Itoa(i) + ";"
				// What the sender's own kernel refuses does not arrive: whether it
				// had to is what the receivers say.
				if p.to.Is4() {
					unix.Sendto(sockets[0], p.bytes(), 0, &unix.SockaddrInet4{Addr: p.to.As4()})
				} else {
					unix.Sendto(sockets[1], p.bytes(), 0, &unix.SockaddrInet6{Addr: p.to.As16()})
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// rawSockets opens sockets of both families on which headers are written.
func rawSockets() (sockets [2]int, err error) {
	if sockets[0], err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW); err != nil {
		return sockets, fmt.Errorf("make raw socket: %w", err)
	}
	if sockets[1], err = unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW); err != nil {
		unix.Close(sockets[0])
		return sockets, fmt.Errorf("make raw socket: %w", err)
	}
	return sockets, nil
}

// listen starts to collect what arrives at a workload. Sockets of one protocol,
// unlike those of all, do not see what the workload sends itself.
func (s *sniffer) listen(i *Interface) error {
	for _, protocol := range []uint16{unix.ETH_P_IP, unix.ETH_P_IPV6} {
		var fd int
		err := i.Workload.Run(func() (err error) {
			device, err := onlyDevice()
			if err != nil {
				return err
			}
			network := protocol<<8 | protocol>>8
			fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, int(network))
			if err != nil {
				return err
			}
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 32<<20)
			return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: network, Ifindex: device.Index})
		})
		if err != nil {
			return fmt.Errorf("listen at %s: %w", i.Name, err)
		}
		file := os.NewFile(uintptr(fd), "sniffer")
		s.files = append(s.files, file)
		s.wg.Go(func() { s.collect(i, file) })
	}
	return nil
}

// onlyDevice finds the one device of the thread's namespace that leads anywhere.
func onlyDevice() (net.Interface, error) {
	all, err := net.Interfaces()
	if err != nil {
		return net.Interface{}, err
	}
	all = slices.DeleteFunc(all, func(i net.Interface) bool { return i.Flags&net.FlagLoopback != 0 })
	if len(all) != 1 {
		return net.Interface{}, fmt.Errorf("there are %d devices, want one", len(all))
	}
	return all[0], nil
}

func (s *sniffer) collect(by *Interface, file *os.File) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := file.Read(buffer)
		if err != nil {
			return
		}
		_, rest, found := bytes.Cut(buffer[:n], []byte(s.mark))
		number, _, whole := bytes.Cut(rest, []byte(";"))
		// ICMP errors and echo replies quote the packet: its sender may see it.
		if index, err := strconv.Atoi(string(number)); found && whole && err == nil && !quotes(buffer[:n]) {
			s.mu.Lock()
			s.seen[sighting{index, by, sourceOf(buffer[:n])}] = true
			s.mu.Unlock()
		}
	}
}

// quotes reports whether a packet is an ICMP message other than an echo request.
func quotes(b []byte) bool {
	if b[0]>>4 == 4 {
		return b[9] == protocolICMP && b[20] != 8
	}
	return b[6] == protocolICMPv6 && b[40] != 128
}

func (s *sniffer) close() {
	for _, f := range s.files {
		f.Close()
	}
	s.wg.Wait()
}

// missing are the strays that somebody must see and nobody has seen.
func (s *sniffer) missing(strays []stray) (indexes []int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	arrived := map[int]bool{}
	for a := range s.seen {
		arrived[a.index] = true
	}
	for i, stray := range strays {
		if stray.want.Reaches != nil && !arrived[i] {
			indexes = append(indexes, i)
		}
	}
	return indexes
}

func (s *sniffer) findings(strays []stray) (findings []string) {
	for _, i := range s.missing(strays) {
		findings = append(findings, fmt.Sprintf("%v: did not arrive at %s", strays[i], strays[i].want.Reaches.Name))
	}
	for a := range s.seen {
		want := strays[a.index].want
		if want.Reaches != a.by || !within(a.source, want.Sources) {
			findings = append(findings, fmt.Sprintf("%v: arrived at %s from %v, want %s", strays[a.index], a.by.Name, a.source, want.place()))
		}
	}
	return findings
}

func (v Verdict) place() string {
	if v.Reaches == nil {
		return "nowhere"
	}
	return fmt.Sprintf("at %s from one of %v", v.Reaches.Name, v.Sources)
}

func (s stray) String() string {
	return fmt.Sprintf("%s by %s to %v port %d", s.kind, s.from.Name, s.packet.to, s.packet.port)
}
