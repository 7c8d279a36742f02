// SPDX-License-Identifier: Apache-2.0

package load

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"
	"unsafe"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/bench/report"
)

const (
	// UnderWay is how many questions a socket has under way at most: as many as one call
	// sends and receives.
	UnderWay = 10
	// packetSize is what there is room for: EDNS is not asked for.
	packetSize = 512
	// lost is after what time a question that was not answered is taken for lost.
	lost = time.Second
)

// inquirer asks a name server on some sockets, all on one thread, the next question
// of a socket when one has been answered. It reads and sends as many as it can in one
// call, so that it costs little itself.
type inquirer struct {
	poll      int
	questions [][]byte
	next      int // of questions
	left      int // how many are still to be asked, where that is bounded
	sockets   []*inquiries
	begin     time.Time
	times     []time.Duration
	result    Result
}

// inquiries are the questions of one socket. A question's ID is its place.
type inquiries struct {
	fd      int
	begins  [UnderWay]time.Time // zero where none is under way
	packets [UnderWay][packetSize]byte
	answers [UnderWay][packetSize]byte
	out, in [UnderWay]message
	vectors [2 * UnderWay]unix.Iovec
}

// message is the kernel's struct mmsghdr: see recvmmsg(2).
type message struct {
	header unix.Msghdr
	n      uint32
	_      [4]byte
}

// inquire asks the names of a file, one a line, for their IPv4 addresses, again from
// the first one after the last. Without a time each is asked once.
func inquire(target netip.AddrPort, file string, sockets int, d time.Duration) (Result, error) {
	questions, err := questionsOf(file)
	if err != nil {
		return Result{}, err
	}
	poll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return Result{}, fmt.Errorf("make epoll: %w", err)
	}
	defer unix.Close(poll)
	q := &inquirer{poll: poll, questions: questions, left: len(questions)}
	defer q.end()
	for range sockets {
		if err := q.open(target); err != nil {
			return Result{}, err
		}
	}
	q.begin = time.Now()
	if err := q.run(d); err != nil {
		return Result{}, err
	}
	q.result.Seconds = time.Since(q.begin).Seconds()
	q.result.P50, q.result.P99 = report.Milliseconds(q.times)
	return q.result, nil
}

// questionsOf gives the questions for the names of a file.
func questionsOf(file string) ([][]byte, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var questions [][]byte
	for name := range strings.FieldsSeq(string(text)) {
		packet, err := new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeA).Pack()
		if err != nil {
			return nil, fmt.Errorf("ask for %q: %w", name, err)
		}
		questions = append(questions, packet)
	}
	if questions == nil {
		return nil, errors.New("no names to ask for")
	}
	return questions, nil
}

// open makes a socket.
func (q *inquirer) open(target netip.AddrPort) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("make socket: %w", err)
	}
	s := &inquiries{fd: fd}
	q.sockets = append(q.sockets, s)
	for i := range UnderWay {
		out, in := &s.vectors[i], &s.vectors[UnderWay+i]
		in.Base, in.Len = &s.answers[i][0], packetSize
		s.out[i].header.Iov, s.out[i].header.Iovlen = out, 1
		s.in[i].header.Iov, s.in[i].header.Iovlen = in, 1
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: int(target.Port()), Addr: target.Addr().As4()}); err != nil {
		return fmt.Errorf("connect to %s: %w", target, err)
	}
	return unix.EpollCtl(q.poll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
}

func (q *inquirer) end() {
	for _, s := range q.sockets {
		_ = unix.Close(s.fd)
	}
}

// run asks for a time, or until all was asked.
func (q *inquirer) run(d time.Duration) error {
	bounded := d == 0
	if !bounded {
		q.left = int(^uint(0) >> 1)
	}
	events := make([]unix.EpollEvent, 1)
	for waited := true; bounded || time.Since(q.begin) < d; {
		answered, pending := 0, 0
		for _, s := range q.sockets {
			n, err := q.receive(s)
			if err != nil {
				return err
			}
			answered += n
			if n > 0 || waited {
				if err := q.send(s); err != nil {
					return err
				}
			}
			pending += s.pending()
		}
		if pending == 0 {
			return nil
		}
		if waited = answered == 0; waited {
			if _, err := unix.EpollWait(q.poll, events, int(lost/time.Millisecond/4)); err != nil && !errors.Is(err, unix.EINTR) {
				return fmt.Errorf("wait for answers: %w", err)
			}
		}
	}
	return nil
}

// pending is how many questions are under way.
func (s *inquiries) pending() (n int) {
	for i := range s.begins {
		if !s.begins[i].IsZero() {
			n++
		}
	}
	return n
}

// send asks what there is room for, with that of what was lost.
func (q *inquirer) send(s *inquiries) error {
	now, n := time.Now(), 0
	for id := range s.begins {
		if begun := s.begins[id]; !begun.IsZero() {
			if now.Sub(begun) < lost {
				continue
			}
			q.result.Failed++
		}
		s.begins[id] = time.Time{}
		if q.left == 0 {
			continue
		}
		q.left--
		packet := s.packets[id][:copy(s.packets[id][:], q.questions[q.next])]
		q.next = (q.next + 1) % len(q.questions)
		binary.BigEndian.PutUint16(packet, uint16(id))
		s.vectors[n].Base, s.vectors[n].Len = &packet[0], uint64(len(packet))
		s.begins[id] = now
		n++
	}
	for sent := 0; sent < n; {
		done, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&s.out[sent])), uintptr(n-sent), 0, 0, 0)
		if errno != 0 && errno != unix.EINTR {
			return fmt.Errorf("ask: %w", errno)
		}
		sent += int(done)
	}
	return nil
}

// receive takes the answers that are there.
func (q *inquirer) receive(s *inquiries) (int, error) {
	n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&s.in)), UnderWay, unix.MSG_DONTWAIT, 0, 0)
	switch {
	case errno == unix.EAGAIN || errno == unix.EINTR:
		return 0, nil
	case errno != 0:
		return 0, fmt.Errorf("read answers: %w", errno)
	}
	now := time.Now()
	for i := range int(n) {
		q.take(s, s.answers[i][:s.in[i].n], now)
	}
	return int(n), nil
}

// take counts an answer, as a good one if it has records.
func (q *inquirer) take(s *inquiries, answer []byte, now time.Time) {
	const header, code = 12, 0x0f
	if len(answer) < header {
		return
	}
	id := binary.BigEndian.Uint16(answer)
	if id >= UnderWay || s.begins[id].IsZero() {
		return // of a question that was given up
	}
	if answer[3]&code == dns.RcodeSuccess && binary.BigEndian.Uint16(answer[6:]) > 0 {
		q.result.Count++
	} else {
		q.result.Failed++
	}
	q.times = append(q.times, now.Sub(s.begins[id]))
	s.begins[id] = time.Time{}
}
