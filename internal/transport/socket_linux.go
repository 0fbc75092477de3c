package transport

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// rawSocket is a non-blocking UDP socket. It is used for one query after another, each with a
// descriptor of its own: what is kept are the channel and the timer.
type rawSocket struct {
	poller *poller
	// wake has a value when the goroutine that waits should look what has happened. It is a hint, so that one
	// meant for the query before does no harm.
	wake  chan struct{}
	timer *time.Timer
	ready bool // guarded by poller.mu: something has come since the last wait
	place int  // guarded by poller.mu: in poller.waiting; -1: not there

	fd     int  // -1: none
	unread bool // there may be something to read
	addr4  unix.SockaddrInet4
	addr6  unix.SockaddrInet6
}

func newRawSocket(p *poller) *rawSocket {
	s := &rawSocket{poller: p, wake: make(chan struct{}, 1), timer: time.NewTimer(time.Hour), place: -1, fd: -1}
	s.timer.Stop()
	return s
}

// isOfHost is true: s is one.
func (s *rawSocket) isOfHost() bool { return true }

// open opens s, connected to server, on a local port that draw returns. With an error s is to be
// closed all the same.
//
// Package net also allows broadcasts, which no server is asked by.
func (s *rawSocket) open(server netip.AddrPort, draw func() uint16) error {
	select {
	case <-s.wake:
	default:
	}
	s.unread = false
	family, is4 := unix.AF_INET6, server.Addr().Is4()
	if is4 {
		family = unix.AF_INET
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	s.fd = fd
	if is4 {
		dontFragment4(uintptr(fd))
	} else {
		dontFragment6(uintptr(fd))
		// Otherwise the port would have to be free in IPv4 too.
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
	}
	if err := s.bind(is4, draw); err != nil {
		return os.NewSyscallError("bind", err)
	}
	if is4 {
		s.addr4 = unix.SockaddrInet4{Port: int(server.Port()), Addr: server.Addr().As4()}
		err = unix.Connect(fd, &s.addr4)
	} else {
		s.addr6 = unix.SockaddrInet6{Port: int(server.Port()), Addr: server.Addr().As16()}
		err = unix.Connect(fd, &s.addr6)
	}
	return os.NewSyscallError("connect", err)
}

// bind binds s to a port that is free.
func (s *rawSocket) bind(is4 bool, draw func() uint16) (err error) {
	for range maxBinds {
		if is4 {
			s.addr4 = unix.SockaddrInet4{Port: int(draw())}
			err = unix.Bind(s.fd, &s.addr4)
		} else {
			s.addr6 = unix.SockaddrInet6{Port: int(draw())}
			err = unix.Bind(s.fd, &s.addr6)
		}
		if err == nil || !portTaken(err) {
			break
		}
	}
	return err
}

func (s *rawSocket) write(query []byte) error {
	_, err := unix.Write(s.fd, query)
	return os.NewSyscallError("write", err)
}

func (s *rawSocket) read(into []byte, until time.Time, p *Pending) ([]byte, error) {
	for {
		if s.unread {
			message, err := s.receive(into)
			if err != unix.EAGAIN {
				return message, err
			}
			s.unread = false
		}
		if p.isClosed() {
			return nil, net.ErrClosed
		}
		if inTime := s.poller.wait(s, until, p); !inTime {
			message, err := s.receive(into)
			if err == unix.EAGAIN {
				err = ErrLate
			}
			return message, err
		}
		s.unread = true
	}
}

// follow waits to be woken, or until the time until.
func (s *rawSocket) follow(until time.Time) {
	if until.IsZero() {
		<-s.wake
		return
	}
	s.timer.Reset(time.Until(until))
	defer s.timer.Stop()
	select {
	case <-s.wake:
	case <-s.timer.C:
	}
}

// signal wakes the goroutine that waits.
func (s *rawSocket) signal() {
	select {
	case s.wake <- struct{}{}:
	default: // already woken
	}
}

// receive reads a datagram that is there already, or returns EAGAIN. It holds a buffer only
// meanwhile: one for all who wait would not do, and one each is much.
func (s *rawSocket) receive(into []byte) ([]byte, error) {
	buffer := readBuffers.Get().(*[maxMessage]byte)
	defer readBuffers.Put(buffer)
	for {
		n, err := unix.Read(s.fd, buffer[:])
		switch err {
		case nil:
			return copyInto(into, buffer[:n]), nil
		case unix.EAGAIN:
			return nil, err
		case unix.EINTR:
		default:
			return nil, os.NewSyscallError("read", err)
		}
	}
}

func (s *rawSocket) interrupt() { s.poller.interrupt(s) }

func (s *rawSocket) close() {
	if s.fd >= 0 {
		s.poller.remove(s)
		unix.Close(s.fd)
		s.fd = -1
	}
	s.poller.unused.Put(s)
}

// dontFragment4 sets DF and keeps the host from believing ICMP messages about
// the size of the path, which can be forged: PROBE, not DO.
func dontFragment4(fd uintptr) {
	_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE)
}

// dontFragment6 is the same for IPv6, where only the host itself could fragment.
func dontFragment6(fd uintptr) {
	_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_PROBE)
}

// portTaken reports whether another port may be bound where this one was not:
// in use, or reserved by a policy of the host.
func portTaken(err error) bool {
	return errors.Is(err, unix.EADDRINUSE) || errors.Is(err, unix.EACCES)
}
