package transport

import (
	"errors"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// pollerEvents is how many sockets one system call tells of.
const pollerEvents = 64

// errNoPoller means that this system cannot do it, so that sockets of package net are used.
var errNoPoller = errors.New("an epoll descriptor cannot be waited for")

// poller opens sockets with plain system calls and tells who waits for one of them when there
// is something to read. Package net makes 13 system calls for a query and its reply; here
// there are 8, and two more for all replies that come while the same goroutine leads: package net
// allows broadcasts, asks for both addresses of a socket, reads once in vain and takes the
// socket out of epoll before it closes it.
//
// The sockets are in an epoll descriptor of their own, which the Go runtime watches like any
// other. Of the goroutines that wait for a reply, one leads: it waits for the epoll descriptor,
// and wakes the others when there is something for them. When its own reply has come, or its time
// is over, another one leads. A single query is thus woken by the runtime directly, and
// there is no goroutine that would have to be ended.
type poller struct {
	unused sync.Pool          // of *rawSocket
	events []unix.EpollEvent  // of the leader
	asPoll func(uintptr) bool // poll, made once

	mu       sync.Mutex
	file     *os.File // the epoll descriptor; nil until the first socket
	conn     syscall.RawConn
	fd       int          // of file
	unusable bool         // the runtime cannot watch it
	sockets  []*rawSocket // by descriptor
	leader   *rawSocket   // nil: nobody waits
	waiting  []*rawSocket // the others that wait and have not been woken
}

// newPoller returns a poller that opens nothing before the first socket.
func newPoller() *poller {
	p := &poller{events: make([]unix.EpollEvent, pollerEvents)}
	p.asPoll = p.poll
	p.unused.New = func() any { return newRawSocket(p) }
	return p
}

// openSocket opens a socket that is connected to server, on a local port that draw returns.
func (p *poller) openSocket(server netip.AddrPort, draw func() uint16) (socket, error) {
	s := p.unused.Get().(*rawSocket)
	err := s.open(server, draw)
	if err == nil {
		err = p.add(s)
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// add has s woken from now on.
func (p *poller) add(s *rawSocket) error {
	p.mu.Lock()
	if err := p.start(); err != nil {
		p.mu.Unlock()
		return err
	}
	if s.fd >= len(p.sockets) {
		p.sockets = append(p.sockets, make([]*rawSocket, s.fd+1-len(p.sockets))...)
	}
	p.sockets[s.fd] = s
	s.ready = false
	p.mu.Unlock()
	// With EPOLLET each datagram and each ICMP message is told once.
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET&0xffffffff, Fd: int32(s.fd)}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, s.fd, &event))
}

// remove undoes add. Closing the descriptor does the rest, and must come later: its number may
// then be that of another socket.
func (p *poller) remove(s *rawSocket) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.fd < len(p.sockets) && p.sockets[s.fd] == s {
		p.sockets[s.fd] = nil
	}
}

// start opens the epoll descriptor, unless that is done. The lock must be held.
func (p *poller) start() error {
	if p.file != nil {
		return nil
	}
	if p.unusable {
		return errNoPoller
	}
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	_ = unix.SetNonblock(fd, true) // os.NewFile takes it for a descriptor to be watched
	file := os.NewFile(uintptr(fd), "epoll")
	conn, err := file.SyscallConn()
	if err != nil || file.SetReadDeadline(time.Time{}) != nil {
		p.unusable = true
		file.Close()
		return errNoPoller
	}
	p.file, p.conn, p.fd = file, conn, fd
	return nil
}

// close closes the epoll descriptor. No socket may be open, nor be opened later.
func (p *poller) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.file != nil {
		p.file.Close()
	}
}

// wait waits until there may be something to read from s, or q is closed. It returns false when
// neither has happened before the time until; zero: no limit.
func (p *poller) wait(s *rawSocket, until time.Time, q *Pending) bool {
	for {
		switch p.role(s, until, q) {
		case isReady:
			return true
		case isOver:
			return false
		case leads:
			_ = p.conn.Read(p.asPoll) // it ends with an error when the time is over, or by interrupt
		case follows:
			s.follow(until)
		}
	}
}

// role is what a goroutine that waits has to do.
type role int

const (
	isReady role = iota // read, or see that the query is closed
	isOver              // nothing: its time is over
	leads               // wait for the epoll descriptor
	follows             // wait to be woken
)

// role returns what the goroutine that waits for s has to do now.
func (p *poller) role(s *rawSocket, until time.Time, q *Pending) role {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case s.ready || q.isClosed():
		s.ready = false
		p.withdraw(s)
		return isReady
	case !until.IsZero() && !time.Now().Before(until):
		p.withdraw(s)
		return isOver
	case p.leader != nil && p.leader != s:
		p.enlist(s)
		return follows
	}
	p.leader = s
	_ = p.file.SetReadDeadline(until) // that it can be set was seen in start
	return leads
}

// poll wakes those for whom there is something to read, and reports whether the leader is one of
// them. It is called by conn.Read: at first, and whenever something has come.
func (p *poller) poll(fd uintptr) (done bool) {
	for {
		n, _ := unix.EpollWait(int(fd), p.events, 0)
		done = p.deliver(p.events[:max(n, 0)]) || done
		if n < len(p.events) {
			// What comes from now on ends the runtime's wait: no second call to see that
			// there is nothing more.
			return done
		}
	}
}

// deliver is poll for the events that it got. An event may be that of a socket closed
// meanwhile, and wake another one with its number, which finds nothing and waits on.
func (p *poller) deliver(events []unix.EpollEvent) (toLeader bool) {
	if len(events) == 0 {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range events {
		fd := int(events[i].Fd)
		if fd >= len(p.sockets) || p.sockets[fd] == nil {
			continue
		}
		s := p.sockets[fd]
		s.ready = true
		if s == p.leader {
			toLeader = true
			continue
		}
		p.delist(s)
		s.signal()
	}
	return toLeader
}

// withdraw ends the wait for s. If it was the leader's, another one leads. The lock must be held.
func (p *poller) withdraw(s *rawSocket) {
	p.delist(s)
	if p.leader != s {
		return
	}
	p.leader = nil
	if n := len(p.waiting); n > 0 {
		p.leader = p.waiting[n-1]
		p.delist(p.leader)
		p.leader.signal()
	}
}

// enlist notes that s waits to be woken. The lock must be held.
func (p *poller) enlist(s *rawSocket) {
	if s.place < 0 {
		s.place = len(p.waiting)
		p.waiting = append(p.waiting, s)
	}
}

// delist undoes enlist. The lock must be held.
func (p *poller) delist(s *rawSocket) {
	if s.place < 0 {
		return
	}
	n := len(p.waiting) - 1
	last := p.waiting[n]
	p.waiting[s.place], last.place = last, s.place
	p.waiting[n], p.waiting = nil, p.waiting[:n]
	s.place = -1
}

// interrupt ends the wait for s, whose query has been closed.
func (p *poller) interrupt(s *rawSocket) {
	s.signal()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.leader == s {
		_ = p.file.SetReadDeadline(time.Unix(1, 0))
	}
}
