package serve

import (
	"context"
	"encoding/hex"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/failure"

	"github.com/iterdns/iterdns/internal/upstream"
)

// ServeDNS answers a query over w; see Resolver.ServeDNS.
func (s *Server) ServeDNS(w dns.ResponseWriter, query *dns.Msg) {
	client := addrPortOf(w.RemoteAddr())
	if query != nil && AsksForCookie(query) {
		s.send(w, query, client, newResponder(query).reply)
		return
	}
	var sent sync.Once
	answer := func(reply *dns.Msg) { sent.Do(func() { s.send(w, query, client, reply) }) }
	reply, _, err := s.respond(s.clientContext(client), query, maxServeWait, answer)
	if err == errNoQuery {
		return // answering an answer would make a loop
	}
	if err != nil {
		reply = newResponder(query).failed(dns.RcodeServerFailure, failure.ExtendedError{Code: dns.ExtendedErrorCodeNotReady, Text: "closed"})
	}
	answer(reply)
}

// send sends the reply to a query, completed by what depends on its client.
func (s *Server) send(w dns.ResponseWriter, query *dns.Msg, client netip.AddrPort, reply *dns.Msg) {
	s.cookies.Set(reply, query, client.Addr())
	s.setNSID(reply, query)
	size := dns.MaxMsgSize
	if _, datagram := w.RemoteAddr().(*net.UDPAddr); datagram {
		size = datagramSize(query)
	}
	reply.Truncate(size)
	reply.Compress = true // Truncate sets it only where it must
	if isEncrypted(w) && hasOption(query, dns.EDNS0PADDING) {
		pad(reply)
	}
	// An error means that the client is gone, and there is nobody else to tell.
	_ = w.WriteMsg(reply)
}

// maxServeWait is how long a query to ServeDNS waits for a slot. Clients ask again after
// one to five seconds, and do not wait for a later answer.
const maxServeWait = time.Second

// clientContext returns the context of a question of a client.
func (s *Server) clientContext(client netip.AddrPort) context.Context {
	if s.Hooked == nil {
		return s.Base
	}
	return s.WithClient(s.Base, client)
}

// addrPortOf returns the IP address and port of a; the zero AddrPort if it has none.
func addrPortOf(a net.Addr) netip.AddrPort {
	var at netip.AddrPort
	switch a := a.(type) {
	case *net.UDPAddr:
		at = a.AddrPort()
	case *net.TCPAddr:
		at = a.AddrPort()
	}
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}

// datagramSize returns the size of the largest reply over UDP: what the client takes, but
// no more than passes everywhere unfragmented.
func datagramSize(query *dns.Msg) int {
	opt := query.IsEdns0()
	if opt == nil {
		return dns.MinMsgSize
	}
	return min(max(int(opt.UDPSize()), dns.MinMsgSize), upstream.UDPSize)
}

// setNSID adds the server's identity to the reply if the client asks for it. RFC 5001 §2.
func (s *Server) setNSID(reply, query *dns.Msg) {
	opt := reply.IsEdns0()
	if opt == nil || s.NSID == "" || !hasOption(query, dns.EDNS0NSID) {
		return
	}
	opt.Option = append(opt.Option, &dns.EDNS0_NSID{Code: dns.EDNS0NSID, Nsid: hex.EncodeToString([]byte(s.NSID))})
}

// isEncrypted reports whether w writes to a TLS connection.
func isEncrypted(w dns.ResponseWriter) bool {
	c, ok := w.(dns.ConnectionStater)
	return ok && c.ConnectionState() != nil
}

// hasOption reports whether the query has an EDNS option of that code.
func hasOption(query *dns.Msg, code uint16) bool {
	opt := query.IsEdns0()
	if opt == nil {
		return false
	}
	return slices.ContainsFunc(opt.Option, func(o dns.EDNS0) bool { return o.Option() == code })
}

// paddedBlock is the number of bytes that the length of padded answers is a multiple of.
// RFC 8467 §4.1.
const paddedBlock = 468

// pad fills the reply, which has an OPT record, up to a multiple of paddedBlock.
func pad(reply *dns.Msg) {
	const optionHeader = 4
	wire, err := reply.Pack() // Len overestimates some names, such as those of signers
	if err != nil {
		return // WriteMsg has the same error
	}
	opt, length := reply.IsEdns0(), len(wire)+optionHeader
	padded := min((length+paddedBlock-1)/paddedBlock*paddedBlock, dns.MaxMsgSize)
	if padded < length {
		return
	}
	opt.Option = append(opt.Option, &dns.EDNS0_PADDING{Padding: make([]byte, padded-length)})
}

// AcceptQuery decides by its header whether a message is unpacked; see resolver.AcceptQuery.
func AcceptQuery(h dns.Header) dns.MsgAcceptAction {
	const response, opcode = 1 << 15, 0xF << 11
	switch {
	case h.Bits&response != 0:
		return dns.MsgIgnore // answering an answer would make a loop
	case h.Bits&opcode != 0:
		return dns.MsgRejectNotImplemented
	case h.Qdcount == 0 && h.Ancount == 0 && h.Nscount == 0 && h.Arcount == 1:
		return dns.MsgAccept
	case h.Qdcount != 1, h.Ancount > 1, h.Nscount > 1, h.Arcount > 2:
		return dns.MsgReject
	}
	return dns.MsgAccept
}
