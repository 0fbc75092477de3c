package resolvertest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// listeners are the sockets behind LoopbackDial: for each server a UDP and a TCP
// socket with one port on 127.0.0.1.
type listeners struct {
	in       *Internet
	port     uint16                        // of all servers, at their own addresses; 0: each has one at 127.0.0.1
	ports    map[netip.Addr]netip.AddrPort // where each server really is; not changed after Listen
	foreign  *net.UDPConn                  // sends what comes from a wrong address
	stop     context.Context               // ends when the sockets are closed
	shutdown context.CancelFunc
	running  sync.WaitGroup // all goroutines

	mu    sync.Mutex
	open  map[io.Closer]bool // guarded by mu: what to close to stop them all
	ended bool               // guarded by mu
}

// maxPortTries is how often a port that is free for UDP may turn out to be taken
// for TCP before Listen gives up.
const maxPortTries = 100

// Listen puts every server on real sockets of the loopback interface, for
// programs that cannot take Dial, or to try real transports. LoopbackDial connects to
// them. Servers added later have no sockets. Calling Listen again does nothing.
func (in *Internet) Listen() error { return in.listen(0) }

// ListenAt is Listen for programs that take no Dial at all, such as a resolver with the
// host's own sockets and resolver.Options.Port: every server is at its own address, which
// must be one of 127.0.0.0/8, and this port, for UDP and TCP. Linux has all of these
// addresses, other systems those that somebody has configured. It fails when another
// program has the port.
func (in *Internet) ListenAt(port uint16) error {
	if port == 0 {
		return errors.New("resolvertest: port 0 is none to listen at")
	}
	return in.listen(port)
}

// listen starts the servers.
func (in *Internet) listen(port uint16) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	switch {
	case in.closed:
		return net.ErrClosed
	case in.listeners != nil:
		return nil
	}
	l := &listeners{in: in, port: port, ports: make(map[netip.Addr]netip.AddrPort), open: make(map[io.Closer]bool)}
	l.stop, l.shutdown = context.WithCancel(context.Background())
	if err := l.start(in.servers); err != nil {
		l.close()
		return err
	}
	in.listeners = l
	return nil
}

func (l *listeners) start(servers map[netip.Addr]*server) error {
	foreign, err := net.ListenUDP("udp4", loopbackUDP(0))
	if err != nil {
		return fmt.Errorf("resolvertest: %w", err)
	}
	l.foreign = foreign
	l.track(foreign)
	for addr := range servers {
		if err := l.serve(addr); err != nil {
			return fmt.Errorf("resolvertest: no sockets for %s: %w", addr, err)
		}
	}
	return nil
}

func loopbackUDP(port int) *net.UDPAddr {
	return &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}
}

// serve opens the two sockets of one server.
func (l *listeners) serve(addr netip.Addr) error {
	ip, tries := netip.AddrFrom4([4]byte{127, 0, 0, 1}), maxPortTries
	if l.port != 0 {
		if ip, tries = addr, 1; !addr.Is4() || !addr.IsLoopback() {
			return errors.New("not an address of 127.0.0.0/8")
		}
	}
	var last error
	for range tries {
		udp, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(ip, l.port)))
		if err != nil {
			return err
		}
		at := udp.LocalAddr().(*net.UDPAddr).AddrPort()
		tcp, err := net.Listen("tcp4", at.String())
		if err != nil {
			last = errors.Join(err, udp.Close())
			continue
		}
		l.track(udp)
		l.track(tcp)
		l.ports[addr] = at
		remote := netip.AddrPortFrom(addr, dnsPort)
		l.running.Go(func() { l.datagrams(udp, remote) })
		l.running.Go(func() { l.accept(tcp, remote) })
		return nil
	}
	return last
}

// track remembers what to close at the end. It reports false, and closes c at
// once, when that is over.
func (l *listeners) track(c io.Closer) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		c.Close() // there is nobody to tell
		return false
	}
	l.open[c] = true
	return true
}

func (l *listeners) forget(c io.Closer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, c)
	c.Close() // it is done with; an error changes nothing
}

// close closes all sockets and waits for the goroutines.
func (l *listeners) close() {
	if l == nil {
		return
	}
	l.shutdown()
	l.mu.Lock()
	l.ended = true
	for c := range l.open {
		c.Close() // the aim is that it is closed
	}
	l.mu.Unlock()
	l.running.Wait()
}

// datagrams answers what arrives at a UDP socket.
func (l *listeners) datagrams(socket *net.UDPConn, addr netip.AddrPort) {
	buffer := make([]byte, maxMessage)
	for {
		n, client, err := socket.ReadFromUDPAddrPort(buffer)
		if err != nil {
			return // closed
		}
		query := bytes.Clone(buffer[:n])
		l.sendAll(&l.running, l.in.handle(addr, "udp", client, query), func(p packet) {
			from := socket
			if p.wrongSource {
				from = l.foreign
			}
			if p.event == message { // others are ICMP, which cannot be sent from here
				from.WriteToUDPAddrPort(p.wire, client) // lost packets are what UDP is like
			}
		})
	}
}

// sendAll sends the packets that answer one query when their times come, in their
// order, and without making the caller wait.
func (l *listeners) sendAll(group *sync.WaitGroup, packets []packet, send func(packet)) {
	if len(packets) == 0 {
		return
	}
	group.Go(func() {
		start := time.Now()
		for _, p := range packets {
			if !l.wait(p.after - time.Since(start)) {
				return
			}
			send(p)
		}
	})
}

// wait waits for d and reports whether the sockets are still open then.
func (l *listeners) wait(d time.Duration) bool {
	if d <= 0 {
		return l.stop.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-l.stop.Done():
		return false
	}
}

func (l *listeners) accept(listener net.Listener, addr netip.AddrPort) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return // closed
		}
		if l.track(conn) {
			l.running.Go(func() { l.stream(conn.(*net.TCPConn), addr) })
		}
	}
}

// stream answers the queries of one TCP connection until either side ends it.
func (l *listeners) stream(conn *net.TCPConn, addr netip.AddrPort) {
	defer l.forget(conn)
	client := conn.RemoteAddr().(*net.TCPAddr).AddrPort()
	var writing sync.Mutex
	var pending sync.WaitGroup
	defer pending.Wait()
	for {
		query, err := readMessage(conn)
		if err != nil {
			return
		}
		l.sendAll(&pending, l.in.handle(addr, "tcp", client, query), func(p packet) {
			writing.Lock()
			defer writing.Unlock()
			l.sendStream(conn, p)
		})
	}
}

func readMessage(conn net.Conn) ([]byte, error) {
	var length [lengthSize]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return nil, err
	}
	query := make([]byte, binary.BigEndian.Uint16(length[:]))
	_, err := io.ReadFull(conn, query)
	return query, err
}

// sendStream writes one packet. Errors mean that the client has gone, which the
// reader notices too.
func (l *listeners) sendStream(conn *net.TCPConn, p packet) {
	switch p.event {
	case message:
		stream := framed(p.wire)
		if p.partial > 0 {
			defer conn.Close()
			stream = stream[:min(p.partial, len(stream))]
		}
		l.drip(conn, stream, p.pace)
	case streamEnd:
		conn.Close()
	case streamReset, portRefused:
		conn.SetLinger(0) // closing sends RST
		conn.Close()
	}
}

func (l *listeners) drip(conn net.Conn, b []byte, pace time.Duration) {
	if pace <= 0 {
		conn.Write(b)
		return
	}
	for i := range b {
		if i > 0 && !l.wait(pace) {
			return
		}
		if _, err := conn.Write(b[i : i+1]); err != nil {
			return
		}
	}
}

// LoopbackDial is Dial over the sockets of Listen: it takes the addresses of this
// Internet, IPv6 ones too, and connects to where their servers really are. To an
// address without a server it connects in memory, where nothing answers.
func (in *Internet) LoopbackDial(ctx context.Context, network, address string) (net.Conn, error) {
	addr, err := parseAddress(network, address)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	in.mu.RLock()
	l := in.listeners
	in.mu.RUnlock()
	real, ok := l.realAddress(addr)
	if !ok {
		return in.Dial(ctx, network, address)
	}
	var dialer net.Dialer
	if strings.HasPrefix(network, "udp") {
		if err := in.route(addr, "udp"); err != nil {
			return nil, err
		}
		return dialer.DialContext(ctx, "udp4", real.String())
	}
	if err := in.connect(ctx, addr); err != nil {
		return nil, err
	}
	return dialer.DialContext(ctx, "tcp4", real.String())
}

// realAddress returns the socket of a server.
func (l *listeners) realAddress(addr netip.AddrPort) (netip.AddrPort, bool) {
	if l == nil || addr.Port() != dnsPort {
		return netip.AddrPort{}, false
	}
	real, ok := l.ports[addr.Addr()]
	return real, ok
}
