package serve

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/rescue"
	"github.com/iterdns/iterdns/internal/upstream"
	"github.com/iterdns/iterdns/internal/wire"
)

// Respond makes the reply to a query; see Resolver.Exchange. The question may wait no longer
// than patience for its turn; 0 sets no bound beside ctx.
func (s *Server) Respond(ctx context.Context, query *dns.Msg, patience time.Duration) (*dns.Msg, error) {
	reply, _, err := s.respondTo(ctx, query, patience)
	return reply, err
}

// respondTo is Respond, with the cause when the reply is SERVFAIL for want of an answer.
func (s *Server) respondTo(ctx context.Context, query *dns.Msg, patience time.Duration) (reply *dns.Msg, cause, err error) {
	if query == nil || query.Response {
		return nil, nil, errNoQuery
	}
	x := requestOf(query)
	res, err := s.respond(ctx, &x, work{patience: patience, decoded: true})
	if err != nil {
		return nil, nil, err
	}
	return x.message(query.Question, &res, s.options(&x, &res, nil, wire.MaxLen)), res.cause, nil
}

// ServeDNS answers a query over w; see Resolver.ServeDNS.
func (s *Server) ServeDNS(w dns.ResponseWriter, query *dns.Msg) {
	if query == nil || query.Response {
		return // answering an answer would make a loop
	}
	c := dnsClient{s: s, w: w, query: query, request: requestOf(query), client: clientOf(w)}
	defer c.abort()
	if c.asksForCookie() {
		c.answer(&response{})
		return
	}
	res, err := s.respond(s.clientContext(c.client.Addr), &c.request, work{patience: maxServeWait, decoded: true, early: c.fail})
	if err != nil {
		res = c.closed()
	}
	c.answer(&res)
}

// dnsClient is the client of a query to ServeDNS.
type dnsClient struct {
	request
	s      *Server
	w      dns.ResponseWriter
	query  *dns.Msg
	client Client
	once   sync.Once
}

// fail answers the query before the work on it has ended, from whatever goroutine.
func (c *dnsClient) fail(err error) {
	res := c.explained(failure.Of(err))
	c.answer(&res)
}

// abort is deferred: if a function of the program's did not return, it answers the query, or waits
// until fail has done so.
func (c *dnsClient) abort() {
	c.once.Do(func() {
		res := c.explained(failure.Of(rescue.ErrAborted))
		c.write(&res)
	})
}

// answer answers the query, unless that was done already. It returns when that is done.
func (c *dnsClient) answer(res *response) { c.once.Do(func() { c.write(res) }) }

func (c *dnsClient) write(res *response) {
	size, _ := c.limit(c.client.MaxSize)
	reply := c.s.truncated(&c.request, c.query.Question, res, &c.client, size)
	if c.client.pads(&c.request) {
		pad(reply, size)
	}
	// An error means that the client is gone, and there is nobody else to tell.
	_ = c.w.WriteMsg(reply)
}

// clientOf returns what w says about the client.
func clientOf(w dns.ResponseWriter) Client {
	remote := w.RemoteAddr()
	c := Client{Addr: addrPortOf(remote), Encrypted: isEncrypted(w)}
	if _, isDatagram := remote.(*net.UDPAddr); isDatagram {
		c.MaxSize = upstream.UDPSize
	}
	return c
}

// maxServeWait is how long a query to ServeDNS or ServeWire waits for a slot. Clients ask again after
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

// truncated makes the reply to a query as a dns.Msg of no more than size bytes.
func (s *Server) truncated(x *request, question []dns.Question, res *response, client *Client, size int) *dns.Msg {
	reply := x.message(question, res, s.options(x, res, client, size))
	reply.Truncate(size)
	reply.Compress = true // Truncate sets it only where it must
	return reply
}

// message makes a reply with these options, if the query has EDNS.
func (x *request) message(question []dns.Question, res *response, options []byte) *dns.Msg {
	flags := x.replyFlags(res)
	m := &dns.Msg{Compress: true}
	m.MsgHdr = dns.MsgHdr{
		Id: x.id, Response: true, Opcode: x.opcode(), RecursionAvailable: true, Rcode: res.rcode,
		RecursionDesired: flags&wire.RD != 0, CheckingDisabled: flags&wire.CD != 0, AuthenticatedData: flags&wire.AD != 0,
	}
	if len(question) == 1 {
		m.Question = slices.Clone(question) // a reply with more would be malformed too
	}
	if d := res.decoded; d != nil {
		m.Answer, m.Ns = x.withoutDNSSEC(d.Answer, false), x.withoutDNSSEC(d.Authority, true)
		spell(m, d.Question.Name)
	}
	if x.edns {
		m.SetEdns0(upstream.UDPSize, x.do)
		if opt, ok := unpackOptions(options); ok {
			m.IsEdns0().Option = opt
		}
	}
	return m
}

// unpackOptions returns EDNS options as miekg/dns has them.
func unpackOptions(options []byte) ([]dns.EDNS0, bool) {
	h := dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT, Rdlength: uint16(len(options))}
	rr, _, err := dns.UnpackRRWithHeader(h, options, 0)
	opt, ok := rr.(*dns.OPT)
	if err != nil || !ok {
		return nil, false
	}
	return opt.Option, true
}

// spell changes owners that are the name of the question to its letter case, in which they
// compress against it, and which some clients compare.
func spell(m *dns.Msg, name string) {
	asked := dns.Fqdn(m.Question[0].Name)
	if asked == name {
		return
	}
	for _, section := range [...][]dns.RR{m.Answer, m.Ns} {
		for _, rr := range section {
			if rr.Header().Name == name {
				rr.Header().Name = asked
			}
		}
	}
}

// withoutDNSSEC removes the records of a section that the client does not get.
func (x *request) withoutDNSSEC(records []dns.RR, authority bool) []dns.RR {
	return slices.DeleteFunc(records, func(rr dns.RR) bool { return !x.gets(rr.Header().Rrtype, authority) })
}

// isEncrypted reports whether w writes to a TLS connection.
func isEncrypted(w dns.ResponseWriter) bool {
	c, ok := w.(dns.ConnectionStater)
	return ok && c.ConnectionState() != nil
}

// paddedBlock is the number of bytes that the length of padded answers is a multiple of.
// RFC 8467 §4.1.
const paddedBlock = 468

// padding returns how many bytes of padding a reply of that length gets that has at most limit
// bytes; false: it has no room for any.
func padding(length, limit int) (n int, ok bool) {
	const optionHeader = 4
	length += optionHeader
	padded := min((length+paddedBlock-1)/paddedBlock*paddedBlock, limit)
	return padded - length, padded >= length
}

// appendPadding appends padding to the options of a reply of that length.
func appendPadding(options []byte, length, limit int) []byte {
	o := replyOptions{packed: options, room: wire.MaxLen}
	if n, ok := padding(length, limit); ok {
		o.add(dns.EDNS0PADDING, make([]byte, n)...)
	}
	return o.packed
}

// pad fills the reply, which has an OPT record, up to a multiple of paddedBlock.
func pad(reply *dns.Msg, limit int) {
	packed, err := reply.Pack() // Len overestimates some names, such as those of signers
	if err != nil {
		return // WriteMsg has the same error
	}
	if n, ok := padding(len(packed), limit); ok {
		opt := reply.IsEdns0()
		opt.Option = append(opt.Option, &dns.EDNS0_PADDING{Padding: make([]byte, n)})
	}
}
