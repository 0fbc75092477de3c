package resolvertest

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/miekg/dns"
)

// Handle puts a server at an address that answers by a handler of the caller's instead of
// zones: a recursive one, say, by the ServeDNS of another Resolver, for a test of
// forwarding. It gets what is sent in memory, by Dial, over "udp" and "tcp"; w.RemoteAddr
// says which. Faults do not apply to it, and Listen does not know it; the log does. A nil
// handler removes it again.
//
// Unlike the rest this needs goroutines: one for a connection, until its client closes it,
// and one for each call of the handler.
func (in *Internet) Handle(address string, h dns.Handler) {
	addr, err := netip.ParseAddr(address)
	in.must(err)
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.handlers == nil {
		in.handlers = make(map[netip.Addr]dns.Handler)
	}
	if h == nil {
		delete(in.handlers, addr)
		return
	}
	in.handlers[addr] = h
}

// handlerAt returns the handler behind an address, nil if there is none.
func (in *Internet) handlerAt(addr netip.AddrPort) dns.Handler {
	in.mu.RLock()
	defer in.mu.RUnlock()
	if addr.Port() != dnsPort || in.closed {
		return nil
	}
	return in.handlers[addr.Addr()]
}

// dialHandler connects to a handler. Both ends of a net.Pipe keep message boundaries
// here, since each reads into a buffer that takes the largest message.
func (in *Internet) dialHandler(h dns.Handler, network string, addr netip.AddrPort) net.Conn {
	client, server := net.Pipe()
	s := &handlerConn{in: in, handler: h, conn: server, network: network, addr: addr}
	go s.serve()
	return client
}

// handlerConn is the server's end of a connection.
type handlerConn struct {
	in      *Internet
	handler dns.Handler
	conn    net.Conn
	network string // "udp" or "tcp"
	addr    netip.AddrPort
}

// serve calls the handler for each query until the client closes the connection.
func (s *handlerConn) serve() {
	defer s.conn.Close()
	buffer := make([]byte, dns.MaxMsgSize)
	for {
		n, err := s.read(buffer)
		if err != nil {
			return
		}
		query := new(dns.Msg)
		if err := query.Unpack(buffer[:n]); err != nil {
			continue
		}
		seen := newQuery(query)
		seen.Time, seen.Server, seen.Network, seen.Size = time.Now(), s.addr.Addr(), s.network, n
		s.in.note(seen)
		go s.handler.ServeDNS(&handlerWriter{handlerConn: s}, query)
	}
}

func (s *handlerConn) read(buffer []byte) (int, error) {
	if s.network == "udp" {
		return s.conn.Read(buffer)
	}
	var length [2]byte
	if _, err := io.ReadFull(s.conn, length[:]); err != nil {
		return 0, err
	}
	return io.ReadFull(s.conn, buffer[:binary.BigEndian.Uint16(length[:])])
}

// handlerWriter is the dns.ResponseWriter of one query.
type handlerWriter struct{ *handlerConn }

func (w *handlerWriter) LocalAddr() net.Addr  { return netAddr(w.network, w.addr) }
func (w *handlerWriter) RemoteAddr() net.Addr { return netAddr(w.network, netip.AddrPort{}) }

// WriteMsg packs and sends a copy, since handlers of several queries may send the same records.
func (w *handlerWriter) WriteMsg(m *dns.Msg) error {
	own := *m
	copyOthers(&own, nil)
	b, err := own.Pack()
	if err != nil {
		return err
	}
	_, err = w.Write(b)
	return err
}

// errTooLong is the error for a message whose length does not fit before it.
var errTooLong = errors.New("a message has at most 65,535 bytes")

// Write sends a whole message. It fails when the client is gone.
func (w *handlerWriter) Write(b []byte) (int, error) {
	if w.network == "udp" {
		return w.conn.Write(b)
	}
	if len(b) > dns.MaxMsgSize {
		return 0, errTooLong
	}
	if _, err := w.conn.Write(framed(b)); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (w *handlerWriter) Close() error      { return w.conn.Close() }
func (w *handlerWriter) TsigStatus() error { return nil }
func (w *handlerWriter) TsigTimersOnly(bool) {
}
func (w *handlerWriter) Hijack() {}
