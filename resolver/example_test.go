package resolver_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/netip"

	"github.com/miekg/dns"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// shop is an Internet with one zone; the root and example. are made for it. A program
// that asks the real one uses resolver.Options{} instead of its options.
const shop = `
-- zone shop.example. at 198.51.100.3 --
www    CNAME  host
host   A      192.0.2.80
host   AAAA   2001:db8::80
@      MX     10 mail
mail   A      192.0.2.25
`

// newResolver makes a resolver in a mock Internet.
func newResolver(text string, change ...func(*resolver.Options)) (*resolver.Resolver, *resolvertest.Internet) {
	in := resolvertest.New(nil, text)
	return in.Resolver(nil, change...), in
}

// Aliases come first in the answer, then the records asked for.
func Example() {
	in := resolvertest.New(nil, shop)
	r, err := resolver.New(in.Options())
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	result, err := r.Resolve(context.Background(), "www.shop.example", dns.TypeA)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(dns.RcodeToString[result.Rcode], result.TTL)
	for _, rr := range result.Answer {
		switch rr := rr.(type) {
		case *dns.CNAME:
			fmt.Println("alias of", rr.Target)
		case *dns.A:
			fmt.Println("at", rr.A)
		}
	}
	// Output:
	// NOERROR 5m0s
	// alias of host.shop.example.
	// at 192.0.2.80
}

// A name that does not exist, and a type that a name does not have, are results.
func ExampleResolver_Resolve_notThere() {
	r, _ := newResolver(shop)
	defer r.Close()
	for _, name := range []string{"host.shop.example", "nosuch.shop.example"} {
		result, err := r.Resolve(context.Background(), name, dns.TypeTXT)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(name, dns.RcodeToString[result.Rcode], len(result.Answer))
	}
	// Output:
	// host.shop.example NOERROR 0
	// nosuch.shop.example NXDOMAIN 0
}

// The methods of net.Resolver are there too, with the same signatures.
func ExampleResolver_LookupNetIP() {
	r, _ := newResolver(shop)
	defer r.Close()
	addrs, err := r.LookupNetIP(context.Background(), "ip", "www.shop.example")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(addrs)
	// Output:
	// [192.0.2.80 2001:db8::80]
}

// Records of one type come with what package net has no place for.
func ExampleLookup() {
	r, _ := newResolver(shop)
	defer r.Close()
	mx, err := resolver.Lookup[*dns.MX](context.Background(), r, "shop.example")
	if err != nil {
		log.Fatal(err)
	}
	for _, record := range mx.Records {
		fmt.Println(record.Preference, record.Mx, mx.TTL, mx.Status)
	}
	// Output:
	// 10 mail.shop.example. 5m0s indeterminate
}

// A signed zone makes answers secure. One that was tampered with is an error.
func ExampleResolver_Resolve_validated() {
	r, in := newResolver(`
-- zone bank.example. signed --
www  A  192.0.2.90
@    A  192.0.2.91
`)
	defer r.Close()
	result, err := r.Resolve(context.Background(), "bank.example", dns.TypeA)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Status)

	in.Fault("bank.example.", resolvertest.Replace(dns.RcodeSuccess, "www.bank.example. 300 IN A 203.0.113.66"))
	_, err = r.Resolve(context.Background(), "www.bank.example", dns.TypeA)
	var failure *resolver.Error
	if errors.As(err, &failure) {
		fmt.Println("not usable: what came from", failure.Zone)
	}
	// Output:
	// secure
	// not usable: what came from bank.example.
}

// An error means that there is no answer, and says which servers were asked.
func ExampleError() {
	r, _ := newResolver(shop + `
-- fault shop.example. --
rcode SERVFAIL
`)
	defer r.Close()
	_, err := r.Resolve(context.Background(), "www.shop.example", dns.TypeA)
	var failure *resolver.Error
	if errors.As(err, &failure) {
		fmt.Println("zone", failure.Zone)
		fmt.Println("tried", failure.Servers)
		fmt.Println(failure.Extended)
	}
	fmt.Println(errors.Is(err, resolver.ErrNoReachableServer))
	// Output:
	// zone shop.example.
	// tried [198.51.100.3:53]
	// No Reachable Authority: no reachable server
	// true
}

// Work beyond the limits ends with an error that names the limit.
func ExampleLimits() {
	r, _ := newResolver(`
-- zone shop.example. --
a  CNAME  b
b  CNAME  c
c  CNAME  d
d  A      192.0.2.80
`, func(o *resolver.Options) { o.Limits.Aliases = 2 })
	defer r.Close()
	_, err := r.Resolve(context.Background(), "a.shop.example", dns.TypeA)
	var limit *resolver.LimitError
	if errors.As(err, &limit) {
		fmt.Println("limit:", limit.Limit)
	}
	// Output:
	// limit: Aliases
}

// The hooks of a Trace are called while a question is worked on.
func ExampleWithTrace() {
	r, _ := newResolver(shop)
	defer r.Close()
	ctx := resolver.WithTrace(context.Background(), &resolver.Trace{
		Query: func(i resolver.QueryInfo) {
			fmt.Printf("ask the servers of %s for %s %s\n", i.Zone, i.Asked.Name, dns.Type(i.Asked.Qtype))
		},
		Referral: func(i resolver.ReferralInfo) { fmt.Println("referred to", i.Cut.Zone) },
		Alias:    func(i resolver.AliasInfo) { fmt.Println(i.From, "is an alias of", i.To) },
		Done:     func(i resolver.DoneInfo) { fmt.Println(i.Sends, "queries") },
	})
	if _, err := r.Resolve(ctx, "www.shop.example", dns.TypeMX); err != nil {
		log.Fatal(err)
	}
	// Output:
	// ask the servers of . for example. A
	// referred to example.
	// ask the servers of example. for shop.example. A
	// referred to shop.example.
	// ask the servers of shop.example. for www.shop.example. MX
	// www.shop.example. is an alias of host.shop.example.
	// ask the servers of shop.example. for host.shop.example. MX
	// 4 queries
}

// A message comes in, a message goes out, whatever happens in between.
func ExampleResolver_Exchange() {
	r, _ := newResolver(shop)
	defer r.Close()
	query := new(dns.Msg).SetQuestion("mail.shop.example.", dns.TypeA)
	reply, err := r.Exchange(context.Background(), query)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(reply.Id == query.Id, reply.RecursionAvailable, dns.RcodeToString[reply.Rcode])
	fmt.Println(reply.Answer[0].(*dns.A).A)
	// Output:
	// true true NOERROR
	// 192.0.2.25
}

// A Resolver is a dns.Handler; a filter is another one around it.
func ExampleResolver_ServeDNS() {
	r, _ := newResolver(shop)
	defer r.Close()
	filter := dns.HandlerFunc(func(w dns.ResponseWriter, query *dns.Msg) {
		if len(query.Question) == 1 && dns.IsSubDomain("ads.example.", query.Question[0].Name) {
			w.WriteMsg(new(dns.Msg).SetRcode(query, dns.RcodeNameError))
			return
		}
		r.ServeDNS(w, query)
	})
	running := make(chan struct{})
	server := &dns.Server{Addr: "127.0.0.1:0", Net: "udp", Handler: filter, NotifyStartedFunc: func() { close(running) }}
	go server.ListenAndServe()
	<-running
	defer server.Shutdown()

	for _, name := range []string{"host.shop.example.", "banner.ads.example."} {
		query := new(dns.Msg).SetQuestion(name, dns.TypeA)
		reply, err := dns.Exchange(query, server.PacketConn.LocalAddr().String())
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(name, dns.RcodeToString[reply.Rcode], len(reply.Answer))
	}
	// Output:
	// host.shop.example. NOERROR 1
	// banner.ads.example. NXDOMAIN 0
}

// Dial opens all connections to servers: through a tunnel, with a mark, or with a look at
// which server is asked.
func ExampleOptions_dial() {
	in := resolvertest.New(nil, shop)
	asked := false
	options := in.Options()
	options.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		if address == "198.51.100.3:53" {
			asked = true
		}
		return in.Dial(ctx, network, address)
	}
	r, err := resolver.New(options)
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Resolve(context.Background(), "host.shop.example", dns.TypeA); err != nil {
		log.Fatal(err)
	}
	fmt.Println("the server of shop.example. was asked:", asked)
	// Output:
	// the server of shop.example. was asked: true
}

// mayAsk allows the networks of a laboratory, and only these.
func mayAsk(server netip.Addr) bool {
	for _, network := range []string{"198.51.100.0/24", "198.18.0.0/15", "2001:2::/48"} {
		if netip.MustParsePrefix(network).Contains(server) {
			return true
		}
	}
	return false
}

// AllowServer is the only judge of addresses that come from the network.
func ExampleOptions_allowServer() {
	const internet = shop + `
-- zone elsewhere.example. at 203.0.113.9 --
www  A  192.0.2.81
`
	r, _ := newResolver(internet, func(o *resolver.Options) { o.AllowServer = mayAsk })
	defer r.Close()
	for _, name := range []string{"host.shop.example", "www.elsewhere.example"} {
		_, err := r.Resolve(context.Background(), name, dns.TypeA)
		fmt.Println(name, err == nil, errors.Is(err, resolver.ErrNoServerAddress))
	}
	// Output:
	// host.shop.example true false
	// www.elsewhere.example false true
}

// A server of ten lines, without a DNS package: it receives datagrams, and sends what comes back.
// One for strangers bounds its goroutines and knows its clients, as examples/proxy does.
func ExampleResolver_ServeWire() {
	r, _ := newResolver(shop)
	defer r.Close()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	go func() {
		for {
			query := make([]byte, 1232)
			n, client, err := conn.ReadFromUDPAddrPort(query)
			if err != nil {
				return
			}
			go r.ServeWire(query[:n], resolver.WireClient{Addr: client, MaxSize: 1232}, func(reply []byte) {
				_, _ = conn.WriteToUDPAddrPort(reply, client) // it may be gone
			})
		}
	}()
	reply, err := dns.Exchange(new(dns.Msg).SetQuestion("mail.shop.example.", dns.TypeA), conn.LocalAddr().String())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(reply.Answer[0].(*dns.A).A)
	// Output:
	// 192.0.2.25
}

// Messages of another DNS package: this one is the standard library's own.
func ExampleResolver_ExchangeWire() {
	r, _ := newResolver(shop)
	defer r.Close()
	query := dnsmessage.Message{
		Header:    dnsmessage.Header{RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName("www.shop.example."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}},
	}
	packed, err := query.Pack()
	if err != nil {
		log.Fatal(err)
	}
	packed, err = r.ExchangeWire(context.Background(), nil, packed, 0)
	if err != nil {
		log.Fatal(err)
	}
	var reply dnsmessage.Message
	if err := reply.Unpack(packed); err != nil {
		log.Fatal(err)
	}
	for _, record := range reply.Answers {
		fmt.Println(record.Header.Name, record.Body.GoString())
	}
	// Output:
	// www.shop.example. dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName("host.shop.example.")}
	// host.shop.example. dnsmessage.AResource{A: [4]byte{192, 0, 2, 80}}
}
