// Package resolver answers questions about the domain name system by asking the
// servers that are responsible, from the root down (RFC 1034 §5.3.3), and validates
// the answers with DNSSEC. It needs no other resolver, no configuration and no cgo.
//
//	r, err := resolver.New(resolver.Options{})
//	…
//	defer r.Close()
//	result, err := r.Resolve(ctx, "www.example.com", dns.TypeAAAA)
//
// A [Resolver] is made once and shared: it keeps a cache, and knows which servers are
// fast and which are dead.
//
// # Tasks
//
//   - Ask for records of any type: [Resolver.Resolve]. That a name or a type is not
//     there is a [Result]; an error means that there is no answer, or none that may be
//     used.
//   - Look up hosts, mail servers, services and so on, as package net does:
//     [Resolver.LookupNetIP] and its like, [Resolver.NetResolver] for code that takes a
//     *net.Resolver, [Resolver.DialContext] for an http.Transport. Records of one type,
//     with TTL and status: [Lookup].
//   - Answer DNS messages in a proxy, a filter or a server: [Resolver.Exchange], and
//     [Resolver.ServeDNS], which makes a Resolver a dns.Handler of miekg/dns.
//   - Have a say in answers: zones of one's own ([LocalZone]), no private addresses out of
//     the public DNS (Options.RebindingProtection), and [Hooks] that answer, refuse, change
//     and log questions.
//   - See what happens: [WithTrace] with the hooks of a [Trace]. Logs, metrics and
//     programs like dig +trace are built on it.
//   - Test a program against zones of its own: package resolvertest.
//   - Begin at other root servers, or trust other keys: [Options] RootHints and
//     TrustAnchors. Servers at private addresses have to be allowed by AllowServer,
//     unless the hints name them.
//   - Forward some names, or all, to other resolvers, or ask given servers for a private
//     zone: [Options] Routes.
//   - Bring a network of one's own: [Options] Dial for connections, or an [Exchanger]
//     for whole messages.
//   - Share what is learnt among resolvers: [Options] Cache within one process, and
//     SecondLevel among many.
//   - Give expired answers rather than none: [Options] ServeStale. What is in use is
//     fetched again before it expires, unless DisablePrefetch is set.
//   - Answer hits in a server that writes octets: [Resolver.AppendHit].
//   - See how it all fares: [Resolver.Stats].
//   - Bound or permit more work: [Limits].
//
// # The way of one question
//
// A hook may answer first, then the local zones do, the nearest to the name. Special-use
// names, such as localhost and the reverse zones of private addresses, are answered here
// and never asked for, unless a route is as long. For others Resolve looks into the cache. What is
// not there is asked for in a flight, which all who ask the same at that time share; it
// ends when none of them waits any more. Three loops follow, as in RFC 1034 §5.3.3.
//
// The name changes: each name of an alias chain is searched from its own zone,
// whatever came with the alias.
//
// The zone cut changes: the search begins at the deepest delegation that is known,
// else at the root hints, and goes down referral by referral. Servers on the way are
// asked for no more of the name than they need (RFC 9156), and what that taught is
// remembered, so that a name beside one that is known takes one query. A delegation is
// leased from the parent for the TTL of its NS records, and nothing that the child says
// extends it. Addresses of name servers come with the referral (glue), or are searched
// first, within the limits of the same question.
//
// The server changes: the one expected to answer soonest is asked first, by smoothed
// round-trip times. When it is later than expected a second one is asked, and the
// first good reply wins. Each query has a port, an ID and letter case of its own; a
// reply that is almost right makes the question move to TCP. A server that refuses an EDNS
// option, or EDNS, is asked with less; without EDNS never for a zone that is known to be
// signed. When all have failed one of them is asked once more, without option and in lower
// case. Servers that are lame or
// fail are passed over, dead ones are tried one query at a time. Where there is an
// Options.SecondLevel, it is asked before any of them, and what it says goes the same way
// as a reply of theirs.
//
// Of a reply only that is kept which its sender may say: the RRset asked for, the
// aliases inside the zone, one referral towards the name, its glue, a denial. Aliases that
// are not signed and may be forged are kept for the name asked only. For when all servers of
// a delegation fail, and as long as it lives, the zone's own NS records are kept beside it, if
// they are secure, came over TCP or with a right cookie, or were asked for. What is
// left is validated: keys and DS records are fetched beside the walk, so that a secure
// answer is no further away than another.
//
// All of this, for one question, is paid out of one budget; [Limits] says how large it
// is, and a [LimitError] which part of it was used up.
//
// # Errors
//
// Every error of Resolve is an [Error]; in those of the methods that package net has too,
// errors.As finds it. It says what was asked, at which zone it ended and which servers
// were tried, has an extended DNS error (RFC 8914), and wraps the cause for errors.Is and
// errors.As: [ErrNoReachableServer], a [LimitError] and so on. A bogus answer is an error
// too, with the code that says why. Two causes are about the network: [ErrBlocked] and
// [ErrIntercepted] mean that root servers cannot be asked from here at all.
//
// # Functions of the program's
//
// Dial, an Exchanger, hooks, a Trace and whatever else is given in [Options] may panic, or end its
// goroutine as testing.T.FailNow does. The question that it was called for then fails, and nothing
// is kept of that. Equal questions are worked on once: the caller whose question began the work
// panics with the same value, in its own goroutine, and those who joined get [ErrAborted], as does
// everybody where the goroutine was ended. A Trace is its caller's alone: what it does to its
// goroutine is no trouble of the others, wherever it is called. What nobody waits for (a refresh, a write to the second level) ends without a word, and
// what package net asks by way of NetResolver is an error there.
//
// # Standards
//
// It follows RFC 1034 and 1035 with the clarifications of RFC 2181, 4343 and 9619;
// RFC 2308, 8020, 8198 and 9520 (negative answers and failures); RFC 3597 (unknown
// types); RFC 4033 to 4035, 5155, 6840 and 9276 (DNSSEC) and 7646 (negative trust
// anchors); RFC 5452 (forged replies); RFC 6303 and 6761 (special-use names); RFC 6604
// and 6672 (aliases); RFC 6891 and 9715 (EDNS and packet sizes); RFC 7766 (TCP); RFC
// 7873 and 9018 (cookies); RFC 8482 (ANY); RFC 8767 §4 (bounds of TTLs); RFC 8914 (extended
// errors); RFC 9156 (minimised names); RFC 9471 (glue); RFC 9609 (priming). Words are
// used as RFC 9499 defines them.
//
// # Instead of net.Resolver
//
// The eleven methods that net.Resolver has too take the same names and give the same
// answers and the same *net.DNSError; a test makes the same look-ups through both. What
// differs, and why:
//
//   - LookupNetIP gives an IPv4 literal, or an IPv4 address of the hosts file, as IPv4;
//     net gives it IPv4-mapped (::ffff:192.0.2.1), which is not equal to the same address
//     out of DNS. LookupIP gives its 4-octet form.
//   - The unspecified address "::" is not followed by 0.0.0.0, which is for dialling only.
//   - A literal of the wrong family, or a host of the hosts file that has none of the
//     right one, is a *net.DNSError with IsNotFound, and a *net.AddrError behind it. net
//     returns the latter alone.
//   - A name in onion. is "no such host" everywhere. net gives neither addresses nor an
//     error for LookupHost, and "cannot unmarshal DNS message" for LookupTXT.
//   - LookupAddr's errors have the address in Name, as the caller gave it; net's have the
//     name below arpa.
//   - When one family fails and the other does not exist, the failure is the error; in
//     net it is what came last. LookupCNAME follows the whole chain; in net it depends on
//     which of three answers comes first.
//   - DNSError.Unwrap gives a *Error or a *NotFoundError; net's is nil but for contexts.
//     The latter tells NXDOMAIN from NODATA. Server is the authoritative server that was
//     asked last, and "" when none was to blame: for what does not exist, and out of the
//     cache.
//   - One record with a dot inside a label is left out; in net it makes the whole message
//     unreadable.
//   - Only Options decides the search list, ndots and the hosts file: /etc/resolv.conf,
//     nsswitch.conf, GODEBUG=netdns and StrictErrors have no say.
//   - Networks like "ip:icmp" are unknown to LookupIP.
//   - httptrace's DNSStart and DNSDone are called by DialContext only. It races IPv6 and
//     IPv4 as RFC 8305 says, each address after 250 ms; net.Dialer (RFC 6555) tries one
//     family address by address, and the other beside it after 300 ms.
//
// # Coming from another library
//
// From net.Resolver. A program that takes an interface with the methods it needs changes the
// line that makes its resolver; one that takes a *net.Resolver gets [Resolver.NetResolver]:
//
//	net.DefaultResolver.LookupHost(ctx, host)    r.LookupHost(ctx, host)
//	&net.Dialer{}                                &net.Dialer{Resolver: r.NetResolver()}
//	&http.Transport{}                            &http.Transport{DialContext: r.DialContext}
//	smtp.Dial(address)                           conn, err := r.DialContext(ctx, "tcp", address)
//	                                             smtp.NewClient(conn, host)
//
// Drivers of database/sql take r.DialContext as their dial function, as the example of
// [Resolver.DialContext] shows: pgx in Config.DialFunc, with r.LookupHost as
// Config.LookupFunc; go-sql-driver/mysql by mysql.RegisterDialContext. gRPC
// takes it by grpc.WithContextDialer, for a target such as passthrough:///host:port; targets
// with dns:/// are looked up through net.DefaultResolver, which a program, not a library, may
// set to r.NetResolver(); examples/grpc shows both. What is different then is where answers
// come from: names that only the resolver in /etc/resolv.conf knows need a [Route] to it, and
// its search list is Options.SearchList.
//
// From dnsr. There, records are strings and types are names; here they are the types of
// miekg/dns:
//
//	dnsr.NewResolver(…)             resolver.New(resolver.Options{}), and Close at the end
//	r.ResolveErr(name, "MX")        r.Resolve(ctx, name, dns.TypeMX), or Lookup[*dns.MX]
//	dnsr.NXDOMAIN, an error         Result.Rcode == dns.RcodeNameError
//	RR.Value, RR.TTL                the fields of *dns.MX, Result.TTL
//	WithTimeout, WithCache          Options.Limits.Time, Options.Cache
//
// Aliases are followed to the records asked for, each from its own zone, and answers are
// validated.
//
// From miekg/unbound (libunbound). Nothing is configured by text, and a bogus answer is an
// error rather than a flag:
//
//	unbound.New, Destroy            New, Close
//	AddTa, AddTaFile                Options.TrustAnchors, by dnssec.ParseAnchors
//	SetFwd, ResolvConf              Options.Routes
//	Hosts                           Options.HostsFile, ParseHosts
//	ZoneAdd, DataAdd                Options.LocalZones, SetLocalZones
//	private-address, private-domain Options.RebindingProtection, PrivateDomains
//	Resolve(name, type, class)      Resolve(ctx, name, type)
//	ResolveAsync                    a goroutine; its context ends it
//	Result.Secure                   Result.Status == dnssec.Secure
//	Result.Bogus, WhyBogus          an *Error with Status dnssec.Bogus, Extended
//	Result.NxDomain, HaveData       Result.Rcode, len(Records.Records) > 0 of Lookup
//	Result.AnswerPacket             Exchange
//
// # RFCs
//
// RFC.md beside this file lists the RFCs that are followed, the tests that show it, and
// what is not there; a test keeps it true.
//
// # Limitations
//
// It asks authoritative servers over UDP and TCP only. Where port 53 is closed nothing can
// be resolved without a route to a resolver that may be asked.
//
// Class IN only. There are no zone transfers, no updates, and no client subnet (RFC 7871).
//
// Expired data (Options.ServeStale) is given to clients only: delegations and addresses of
// name servers are not used beyond their time, so that a zone whose parent is unreachable
// for longer than its delegation lasts is answered with what had been asked before. What
// was concluded from denials of other names (RFC 8198) is not given once they expire.
//
// What resolvers share through Options.SecondLevel are the replies that led to clients'
// answers. Failures, the addresses of name servers, and what is known about servers are not
// shared. Without Options.SecondLevelKey a store can forge what is not signed.
//
// Trust anchors do not follow a rollover by themselves (RFC 5011): those that are
// built in are renewed with the module.
//
// [Resolver.ServeDNS] does not know who may ask: it is for clients that are trusted.
//
// # Bugs
//
// Resolvers that share a cache and set functions in Options (AllowServer, Dial,
// SignatureTime) or an Exchanger, of a route too, each to another, are taken to have the
// same policy unless Options.ViewName tells them apart.
package resolver
