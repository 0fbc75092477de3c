package resolvertest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/netip"

	"github.com/miekg/dns"
)

const (
	// minUDPSize is what every DNS client takes over UDP (RFC 1035 §2.3.4); less
	// in an OPT record counts as this (RFC 6891 §6.2.3).
	minUDPSize = 512
	// serverUDPSize is the largest reply that a server sends over UDP of its own
	// accord, the size that does not fragment on the Internet (RFC 9715 §3.2).
	serverUDPSize = 1232
	// maxMessage is the length of the longest message (RFC 1035 §4.2.2).
	maxMessage = 65535
)

// Lengths of the parts of a cookie in bytes (RFC 7873 §4).
const (
	clientCookieLen    = 8
	minServerCookieLen = 8
	maxServerCookieLen = 32
	ourServerCookieLen = 16 // RFC 9018 §4
)

// cookieOf takes the cookie out of an OPT record. One that is not even
// hexadecimal cannot come off the wire.
func cookieOf(opt *dns.OPT) []byte {
	for _, option := range opt.Option {
		if c, ok := option.(*dns.EDNS0_COOKIE); ok {
			cookie, err := hex.DecodeString(c.Cookie)
			if err != nil {
				return []byte{}
			}
			return cookie
		}
	}
	return nil
}

// validCookieLen says whether a cookie from a client is well-formed: its own
// part alone, or with a server's part (RFC 7873 §5.2.2).
func validCookieLen(n int) bool {
	return n == clientCookieLen || clientCookieLen+minServerCookieLen <= n && n <= clientCookieLen+maxServerCookieLen
}

// serverCookie is the server's part for a client cookie. It depends on the server
// as it would on a secret of its own; the client's address, which in-memory
// clients do not have, is left out.
func serverCookie(server netip.Addr, clientCookie []byte) []byte {
	mac := hmac.New(sha256.New, server.AsSlice())
	mac.Write(clientCookie)
	return mac.Sum(nil)[:ourServerCookieLen]
}

// cookieStatus is what a server thinks of the cookie in a query.
type cookieStatus int

const (
	cookieAbsent    cookieStatus = iota
	cookieMalformed              // FORMERR, RFC 7873 §5.2.2
	cookieClient                 // the client's part only
	cookieWrong                  // a server's part that is not ours
	cookieGood
)

func judgeCookie(server netip.Addr, cookie []byte) cookieStatus {
	switch {
	case cookie == nil:
		return cookieAbsent
	case !validCookieLen(len(cookie)):
		return cookieMalformed
	case len(cookie) == clientCookieLen:
		return cookieClient
	case hmac.Equal(cookie[clientCookieLen:], serverCookie(server, cookie[:clientCookieLen])):
		return cookieGood
	}
	return cookieWrong
}

// cookieOption makes the option of a reply.
func cookieOption(server netip.Addr, clientCookie []byte) *dns.EDNS0_COOKIE {
	cookie := append(clientCookie[:clientCookieLen:clientCookieLen], serverCookie(server, clientCookie[:clientCookieLen])...)
	return &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: hex.EncodeToString(cookie)}
}
