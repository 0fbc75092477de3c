package serve

import (
	"context"
	"net/netip"
	"sync"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/rescue"
	"github.com/iterdns/iterdns/internal/upstream"
	"github.com/iterdns/iterdns/internal/wire"
)

// Client is the sender of a query in wire format; see resolver.WireClient.
type Client struct {
	Addr      netip.AddrPort
	MaxSize   int
	Encrypted bool
	Missed    bool // AppendHit was called
}

// ServeWire answers a query in wire format; see Resolver.ServeWire.
func (s *Server) ServeWire(query []byte, client Client, send func(reply []byte)) {
	var x request
	if !x.parse(query) {
		return // answering an answer would make a loop
	}
	client.MaxSize = taken(client.MaxSize)
	if !client.Missed && s.sendHit(&x, client.MaxSize, send) {
		return
	}
	c := wireClient{s: s, request: x, client: client, send: send}
	defer c.abort()
	if c.asksForCookie() {
		c.answer(&response{})
		return
	}
	res, err := s.respond(s.clientContext(client.Addr), &c.request, work{patience: maxServeWait, early: c.fail})
	if err != nil {
		res = c.closed()
	}
	c.answer(&res)
}

// sendHit sends the answer if the cache has it.
func (s *Server) sendHit(x *request, maxSize int, send func(reply []byte)) bool {
	buf := replyBuffers.Get().(*[]byte)
	reply, ok := s.appendHit((*buf)[:0], x, maxSize)
	if ok {
		send(reply)
	}
	release(buf, reply)
	return ok
}

// wireClient is the client of a query to ServeWire.
type wireClient struct {
	request
	s      *Server
	client Client
	send   func(reply []byte)
	once   sync.Once
}

// fail answers the query before the work on it has ended, from whatever goroutine.
func (c *wireClient) fail(err error) {
	res := c.explained(failure.Of(err))
	c.answer(&res)
}

// abort is deferred: if a function of the program's did not return, it answers the query, or waits
// until fail has done so.
func (c *wireClient) abort() {
	c.once.Do(func() {
		res := c.explained(failure.Of(rescue.ErrAborted))
		c.write(&res)
	})
}

// answer answers the query, unless that was done already. It returns when that is done, so
// that nothing of the query is read once ServeWire has returned.
func (c *wireClient) answer(res *response) { c.once.Do(func() { c.write(res) }) }

func (c *wireClient) write(res *response) {
	buf := replyBuffers.Get().(*[]byte)
	reply := c.s.appendReply((*buf)[:0], &c.request, res, &c.client, c.client.MaxSize)
	c.send(reply)
	release(buf, reply)
}

// replyBuffers has buffers for replies. They are not returned when a function of the program's
// panics.
var replyBuffers = sync.Pool{New: func() any { b := make([]byte, 0, upstream.UDPSize); return &b }}

// maxKeptBuffer is the size of the largest buffer that is used again, in bytes: few replies
// are larger, and each that is kept is kept for as long as its place is in use.
const maxKeptBuffer = 4096

// release returns a buffer, which may have grown to that of a reply.
func release(buf *[]byte, reply []byte) {
	if cap(reply) <= maxKeptBuffer {
		*buf = reply
	}
	replyBuffers.Put(buf)
}

// ExchangeWire appends the reply to a query in wire format; see Resolver.ExchangeWire.
func (s *Server) ExchangeWire(ctx context.Context, dst, query []byte, maxSize int) ([]byte, error) {
	var x request
	if !x.parse(query) {
		return dst, errNoQuery
	}
	maxSize = taken(maxSize)
	if ctx.Err() == nil {
		if reply, ok := s.appendHit(dst, &x, maxSize); ok {
			return reply, nil
		}
	}
	res, err := s.respond(ctx, &x, work{})
	if err != nil {
		return dst, err
	}
	return s.appendReply(dst, &x, &res, nil, maxSize), nil
}

// taken returns the size of datagram that a reply may have when it may have maxSize: every
// client takes what is smallest. RFC 1035 §4.2.1.
func taken(maxSize int) int {
	if maxSize <= 0 {
		return 0
	}
	return max(maxSize, dns.MinMsgSize)
}

// appendReply appends the reply to a query that came as bytes. client is nil for those that
// no client has sent.
func (s *Server) appendReply(dst []byte, x *request, res *response, client *Client, maxSize int) []byte {
	limit, _ := x.limit(maxSize)
	if res.decoded != nil {
		if packed, ok := s.packed(x, res, client, limit); ok {
			return append(dst, packed...)
		}
		*res = x.failed(dns.RcodeServerFailure, servfail(failure.Of(failure.ErrUndecodable)))
	}
	options, room := s.options(x, res, client, limit), limit
	if x.edns {
		room -= wire.OPTSize + len(options)
	}
	var out wire.Reply
	out.Begin(dst, room)
	if len(x.asked) > 0 {
		out.Question(x.question().Name, x.asked, x.rrtype, x.class)
	}
	if res.found != nil {
		s.writeRecords(&out, x, res.found)
	}
	if x.edns {
		if client.pads(x) {
			options = appendPadding(options, out.Len()+wire.OPTSize+len(options), limit)
		}
		out.OPT(upstream.UDPSize, res.rcode, x.do, options)
	}
	flags := x.replyFlags(res)
	if out.Full() {
		flags |= wire.TC
	}
	return out.End(x.id, flags)
}

// writeRecords writes the records of an answer that the client gets.
func (s *Server) writeRecords(out *wire.Reply, x *request, f *answer.Answer) {
	for p := range f.Parts {
		section := wire.SectionAnswer
		if p.Authority {
			section = wire.SectionAuthority
		}
		if p.Set == nil {
			head := wire.RRset{Owner: p.From, Type: dns.TypeCNAME, Class: dns.ClassINET, TTL: p.TTL}
			out.Set(section, head, string(dnssec.Pack(string(p.To))), 0)
			continue
		}
		head := wire.RRset{Owner: p.Set.Owner, Type: p.Set.Type, Class: p.Set.Class, TTL: p.TTL}
		if x.gets(head.Type, p.Authority) {
			out.Set(section, head, string(p.Set.Records), s.rotation(p))
		}
		if head.Type = dns.TypeRRSIG; x.gets(head.Type, p.Authority) {
			out.Set(section, head, string(p.Set.Signatures), 0)
		}
	}
}

// packed returns the reply with records that are decoded; false when it cannot be packed.
func (s *Server) packed(x *request, res *response, client *Client, limit int) ([]byte, bool) {
	name, _, err := dns.UnpackDomainName(x.asked, 0)
	if err != nil {
		return nil, false
	}
	question := []dns.Question{{Name: name, Qtype: x.rrtype, Qclass: x.class}}
	reply := s.truncated(x, question, res, client, limit)
	if client.pads(x) {
		pad(reply, limit)
	}
	packed, err := reply.Pack()
	return packed, err == nil && len(packed) <= limit
}

// pads reports whether the reply to a query of the client's is padded. RFC 8467.
func (c *Client) pads(x *request) bool { return c != nil && c.Encrypted && x.edns && x.padded }
