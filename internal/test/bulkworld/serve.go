package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

const (
	port = 53
	// lossOneIn is how many queries over UDP one is lost of.
	lossOneIn = 100
	// udpBuffer is that of each server's socket, in bytes.
	udpBuffer = 4 << 20
)

// roundTrip is how long a query to a server takes.
func roundTrip(l level) time.Duration {
	switch l {
	case rootLevel:
		return 20 * time.Millisecond
	case tldLevel:
		return 30 * time.Millisecond
	case hosterLevel:
	}
	return 40 * time.Millisecond
}

// servers are all servers of a world, on sockets.
type servers struct {
	world   *world
	queries atomic.Int64 // that arrived, lost ones and those to dead servers included
	closers []io.Closer
	running sync.WaitGroup
}

func serve(w *world) (*servers, error) {
	s := &servers{world: w}
	for _, p := range places() {
		if err := s.listen(p); err != nil {
			s.close()
			return nil, err
		}
	}
	return s, nil
}

func (s *servers) listen(p place) error {
	at := netip.AddrPortFrom(p.addr, port)
	udp, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
	if err != nil {
		return err
	}
	s.closers = append(s.closers, udp)
	_ = udp.SetReadBuffer(udpBuffer) // a smaller one loses more
	s.running.Go(func() { s.datagrams(p, udp) })
	if p.level == hosterLevel && isDead(p.number) {
		return nil
	}
	tcp, err := net.Listen("tcp4", at.String())
	if err != nil {
		return err
	}
	s.closers = append(s.closers, tcp)
	s.running.Go(func() { s.accept(p, tcp) })
	return nil
}

func (s *servers) datagrams(p place, udp *net.UDPConn) {
	buffer := make([]byte, dns.MaxMsgSize)
	for {
		n, client, err := udp.ReadFromUDPAddrPort(buffer)
		if err != nil {
			return // closed
		}
		s.queries.Add(1)
		if p.level == hosterLevel && isDead(p.number) || rand.IntN(lossOneIn) == 0 {
			continue
		}
		arrived := time.Now()
		query := new(dns.Msg)
		if query.Unpack(buffer[:n]) != nil || len(query.Question) != 1 {
			continue
		}
		time.AfterFunc(roundTrip(p.level)-time.Since(arrived), func() {
			reply := s.world.reply(p, query)
			size := dns.MinMsgSize
			if opt := query.IsEdns0(); opt != nil {
				size = int(opt.UDPSize())
			}
			reply.Truncate(size)
			if wire, err := reply.Pack(); err == nil {
				udp.WriteToUDPAddrPort(wire, client) // what is not sent is lost
			}
		})
	}
}

func (s *servers) accept(p place, tcp net.Listener) {
	for {
		conn, err := tcp.Accept()
		if err != nil {
			return // closed
		}
		go s.stream(p, conn)
	}
}

// stream answers one connection. The client ends it.
func (s *servers) stream(p place, conn net.Conn) {
	defer conn.Close()
	c := &dns.Conn{Conn: conn}
	for {
		conn.SetReadDeadline(time.Now().Add(30 * time.Second)) // an error shows in the read
		query, err := c.ReadMsg()
		if err != nil || len(query.Question) != 1 {
			return
		}
		s.queries.Add(1)
		time.Sleep(roundTrip(p.level))
		wire, err := s.world.reply(p, query).Pack()
		if err != nil {
			return
		}
		if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(wire))), wire...)); err != nil {
			return
		}
	}
}

func (s *servers) close() {
	for _, c := range s.closers {
		c.Close() // the aim is that it is closed
	}
	s.running.Wait()
}

// anchor is the root's key as a file of anchors has it.
func (s *servers) anchor() string { return fmt.Sprintln(s.world.signer.key(".")) }
