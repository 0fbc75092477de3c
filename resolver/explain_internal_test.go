package resolver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/limits"
	"github.com/iterdns/iterdns/internal/stub"
)

// TestExplainFallbackOnce: what is told as the cause is not told again as the fallback's failure.
func TestExplainFallbackOnce(t *testing.T) {
	failed := &failure.FallbackError{Cause: ErrBlocked, Err: &failure.CertificateError{What: "certificate of a server is for another name", Err: errors.New("x509")}}
	got := Explain(wrap(dns.Question{Name: "www.shop.example.", Qtype: dns.TypeA}, failed))
	if n := strings.Count(got, "certificate of a server is for another name"); n != 1 || !strings.Contains(got, "it was asked because: ") {
		t.Errorf("the fallback's failure is there %d times: %q", n, got)
	}
}

// TestExplain has a row for every kind of error that this package returns.
func TestExplain(t *testing.T) {
	q := dns.Question{Name: "www.shop.example.", Qtype: dns.TypeA, Qclass: dns.ClassINET}
	servers := []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:53"), netip.MustParseAddrPort("192.0.2.2:53")}
	inZone := func(errs ...error) error {
		err := errs[0]
		for _, next := range errs[1:] {
			err = fmt.Errorf("%w: %w", err, next)
		}
		return wrap(q, &failure.ZoneError{Zone: dnsname.MustParse("shop.example."), Servers: servers, Err: err})
	}
	of := func(err error) error { return wrap(q, err) }
	bogus := func(code dnssec.ReasonCode) error {
		reason := dnssec.Reason{Code: code, Name: dnsname.MustParse("shop.example."), Type: dns.TypeDNSKEY}
		return of(&failure.BogusError{Zone: dnsname.MustParse("shop.example."), Server: servers[0], Reason: reason, Err: &dnssec.BogusError{Reason: reason}})
	}
	cached := func(code uint16, text string) error {
		return of(&failure.CachedError{Failure: cache.Failure{Cause: code, Text: text}})
	}
	_, optionErr := New(Options{NSID: " "})
	const subject, asked = "No answer for www.shop.example. A: ", " Asked: 192.0.2.1:53, 192.0.2.2:53."
	for _, test := range []struct {
		about string
		err   error
		want  []string // in this order
	}{
		{"nil", nil, nil},
		{"foreign", errors.New("disk full\x1b[2J"), []string{`disk full\027[2J`}},
		{"foreign, wrapped", fmt.Errorf("while sending: %w", net.ErrClosed), []string{"while sending: use of closed network connection"}},
		{"closed", of(ErrClosed), []string{subject + "the resolver has been closed. Make a new one"}},
		{"no reachable server", inZone(ErrNoReachableServer, &failure.TimeoutError{Err: context.DeadlineExceeded}), []string{
			subject + "in the zone shop.example. no name server sent a usable answer (no reachable server: timed out).", asked, "only their operator can mend that."}},
		{"no reachable server, each with its error", inZone(ErrNoReachableServer, failure.Join([]error{
			&failure.ServerError{Server: servers[0], Err: errors.New("read udp 192.0.2.1:53: timed out")}, &failure.ServerError{Server: servers[1], Err: failure.ErrLame}})), []string{
			subject + "in the zone shop.example. no name server sent a usable answer (no reachable server: 192.0.2.1: read udp: timed out; 192.0.2.2: " + failure.ErrLame.Error() + "). If other names"}},
		{"no reachable server, one with its error", inZone(ErrNoReachableServer, &failure.ServerError{Server: servers[0], Err: failure.ErrLame}), []string{"192.0.2.1: ", asked}},
		{"no address", inZone(ErrNoServerAddress), []string{subject, "no name server of the zone has an address", "Options.AllowServer allows it."}},
		{"circle", inZone(ErrNoServerAddress, ErrCircular), []string{subject + "the name servers of its zone can only be found by asking one another.", "glue in the zone above."}},
		{"intercepted", inZone(ErrIntercepted, ErrNoReachableServer), []string{subject + "port 53 is intercepted: a recursive resolver in between", asked, "The way out: forward to a resolver that may be asked", "leaves DNS alone."}},
		{"no network", inZone(ErrNoNetwork, ErrNoReachableServer), []string{subject + "no network: this host sends no query", " Tried: 192.0.2.1:53, 192.0.2.2:53.", "Check the network connection"}},
		{"blocked", inZone(ErrBlocked, ErrNoReachableServer), []string{subject + "port 53 is blocked: no root server answers.", asked, "The way out: forward", "lets DNS through."}},
		{"blocked a moment ago", cached(dns.ExtendedErrorCodeNetworkError, ErrBlocked.Error()), []string{subject + "port 53 is blocked", "remembered from a moment ago", "The way out"}},
		{"no network a moment ago", cached(dns.ExtendedErrorCodeNetworkError, ErrNoNetwork.Error()), []string{subject + "no network", "remembered from a moment ago"}},
		{"descriptors", inZone(ErrNoReachableServer, ErrNoDescriptors), []string{subject + "this process, or this host, has as many files", "RLIMIT_NOFILE"}},
		{"certificate", inZone(ErrNoReachableServer, &failure.CertificateError{What: "certificate of a server is for another name", Err: errors.New("x509")}), []string{
			subject + "a server that is asked over TLS has a certificate that cannot be trusted", "certificate of a server is for another name", "Check the route's name behind #"}},
		{"meta type", of(ErrMetaType), []string{subject + "the type is not one of data, which servers could be asked for (not a type that can be resolved)", "Ask for a type such as A"}},
		{"alias loop", of(ErrAliasLoop), []string{subject + "its aliases (CNAME or DNAME) lead in a circle."}},
		{"aborted", of(ErrAborted), []string{subject + "a function of this program", "panicked", "Mend that function."}},
		{"hook result", of(ErrHookResult), []string{subject + "a hook of this program (Options.Hooks) returned something that is no answer"}},
		{"name", of(fmt.Errorf("%w: label too long", ErrName)), []string{subject + "it is no domain name (malformed domain name: label too long).", "labels of 1 to 63 bytes"}},
		{"filtered", of(ErrFiltered), []string{subject + "every address of the answer is private or not allowed here", "Options.PrivateDomains."}},
		{"route loop", of(&RouteError{Zone: "corp.example.", Err: ErrRouteLoop}), []string{subject + "a route (Options.Routes) leads back to this resolver", "route for corp.example.: "}},
		{"record type", of(fmt.Errorf("*dns.ANY: %w", ErrRecordType)), []string{subject + "the type parameter of Lookup does not stand for exactly one type of records (", "*dns.ANY: not the Go type"}},
		{"no type", wrap(dns.Question{Name: "www.shop.example."}, ErrMetaType), []string{"No answer for www.shop.example.: the type is not"}},
		{"cached, unknown", cached(dns.ExtendedErrorCodeOther, ""), []string{subject + "failed recently.", "remembered from a moment ago"}},
		{"cached, unreachable", cached(dns.ExtendedErrorCodeNoReachableAuthority, ErrNoReachableServer.Error()), []string{subject + "no name server sent a usable answer", "remembered from a moment ago", "only their operator"}},
		{"expired", bogus(dnssec.ReasonExpired), []string{subject + "the answer failed DNSSEC validation (signature expired: shop.example. DNSKEY), so that it may be forged and is not used.", "Asked: 192.0.2.1:53.", "clock of this host"}},
		{"not yet valid", bogus(dnssec.ReasonNotYetValid), []string{"signature not yet valid", "clock of this host"}},
		{"wrong signature", bogus(dnssec.ReasonBadSignature), []string{"wrong signature", "somebody forges answers", "Options.NegativeTrustAnchors."}},
		{"other keys", bogus(dnssec.ReasonDSMismatch), []string{"(no key matches the DS: shop.example. DNSKEY)", "The zone's keys are not those that the zone above names (DS)", "tell the operator"}},
		{"no signature", bogus(dnssec.ReasonNoSignature), []string{"the answer has no signature. Either"}},
		{"no proof", bogus(dnssec.ReasonNoDenial), []string{"the answer has no proof of what it denies. Either"}},
		{"no keys", bogus(dnssec.ReasonUnavailable), []string{"could not be had", "ask again later"}},
		{"bogus a moment ago", cached(dns.ExtendedErrorCodeSignatureExpired, "signature expired: shop.example. DNSKEY"), []string{subject + "the answer failed DNSSEC validation (signature expired", "remembered from a moment ago", "clock"}},
		{"limit", inZone(limits.Sends.Reached(100)), []string{subject + "it took more work than is allowed: ", "Sends", "Options.Limits.Sends allows more."}},
		{"limit of time", of(limits.Time.Reached(10_000)), []string{subject + "it took more work than is allowed: ", "Options.Limits.Time allows more."}},
		{"deadline", of(context.DeadlineExceeded), []string{subject + "the time that the caller allowed ran out", "allow more time. If only names of one zone fail so, its servers are down"}},
		{"cancelled", of(context.Canceled), []string{subject + "interrupted by the caller, before there was an answer."}},
		{"cancelled with a cause", of(fmt.Errorf("shutting down: %w", context.Canceled)), []string{
			subject + "interrupted by the caller, before there was an answer (shutting down: context canceled)."}},
		{"cancelled with a cause, waiting", of(&failure.PendingError{Servers: servers, Asked: 2, Known: 2, Err: fmt.Errorf("shutting down: %w", context.Canceled)}), []string{
			"an answer (shutting down: context canceled).", "no reply yet from 192.0.2.1:53 and 192.0.2.2:53"}},
		{"ended by another cause, waiting", of(&failure.PendingError{Servers: servers, Asked: 2, Known: 2, Err: errors.New("a key was pressed")}), []string{
			subject + "ended by the caller, before there was an answer (a key was pressed). It ended"}},
		{"net: cancelled with a cause", &net.OpError{Op: "dial", Net: "tcp", Err: &stub.EndedError{Err: fmt.Errorf("%w; %w", errors.New("a key was pressed"), context.Canceled)}}, []string{
			"interrupted by the caller, before there was an answer (a key was pressed)."}},
		{"refusal", of(&Refusal{}), []string{subject + "this program's own hooks refuse it (Blocked)."}},
		{"other", of(errors.New("out of cheese")), []string{subject + "out of cheese."}},
		{"wrapped", fmt.Errorf("mail: %w", of(ErrAliasLoop)), []string{subject + "its aliases"}},
		{"net: no such host", dnsError("www.shop.example", &NotFoundError{Rcode: dns.RcodeNameError, Status: dnssec.Secure, TTL: time.Minute}), []string{
			"No answer for www.shop.example: the name does not exist; DNSSEC proves it, and it may be kept for 1m0s. Check its spelling."}},
		{"net: no data", dnsError("www.shop.example", &NotFoundError{Status: dnssec.Insecure}), []string{"the name exists, but has no records of the type", "nothing proves that"}},
		{"net: YXDOMAIN", dnsError("www.shop.example", &NotFoundError{Rcode: dns.RcodeYXDomain}), []string{"the zone's servers answer YXDOMAIN"}},
		{"net: failure", dnsError("www.shop.example", bogus(dnssec.ReasonExpired)), []string{subject + "the answer failed DNSSEC validation"}},
		{"net: no host name", stub.NoSuchHost("a b"), []string{"No answer for a b: it has a blank", "strings.TrimSpace."}},
		{"net: no name", stub.NoSuchHost(""), []string{"No answer: the name is empty."}},
		{"net: URL", stub.NoSuchHost("http://www.good.example/"), []string{"No answer for http://www.good.example/: it is a URL, not a name. Ask for its host alone"}},
		{"net: onion", stub.NoSuchHost("shop.onion"), []string{"No answer for shop.onion: names below onion. belong to Tor and are never asked for in DNS (RFC 7686)."}},
		{"net: not offered", stub.NoSuchHost("_sip._tcp.shop.example"), []string{"No answer for _sip._tcp.shop.example: the domain says that it does not offer the service (RFC 2782)."}},
		{"net: other family", stub.NoSuitableAddress("2001:db8::1"), []string{"No answer for 2001:db8::1: it has addresses, but none of the family"}},
		{"net: no names", stub.MalformedNames("shop.example"), []string{"No answer for shop.example: DNS response contained records which contain invalid names."}},
		{"net: network", net.UnknownNetworkError("ip5"), []string{"unknown network ip5"}},
		{"dial", &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 80), Port: 25}, Err: errors.New("connection refused")}, []string{"dial tcp 192.0.2.80:25: connection refused"}},
		{"option", optionErr, []string{`the options make no sense: NSID: " " begins or ends with white space.`}},
	} {
		got := Explain(test.err)
		if (got == "") != (test.want == nil) || Printable(got) != got {
			t.Errorf("%s: got %q", test.about, got)
		}
		rest := got
		for _, want := range test.want {
			_, after, ok := strings.Cut(rest, want)
			if !ok {
				t.Errorf("%s: got\n\t%s\nwant, in this order,\n\t%q", test.about, got, test.want)
				break
			}
			rest = after
		}
		if strings.Contains(got, "context deadline exceeded") || strings.Contains(got, "..  ") || strings.Contains(got, ": .") {
			t.Errorf("%s: got %q", test.about, got)
		}
	}
	for i := range knownCauses {
		if knownCauses[i].what == "" || knownCauses[i].remedy == "" {
			t.Errorf("%v has no explanation", knownCauses[i].cause)
		}
	}
}

// TestCountServers: one server is none of several.
func TestCountServers(t *testing.T) {
	for n, want := range map[int]string{1: "1 server", 2: "2 servers", 13: "13 servers"} {
		if got := failure.CountServers(n); got != want {
			t.Errorf("%d: got %q, want %q", n, got, want)
		}
		e := &Error{Servers: make([]netip.AddrPort, n), Err: ErrCircular}
		if !strings.Contains(e.Error(), "("+want+" tried, last ") {
			t.Errorf("got %v, want %q", e, want)
		}
	}
}

// TestServerList names no more servers than a line can take.
func TestServerList(t *testing.T) {
	var many []netip.AddrPort
	for i := range 6 {
		many = append(many, netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), 53))
	}
	if got, want := serverList(many), "192.0.2.0:53, 192.0.2.1:53, 192.0.2.2:53, 192.0.2.3:53 and 2 more"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestErrorTextWithoutType: an error of Lookup has no type to name.
func TestErrorTextWithoutType(t *testing.T) {
	for qtype, want := range map[uint16]string{
		dns.TypeNone: "resolve www.shop.example.: ",
		dns.TypeA:    "resolve www.shop.example. A: ",
		65280:        "resolve www.shop.example. TYPE65280: ",
	} {
		if got := (&Error{Question: dns.Question{Name: "www.shop.example.", Qtype: qtype}, Err: ErrCircular}).Error(); got != want+ErrCircular.Error() {
			t.Errorf("%d: got %q, want it to begin with %q", qtype, got, want)
		}
	}
}
