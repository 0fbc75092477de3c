// Package resolver resolves DNS names iteratively: it asks the authoritative servers, from the root down
// (RFC 1034 §5.3.3), and validates what they say with DNSSEC. It decides which server to ask what, how much
// of a reply that server may speak for, and whether the answer may be used. In come a name and a type, or a
// DNS message; out come a [Result] with its records, TTL and DNSSEC status, or a message. It never returns
// bogus data unless validation is turned off (ValidateOff, or CD in a message), trusts no server for names
// outside its zone, sends nothing to private addresses unless told to, and needs no other resolver, no
// configuration and no cgo.
//
//	r, err := resolver.New(resolver.Options{})
//	…
//	defer r.Close()
//	result, err := r.Resolve(ctx, "www.example.com", dns.TypeAAAA)
//
// A [Resolver] is made once and shared: it keeps a cache, and knows which servers are fast
// and which are marked down.
//
// # What it does
//
//   - Ask for records of any type: [Resolver.Resolve]. A name or a type that does not exist
//     is a [Result]; an error means that there is no answer, or none that may be used.
//   - Look up hosts, mail servers, services and so on, as package net does: [Resolver.LookupNetIP] and its
//     siblings, [Resolver.NetResolver] for code that takes a *net.Resolver, [Resolver.DialContext] for an
//     http.Transport. With status and TTL in addition to the values: [Resolver.Detailed]. Records of one
//     type, with both: [Lookup].
//   - Answer DNS messages in a proxy, a filter or a server: [Resolver.Exchange], and
//     [Resolver.ServeDNS], which makes a Resolver a dns.Handler of miekg/dns. With another
//     DNS package, or none, bytes for bytes: [Resolver.ExchangeWire], [Resolver.ServeWire],
//     and [Resolver.AppendHit], their part that never waits.
//   - Examine zones: find the one that holds a name, as its parent and the zone itself describe it, and
//     what each of its servers says ([Resolver.FindZone], [Resolver.AskServers], [Resolver.WaitFor]).
//   - Shape answers: zones of your own ([LocalZone]), no private addresses from the public
//     DNS (Options.RebindingProtection), and [Hooks] that answer, refuse, change and log
//     questions.
//   - See what happens: [WithTrace] with the hooks of a [Trace]. Logs, metrics and
//     programs like dig +trace are built on it.
//   - Test a program against an Internet in memory: package resolvertest.
//   - Start at other root servers, or trust other keys: [Options] RootHints and
//     TrustAnchors. Servers at private addresses have to be allowed by AllowServer, unless
//     the hints list them. Follow the root's keys when they are replaced: AnchorStore.
//   - Forward some names, or all, to other resolvers, or ask certain servers for a private
//     zone: [Options] Routes.
//   - Replace the network: [Options] Dial for connections, or an [Exchanger] for whole
//     messages.
//   - Share what is learnt among resolvers: [Options] Cache within one process, and
//     SecondLevel among many.
//   - Ask no root server: [Options] LocalRoot is a copy of the root zone, which is verified
//     and refreshed.
//   - Return expired answers instead of errors: [Options] ServeStale, and ServeStaleOverBogus for
//     zones that are signed wrongly. Entries in use are refreshed before they expire, unless
//     DisablePrefetch is set.
//   - Count what happens: [Resolver.Stats]; look at it: package debugpage.
//   - Bound the work, or permit more: [Limits].
//
// # The way of one question
//
// A hook may answer first, then the local zone nearest to the name. Special-use names, such as localhost
// and the reverse zones of private addresses, are answered locally and never asked for, unless a route's
// zone is at least as long. For other names Resolve reads the cache. What is not there is searched in a
// flight, which all callers that ask the same question at that time share; it ends when none of them waits
// any more. Three loops follow, as in RFC 1034 §5.3.3.
//
// The name changes: each name of an alias chain is searched from its own zone, whatever
// records came with the alias.
//
// The zone cut changes: the search starts at the deepest delegation that is known, else at
// the root hints, and goes down referral by referral. Servers on the way see no more of the
// name than they need (RFC 9156), and zone cuts found on the way are remembered, so that a
// name beside a known one takes one query. A delegation is leased from the parent for the
// TTL of its NS records, and nothing that the child says extends it. Addresses of name
// servers come with the referral (glue), or are looked up first, within the limits of the
// same question.
//
// The server changes: the one expected to answer soonest is asked first, by smoothed
// round-trip times. When it is later than expected a second one is asked, and the first
// good reply wins. Each query has a random port, ID and letter case; a reply that is almost
// right moves the question to TCP. A server that refuses an EDNS option, or EDNS, is asked
// with less, but never without EDNS for a zone that is known to be signed. When all have
// failed, one of them is asked once more, without EDNS options and in lower case. Servers
// that are lame or fail are passed over; those marked down are tried with one query at a
// time. Where there is an Options.SecondLevel, it is read before any server is asked, and
// what it holds passes the same checks as a reply.
//
// Only what its sender may say is kept of a reply: the RRset asked for, the aliases inside the zone, one
// referral towards the name, its glue, a denial. Unsigned aliases that may be forged are kept for the name
// asked only. The zone's own NS records are kept beside the delegation, for as long as it lives, in case
// all servers of the delegation fail; they must be Secure, have come over TCP or with a valid cookie, or
// have been asked for. What is left is validated: keys and DS records are fetched beside the walk, so that
// a secure answer takes no longer than another.
//
// All of this, for one question, is charged to one budget; [Limits] says how large it is,
// and a [LimitError] which part of it was used up.
//
// # Errors
//
// Every error of Resolve is an [Error]; errors.As also finds one in the errors of the methods that package
// net has too. It says what was asked, at which zone the search ended and which servers were tried, unless
// the caller's time or Limits.Time ended before the servers had replied. It has an extended DNS error (RFC
// 8914), and wraps the cause for errors.Is and errors.As: [ErrNoReachableServer], a [LimitError] and so on.
// A bogus answer is an error too, with the code that says why. Three causes are about the network:
// [ErrBlocked], its special case [ErrNoNetwork] and [ErrIntercepted] mean that root servers cannot be asked
// from here at all; where TCP reaches them, all servers are asked over TCP, and [ErrOnlyTCP] may accompany
// another cause. [Explain] tells a person in a paragraph what an error means and what can be done about it,
// and [Reason] returns the cause as one word, for programs that count failures.
//
// # The program's own functions
//
// Dial, an Exchanger, hooks, a Trace and all other functions in [Options] may panic, or end their goroutine
// as testing.T.FailNow does. The question that such a function was called for then fails, and nothing of it
// is kept. Equal questions are worked on once: the caller whose question began the work panics with the
// same value, in its own goroutine, and callers that joined get [ErrAborted], as do all when the goroutine
// was ended. A Trace concerns its caller alone: when one of its hooks panics or ends its goroutine, other
// callers do not notice. ServeDNS and ServeWire may work in the goroutine that they are called in, which
// then panics or ends too, after their client got SERVFAIL. Background work (a refresh, a write to the
// second level) ends silently, and a question that package net asks through NetResolver fails with an
// error.
//
// # Standards
//
// It follows RFC 1034 and 1035 with the clarifications of RFC 2181, 4343 and 9619;
// RFC 2308, 8020, 8198 and 9520 (negative answers and failures); RFC 3597 (unknown
// types); RFC 4033 to 4035, 5155, 6840, 9276 and 9824 (DNSSEC) and 7646 (negative trust
// anchors); RFC 5452 (forged replies); RFC 6303 and 6761 (special-use names); RFC 6604
// and 6672 (aliases); RFC 6891 and 9715 (EDNS and packet sizes); RFC 7766 (TCP); RFC
// 7873 and 9018 (cookies); RFC 8482 (ANY); RFC 8767 (bounds of TTLs, expired data); RFC
// 8914 (extended errors); RFC 9156 (minimised names); RFC 9471 (glue); RFC 9609 (priming).
// Words are used as RFC 9499 defines them.
//
// # Instead of net.Resolver
//
// The eleven methods that net.Resolver has too take the same names and return the same
// answers and the same *net.DNSError; a test makes the same look-ups through both. The
// differences, and why:
//
//   - LookupNetIP returns an IPv4 literal, or an IPv4 address of the hosts file, as IPv4;
//     net returns it IPv4-mapped (::ffff:192.0.2.1), which is not equal to the same address
//     from DNS. LookupIP returns its 4-byte form.
//   - The unspecified address "::" is not followed by 0.0.0.0, which is for dialling only.
//   - A literal of the wrong family, or a host that has only addresses of the wrong one in
//     the hosts file, is a *net.DNSError with IsNotFound, wrapping a *net.AddrError. net
//     returns the latter alone.
//   - A name in onion. is "no such host" everywhere. net returns neither addresses nor an
//     error for LookupHost, and "cannot unmarshal DNS message" for LookupTXT.
//   - LookupAddr's errors have the address in Name, as the caller wrote it; net's have the
//     name below arpa.
//   - When one family fails and the other does not exist, the failure is the error; in net
//     it is the one that came last. LookupCNAME follows the whole chain; in net the result
//     depends on which of three answers comes first.
//   - DNSError.Err has the reason of a failure behind net's words: "server misbehaving: DNSSEC
//     bogus: signature expired: …", "i/o timeout: port 53 is blocked". That a name does not
//     exist, or has no records, is "no such host" alone.
//   - DNSError.Unwrap returns a *Error or a *NotFoundError; net's returns nil, but for
//     contexts. NotFoundError tells NXDOMAIN from NODATA. Server is the authoritative
//     server that was asked last, and "" when none was to blame: for names that do not
//     exist, and answers from the cache.
//   - A record with a dot inside a label is left out; in net it makes the whole message
//     unreadable.
//   - Only Options decides the search list, ndots and the hosts file: /etc/resolv.conf,
//     nsswitch.conf, GODEBUG=netdns and StrictErrors are not looked at.
//   - Networks like "ip:icmp" are unknown to LookupIP.
//   - httptrace's DNSStart and DNSDone are called by DialContext only. It races IPv6 and
//     IPv4 as RFC 8305 says, starting a new attempt every 250 ms; net.Dialer (RFC 6555)
//     tries one family address by address, and the other beside it after 300 ms.
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
// Config.LookupFunc; go-sql-driver/mysql by mysql.RegisterDialContext. gRPC takes it by
// grpc.WithContextDialer, for a target such as passthrough:///host:port; targets with
// dns:/// are looked up through net.DefaultResolver, which a program, not a library, may
// set to r.NetResolver(); examples/grpc shows both. The answers then come from elsewhere:
// names that only the resolver in /etc/resolv.conf knows need a [Route] to it, and its
// search list is Options.SearchList.
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
//	auto-trust-anchor-file          Options.AnchorStore, by dnssec/anchorfile
//	SetFwd, ResolvConf              Options.Routes
//	Hosts                           Options.HostsFile, ParseHosts
//	ZoneAdd, DataAdd                Options.LocalZones, SetLocalZones
//	private-address, private-domain Options.RebindingProtection, PrivateDomains
//	Resolve(name, type, class)      Resolve(ctx, name, type)
//	ResolveAsync                    a goroutine; its context ends it
//	Result.Secure                   Result.Status == dnssec.Secure
//	Result.Bogus, WhyBogus          an *Error with Status dnssec.Bogus, Extended
//	Result.NxDomain, HaveData       Result.Rcode, len(Records.Records) > 0 of Lookup
//	Result.AnswerPacket             ExchangeWire
//
// # RFCs
//
// RFC.md beside this file lists the RFCs that are followed, the tests that show it, and
// what is missing; a test keeps it true.
//
// # The code
//
// ARCHITECTURE.md, in the folder above, has the way of a question through the packages under
// internal, which this one is the surface of.
//
// # Limitations
//
// It asks authoritative servers over UDP and TCP only. Where port 53 is closed nothing can
// be resolved without a route to another resolver.
//
// Class IN only. There are no zone transfers (except of the root zone, for Options.LocalRoot), no updates,
// and no client subnet (RFC 7871).
//
// Expired data (Options.ServeStale) is returned to clients only: delegations and addresses
// of name servers are not used beyond their time, so that while the parent of a zone is
// unreachable for longer than its delegation lasts, only what had been asked before is
// answered. Conclusions from denials of other names (RFC 8198) are not used once these
// expire.
//
// In place of bogus data (Options.ServeStaleOverBogus) only expired data of signed zones is returned, for
// names that were asked for before. It needs the chain of trust that this resolver has followed: after a
// restart, data from a file has one only where it can be followed again.
//
// Resolvers share the replies that led to clients' answers through Options.SecondLevel.
// Failures, the addresses of name servers, and what is known about servers are not shared.
// Without Options.SecondLevelKey the store can forge data that is not signed.
//
// Without Options.AnchorStore, trust anchors do not follow a rollover (RFC 5011): the built-in ones are
// renewed with the module.
//
// [Resolver.ServeDNS] and [Resolver.ServeWire] have no access control: they are for clients that
// are trusted.
//
// # Bugs
//
// Resolvers that share a cache and set different functions in Options (AllowServer, Dial,
// SignatureTime) or different Exchangers, those of routes included, are taken to have the
// same policy unless Options.ViewName tells them apart.
package resolver
