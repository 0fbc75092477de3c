package resolver_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/test/realserver"
	"github.com/iterdns/iterdns/internal/test/testcert"
	"github.com/iterdns/iterdns/resolver"
)

// NSD and BIND as authoritative servers over TLS: of a zone that RequireTLS has, by zone and by
// address, and of a route of kind stub. Nothing goes to them in clear, not even when one is stopped.
func TestRealServersOverTLS(t *testing.T) {
	dir := realserver.TempDir(t)
	files := realserver.TLS{CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem")}
	testcert.Write(t, files.CertFile, files.KeyFile, 1)
	text, err := os.ReadFile(files.CertFile)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)

	bank := realserver.Zone{Origin: "bank.example.", Text: `$ORIGIN bank.example.
$TTL 300
@ SOA ns1 hostmaster 1 7200 3600 86400 60
@ NS ns1
@ NS ns2
ns1 A 198.51.100.9
ns2 A 198.51.100.10
www A 192.0.2.80
*.wild TXT "wild"
`}
	above := realserver.Zone{Origin: ".", Text: `$TTL 300
. SOA a.root.example. hostmaster.example. 1 7200 3600 86400 60
. NS a.root.example.
a.root.example. A 198.18.0.1
bank.example. NS ns1.bank.example.
bank.example. NS ns2.bank.example.
ns1.bank.example. A 198.51.100.9
ns2.bank.example. A 198.51.100.10
`}
	root := realserver.Start(t, realserver.NSD, above)
	nsd := realserver.StartTLS(t, realserver.NSD, files, bank)
	bind := realserver.StartTLS(t, realserver.BIND, files, bank)
	at := map[string]netip.AddrPort{
		"198.18.0.1:53": root.Addr(), "198.51.100.9:53": nsd.Addr(), "198.51.100.10:53": bind.Addr(),
		"198.51.100.9:853": nsd.TLSAddr(), "198.51.100.10:853": bind.TLSAddr(),
	}
	inClear := make(chan string, 1000)
	newResolver := func(change func(*resolver.Options)) *resolver.Resolver {
		o := resolver.Options{
			Validation: resolver.ValidateOff, AllowServer: func(netip.Addr) bool { return true }, Family: resolver.FamilyIPv4Only,
			RootHints: &glue.Delegation{Zone: delegationName(t, "."), Servers: []glue.Server{{Name: delegationName(t, "a.root.example."), Addrs: []netip.Addr{netip.MustParseAddr("198.18.0.1")}}}},
			Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
				if asked := netip.MustParseAddrPort(address); asked.Port() == 53 && asked.Addr() != netip.MustParseAddr("198.18.0.1") {
					inClear <- address
				}
				var d net.Dialer
				to, ok := at[address]
				if !ok {
					to = netip.MustParseAddrPort(address)
				}
				return d.DialContext(ctx, network, to.String())
			},
		}
		change(&o)
		r, err := resolver.New(o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { r.Close() })
		return r
	}
	config := &tls.Config{RootCAs: pool}
	byZone := func(o *resolver.Options) {
		o.RequireTLS = []resolver.TLSRequirement{{Zone: "bank.example", Name: testcert.Name, TLSConfig: config}}
	}
	byAddress := func(o *resolver.Options) {
		o.RequireTLS = []resolver.TLSRequirement{{Servers: netip.MustParsePrefix("198.51.100.0/24"), Name: testcert.Name, TLSConfig: config}}
	}
	stub := func(o *resolver.Options) {
		o.Routes = []resolver.Route{{Zone: "bank.example", Kind: resolver.RouteStub, Servers: []resolver.RouteServer{
			{Addr: nsd.TLSAddr(), Name: testcert.Name, Transport: resolver.TransportTLS, TLSConfig: config},
			{Addr: bind.TLSAddr(), Name: testcert.Name, Transport: resolver.TransportTLS, TLSConfig: config},
		}}}
	}
	check := func(what string, r *resolver.Resolver) {
		t.Helper()
		asked := make(map[netip.AddrPort]bool)
		ctx := resolver.WithTrace(t.Context(), &resolver.Trace{Response: func(i resolver.ResponseInfo) {
			if i.Network == "tls" && i.Err == nil {
				asked[i.Server] = true
			}
		}})
		overTLS := 0
		for i := range 20 {
			for name, rcode := range map[string]int{"www": dns.RcodeSuccess, "none" + string(rune('a'+i)): dns.RcodeNameError, string(rune('a'+i)) + ".wild": dns.RcodeSuccess} {
				result, err := r.Resolve(ctx, name+".bank.example.", dns.TypeTXT)
				if err != nil || result.Rcode != rcode {
					t.Fatalf("%s: %s: got %+v, %v", what, name, result, err)
				}
				overTLS += result.QueriesTLS
			}
		}
		if overTLS < 40 || len(asked) == 0 {
			t.Errorf("%s: %d queries over TLS to %v", what, overTLS, asked)
		}
		select {
		case address := <-inClear:
			t.Errorf("%s: asked in clear at %s", what, address)
		default:
		}
		if conns := r.Stats().Connections; conns == 0 || conns > 4 {
			t.Errorf("%s: %d connections", what, conns)
		}
	}
	for _, server := range []*realserver.Server{nil, nsd} { // of the second round only BIND is left
		if server != nil {
			server.Stop()
		}
		for what, change := range map[string]func(*resolver.Options){"zone": byZone, "address": byAddress, "stub": stub} {
			check(what, newResolver(change))
		}
	}
	bind.Stop()
	if _, err := newResolver(byZone).Resolve(t.Context(), "www.bank.example.", dns.TypeA); err == nil || resolver.Reason(err) != resolver.FailureTLS || len(inClear) > 0 {
		t.Errorf("with no server left: got %v, and %d in clear", err, len(inClear))
	}
}

// delegationName returns a name in the form of package glue.
func delegationName(t *testing.T, text string) glue.Name {
	t.Helper()
	name, err := glue.ParseName(text)
	if err != nil {
		t.Fatal(err)
	}
	return name
}
