package resolvertest_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing/fstest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// One zone is enough of a text: the root, the top-level zone, name servers and
// glue are derived.
func Example() {
	in := resolvertest.New(nil, `
-- zone shop.example. at 198.51.100.3 --
www     A     192.0.2.80
`)
	defer in.Close()
	r := in.Resolver(nil) // in a test: in.Resolver(t)
	defer r.Close()

	result, err := r.Resolve(context.Background(), "www.shop.example.", dns.TypeA)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, rr := range result.Answer {
		fmt.Println(rr)
	}
	// Output:
	// www.shop.example.	300	IN	A	192.0.2.80
}

// A text can say what is wrong with a server, and a program can ask what it was
// asked.
func ExampleInternet_Count() {
	in := resolvertest.New(nil, `
-- zone shop.example. at 198.51.100.3 --
www     A     192.0.2.80

-- fault 198.51.100.3 --
truncate
`)
	defer in.Close()
	r := in.Resolver(nil)
	defer r.Close()

	if _, err := r.Resolve(context.Background(), "www.shop.example.", dns.TypeA); err != nil {
		fmt.Println(err)
		return
	}
	toShop := resolvertest.To("198.51.100.3")
	fmt.Println("over UDP:", in.Count(toShop, resolvertest.Over("udp")))
	fmt.Println("over TCP:", in.Count(toShop, resolvertest.Over("tcp")))
	// Output:
	// over UDP: 1
	// over TCP: 1
}

// Faults can come and go while a test runs.
func ExampleInternet_Fault() {
	in := resolvertest.New(nil, "-- zone shop.example. at 198.51.100.3 --")
	defer in.Close()

	lookup := func() {
		client := dns.Client{Timeout: time.Minute}
		conn, err := in.Dial(context.Background(), "udp", "198.51.100.3:53")
		if err != nil {
			fmt.Println(err)
			return
		}
		defer conn.Close()
		query := new(dns.Msg).SetQuestion("shop.example.", dns.TypeNS)
		reply, _, err := client.ExchangeWithConn(query, &dns.Conn{Conn: conn})
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(dns.RcodeToString[reply.Rcode])
	}
	lookup()
	in.Fault("shop.example.", resolvertest.Rcode(dns.RcodeServerFailure).First(1))
	lookup()
	lookup()
	// Output:
	// NOERROR
	// SERVFAIL
	// NOERROR
}

// A hook sees each query and may change the reply to it.
func ExampleHook() {
	in := resolvertest.New(nil, "-- zone shop.example. at 198.51.100.3 --\nwww A 192.0.2.80")
	defer in.Close()
	in.Fault("198.51.100.3", resolvertest.Hook(func(query, reply *dns.Msg) {
		for _, rr := range reply.Answer {
			rr.Header().Ttl = 1
		}
	}))
	r := in.Resolver(nil)
	defer r.Close()

	result, err := r.Resolve(context.Background(), "www.shop.example.", dns.TypeA)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(result.Answer[0])
	// Output:
	// www.shop.example.	1	IN	A	192.0.2.80
}

// Programs that cannot take a Dial of their own meet the same servers on sockets.
func ExampleInternet_Listen() {
	in := resolvertest.New(nil, "-- zone shop.example. at 198.51.100.3 2001:db8::3 --\nwww A 192.0.2.80")
	defer in.Close()
	if err := in.Listen(); err != nil {
		fmt.Println(err)
		return
	}
	conn, err := in.LoopbackDial(context.Background(), "udp", "[2001:db8::3]:53")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	fmt.Println(conn.RemoteAddr().(*net.UDPAddr).IP)
	// Output:
	// 127.0.0.1
}

// Zones can come from a directory of zone files.
func ExampleNewFS() {
	files := fstest.MapFS{ // or os.DirFS("testdata"), or an embed.FS
		"shop.example.zone": {Data: []byte("; at 198.51.100.3\nwww A 192.0.2.80\n")},
	}
	in := resolvertest.NewFS(nil, files)
	defer in.Close()
	fmt.Println(in.Servers("shop.example."))
	// Output:
	// [198.51.100.3]
}

// An error in a text names its line.
func ExampleNewInternet() {
	_, err := resolvertest.NewInternet(`
-- zone shop.example. at 198.51.100.3 --
www     A     192.0.2.80
mail    A     192.0.2.256
`)
	fmt.Println(err)
	// Output:
	// line 4: in "-- zone shop.example. at 198.51.100.3 --": A "192.0.2.256": want an IPv4 address such as 192.0.2.1
}

// Names that nobody mocked do not exist, unless a test wants to hear of them.
func ExampleInternet_Unmocked() {
	in := resolvertest.New(nil, "-- zone shop.example. at 198.51.100.3 --\nwww A 192.0.2.80")
	defer in.Close()
	r := in.Resolver(nil)
	defer r.Close()

	if _, err := r.Resolve(context.Background(), "api.partner.example.", dns.TypeA); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Println(err)
	}
	fmt.Println(in.Unmocked()[0])
	// Output:
	// partner.example.
}
