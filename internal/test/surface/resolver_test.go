package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

const shopWorld = `
-- zone shop.example. at 198.51.100.3 signed --
@          MX    10 www
@          CAA   0 issue "ca.example"
@          TXT   "hello"
www        A     192.0.2.80
www        AAAA  2001:db8::80
www        SSHFP 1 1 0123456789abcdef0123456789abcdef01234567
www        HTTPS 1 . alpn=h2
_s         SVCB  1 www port=8080
_443._tcp.www TLSA 3 1 1 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
alias      CNAME www
_http._tcp SRV   1 1 80 www

-- zone 2.0.192.in-addr.arpa. at 198.51.100.5 --
80         PTR   www.shop.example.
`

func TestDetailed(t *testing.T) {
	in := resolvertest.New(t, shopWorld)
	r, ctx := in.Resolver(t), t.Context()
	d := r.Detailed()
	hosts, detail, err := d.LookupHost(ctx, "www.shop.example")
	if err != nil || len(hosts) != 2 || detail.Status != dnssec.Secure {
		t.Error(hosts, detail, err)
	}
	_, _, err = d.LookupIPAddr(ctx, "www.shop.example")
	_, _, err2 := d.LookupIP(ctx, "ip", "www.shop.example")
	_, _, err3 := d.LookupNetIP(ctx, "ip", "www.shop.example")
	_, _, err4 := d.LookupCNAME(ctx, "alias.shop.example")
	_, _, err5 := d.LookupMX(ctx, "shop.example")
	_, _, err6 := d.LookupNS(ctx, "shop.example")
	_, _, err7 := d.LookupTXT(ctx, "shop.example")
	_, _, err8 := d.LookupAddr(ctx, "192.0.2.80")
	_, _, _, err9 := d.LookupSRV(ctx, "http", "tcp", "shop.example")
	if err := errors.Join(err, err2, err3, err4, err5, err6, err7, err8, err9); err != nil {
		t.Error(err)
	}
	if text := (resolver.DownServer{Addr: netip.MustParseAddrPort("192.0.2.1:53"), Lost: 3}).String(); !strings.HasPrefix(text, "192.0.2.1:53 (marked down") {
		t.Errorf("a server that is marked down reads %q", text)
	}
	if text := resolver.Explain(resolver.ErrClosed); text == "" {
		t.Error("no explanation")
	}
	if why := resolver.Reason(resolver.ErrClosed); why != resolver.FailureClosed {
		t.Errorf("got the reason %q", why)
	}
	var option *resolver.OptionError
	if _, err := resolver.New(resolver.Options{NSID: " "}); !errors.As(err, &option) || option.Error() == "" || option.Unwrap() == nil {
		t.Error(err)
	}
}

func TestResolve(t *testing.T) {
	in := resolvertest.New(t, shopWorld)
	o := in.Options()
	o.Validation = resolver.Validate
	r, err := resolver.New(o)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	trace := resolver.LogTrace(slog.New(slog.NewTextHandler(&log, nil)))
	ctx := resolver.WithTrace(resolver.WithChain(t.Context()), trace)
	if resolver.ContextTrace(ctx) != trace {
		t.Error("another trace")
	}
	result, err := r.Resolve(ctx, "alias.shop.example", dns.TypeA)
	if err != nil || result.Canonical() != "www.shop.example." || result.Status != dnssec.Secure || len(result.Chain) == 0 || log.Len() == 0 {
		t.Fatal(result, err, log.String())
	}
	mx, err := resolver.Lookup[*dns.MX](ctx, r, "shop.example")
	if err != nil || len(mx.Records) != 1 || mx.Records[0].Preference != 10 {
		t.Error(mx, err)
	}
	if s := r.Stats(); s.Questions != 2 || s.SentUDP == 0 {
		t.Errorf("%+v", s)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	_, err = r.Resolve(ctx, "shop.example", dns.TypeA)
	var failed *resolver.Error
	if !errors.As(err, &failed) || failed.Temporary() || failed.Timeout() || failed.Error() == "" || failed.As(new(int)) || !errors.Is(failed.Unwrap(), resolver.ErrClosed) {
		t.Error(err)
	}
}

// The methods that net.Resolver has too, and those like them.
func TestLookups(t *testing.T) {
	r := resolvertest.New(t, shopWorld).Resolver(t)
	ctx := t.Context()
	const www = "www.shop.example"
	for name, lookup := range map[string]func() (any, error){
		"LookupHost":    func() (any, error) { return r.LookupHost(ctx, www) },
		"LookupIPAddr":  func() (any, error) { return r.LookupIPAddr(ctx, www) },
		"LookupIP":      func() (any, error) { return r.LookupIP(ctx, "ip4", www) },
		"LookupNetIP":   func() (any, error) { return r.LookupNetIP(ctx, "ip4", www) },
		"LookupPort":    func() (any, error) { return r.LookupPort(ctx, "tcp", "80") },
		"LookupCNAME":   func() (any, error) { return r.LookupCNAME(ctx, "alias.shop.example") },
		"LookupSRV":     func() (any, error) { name, _, err := r.LookupSRV(ctx, "http", "tcp", "shop.example"); return name, err },
		"LookupMX":      func() (any, error) { return r.LookupMX(ctx, "shop.example") },
		"LookupNS":      func() (any, error) { return r.LookupNS(ctx, "shop.example") },
		"LookupTXT":     func() (any, error) { return r.LookupTXT(ctx, "shop.example") },
		"LookupAddr":    func() (any, error) { return r.LookupAddr(ctx, "192.0.2.80") },
		"LookupCAA":     func() (any, error) { return r.LookupCAA(ctx, "shop.example") },
		"LookupSSHFP":   func() (any, error) { return r.LookupSSHFP(ctx, www) },
		"LookupTLSA":    func() (any, error) { return r.LookupTLSA(ctx, "tcp", www, 443) },
		"LookupHTTPS":   func() (any, error) { return r.LookupHTTPS(ctx, www, 443) },
		"LookupSVCB":    func() (any, error) { return r.LookupSVCB(ctx, "_s.shop.example") },
		"LookupService": func() (any, error) { return r.LookupService(ctx, "http", "tcp", "shop.example") },
	} {
		if got, err := lookup(); err != nil || fmt.Sprint(got) == "[]" {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if hosts, err := r.NetResolver().LookupHost(ctx, www); err != nil || len(hosts) != 2 {
		t.Error(hosts, err)
	}
	_, err := r.LookupHost(ctx, "nobody.shop.example")
	var gone *resolver.NotFoundError
	if !errors.As(err, &gone) || gone.Rcode != dns.RcodeNameError || gone.Error() == "" {
		t.Error(err)
	}
}

func TestDialContext(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	r := resolvertest.New(t, "-- zone shop.example. at 198.51.100.3 --\nwww A 127.0.0.1\n").Resolver(t)
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := r.DialContext(t.Context(), "tcp", net.JoinHostPort("www.shop.example", port))
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

func TestMessages(t *testing.T) {
	r := resolvertest.New(t, shopWorld).Resolver(t, func(o *resolver.Options) {
		o.Hooks.Before = func(ctx context.Context, q dns.Question) (*resolver.Result, error) {
			if resolver.ClientAddr(ctx).Port() == 7 {
				return nil, &resolver.Refusal{Rcode: dns.RcodeRefused}
			}
			return nil, nil
		}
	})
	query := new(dns.Msg).SetQuestion("www.shop.example.", dns.TypeA)
	if action := resolver.AcceptQuery(dns.Header{Id: query.Id, Qdcount: 1}); action != dns.MsgAccept {
		t.Error(action)
	}
	if reply, err := r.Exchange(t.Context(), query); err != nil || len(reply.Answer) != 1 {
		t.Error(reply, err)
	}
	client := resolver.WithClient(t.Context(), netip.MustParseAddrPort("192.0.2.7:7"))
	if reply, err := r.Exchange(client, query); err != nil || reply.Rcode != dns.RcodeRefused {
		t.Error(reply, err)
	}
	_, err := r.Resolve(client, "www.shop.example.", dns.TypeA)
	var refused *resolver.Refusal
	if !errors.As(err, &refused) || refused.Error() == "" {
		t.Error(err)
	}
	var w recorder
	if r.ServeDNS(&w, query); len(w.reply.Answer) != 1 {
		t.Error(w.reply)
	}

	plain := resolvertest.New(t, shopWorld).Resolver(t)
	if _, err := plain.Exchange(t.Context(), query); err != nil {
		t.Fatal(err)
	}
	packed, err := query.Pack()
	if err != nil {
		t.Fatal(err)
	}
	hit, ok := plain.AppendHit(nil, packed, dns.MaxMsgSize)
	reply := new(dns.Msg)
	if err := reply.Unpack(hit); !ok || err != nil || len(reply.Answer) != 1 {
		t.Error(ok, reply, err)
	}
}

// recorder keeps what a handler answers.
type recorder struct {
	dns.ResponseWriter
	reply *dns.Msg
}

func (w *recorder) WriteMsg(m *dns.Msg) error { w.reply = m; return nil }

func (w *recorder) Write(packed []byte) (int, error) {
	w.reply = new(dns.Msg)
	return len(packed), w.reply.Unpack(packed)
}

func (*recorder) RemoteAddr() net.Addr {
	return net.UDPAddrFromAddrPort(netip.MustParseAddrPort("192.0.2.9:9"))
}

func (*recorder) LocalAddr() net.Addr {
	return net.UDPAddrFromAddrPort(netip.MustParseAddrPort("192.0.2.9:53"))
}

func TestPolicy(t *testing.T) {
	in := resolvertest.New(t, shopWorld)
	r := in.Resolver(t, func(o *resolver.Options) {
		o.SecondLevel, o.ViewName = noStore{}, "surface"
		o.Exchanger = dialled{in}
	})
	local, err := resolver.ParseLocalZone("lan.example", strings.NewReader("printer A 192.0.2.1\n"))
	if err != nil {
		t.Fatal(err)
	}
	hosts, err := resolver.ParseHosts(strings.NewReader("192.0.2.2 scanner.example\n"))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.SetLocalZones([]resolver.LocalZone{local, hosts}); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"printer.lan.example", "scanner.example", "www.shop.example"} {
		if result, err := r.Resolve(t.Context(), name, dns.TypeA); err != nil || len(result.Answer) == 0 {
			t.Error(name, result, err)
		}
	}
	if s := r.SecondLevelStats(); s.Misses == 0 {
		t.Errorf("%+v", s)
	}
	if err := r.SetNegativeTrustAnchors([]resolver.NegativeTrustAnchor{{Zone: "shop.example"}}); err != nil {
		t.Error(err)
	}
	if result, err := r.Resolve(t.Context(), "www.shop.example", dns.TypeA); err != nil || result.Status != dnssec.Insecure {
		t.Error(result, err)
	}

	route, err := resolver.ParseRoute("corp.example=tcp://192.0.2.53,unsigned")
	if err != nil || route.Kind.String() != "forward" || route.Servers[0].String() == "" || route.Servers[0].Transport.String() != "tcp" {
		t.Fatal(route, err)
	}
	if err := r.SetRoutes([]resolver.Route{route}); err != nil {
		t.Error(err)
	}
	in.Fault("192.0.2.53", resolvertest.Refuse())
	if err := r.CheckRoutes(t.Context()); err != nil { // it looks for loops only
		t.Error(err)
	}
	_, err = r.Resolve(t.Context(), "www.corp.example", dns.TypeA)
	var routed *resolver.RouteError
	if !errors.As(err, &routed) || routed.Zone != "corp.example." || routed.Error() == "" || routed.Unwrap() == nil {
		t.Error(err)
	}

	demand, err := resolver.ParseTLSRequirement("shop.example#dns.example")
	if err != nil || demand.Zone != "shop.example" || demand.Name != "dns.example" {
		t.Fatal(demand, err)
	}
	encrypted := in.Resolver(t, func(o *resolver.Options) { o.RequireTLS = []resolver.TLSRequirement{demand} })
	if _, err := encrypted.Resolve(t.Context(), "www.shop.example", dns.TypeA); !errors.Is(err, resolver.ErrTLSRequired) || encrypted.Stats().SentTLS != 0 {
		t.Error(err)
	}

	small := in.Resolver(t, func(o *resolver.Options) { o.Limits.Sends = 1 })
	_, err = small.Resolve(t.Context(), "www.shop.example", dns.TypeA)
	var limit *resolver.LimitError
	if !errors.As(err, &limit) || limit.Limit != "Sends" || limit.Error() == "" {
		t.Error(err)
	}
}

// dialled is an Exchanger over the connections of an Internet.
type dialled struct{ in *resolvertest.Internet }

func (d dialled) Exchange(ctx context.Context, network string, server netip.AddrPort, query []byte) ([]byte, error) {
	conn, err := d.in.Dial(ctx, network, server.String())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	c := &dns.Conn{Conn: conn, UDPSize: dns.MaxMsgSize}
	if _, err := c.Write(query); err != nil {
		return nil, err
	}
	return c.ReadMsgHeader(nil)
}

func TestHelpers(t *testing.T) {
	private := netip.MustParseAddr("10.0.0.1")
	if !resolver.IsPrivate(private) || resolver.PublicUnicast(private) || !resolver.IsSpecialUse("localhost") {
		t.Error("what is private")
	}
	if s := resolver.Printable("a\x1b[0m"); strings.Contains(s, "\x1b") {
		t.Error(s)
	}
	if s := resolver.PrintableRR(&dns.TXT{Hdr: dns.RR_Header{Name: "a.example.", Rrtype: dns.TypeTXT, Class: dns.ClassINET}, Txt: []string{"b"}}); !strings.Contains(s, "TXT") {
		t.Error(s)
	}
	var b bytes.Buffer
	if _, err := io.WriteString(resolver.PrintableWriter(&b), "a\x1b"); err != nil || strings.Contains(b.String(), "\x1b") {
		t.Error(b.String(), err)
	}
	if s := (resolver.ExtendedError{Code: dns.ExtendedErrorCodeBlocked, Text: "by us"}).String(); !strings.Contains(s, "by us") {
		t.Error(s)
	}
}

func TestZones(t *testing.T) {
	in := resolvertest.New(t, shopWorld)
	r, ctx := in.Resolver(t), t.Context()
	z, err := r.FindZone(ctx, "alias.shop.example", resolver.FindZoneOptions{FollowAliases: true, WithoutCache: true})
	if err != nil || z.Name != "www.shop.example." || z.Apex != "shop.example." || len(z.Aliases) != 1 || z.Aliases[0].DNAME || z.Problem != nil {
		t.Fatal(z, err)
	}
	all, err := r.AskServers(ctx, z, "shop.example", dns.TypeTXT)
	if err != nil || !all.Agree() || len(all.Serials()) != 1 || !all.Servers[0].Answered() {
		t.Fatal(all, err)
	}
	all, err = r.WaitFor(ctx, z, z.Name, dns.TypeA, func(a *resolver.ServerAnswers) bool {
		return a.Every(func(s *resolver.ServerAnswer) bool { return len(s.Answer) == 1 && !s.HasTXT("hello") })
	})
	if err != nil || all.Zone != z.Apex {
		t.Error(all, err)
	}
	if _, err := r.AskServers(ctx, z, "example", dns.TypeA); !errors.Is(err, resolver.ErrOutsideZone) || errors.Is(err, resolver.ErrNoZone) {
		t.Error(err)
	}
	if errors.Is(resolver.ErrZoneDenied, resolver.ErrServerNotAllowed) {
		t.Error("one error")
	}
}

// TestClock calls what tells of a clock that is wrong.
func TestClock(t *testing.T) {
	in := resolvertest.New(t, "-- zone example. signed --\n@ A 192.0.2.1\n")
	past := time.Now().Add(-1000 * 24 * time.Hour)
	for _, read := range []func() time.Time{func() time.Time { return past }, resolver.NotBefore(time.Now())} {
		r := in.Resolver(t, func(o *resolver.Options) { o.SignatureTime = read })
		_, err := r.Resolve(t.Context(), "example", dns.TypeA)
		var wrong *resolver.ClockError
		switch {
		case read().Equal(past):
			if !errors.Is(err, resolver.ErrClock) || !errors.As(err, &wrong) || !wrong.IsSlow() || !wrong.Is(dnssec.ErrClock) || wrong.Error() == "" || wrong.AtLeast() > wrong.AtMost() || wrong.Reason().Code != dnssec.ReasonNotYetValid {
				t.Error(err)
			}
		case err != nil:
			t.Error(err)
		}
	}
	v, err := dnssec.New(dnssec.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if e := v.Evidence(past, past, dnssec.NewWork(dnssec.Limits{})); e.ClockError(nil, past) != nil || !e.SignedAt().IsZero() {
		t.Error("a clock is wrong by no evidence")
	}
}
