package resolver

import (
	"context"
	"net"
	"net/netip"
	"time"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/policy"
)

// Options configures a Resolver. The zero value is the production default: the
// public Internet from the embedded root hints, validated from the embedded trust
// anchors.
type Options struct {
	// RootHints are the root servers that a walk starts from when nothing is cached (RFC
	// 9609). Nil: the embedded IANA hints. Addresses in them may be asked whatever
	// AllowServer says.
	RootHints *glue.Delegation

	// LocalRoot is a copy of the root zone that answers instead of the root servers (RFC 8806), once it is
	// verified by its ZONEMD record (RFC 8976) and TrustAnchors. Delegations of top-level domains, denials
	// of those that do not exist, and questions about the root itself then cost no query. It is fetched in
	// the background, and as long as there is none the root servers are asked; Resolver.AwaitLocalRoot
	// waits for it. Names of Routes are not affected. &LocalRoot{} fetches it from the public servers. Nil:
	// none.
	LocalRoot *LocalRoot

	// TrustAnchors are the keys that chains of trust begin with, at any zone (RFC 4035
	// §4.4). Nil: the embedded IANA root keys. An empty list is an error of New, unless
	// Validation is off: nothing would ever be validated, unnoticed.
	TrustAnchors []dnssec.Anchor

	// AnchorStore has the resolver follow the keys of every zone of TrustAnchors through their rollovers
	// (RFC 5011), and keep their state in the store, such as a file of dnssec/anchorfile. Each of these
	// zones is asked for its keys from New on, in the background: at half the TTL or half the time that its
	// signatures are good for, at least an hour and at most 15 days apart. A new key is trusted when it has
	// been seen for 30 days or its TTL, whichever is longer; setting the clock forward shortens that only
	// while no process runs, and a host that sleeps lengthens it. A key that its owner revokes is distrusted
	// at once, also when it is an ordinary question that receives the revoked key. Later answers are
	// validated with the current keys, and nothing that was cached before is used.
	//
	// TrustAnchors are the start, and count in addition to the store afterwards: a key among them, or built
	// in, that the store does not have is trusted, so that an update of this library helps a program whose
	// store is old. One that the store has as revoked stays revoked. Zones that only the store has are
	// followed too.
	//
	// New fails when the store cannot be read, when it has anything but states of trust anchors
	// (dnssec.ErrRollover), which is left unchanged, and when no key of a zone is trusted any more
	// (dnssec.ErrNoAnchorLeft). When the store fails later, or cannot be written, the resolver goes on with
	// what it has seen itself, tries again every hour, and reports it by AnchorsChanged and Stats. When no
	// key is left later, the zone is bogus, not unvalidated as in RFC 5011 §5, unless an anchor above leads
	// to it.
	//
	// A store has 10 s for each call. Close waits one second more for a call that goes on after its context
	// has ended. Times are those of SignatureTime. Neither ValidFrom and ValidUntil of TrustAnchors nor
	// ValidateOff can be combined with a store.
	//
	// Nil: the anchors stay as they are for as long as the resolver does. When the root's keys are
	// replaced by some that are not among them, every answer of a signed zone is bogus until the
	// program is built with a newer library, or started with other TrustAnchors.
	AnchorStore dnssec.RolloverStore

	// AnchorsChanged is called when what is known about a zone's keys has changed, when its keys cannot be
	// fetched or do not validate, or the store does not work, and when that is over. An outage is one
	// change. It is called from one goroutine, which waits for it, and must not call the Resolver's Close.
	// Nil: no call; Stats still counts.
	AnchorsChanged func(AnchorChange)

	// NegativeTrustAnchors are zones to be treated as unsigned (RFC 7646), for zones known
	// to be broken. Resolver.SetNegativeTrustAnchors replaces them. Nil: none.
	NegativeTrustAnchors []NegativeTrustAnchor

	// Validation says whether answers are validated. Zero: they are.
	Validation Validation

	// Algorithms adds signature algorithms, by number, to those of package dnssec, as
	// dnssec.Options.Algorithms does; a nil value removes one. Nil: only those of package
	// dnssec. Zones signed only with others are Insecure, with extended DNS error 1. Ed448
	// (16) can be added this way: examples/ed448.
	Algorithms map[uint8]dnssec.Algorithm

	// Minimise says how much of a name the servers on the way see (RFC 9156). Zero:
	// MinimiseRelaxed.
	Minimise Minimise

	// Routes are zones that are not searched from the root, but at resolvers to forward to,
	// or at certain authoritative servers. Resolver.SetRoutes replaces them. Nil: none.
	Routes []Route

	// Fallback is a route to recursive servers, over UDP, TCP, TLS or by an Exchanger, that is used only
	// while no root server can be asked (NetworkClosed): several questions have met silence at several of
	// them, over UDP and TCP, which takes some three seconds, or have failed at all of them; or something else
	// has answered them in the place of several, without the signatures of the root zone. With ValidateOff,
	// what answers like a root server cannot be distinguished from one. Its zone is "." or "", its kind
	// RouteForward, and Unsigned is not allowed: that of ParseRoute(".=tls://192.0.2.53#dns.example") is one
	// over TLS. It is asked for no name that a route, local zone or zone of RequireTLS has, nor below a
	// delegation in the cache whose servers answer; for all others it goes before LocalRoot too.
	// One query every 15 s tests whether root servers answer again, and three successes end its use.
	//
	// Its answers are validated; Result.Fallback marks them, and those that are not Secure have an extended
	// DNS error. They are cached separately, used only while the fallback is, and never prefetched. Fresh
	// data takes precedence over expired data: with ServeStale, an expired answer is returned when the
	// fallback fails too, or says what is bogus, or after StaleAfter. ServeStaleOverBogus is about what a
	// zone's own servers say, and returns nothing for what the fallback says. The error of a question that
	// fails at both names both. New and SetRoutes refuse it together with a route for ".", which is used for
	// all names. Nil: none.
	Fallback *Route

	// RequireTLS are authoritative servers, by zone or by address, that are asked over TLS only
	// (RFC 7858), and never in clear. See TLSRequirement. Nil: none.
	RequireTLS []TLSRequirement

	// Cache holds what was learnt. Nil: a cache of the resolver's own with default bounds.
	// Resolvers may share one; only those with the same anchors, hints and policy see each
	// other's entries.
	Cache *cache.Cache

	// ViewName stands for what cannot be compared between resolvers that share a Cache or a
	// SecondLevel: the functions and the Exchanger among their Options, and the Exchangers
	// and TLSConfigs of their Routes. Resolvers with different names share nothing.
	// Everything else that decides which data is believed (anchors, hints, validation and
	// so on) is compared itself. "" is a name like others, except for routes with an
	// Exchanger or TLSConfig: what such a route teaches is then shared with no other
	// resolver, and used until SetRoutes replaces the route.
	ViewName string

	// SecondLevel is a store shared with other resolvers, in other processes too. What one
	// of them has validated, the others need not ask servers for; each checks and validates
	// it anew. Questions without validation (CD) and the addresses of name servers never go
	// through it. Resolvers share entries only if they agree on everything that sharing a
	// Cache requires, and on SecondLevelKey. Since functions cannot be compared between
	// processes, a ViewName is required where Dial, Exchanger, AllowServer or SignatureTime
	// is set, or one of Routes or RequireTLS has an Exchanger or TLSConfig. Nil: none.
	SecondLevel cache.SecondLevel

	// SecondLevelKey is a secret of the resolvers that share a SecondLevel, for example 32
	// random bytes; New refuses one without bytes, and one that has only zeros. With it the
	// store cannot forge entries, of unsigned zones either. It can read them: entries are
	// authenticated, not encrypted, and only the keys that they are stored under do not show
	// the question. Nil: none, for stores that are trusted as much as the network.
	SecondLevelKey []byte

	// SecondLevelChanged is called when the resolver stops using the SecondLevel, for reads
	// or for writes, with the reason, and with a nil Err when it uses it again. An outage
	// is one change, however many questions notice it. It is called concurrently, the read
	// or write that it is about waits for it, and it must not call the Resolver's Close.
	// Nil: no call; SecondLevelStats still counts.
	SecondLevelChanged func(SecondLevelChange)

	// ServeStale returns expired answers, with Result.Stale set and an extended DNS error
	// that says so, when no server can be asked or none answers in time (RFC 8767). Off by
	// default: a program may prefer an error to old data. A question that has such an
	// answer is tried for StaleAfter, and is then worked on in the background unless it was
	// shed (Limits.Questions); after a failure it is answered with the expired data at once
	// for 30 s. Clients may keep such an answer for 30 s.
	//
	// Expired data never replaces what a server says, not even a bogus answer, unless
	// ServeStaleOverBogus is set too. Expired data whose signatures have expired too is
	// Indeterminate.
	ServeStale bool

	// ServeStaleOverBogus returns expired data that was Secure where new data is bogus, as when a top-level
	// domain is signed wrongly for some hours. It is independent of ServeStale, and off by default: an
	// attacker who can corrupt replies can use it to keep old data alive for as long as its signatures and
	// MaxStale last (SECURITY.md).
	//
	// The servers are always asked first, and valid data from them is the answer. Expired data is returned
	// only while it would still be Secure if it arrived now: its signatures, and those of each DS and
	// DNSKEY RRset from the trust anchor down, are valid at SignatureTime. These are the RRsets that were
	// proven last: data is dropped once the zone's DNSKEY RRset is proven without the key that signed it,
	// or the parent's DS is proven to be gone or to be of other keys. Denials are returned on the same
	// terms. Never returned are data that was not Secure, and data whose chain of trust is not remembered
	// (the keys and delegations of the last 10,000 zones are). In an alias chain, each bogus link is
	// replaced separately. Questions with CD get the bogus data, as always.
	//
	// Result.Stale is set, the status is Secure, clients may keep it for 30 s, and there are two
	// extended DNS errors: Stale Answer (3, or 19 for a name error), and the one that says why the
	// new data is bogus. The servers are asked again when the failure is no longer remembered:
	// after 5 s, later after up to 5 minutes (RFC 9520 §3.2). It requires validation.
	ServeStaleOverBogus bool

	// MaxStale is how long after its expiry data may be returned, by ServeStale and by
	// ServeStaleOverBogus. 0: DefaultMaxStale. With
	// Options.Cache, the bound is cache.Options.KeepStale of that cache instead, which must
	// not be zero.
	MaxStale time.Duration

	// StaleAfter is how long a client waits for the servers before it gets an expired
	// answer; nine tenths of the time left in its context, if that is less. 0: 1.8 s (RFC
	// 8767 §5), just less than stub resolvers wait.
	StaleAfter time.Duration

	// DisablePrefetch turns prefetching off. With it on, an answer that has been asked for
	// repeatedly, and is asked for again in the last tenth of its life, is fetched anew in
	// the background, so that no client has to wait for it. It costs at most one query in
	// ten TTLs, none for entries not in use, and at most a hundred are under way at a time.
	// Servers are asked, not the SecondLevel, and their replies are written to it. Queries
	// with RD=0 cause none.
	DisablePrefetch bool

	// Limits bounds the work for one question. Zero fields are the defaults.
	Limits Limits

	// AllowServer reports whether an address learnt from the network may be asked. When
	// set, it alone decides. Nil: PublicUnicast, so that a hostile zone cannot make us send
	// to hosts of the local network. It is called concurrently and must be fast.
	AllowServer func(netip.Addr) bool

	// Family restricts the address family of the servers asked. Zero: both, as far as they
	// work.
	Family Family

	// DisableLocalZones stops special-use names (RFC 6761, RFC 6303 and the like) from
	// being answered locally.
	DisableLocalZones bool

	// LocalZones are zones that the resolver answers itself, before it consults anything
	// else. They apply to names asked for and to aliases that lead into them, but not to
	// the names of name servers. See LocalZone. Resolver.SetLocalZones replaces them. Nil:
	// none.
	LocalZones []LocalZone

	// RebindingProtection removes private addresses (IsPrivate) from answers, those in
	// ipv4hint and ipv6hint too, so that no web page can make a browser talk to hosts of
	// its user's network (DNS rebinding). It applies to answers from the network, including
	// those of routes, and not to LocalZones, special-use names and the hosts file; the
	// cache keeps the whole answer.
	//
	// Like Unbound's private-address it removes single records, of SVCB and HTTPS the whole record;
	// Result.Extended says so, and what remains is not Secure, having lost its signatures. When nothing
	// remains the error is ErrFiltered, which the methods of package net call "no such host", while
	// Exchange and ServeDNS answer without records, like dnsmasq's stop-dns-rebind. Both name the extended
	// error Blocked.
	//
	// It judges answers of DNS only. An address in a URL or in a redirect is never asked for,
	// and localhost is exempt as a special-use name. An http.Client for URLs of strangers
	// therefore needs a check of the address it connects to: examples/recipes has one,
	// PublicClient.
	RebindingProtection bool

	// PrivateDomains are exempt from RebindingProtection: names asked for at or below them
	// may have private addresses, wherever their aliases lead. Without RebindingProtection they
	// are an error of New: AllowAddress is asked about all names. Nil: none.
	PrivateDomains []string

	// AllowAddress reports whether the answer to a question for name (absolute, in lower
	// case) may have an address, with the same consequences as RebindingProtection; when
	// both are set, both have to allow it. Nil: all addresses. It is called concurrently
	// and must be fast.
	AllowAddress func(name string, addr netip.Addr) bool

	// Hooks are called before and after each question is worked on. Zero: none.
	Hooks Hooks

	// Rotate returns by how many places to rotate the n records of each RRset that Exchange
	// and ServeDNS answer with, so that clients spread over them. Aliases keep their place.
	// rand.IntN of math/rand/v2 is the usual choice. It is called concurrently. Nil:
	// records stay in the order in which they came.
	Rotate func(n int) int

	// NSID is the identity that ServeDNS sends to clients that ask for it (RFC 5001), which
	// tells servers behind one address apart. It has at most 255 bytes, so that the
	// smallest reply has room beside it, and no white space at either end. "": none.
	NSID string

	// HostsFile is the path of the hosts file that LookupHost, LookupIP, LookupIPAddr,
	// LookupNetIP, LookupCNAME, LookupAddr and DialContext consult first, as package net
	// does. It is read again when it changes; one that cannot be read counts as empty.
	// Resolve, Exchange, ServeDNS and Lookup never read it. "": the system's.
	HostsFile string

	// DisableHostsFile turns the hosts file off, including the system's.
	DisableHostsFile bool

	// SearchList are the domains in which the methods of package net and DialContext search
	// names without a trailing dot; the domains may have one or not. The system's own list
	// is never used. Nil: none.
	SearchList []string

	// Ndots is how many dots a name must have to be asked for as it stands before the
	// domains of SearchList are tried. 0: 1, as in resolv.conf(5). Negative: no dots are
	// needed.
	Ndots int

	// AddressOrder is how the methods of package net and DialContext order addresses. Zero:
	// OrderByPolicy (RFC 6724), for which the host's routes are looked up.
	AddressOrder AddressOrder

	// Port is the port at which authoritative servers listen. 0: 53.
	Port uint16

	// Dial opens connections to servers. network is "udp" or "tcp" and address an IP
	// address with port. A connection for "udp" has to keep message boundaries (net.Pipe
	// does not) and carries one query; one for "tcp" carries messages behind two-byte
	// lengths (RFC 1035 §4.2.2). An error counts as a failed send, a timeout as a lost
	// packet. Nil: the host's sockets, with a random source port for each query.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	// Exchanger replaces the built-in transport. Nil: the built-in one over Dial.
	Exchanger Exchanger

	// Now returns the time by which everything cached and learnt ages. Nil: time.Now.
	// Timeouts and round-trip times are always measured with time.Now.
	Now func() time.Time

	// SignatureTime returns the time at which signatures, and ValidFrom and ValidUntil of trust
	// anchors, are checked: for hosts whose clock is wrong (NotBefore), and for old captures. Nothing
	// else goes by it; TTLs count by Now. The zero time means that it is not known: then, and where
	// this is nil, it is that of Now. It is read once or more for each response validated, from many
	// goroutines; a panic goes to the caller. Where it jumps, what was validated before stays cached
	// for its TTL, and failures for the time of a signature are not remembered across the jump.
	SignatureTime func() time.Time

	// DisableCaseRandomisation turns off random letter case in questions
	// (draft-vixie-dnsext-dns0x20), one of the defences against forged replies.
	DisableCaseRandomisation bool
}

// NegativeTrustAnchor makes a zone and everything below it Insecure (RFC 7646).
type NegativeTrustAnchor struct {
	// Zone is the name of the zone, with or without trailing dot.
	Zone string
	// Until is when it ends. Zero: when the resolver is closed. RFC 7646 §2 asks for a near
	// end; a week is long.
	Until time.Time
}

// Validation says whether answers are validated with DNSSEC.
type Validation uint8

const (
	// Validate: every answer is validated, and bogus ones are errors.
	Validate Validation = iota
	// ValidateOff: nothing is validated; every status is Indeterminate.
	ValidateOff
)

// Minimise says how much of a name the servers on the way see. RFC 9156.
type Minimise uint8

const (
	// MinimiseRelaxed: one more label at each zone cut; the full name is asked when a
	// server answers a minimised question with an error. That a name does not exist implies
	// nothing about the names below it, unless DNSSEC proves it (RFC 8020 §4).
	MinimiseRelaxed Minimise = iota
	// MinimiseStrict: as MinimiseRelaxed, but an error is final, and a server's word that a
	// name does not exist denies everything below it too (RFC 8020 §2).
	MinimiseStrict
	// MinimiseOff: always the full name and type.
	MinimiseOff
)

// Family says which address family of servers is used.
type Family uint8

const (
	// FamilyAuto: both; a family without connectivity stops being tried.
	FamilyAuto Family = iota
	// FamilyIPv4Only: servers are asked over IPv4 only.
	FamilyIPv4Only
	// FamilyIPv6Only: servers are asked over IPv6 only.
	FamilyIPv6Only
)

// AddressOrder says which of a host's addresses come first.
type AddressOrder uint8

const (
	// OrderByPolicy: the best to reach from this host first, by the rules of RFC 6724 §6.
	// Sockets are opened to find out, but nothing is sent.
	OrderByPolicy AddressOrder = iota
	// OrderAsAnswered: in the order of the servers' replies, IPv4 before IPv6.
	OrderAsAnswered
	// OrderIPv4First: as OrderByPolicy, but all IPv4 addresses before all others.
	OrderIPv4First
	// OrderIPv6First: as OrderByPolicy, but all IPv6 addresses before all others.
	OrderIPv6First
)

// DefaultMaxStale is used when Options.MaxStale is zero. RFC 8767 §5 asks for one to three
// days.
const DefaultMaxStale = 24 * time.Hour

// Exchanger carries one query to one server address and brings one reply back.
//
// Exchange sends once: the resolver itself retries, moves to TCP after a truncated reply
// and chooses the server, and counts each call. network is "udp" or "tcp"; query is a whole
// message in wire format, without TCP's length. The implementation need not look into the
// messages: the resolver checks whether the reply belongs to the query. Exchange returns
// when ctx ends, and is called concurrently. An error whose Timeout method returns true is
// a lost packet, any other a failed send; neither ends the question while another server is
// left. The reply becomes the resolver's.
type Exchanger interface {
	Exchange(ctx context.Context, network string, server netip.AddrPort, query []byte) ([]byte, error)
}

// PublicUnicast is the default of Options.AllowServer: it reports whether a public name
// server may have the address a. It is false for private, loopback, multicast and
// documentation addresses and their like, addresses with a zone, and the zero Addr.
// AllowServer functions that allow some more addresses can call it for the others.
func PublicUnicast(a netip.Addr) bool { return policy.PublicUnicast(a) }

// IsPrivate reports whether an address is one that no name of the public DNS should have,
// because it means something else in every network: unspecified, loopback, private, shared,
// link-local, unique local, the IPv6 addresses that embed such an IPv4 address (mapped,
// IPv4-compatible, NAT64 of the well-known prefix, 6to4, Teredo), and all addresses of a
// local NAT64.
//
// It is false for documentation and multicast addresses, and for those behind a NAT64
// prefix of the network's own, which cannot be told from others.
func IsPrivate(a netip.Addr) bool { return policy.IsPrivate(a) }

// SecondLevelChange says that Options.SecondLevel is not used for a while, or is used again.
type SecondLevelChange struct {
	// Writes is set when this is about writes; else it is about reads.
	Writes bool
	// Err is why the store is not used: an error of its own, or that it answers late, not at
	// all, or with data that turns out bogus. Nil: it is used again.
	Err error
}

// AnchorChange is the argument of Options.AnchorsChanged.
type AnchorChange struct {
	// Zone is the zone whose keys are concerned; "" for the store.
	Zone string
	// Keys is what is known about the zone's keys now; nil for the store.
	Keys []dnssec.RolloverKey
	// Err says what began to fail: asking the zone for its keys, validating them, or the store. It wraps
	// dnssec.ErrNoAnchorLeft when no key is trusted any more. Nil: the keys have changed, or everything
	// works again.
	Err error
}
