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

const (
	// pollerIdle is how long the poller's goroutine outlives the last socket, or twice that.
	pollerIdle = 10 * time.Second

	// pollerEvents is how many sockets one system call tells of.
	pollerEvents = 64
)

// errNoPoller means that this system cannot do it, so that sockets of package net are used.
var errNoPoller = errors.New("an epoll descriptor cannot be waited for")

// poller opens sockets with plain system calls and tells who waits for one of them when there
// is something to read. Package net makes 13 system calls for a query and its reply; here
// there are 8, and one more for all replies that have come meanwhile: package net allows
// broadcasts, asks for both addresses of a socket, reads once in vain and takes the socket out
// of epoll before it closes it.
//
// The sockets are in an epoll descriptor of their own, which the Go runtime watches like any
// other: that takes one goroutine, and no thread.
type poller struct {
	unused sync.Pool      // of *rawSocket
	wakers sync.WaitGroup // the goroutine
	idle   time.Duration  // how often the goroutine looks whether it is still needed

	mu       sync.Mutex
	file     *os.File     // the epoll descriptor; nil until the first socket
	fd       int          // of file
	unusable bool         // the runtime cannot watch it
	running  bool         // the goroutine runs
	open     int          // how many of sockets are not nil
	sockets  []*rawSocket // by descriptor
}

// newPoller returns a poller that opens nothing before the first socket.
func newPoller() *poller {
	p := &poller{idle: pollerIdle}
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
	p.open++
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
		p.open--
	}
}

// start opens the epoll descriptor and starts the goroutine, unless that is done. The lock
// must be held, and Transport.Close not be past its wait for the queries under way.
func (p *poller) start() error {
	if p.running {
		return nil
	}
	if p.unusable {
		return errNoPoller
	}
	if p.file == nil {
		fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
		if err != nil {
			return os.NewSyscallError("epoll_create1", err)
		}
		_ = unix.SetNonblock(fd, true) // os.NewFile takes it for a descriptor to be watched
		file := os.NewFile(uintptr(fd), "epoll")
		if file.SetReadDeadline(time.Time{}) != nil {
			p.unusable = true
			file.Close()
			return errNoPoller
		}
		p.file, p.fd = file, fd
	}
	conn, err := p.file.SyscallConn()
	if err != nil {
		return err
	}
	p.running = true
	p.wakers.Go(func() { p.run(conn) })
	return nil
}

// run wakes sockets until close, or until there are none.
func (p *poller) run(conn syscall.RawConn) {
	events := make([]unix.EpollEvent, pollerEvents)
	wake := func(fd uintptr) (done bool) {
		for {
			n, _ := unix.EpollWait(int(fd), events, 0)
			p.wake(events[:max(n, 0)])
			if n < len(events) {
				// What comes from now on ends the runtime's wait: no second call to see that
				// there is nothing more.
				return false
			}
		}
	}
	for {
		_ = p.file.SetReadDeadline(time.Now().Add(p.idle))
		if err := conn.Read(wake); !isTimeout(err) || p.rest() {
			return
		}
	}
}

// wake wakes the sockets of events. An event may be that of a socket closed meanwhile, and
// wake another one with its number, which finds nothing and waits on.
func (p *poller) wake(events []unix.EpollEvent) {
	if len(events) == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range events {
		if fd := int(events[i].Fd); fd < len(p.sockets) && p.sockets[fd] != nil {
			p.sockets[fd].interrupt()
		}
	}
}

// rest reports whether the goroutine may end.
func (p *poller) rest() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running = p.open > 0
	return !p.running
}

// close ends the goroutine. No socket may be open, nor be opened later.
func (p *poller) close() {
	p.mu.Lock()
	file := p.file
	p.mu.Unlock()
	if file != nil {
		file.Close() // waits for the goroutine to leave conn.Read, which may need the lock first
	}
	p.wakers.Wait()
}
