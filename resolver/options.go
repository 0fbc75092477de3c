package resolver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/stub"
	roothints "github.com/iterdns/iterdns/rootHints"
)

// Options configures a Resolver. The zero value is the production default: the
// public Internet from the embedded root hints, validated from the embedded trust
// anchors.
type Options struct {
	// RootHints says where the walk begins when nothing is known (RFC 9609). Nil:
	// the embedded IANA hints. Addresses named here may be asked whatever
	// AllowServer says.
	RootHints *glue.Delegation

	// TrustAnchors are the keys that chains of trust begin with, at any zone. Nil:
	// the embedded IANA root keys. An empty list is an error of New, unless Validation is
	// off: nothing would ever be validated, and nobody told.
	TrustAnchors []dnssec.Anchor

	// NegativeTrustAnchors are zones to be treated as unsigned (RFC 7646), for
	// zones known to be broken. Resolver.SetNegativeTrustAnchors changes them.
	NegativeTrustAnchors []NegativeTrustAnchor

	// Validation says whether answers are validated. Zero: they are.
	Validation Validation

	// Algorithms adds signature algorithms, by number, to those that package dnssec
	// has, as dnssec.Options.Algorithms does; a nil value takes one away. Nil: those
	// alone. Zones signed only with others are Insecure, with extended DNS error 1.
	// Ed448 (16) can be added so: examples/ed448.
	Algorithms map[uint8]dnssec.Algorithm

	// Minimise says how much of a name servers on the way get to see (RFC 9156).
	// Zero: MinimiseRelaxed.
	Minimise Minimise

	// Routes are zones that are searched elsewhere than from the root: at resolvers to
	// forward to, or at given authoritative servers. Resolver.SetRoutes changes them.
	// Nil: none.
	Routes []Route

	// Cache keeps what was learnt. Nil: a cache of the resolver's own with default
	// bounds. Resolvers may share one; what they exchange through it is limited to
	// those with the same anchors, hints and policy.
	Cache *cache.Cache

	// ViewName stands for what resolvers that share a Cache or a SecondLevel cannot
	// compare: the functions and the Exchanger among their Options, and the Exchangers and
	// TLSConfigs of their Routes. Those with different names share nothing. What else
	// decides which data is believed (anchors, hints, validation and so on) is compared as
	// it is. "" is a name like others, but that it vouches for no route with an Exchanger or
	// TLSConfig: what such a route teaches is shared with nobody, and used until SetRoutes
	// gives another one.
	ViewName string

	// SecondLevel is a store shared with other resolvers, of other processes too. What
	// one of them has validated, the others need not ask servers for; it is checked and
	// validated anew by each. Questions that want no validation (CD) and the addresses
	// of name servers keep away from it. Resolvers exchange something only if they agree
	// on all that a shared Cache asks for, and on SecondLevelKey. Since functions cannot
	// be compared between processes, it takes a ViewName where Dial, Exchanger,
	// AllowServer or SignatureTime is set, or one of Routes has an Exchanger or TLSConfig.
	// Nil: none.
	SecondLevel cache.SecondLevel

	// SecondLevelKey is a secret of the resolvers that share a SecondLevel, of 32 random
	// octets say. The store then can neither tell what it holds the answers to, nor forge
	// those of zones that are not signed. Nil: none, for stores that are trusted as much
	// as the network is.
	SecondLevelKey []byte

	// SecondLevelChanged is called when the SecondLevel is left alone, for reads or for
	// writes, with the reason, and with a nil Err when it is used again. A store that is away
	// is one change, however many questions meet it. It is called concurrently, is waited
	// for by the read or write that it is about, and must not call the Resolver's Close.
	// Nil: nobody is told; the counts of SecondLevelStats remain.
	SecondLevelChanged func(SecondLevelChange)

	// ServeStale lets expired answers be given, with Result.Stale set and an extended DNS
	// error that says so, when nobody can be asked or nobody answers in time (RFC 8767).
	// Off by default: a program may rather have an error than old data. A question for
	// which there is such an answer is tried for StaleAfter, and goes on being tried in the
	// background unless it had to make room (Limits.Questions); after a failure it is answered
	// with the expired data at once for 30 s. Such an answer may be kept for 30 s.
	//
	// What a server says is never replaced by expired data, not even an answer that is
	// bogus. Expired data whose signatures have expired too is Indeterminate.
	ServeStale bool

	// MaxStale is how long after its end data may be given. 0: DefaultMaxStale. A Cache
	// that is given has a bound of its own instead, which must not be zero
	// (cache.Options.KeepStale).
	MaxStale time.Duration

	// StaleAfter is how long a client waits for the servers before it is given an expired
	// answer, or nine tenths of the time that its context leaves it, if that is less. 0: 1.8
	// s (RFC 8767 §5), just less than stub resolvers wait.
	StaleAfter time.Duration

	// DisablePrefetch turns off that an answer which is asked for again and again is
	// fetched anew, in the background, by who asks for it in the last tenth of its life,
	// so that nobody has to wait for it. It costs one query in ten TTLs at most, none for
	// what is not in use, and no more than a hundred are under way at a time. Servers are
	// asked, not the SecondLevel, which gets what they say. Queries with RD=0 cause none.
	DisablePrefetch bool

	// Limits bounds the work for one question. Zero fields are the defaults.
	Limits Limits

	// AllowServer decides which addresses learnt from the network may be asked.
	// When set it is the only judge. Nil: public unicast addresses only, so that a
	// hostile zone cannot make us send to hosts of the local network. It is called
	// concurrently and must be fast.
	AllowServer func(netip.Addr) bool

	// Family restricts the address family of the servers asked. Zero: both, as
	// they work.
	Family Family

	// DisableLocalZones turns off answering the special-use names (RFC 6761,
	// RFC 6303 and their like) locally.
	DisableLocalZones bool

	// LocalZones are zones that are answered from here, before anything else is looked
	// into; names asked for and aliases that lead into them, but not the names of name
	// servers. See LocalZone. Nil: none.
	LocalZones []LocalZone

	// RebindingProtection leaves addresses that are private (IsPrivate) out of answers,
	// those in ipv4hint and ipv6hint too, so that no page out there can make a browser
	// talk to hosts of its user's network (DNS rebinding). It is for answers out of the
	// network, those of routes among them, and not for LocalZones, special-use names and
	// the hosts file; the cache keeps the whole answer.
	//
	// As Unbound's private-address it takes single records away, of SVCB and HTTPS the
	// whole record; Result.Extended says so, and what remains is not Secure, having lost
	// its signatures. When nothing remains the error is ErrFiltered, which the methods of
	// package net call "no such host", and Exchange and ServeDNS answer without records,
	// as dnsmasq's stop-dns-rebind. Both name the extended error Blocked.
	RebindingProtection bool

	// PrivateDomains are domains for which RebindingProtection does nothing: names asked
	// for at or below them may have private addresses, wherever their aliases lead. Nil:
	// none.
	PrivateDomains []string

	// AllowAddress decides which addresses the answer to a question for name (absolute,
	// in lower case) may have, with the same consequences as RebindingProtection; with
	// both, both have to allow it. Nil: all. It is called concurrently and must be fast.
	AllowAddress func(name string, addr netip.Addr) bool

	// Hooks are called before and after each question is worked on. The zero value: none.
	Hooks Hooks

	// Rotate, when set, turns the records of each RRset that Exchange and ServeDNS answer
	// with by as many places as it says for n records, so that clients spread over them.
	// Aliases keep their place. rand.IntN of math/rand/v2 is the usual choice. It is
	// called concurrently. Nil: records stay in the order in which they came.
	Rotate func(n int) int

	// NSID is the identity that ServeDNS gives to clients that ask for it (RFC 5001), which
	// tells one of several servers behind one address from the others. It has at most 255
	// bytes, so that it leaves room in the smallest reply. "": none.
	NSID string

	// HostsFile is the hosts file that LookupHost, LookupIP, LookupIPAddr,
	// LookupNetIP, LookupCNAME, LookupAddr and DialContext look into first, as
	// package net does. It is read again when it changes; one that cannot be read is
	// empty. Resolve, Exchange, ServeDNS and Lookup never read it. "": the system's.
	HostsFile string

	// DisableHostsFile turns the hosts file off, the system's too.
	DisableHostsFile bool

	// SearchList are the domains that names without a trailing dot are searched in by
	// the methods of package net and DialContext, with or without trailing dot. The
	// system's own list is never used. Nil: none.
	SearchList []string

	// Ndots is how many dots a name must have to be asked for as it stands before the
	// domains of SearchList are tried. 0: 1, as in resolv.conf. Negative: none are
	// needed.
	Ndots int

	// AddressOrder is how the methods of package net and DialContext order addresses.
	// Zero: as RFC 6724 says, for which the host's routes are looked up.
	AddressOrder AddressOrder

	// Port is where authoritative servers listen. 0: 53.
	Port uint16

	// Dial opens connections to servers. Nil: the host's sockets, with a random
	// source port for each query. network is "udp" or "tcp" and address an IP
	// address with port. What it returns for "udp" has to keep message boundaries
	// (net.Pipe does not) and carries one query; for "tcp" it carries messages
	// behind two-octet lengths. An error is a failed send, a timeout a lost packet.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	// Exchanger replaces the built-in transport. Nil: the built-in one over Dial.
	Exchanger Exchanger

	// Now gives the time by which everything cached and learnt ages. Nil:
	// time.Now. Timeouts and round-trip times are measured with time.Now always.
	Now func() time.Time

	// SignatureTime gives the time at which signatures are judged, for validating
	// old captures. Nil: Now.
	SignatureTime func() time.Time

	// DisableCaseRandomisation turns off random letter case in questions
	// (draft-vixie-dnsext-dns0x20), one of the defences against forged replies.
	DisableCaseRandomisation bool
}

// NegativeTrustAnchor makes a zone and everything below it Insecure (RFC 7646).
type NegativeTrustAnchor struct {
	// Zone is the name of the zone, with or without trailing dot.
	Zone string
	// Until is when it ends. Zero: when the resolver is closed. RFC 7646 §2 asks
	// for an end that is near; a week is long.
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

// Minimise says how much of a name the servers on the way get to see. RFC 9156.
type Minimise uint8

const (
	// MinimiseRelaxed: one more label at each zone cut; the full name is asked
	// when a server answers a minimised question with an error. That a name does not
	// exist says nothing of the names below it, unless DNSSEC proves it (RFC 8020 §4).
	MinimiseRelaxed Minimise = iota
	// MinimiseStrict: as relaxed, but an error is final, and there is nothing below a
	// name of which a server says that it does not exist (RFC 8020 §2).
	MinimiseStrict
	// MinimiseOff: always the full name and type.
	MinimiseOff
)

// Family says which address family of servers is used.
type Family uint8

const (
	// FamilyAuto: both; a family whose packets go nowhere stops being tried.
	FamilyAuto Family = iota
	// FamilyIPv4Only: servers are asked over IPv4 only.
	FamilyIPv4Only
	// FamilyIPv6Only: servers are asked over IPv6 only.
	FamilyIPv6Only
)

// AddressOrder says which of a host's addresses come first.
type AddressOrder uint8

const (
	// OrderByPolicy: those that can be reached best from this host, by the rules of
	// RFC 6724 §6. Sockets are opened to find out, but nothing is sent.
	OrderByPolicy AddressOrder = iota
	// OrderAsAnswered: as the zone's servers gave them, IPv4 before IPv6.
	OrderAsAnswered
	// OrderIPv4First: as OrderByPolicy, but all IPv4 addresses before all others.
	OrderIPv4First
	// OrderIPv6First: as OrderByPolicy, but all IPv6 addresses before all others.
	OrderIPv6First
)

// config is Options checked and filled.
type config struct {
	Options
	hosts        *stub.HostsFile // nil: none
	search       stub.SearchList
	destinations *stub.Destinations
	limits       Limits
	allow        func(netip.Addr) bool
	filter       *addressFilter // nil: all addresses are allowed
	zones        localData      // LocalZones to begin with

	ownSignatureTime bool // SignatureTime was given
}

// defaultPort is where name servers listen. RFC 1035 §4.2.
const defaultPort = 53

func (o Options) fill() (config, error) {
	c := config{Options: o, limits: o.Limits.fill(), allow: o.AllowServer, ownSignatureTime: o.SignatureTime != nil}
	if c.RootHints == nil {
		c.RootHints = roothints.Default()
	}
	if len(c.RootHints.Servers) == 0 {
		return config{}, fmt.Errorf("resolver: options: root hints name no server")
	}
	if c.TrustAnchors == nil {
		c.TrustAnchors = dnssec.DefaultAnchors()
	}
	if c.Validation == Validate && len(c.TrustAnchors) == 0 {
		return config{}, errors.New("resolver: options: TrustAnchors are none: want nil for the built-in ones, or ValidateOff")
	}
	if c.allow == nil {
		c.allow = PublicUnicast
	}
	if c.Port == 0 {
		c.Port = defaultPort
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.SignatureTime == nil {
		c.SignatureTime = c.Now
	}
	if len(c.NSID) > maxNSID {
		return config{}, fmt.Errorf("resolver: options: NSID has %d bytes, want at most %d", len(c.NSID), maxNSID)
	}
	if err := c.fillStale(); err != nil {
		return config{}, err
	}
	if err := c.fillNet(); err != nil {
		return config{}, err
	}
	if err := c.fillPolicy(); err != nil {
		return config{}, err
	}
	if o.SecondLevel != nil && o.ViewName == "" && c.hasFunctions() {
		return config{}, errors.New("resolver: options: SecondLevel with Dial, Exchanger, AllowServer or SignatureTime needs a ViewName")
	}
	return c, c.checkEnums()
}

// maxNSID is how many bytes the identity of a server may have: half of what a client without
// a size of its own takes (RFC 6891 §6.2.3).
const maxNSID = 255

// hasFunctions reports whether what is believed depends on something that has no value to
// compare.
func (c *config) hasFunctions() bool {
	o := &c.Options
	return o.Dial != nil || o.Exchanger != nil || o.AllowServer != nil || c.ownSignatureTime
}

func (c *config) checkEnums() error {
	switch c.Validation {
	case Validate, ValidateOff:
	default:
		return fmt.Errorf("resolver: options: unknown Validation %d", c.Validation)
	}
	switch c.Minimise {
	case MinimiseRelaxed, MinimiseStrict, MinimiseOff:
	default:
		return fmt.Errorf("resolver: options: unknown Minimise %d", c.Minimise)
	}
	switch c.Family {
	case FamilyAuto, FamilyIPv4Only, FamilyIPv6Only:
	default:
		return fmt.Errorf("resolver: options: unknown Family %d", c.Family)
	}
	switch c.AddressOrder {
	case OrderByPolicy, OrderAsAnswered, OrderIPv4First, OrderIPv6First:
	default:
		return fmt.Errorf("resolver: options: unknown AddressOrder %d", c.AddressOrder)
	}
	return nil
}
