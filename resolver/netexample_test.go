package resolver_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/smtp"
	"net/url"
	"strings"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// exampleWorld stands for the Internet in the examples.
const exampleWorld = `
-- zone shop.example. at 198.51.100.3 --
@             MX    10 mail
www           A     127.0.0.1
_25._tcp.mail TLSA  3 1 1 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
_ldap._tcp    SRV   10 0 389 dir
dir           A     192.0.2.9
dir           AAAA  2001:db8::9
api           HTTPS 1 . alpn=h3,h2 ipv4hint=192.0.2.7
`

// exampleResolver makes a resolver for the Internet of the examples. A program calls
// resolver.New(resolver.Options{}).
func exampleResolver() *resolver.Resolver {
	in, err := resolvertest.NewInternet(exampleWorld)
	if err != nil {
		log.Fatal(err)
	}
	return in.Resolver(nil, plain)
}

// mxLookuper is what the program below needs of a resolver.
type mxLookuper interface {
	LookupMX(ctx context.Context, name string) ([]*net.MX, error)
}

// printMailServers was written for *net.Resolver.
func printMailServers(r mxLookuper, domain string) {
	servers, err := r.LookupMX(context.Background(), domain)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, mx := range servers {
		fmt.Println(mx.Pref, mx.Host)
	}
}

// A program that takes an interface switches by one line.
func Example_netResolver() {
	r := exampleResolver() // before: r := net.DefaultResolver
	defer r.Close()
	printMailServers(r, "shop.example")
	printMailServers(r, "no-mail.example")
	// Output:
	// 10 mail.shop.example.
	// lookup no-mail.example: no such host
}

// portOf returns the port of a test server.
func portOf(server *httptest.Server) string {
	u, err := url.Parse(server.URL)
	if err != nil {
		log.Fatal(err)
	}
	return u.Port()
}

func greeter() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "hello")
	}))
}

// printPage fetches a page and prints it.
func printPage(client *http.Client, address string) {
	response, err := client.Get(address)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(string(body))
}

// An HTTP client connects to addresses that the resolver has found and validated.
func ExampleResolver_DialContext() {
	server := greeter()
	defer server.Close()
	r := exampleResolver()
	defer r.Close()

	client := &http.Client{Transport: &http.Transport{DialContext: r.DialContext}}
	defer client.CloseIdleConnections()
	printPage(client, "http://www.shop.example:"+portOf(server))
	// Output: hello
}

// Code that takes a *net.Resolver gets one: here a net.Dialer, whose own settings stay.
func ExampleResolver_NetResolver() {
	server := greeter()
	defer server.Close()
	r := exampleResolver()
	defer r.Close()

	dialer := &net.Dialer{Resolver: r.NetResolver()}
	client := &http.Client{Transport: &http.Transport{DialContext: dialer.DialContext}}
	defer client.CloseIdleConnections()
	printPage(client, "http://www.shop.example:"+portOf(server))
	// Output: hello
}

// Any type of records can be asked for, and comes with its TTL and validation status.
func ExampleRecords() {
	r := exampleResolver()
	defer r.Close()

	tlsa, err := resolver.Lookup[*dns.TLSA](context.Background(), r, "_25._tcp.mail.shop.example.")
	if err != nil {
		log.Fatal(err)
	}
	for _, record := range tlsa.Records {
		fmt.Println(record.Usage, record.Selector, record.MatchingType, record.Certificate[:8])
	}
	fmt.Println(tlsa.Status, tlsa.TTL)
	// Output:
	// 3 1 1 01234567
	// indeterminate 5m0s
}

// The servers of a service, as Kubernetes and Consul publish them.
func ExampleResolver_LookupService() {
	r := exampleResolver()
	defer r.Close()

	service, err := r.LookupService(context.Background(), "ldap", "tcp", "shop.example")
	if err != nil {
		log.Fatal(err)
	}
	for _, server := range service.Servers {
		fmt.Println(server.Target, server.Addrs)
	}
	// Output: dir.shop.example. [192.0.2.9:389 [2001:db8::9]:389]
}

// What an HTTPS record says about an origin, before connecting to it.
func ExampleResolver_LookupHTTPS() {
	r := exampleResolver()
	defer r.Close()

	bindings, err := r.LookupHTTPS(context.Background(), "api.shop.example", 443)
	if err != nil {
		log.Fatal(err)
	}
	for _, service := range bindings.Services {
		fmt.Println(service.Target, service.ALPN, service.IPv4Hint)
	}
	// Output: api.shop.example. [h3 h2] [192.0.2.7]
}

// greetMail takes one SMTP connection and says hello.
func greetMail(l net.Listener) {
	conn, err := l.Accept()
	if err != nil {
		return
	}
	defer conn.Close()
	fmt.Fprint(conn, "220 mail.shop.example ESMTP\r\n")
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		switch verb, _, _ := strings.Cut(lines.Text(), " "); verb {
		case "EHLO":
			fmt.Fprint(conn, "250 mail.shop.example\r\n")
		case "QUIT":
			fmt.Fprint(conn, "221 bye\r\n")
			return
		}
	}
}

// A mail client: the servers of a domain come from this resolver, and so do the addresses
// that it connects to. Package net/smtp dials by itself only in smtp.Dial.
func ExampleResolver_LookupMX_smtp() {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()
	go greetMail(l)
	_, port, _ := net.SplitHostPort(l.Addr().String()) // 25 in the world outside

	in := resolvertest.New(nil, "-- zone shop.example. at 198.51.100.3 --\n@ MX 10 mail\nmail A 127.0.0.1")
	r := in.Resolver(nil, plain)
	defer r.Close()

	ctx := context.Background()
	servers, err := r.LookupMX(ctx, "shop.example")
	if err != nil {
		log.Fatal(err)
	}
	host := strings.TrimSuffix(servers[0].Host, ".")
	conn, err := r.DialContext(ctx, "tcp", net.JoinHostPort(host, port))
	if err != nil {
		log.Fatal(err)
	}
	client, err := smtp.NewClient(conn, host)
	if err != nil {
		log.Fatal(err)
	}
	if err := client.Hello("client.example"); err != nil {
		log.Fatal(err)
	}
	fmt.Println("talked to", host)
	if err := client.Quit(); err != nil {
		log.Fatal(err)
	}
	// Output: talked to mail.shop.example
}
