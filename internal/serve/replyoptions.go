package serve

import (
	"encoding/binary"
	"net/netip"

	"github.com/miekg/dns"
)

// replyOptions are the EDNS options of a reply in wire format.
type replyOptions struct {
	packed []byte
	room   int // bytes that packed may have
}

// add adds an option; false when it has no room.
func (o *replyOptions) add(code uint16, data ...byte) bool {
	const head = 4 // code and length
	if len(o.packed)+head+len(data) > o.room {
		return false
	}
	o.packed = binary.BigEndian.AppendUint16(o.packed, code)
	o.packed = binary.BigEndian.AppendUint16(o.packed, uint16(len(data)))
	o.packed = append(o.packed, data...)
	return true
}

// options returns the options of a reply that has at most limit bytes together with header,
// question and OPT record. What has no room is left out. client is nil for queries that no
// client has sent.
func (s *Server) options(x *request, res *response, client *Client, limit int) []byte {
	if !x.edns {
		return nil
	}
	o := replyOptions{room: limit - x.bareReply()}
	if client != nil {
		s.identify(&o, x, client.Addr.Addr())
	}
	o.explain(res)
	return o.packed
}

// explain adds the extended DNS errors. RFC 8914 §2.
func (o *replyOptions) explain(res *response) {
	for _, e := range res.extended {
		var data [2 + maxExtraText]byte
		binary.BigEndian.PutUint16(data[:], e.Code)
		n := copy(data[2:], e.Text)
		if !o.add(dns.EDNS0EDE, data[:2+n]...) {
			o.add(dns.EDNS0EDE, data[:2]...) // the code is what programs read
		}
	}
}

// identify adds what a client that asks for it gets of this server: a cookie, its own before
// it, by which it knows that the reply is not forged (RFC 7873 §5.2.3, RFC 9018 §4), and the
// server's identity (RFC 5001 §2).
func (s *Server) identify(o *replyOptions, x *request, client netip.Addr) {
	if x.cookie != nil && isWellFormedCookie(x.cookie) {
		o.add(dns.EDNS0COOKIE, s.cookies.reply([clientCookieSize]byte(x.cookie), client)...)
	}
	if x.nsid && s.NSID != "" {
		o.add(dns.EDNS0NSID, []byte(s.NSID)...)
	}
}
