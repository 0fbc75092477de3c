// Package resolvertest is a DNS Internet for tests: zones from a text, servers that
// serve them, faults on demand, and a log of every query. It is to package
// resolver what net/http/httptest is to net/http.
//
// It decides what each server answers and when. It takes texts of zones and faults,
// and queries; it returns replies, and the log. It never resolves a name itself, never
// reaches the real Internet, and does not check what a resolver makes of the replies.
//
//	in := resolvertest.New(t, `
//	-- zone shop.example. at 198.51.100.3 2001:db8::3 --
//	www     A     192.0.2.80
//	mail    MX    10 www
//	`)
//	r := in.Resolver(t)
//	addrs, err := r.LookupNetIP(t.Context(), "ip", "www.shop.example")
//
// Everything is in memory: no socket is opened and no goroutine started, except by
// Listen, ListenAt and Handle. Inside testing/synctest, latencies, timeouts and TTLs pass in
// virtual time, exactly and at once. Programs that cannot take a Dial use Listen and LoopbackDial, which put
// the same servers on sockets of the loopback interface. Without package testing,
// use NewInternet.
//
// Tests that have their data as Go values write [Hosts], which become such a text.
//
// # One look-up that fails
//
// A resolver asks more than its caller does: A and AAAA together, keys, the addresses of name
// servers, and less of a name than it wants (RFC 9156). A fault that is to be met by one look-up
// only therefore names the zone, the name and the type,
//
//	-- fault shop.example. --
//	when name mail.shop.example. type MX: replace SERVFAIL
//
// which is what Host.Errors becomes. At the zone's own servers, and with the default
// MinimiseRelaxed, look-ups of other types and of names below it are not affected: when a
// minimised query fails, the full name is asked. A condition such as first 1 counts minimised
// queries too.
//
// A resolver remembers a failure for 5 s, and longer when it repeats (RFC 9520), so that the next
// look-up fails too, even after [Mend]. Let that time pass with [Internet.Advance], or with
// time.Sleep in a synctest bubble.
//
// # Special-use names
//
// Resolvers answer some names themselves and never ask for them (resolver.IsSpecialUse): those
// below local, localhost, invalid, alt, onion and home.arpa, and the reverse zones of private
// addresses. A zone with such names that is written in the text is found by a resolver that
// Internet.Resolver or Internet.Options makes, which turns those answers off. It is not found by
// one with options of another origin, nor by the program under test if that makes its own
// resolver: there such a name does not exist, and no query is logged. Names below example.,
// test. and example.com. have no such trap.
//
// # Text
//
// A text has sections; each begins with a header line `-- … --`. A line that
// begins with # is a comment. A text may be indented like the program around it: the blanks
// that all records of a zone begin with are removed. A mistake is an error that names
// the line, the word, and what was expected.
//
//	-- zone NAME at ADDRESS... --
//	-- zone NAME at ADDRESS... undelegated --
//	-- zone NAME at ADDRESS... signed --
//
// is followed by a zone file (RFC 1035 §5.1) relative to NAME, with $ORIGIN,
// $TTL, all types that miekg/dns knows, and others as in RFC 3597. A record
// without a TTL has 300 s. Each address is a server; a server may serve many zones.
//
// What is not written is derived, as far as it is needed:
//
//   - A root zone, and top-level zones, if there is no `zone .`, each with a server
//     of its own at an address from 198.18.0.0/15 and 2001:2::/48.
//   - The addresses of a zone without "at": those that the zones have for the hosts
//     of its NS records, or new ones as above.
//   - NS records: ns1, ns2, … in the zone, dealt the addresses of "at" in their
//     order, one IPv4 and one IPv6 address each.
//   - Address records for NS hosts in the zone that have none, dealt the same way.
//   - SOA, with a MINIMUM of 300 s.
//   - The delegation in the nearest zone above, with glue for the hosts in the
//     zone. If NS records for the zone are written there, nothing is added to
//     them, so that glue can be left out, or wrong. An undelegated zone is served,
//     but nothing above it knows of it.
//
// Derived records have a TTL of 3600 s.
//
// Text without effect is an error: a record at or below a delegation that is no address of a
// name server, a break or a fault at a name that is not there, a zone below onion., which no
// resolver asks for. Zones with other special-use names (local, invalid, alt, localhost) are
// found by a resolver with Options of this Internet.
//
// A signed zone gets keys, which depend on its name only, a chain of NSEC records,
// signatures from an hour before the Internet is made until 30 days after, and a
// DS record in the zone above if that is signed too. Derived zones are signed
// where a zone below them is. Other words say how, and imply signed:
//
//	algorithm=13             ECDSA P-256; or 5, 7, 8, 10 (RSA), 14, 15 (Ed25519), which is
//	                         the default. Others get keys and signatures that cannot be checked
//	algorithm=8,13           for the first generation of keys, and those from the second on
//	bits=2048                length of RSA keys; without it 1024, which are found faster
//	nsec3                    NSEC3 instead of NSEC
//	iterations=5 salt=aabb   with these parameters; without them 0 and none
//	opt-out                  with opt-out
//	compact                  NSEC made for each question (RFC 9824); no wildcards
//	no-ds                    no DS in the zone above
//	csk                      one key signs all; without it a KSK and a ZSK
//	ksk=1,2 zsk=1,2          generations of keys in the DNSKEY RRset; without them the first
//	sign=2                   those of the ZSKs that sign
//	ds=1,2 digest=4          those of the KSKs that have a DS, and its digest type
//	operators=2              that many sign the zone, each with keys and servers of its own:
//	                         the second has every second address of each family (RFC 8901)
//	break=expired:www/A      what is wrong with signatures, of a name and a type or, with
//	                         :A or :www/ or nothing, of all: expired, future, inverted,
//	                         ending (in a minute), corrupt, unsigned, signer (the zone
//	                         above), tag, labels, algorithm
//	break=absent:www/NSEC    an RRset that is taken away once all is signed; NSEC3 records
//	                         have the names that they prove something about
//	break=ds-digest          the DS is wrong; also ds-tag, ds-algorithm
//	break=zone-key           the keys lack the zone key flag
//
// The stages of a rollover (RFC 6781 §4.1) are these words by Update: of a ZSK
// zsk=1,2, then zsk=1,2 sign=2, then zsk=2 sign=2.
//
// Where DNSKEY, DS, NSEC, NSEC3 or RRSIG records are written, those stay, and none
// are made in their place.
//
//	-- fault TARGET... --
//
// has one fault on each line. A target is an address, a prefix such as ::/0, a zone (all
// its servers), or *. The faults are, with the functions that they stand for:
//
//	latency 20ms             Latency, a round-trip time
//	loss 30%                 Loss
//	drop                     Drop: no reply
//	dead                     Dead: no reply, no TCP connection
//	refuse                   Refuse: connection refused
//	unreachable              Unreachable: no route
//	close, reset             CloseInstead, ResetInstead of answering over TCP
//	drip 1s                  Drip: TCP replies byte by byte
//	truncate                 Truncated over UDP
//	udp-size 512             UDPSize: largest UDP reply
//	oversize 3000            Oversize: larger than the client takes
//	lame upward              LameUpward; also refused, not-authoritative
//	rcode SERVFAIL           Rcode, without records
//	replace NXDOMAIN         Replace what the zones say; a record may follow
//	add answer RECORD        Add; also authority, additional. Owner @: name asked for
//	remove authority NS      Remove; also remove SECTION OWNER TYPE. Type *: all
//	set ra, clear aa         Flag
//	wrong-id, wrong-qr       WrongID, NotAResponse
//	wrong-opcode 5           WrongOpcode
//	wrong-question NAME TYPE WrongQuestion
//	no-question              NoQuestion
//	fold-case, random-case   FoldCase, RandomCase
//	wrong-address            WrongAddress
//	forge 3 wrong-id         Forged: packets before the reply; several faults with ;
//	no-edns formerr          NoEDNS; also notimp, ignore, drop
//	cookies                  Cookies; also require-cookies, bad-cookie, wrong-cookie
//	garbage                  Garbage
//	cut 20                   Cut: first bytes only
//	mend                     Mend: removes the faults before it
//
// Conditions stand before the fault and end with a colon:
//
//	when udp name www.shop.example. type A first 3: rcode SERVFAIL
//
// A network that lets DNS over TCP through but not over UDP is a fault of *: when udp: drop.
//
// The conditions are udp, tcp, do, rd, edns, no-edns, cookie, no-cookie, name NAME, below
// NAME, type TYPE, not-type TYPE, first N, after N, every N. Names are absolute; that of
// name lies in a zone that is written, whether it has records there or not.
//
//	-- intercept --
//
// puts a box into the path that answers in place of every server, with faults of
// its own (Intercept).
//
// # What the servers do
//
// They answer as RFC 1034 §4.3.2 says, with the wildcards of RFC 4592, DNAME of
// RFC 6672, negative answers of RFC 2308, unknown types of RFC 3597, referrals and
// truncation of RFC 9471, EDNS of RFC 6891 and, if told to, cookies of RFC 7873.
// An alias is followed as far as the same server has the zones. To queries with DO
// they add the signatures and proofs of RFC 4035 §3.1 and RFC 5155 §7.2 that their
// zones hold, whether made or written.
//
// # Limitations
//
// Zones cannot be signed with Ed448 or the algorithms that are out of use. There are no
// zone transfers, no updates, and no classes but IN. In memory a client has no
// address or port. On loopback sockets Refuse is silence for UDP, since no program
// can send an ICMP error.
package resolvertest
