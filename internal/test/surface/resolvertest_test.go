package main

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/miekg/dns"

	rt "github.com/iterdns/iterdns/resolver/resolvertest"
)

const plainWorld = "-- zone shop.example. at 127.0.0.3 --\nwww A 192.0.2.80\n"

// exchange asks a server and returns the rcode; 0 and an error when nothing comes.
func exchange(t *testing.T, in *rt.Internet, network, server, name string) (*dns.Msg, error) {
	t.Helper()
	conn, err := in.Dial(t.Context(), network, server+":53")
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	reply, _, err := (&dns.Client{Timeout: time.Second}).ExchangeWithConn(new(dns.Msg).SetQuestion(name, dns.TypeA), &dns.Conn{Conn: conn})
	return reply, err
}

func TestInternet(t *testing.T) {
	in := rt.New(t, plainWorld, rt.Seed(2))
	ask := func(name string) *dns.Msg {
		t.Helper()
		reply, err := exchange(t, in, "udp", "127.0.0.3", name)
		if err != nil {
			t.Fatal(err)
		}
		return reply
	}
	ask("www.shop.example.")
	ask("shop.example.")
	if n := in.Count(rt.Name("www.shop.example"), rt.Type(dns.TypeA), rt.Over("udp"), rt.To("127.0.0.3"), rt.Below("shop.example")); n != 1 {
		t.Errorf("%d queries", n)
	}
	log := in.Log(rt.Not(rt.Name("www.shop.example")))
	if len(log) != 1 || !strings.Contains(rt.Table(log), "shop.example.") || log[0].String() == "" {
		t.Error(log)
	}
	if in.ResetLog(); in.Count() != 0 {
		t.Error(in.Count())
	}
	if servers := in.Servers("shop.example."); !slices.Equal(servers, []netip.Addr{netip.MustParseAddr("127.0.0.3")}) {
		t.Error(servers)
	}
	if before := in.Now(); in.Anchors() != nil || in.Options().RootHints.Zone != in.Hints().Zone {
		t.Error("anchors or hints")
	} else if in.Advance(time.Hour); in.Now().Sub(before) < time.Hour {
		t.Error("time stands still")
	}
	if err := in.Update("-- zone shop.example. --\nwww A 192.0.2.81\n"); err != nil {
		t.Error(err)
	}
	if got := ask("www.shop.example.").Answer[0].(*dns.A).A.String(); got != "192.0.2.81" {
		t.Error(got)
	}

	in.Handle("127.0.0.4", dns.HandlerFunc(func(w dns.ResponseWriter, m *dns.Msg) {
		if err := w.WriteMsg(new(dns.Msg).SetRcode(m, dns.RcodeNotImplemented)); err != nil {
			t.Error(err)
		}
	}))
	if reply, err := exchange(t, in, "tcp", "127.0.0.4", "a.example."); err != nil || reply.Rcode != dns.RcodeNotImplemented {
		t.Error(reply, err)
	}
	if in.Intercept(); !ask("www.shop.example.").RecursionAvailable {
		t.Error("no box on the way")
	}

	r := in.Resolver(t)
	if _, err := r.Resolve(t.Context(), "elsewhere.example.net.", dns.TypeA); err != nil {
		t.Log(err) // of the box on the way
	}
}

func TestMakingInternets(t *testing.T) {
	files := fstest.MapFS{"shop.example.zone": {Data: []byte("; at 127.0.0.3\nwww A 192.0.2.80\n")}}
	for _, made := range []func() (*rt.Internet, error){
		func() (*rt.Internet, error) { return rt.NewFS(t, files), nil },
		func() (*rt.Internet, error) { return rt.NewInternet(plainWorld) },
		func() (*rt.Internet, error) { return rt.NewInternetFS(files) },
	} {
		in, err := made()
		if err != nil {
			t.Fatal(err)
		}
		if reply, err := exchange(t, in, "tcp", "127.0.0.3", "www.shop.example."); err != nil || len(reply.Answer) != 1 {
			t.Error(reply, err)
		}
		in.Close()
	}
	failed := &failures{TB: t}
	in := rt.New(failed, plainWorld, rt.FailUnmocked())
	r := in.Resolver(t)
	if _, err := r.Resolve(t.Context(), "other.example.net.", dns.TypeA); err != nil || len(failed.errors) == 0 {
		t.Error(err, failed.errors)
	}
	if names := in.Unmocked(); !slices.Contains(names, "other.example.net.") {
		t.Error(names)
	}
}

// failures is a test that collects what would have failed it.
type failures struct {
	rt.TB
	errors []string
}

func (f *failures) Errorf(format string, args ...any) {
	f.errors = append(f.errors, fmt.Sprintf(format, args...))
}

func TestLoopback(t *testing.T) {
	for name, listen := range map[string]func(*rt.Internet) error{
		"Listen":   (*rt.Internet).Listen,
		"ListenAt": func(in *rt.Internet) error { return in.ListenAt(5399) },
	} {
		in := rt.New(t, plainWorld+"\n-- zone . at 127.0.0.1 --\n\n-- zone example. at 127.0.0.2 --\n")
		if err := listen(in); err != nil {
			t.Log(name, err) // other systems have one loopback address, and the port may be in use
			continue
		}
		conn, err := in.LoopbackDial(t.Context(), "tcp", "127.0.0.3:53")
		if err != nil {
			t.Fatal(name, err)
		}
		conn.Close()
	}
}

// Every fault is taken by a server, and by its word too where it has one.
func TestFaults(t *testing.T) {
	parsed, err := rt.ParseFault("when udp type A first 3: rcode SERVFAIL")
	if err != nil {
		t.Fatal(err)
	}
	const record = "@ 300 IN A 192.0.2.66"
	for name, fault := range map[string]rt.Fault{
		"parsed": parsed, "Add": rt.Add(rt.Additional, record), "BadCookie": rt.BadCookie(),
		"CloseInstead": rt.CloseInstead(), "Cookies": rt.Cookies(), "Cut": rt.Cut(20), "Dead": rt.Dead(),
		"Drip": rt.Drip(time.Millisecond), "Drop": rt.Drop(), "Flag": rt.Flag("aa", false),
		"FoldCase": rt.FoldCase(), "Forged": rt.Forged(1, rt.WrongID()), "Garbage": rt.Garbage(),
		"Hook":                 rt.Hook(func(_, reply *dns.Msg) { reply.Rcode = dns.RcodeServerFailure }),
		"LameNotAuthoritative": rt.LameNotAuthoritative(), "LameRefused": rt.LameRefused(), "LameUpward": rt.LameUpward(),
		"Latency": rt.Latency(time.Millisecond), "LatencyFunc": rt.LatencyFunc(func(rt.Query) time.Duration { return time.Millisecond }),
		"Loss": rt.Loss(0.5), "Mend": rt.Mend(), "NoEDNS": rt.NoEDNS(rt.EDNSFormErr), "NoQuestion": rt.NoQuestion(),
		"NotAResponse": rt.NotAResponse(), "Oversize": rt.Oversize(1000), "Partial": rt.Partial(9),
		"RandomCase": rt.RandomCase(), "RawHook": rt.RawHook(func(_, reply []byte) []byte { return reply }),
		"Rcode": rt.Rcode(dns.RcodeRefused), "Refuse": rt.Refuse(), "Remove": rt.Remove(rt.Answer, dns.TypeA),
		"RemoveName": rt.RemoveName(rt.Authority, "shop.example.", dns.TypeNS), "Replace": rt.Replace(dns.RcodeSuccess, record),
		"RequireCookies": rt.RequireCookies(), "ResetInstead": rt.ResetInstead(), "Truncated": rt.Truncated(),
		"UDPSize": rt.UDPSize(512), "Unreachable": rt.Unreachable(), "WrongAddress": rt.WrongAddress(),
		"WrongCookie": rt.WrongCookie(), "WrongID": rt.WrongID(), "WrongOpcode": rt.WrongOpcode(5),
		"WrongQuestion": rt.WrongQuestion("other.example.", dns.TypeA),
	} {
		in := rt.New(t, plainWorld)
		in.Fault("shop.example.", fault.When(rt.Name("www.shop.example.")).First(1).After(1).Every(1))
		if reply, err := exchange(t, in, "udp", "127.0.0.3", "www.shop.example."); err != nil || len(reply.Answer) != 1 {
			t.Errorf("%s, which begins with the second query: %v, %v", name, reply, err)
		}
	}
	in := rt.New(t, plainWorld)
	in.Fault("*", parsed)
	if reply, err := exchange(t, in, "udp", "127.0.0.3", "www.shop.example."); err != nil || reply.Rcode != dns.RcodeServerFailure {
		t.Error(reply, err)
	}
}

func TestHosts(t *testing.T) {
	in := rt.New(t, rt.Hosts{"www.shop.example": {A: []string{"192.0.2.80"}}}.Text())
	if addrs, err := in.Resolver(t).LookupHost(t.Context(), "www.shop.example"); err != nil || len(addrs) != 1 {
		t.Error(addrs, err)
	}
}
