package serve

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"math/bits"
	"net/netip"
	"time"

	"github.com/miekg/dns"
)

// ServerCookies makes the cookies of one server, which need no memory of the clients that
// have them. RFC 9018 §4.
type ServerCookies struct {
	secret [16]byte // RFC 9018 §4.4
	now    func() time.Time
}

// NewServerCookies draws a secret. now is the clock of the cookies' timestamps.
func NewServerCookies(now func() time.Time) *ServerCookies {
	c := &ServerCookies{now: now}
	rand.Read(c.secret[:]) // never fails
	return c
}

// Set puts into the reply the client's cookie, by which the client knows that the reply is
// not forged, and a server cookie. RFC 7873 §5.2.3, RFC 9018 §4.
//
// It does not check whether the query brings a server cookie back: clients without one are
// answered too, over UDP with no more than the size that they take.
func (s *ServerCookies) Set(reply, query *dns.Msg, client netip.Addr) {
	c, opt := CookieOf(query), reply.IsEdns0()
	if c == nil || opt == nil || !IsWellFormedCookie(c) {
		return
	}
	cookie, err := hex.DecodeString(c.Cookie)
	if err != nil {
		return
	}
	clients := cookie[:clientCookieSize:clientCookieSize]
	own := serverCookie(s.secret, [clientCookieSize]byte(clients), 0, client, s.now())
	opt.Option = append(opt.Option, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: hex.EncodeToString(append(clients, own...))})
}

// Lengths of DNS cookies in bytes. RFC 7873 §4.
const (
	clientCookieSize    = 8
	minServerCookieSize = 8
	maxServerCookieSize = 32
)

// CookieOf returns the cookie option of a query, the first if there are several (RFC 7873
// §5.2); nil when there is none.
func CookieOf(query *dns.Msg) *dns.EDNS0_COOKIE {
	opt := query.IsEdns0()
	if opt == nil {
		return nil
	}
	for _, o := range opt.Option {
		if c, ok := o.(*dns.EDNS0_COOKIE); ok {
			return c
		}
	}
	return nil
}

// IsWellFormedCookie reports whether a cookie has a permitted length: that of a client cookie,
// alone or with a server cookie (RFC 7873 §5.2.2).
func IsWellFormedCookie(c *dns.EDNS0_COOKIE) bool {
	server := hex.DecodedLen(len(c.Cookie)) - clientCookieSize
	return server == 0 || minServerCookieSize <= server && server <= maxServerCookieSize
}

// AsksForCookie reports whether a query has no question and asks for a cookie only. RFC 7873
// §5.4.
func AsksForCookie(query *dns.Msg) bool {
	c := CookieOf(query)
	return c != nil && IsWellFormedCookie(c) && len(query.Question) == 0 && query.Opcode == dns.OpcodeQuery && !query.Response
}

// serverCookie makes a server cookie: version, reserved bytes, timestamp, and a hash keyed
// with the secret. RFC 9018 §4.
func serverCookie(secret [16]byte, clientCookie [clientCookieSize]byte, reserved uint32, client netip.Addr, now time.Time) []byte {
	const version = 1 << 24
	cookie := binary.BigEndian.AppendUint32(nil, version|reserved)
	cookie = binary.BigEndian.AppendUint32(cookie, uint32(now.Unix())) // serial arithmetic, RFC 9018 §4.3
	hashed := append(append(clientCookie[:], cookie...), client.Unmap().AsSlice()...)
	return binary.LittleEndian.AppendUint64(cookie, sipHash24(secret, hashed))
}

// sipHash24 is SipHash-2-4 (J.-P. Aumasson, D. J. Bernstein: SipHash, a fast short-input
// PRF), the hash that RFC 9018 §4.4 demands, so that servers of one address can share a secret.
func sipHash24(key [16]byte, message []byte) uint64 {
	k0, k1 := binary.LittleEndian.Uint64(key[:]), binary.LittleEndian.Uint64(key[8:])
	s := sipState{k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573}
	length := uint64(len(message)) << 56
	for ; len(message) >= 8; message = message[8:] {
		s.compress(binary.LittleEndian.Uint64(message))
	}
	var rest [8]byte
	copy(rest[:], message)
	s.compress(binary.LittleEndian.Uint64(rest[:]) | length)
	s[2] ^= 0xff
	for range 4 {
		s.round()
	}
	return s[0] ^ s[1] ^ s[2] ^ s[3]
}

type sipState [4]uint64

func (s *sipState) compress(word uint64) {
	s[3] ^= word
	s.round()
	s.round()
	s[0] ^= word
}

func (s *sipState) round() {
	s[0] += s[1]
	s[1] = bits.RotateLeft64(s[1], 13) ^ s[0]
	s[0] = bits.RotateLeft64(s[0], 32)
	s[2] += s[3]
	s[3] = bits.RotateLeft64(s[3], 16) ^ s[2]
	s[0] += s[3]
	s[3] = bits.RotateLeft64(s[3], 21) ^ s[0]
	s[2] += s[1]
	s[1] = bits.RotateLeft64(s[1], 17) ^ s[2]
	s[2] = bits.RotateLeft64(s[2], 32)
}
