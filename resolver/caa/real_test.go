package caa_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/test/realserver"
	"github.com/iterdns/iterdns/internal/test/realsigned"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/caa"
)

// realZone is what each signed zone has.
const realZone = `$TTL 300
@          SOA   ns hostmaster 1 3600 600 604800 300
@          NS    ns
ns         A     %s
@          CAA   0 issue "ca.example"
@          CAA   0 iodef "mailto:security@example.com"
www        A     192.0.2.80
deny       CAA   0 issue ";"
*.wild     CAA   0 issue "other.example"
alias      CNAME deny
old        DNAME new
a.new      CAA   0 issue "other.example"
plain      NS    ns
`

// realWorld is a signed root with zones that three products have signed and serve, and one that
// is not signed.
type realWorld struct {
	root     realsigned.Signed
	resolver *resolver.Resolver
	router   *realserver.Router
}

func newRealWorld(t *testing.T) *realWorld {
	t.Helper()
	realserver.Need(t, realserver.Products()...)
	var root strings.Builder
	root.WriteString("$TTL 300\n. SOA ns. hostmaster. 1 3600 600 604800 300\n. NS ns.\nns. A 198.18.0.1\n")
	w := &realWorld{}
	servers := make(map[netip.Addr]*realserver.Server)
	for i, c := range []struct {
		signer, denial string
		product        realserver.Product
	}{{"bind", "nsec", realserver.NSD}, {"knot", "nsec3", realserver.Knot}, {"ldns", "nsec", realserver.BIND}} {
		addr := netip.AddrFrom4([4]byte{198, 51, 100, byte(10 + i)})
		origin := fmt.Sprintf("z%d.", i)
		z := realsigned.Sign(t, c.signer, origin, c.denial, fmt.Sprintf(realZone, addr))
		plain := realserver.Zone{Origin: "plain." + origin, Text: "$TTL 300\n@ SOA ns." + origin + " h 1 2 3 4 300\n@ NS ns." + origin + "\nwww A 192.0.2.81\n"}
		servers[addr] = realserver.Start(t, c.product, realserver.Zone{Origin: origin, Text: z.Text}, plain)
		fmt.Fprintf(&root, "%[1]s NS ns.%[1]s\nns.%[1]s A %[2]s\n%[3]s", origin, addr, z.DS())
	}
	w.root = realsigned.Sign(t, "bind", ".", "nsec", root.String())
	w.router = realserver.NewRouter(realserver.Start(t, realserver.NSD, realserver.Zone{Origin: ".", Text: w.root.Text}).Addr())
	for addr, s := range servers {
		w.router.Route(s.Addr(), addr)
	}
	ns, err := dnssec.ParseName("ns.")
	if err != nil {
		t.Fatal(err)
	}
	w.resolver, err = resolver.New(resolver.Options{
		RootHints:    &glue.Delegation{Zone: ns.Parent(), Servers: []glue.Server{{Name: ns, Bailiwick: glue.InDomain, Addrs: []netip.Addr{netip.MustParseAddr("198.18.0.1")}}}},
		TrustAnchors: w.root.Anchors,
		AllowServer:  func(netip.Addr) bool { return true },
		Dial:         w.router.Dial, DisableLocalZones: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.resolver.Close() })
	return w
}

// Zones that BIND, Knot DNS and ldns have signed, served by NSD, Knot DNS and BIND: decisions, and
// evidence on which BIND's delv agrees, though it sees nothing but the RRsets of the file.
func TestRealEvidence(t *testing.T) {
	if testing.Short() {
		t.Skip("signs with three programs; TestClimb has such zones in memory")
	}
	delv := realserver.Program(t, "delv")
	w := newRealWorld(t)
	for i := range 3 {
		zone := fmt.Sprintf("z%d.", i)
		for _, c := range []struct {
			name    string
			outcome caa.Outcome
			says    string // by delv, of the name itself
		}{
			{zone, caa.Permitted, "; fully validated"},
			{"www." + zone, caa.Permitted, "; negative response, fully validated"},
			{"missing." + zone, caa.Permitted, "; negative response, fully validated"},
			{"deny." + zone, caa.Denied, "; fully validated"},
			{"alias." + zone, caa.Denied, "; fully validated"},
			{"a.wild." + zone, caa.Denied, "; fully validated"},
			{"a.old." + zone, caa.Denied, "; fully validated"},
			{"plain." + zone, caa.Permitted, "; negative response, unsigned answer"},
			{"www.plain." + zone, caa.Permitted, "; negative response, unsigned answer"},
		} {
			v, err := caa.Check(t.Context(), w.resolver, c.name, request)
			if err != nil || v.Outcome != c.outcome || v.Err != nil {
				t.Errorf("%s: got %v, %v, want %v", c.name, v, err, c.outcome)
				continue
			}
			file, err := v.AppendEvidence(nil)
			if err != nil {
				t.Fatal(err)
			}
			chains, err := dnssec.ReadStoredChains(bytes.NewReader(file))
			if err != nil {
				t.Fatal(err)
			}
			for i := range chains {
				if _, err := chains[i].Verify(w.root.Anchors, v.Ended); err != nil {
					t.Errorf("%v: %v", &chains[i], err)
				}
			}
			if says := w.delv(t, delv, &chains[0], chains[0].Chain); !strings.Contains(says, c.says) {
				t.Errorf("%v: delv says\n%s\nwant %s", &chains[0], says, c.says)
			}
			w.checkExported(t, delv, &chains[0], c.says)
		}
	}
}

// checkExported has delv judge the chain in the form of RFC 9102, if it has one.
func (w *realWorld) checkExported(t *testing.T, delv string, s *dnssec.StoredChain, want string) {
	t.Helper()
	form, err := dnssec.AppendAuthenticationChain(nil, s.Chain)
	if err != nil {
		t.Errorf("%v: %v", s, err)
		return
	}
	if v, err := dnssec.VerifyAuthenticationChain(form, s.Name, s.Type, w.root.Anchors, s.Answered); err != nil || v.Status != s.Status {
		t.Errorf("%v, exported: got %v, %v", s, v, err)
	}
	if s.Status != dnssec.Secure {
		return // the form has no answer, and delv wants one
	}
	links, err := dnssec.ParseAuthenticationChain(form, s.Name, s.Type)
	if err != nil {
		t.Fatal(err)
	}
	links[len(links)-1].Kind = s.Chain[len(s.Chain)-1].Kind // the RCODE, which the form does not have
	if says := w.delv(t, delv, s, links); !strings.Contains(says, want) {
		t.Errorf("%v, exported: delv says\n%s\nwant %s", s, says, want)
	}
	// And delv does look: without one signature it does not agree.
	last := &links[len(links)-1]
	for _, sets := range [][]*dnssec.RRset{last.Answer, last.Authority} {
		for _, set := range sets {
			set.Signatures = ""
		}
	}
	if says := w.delv(t, delv, s, links); strings.Contains(says, "fully validated") {
		t.Errorf("%v, without signatures: delv says\n%s", s, says)
	}
}

// delv asks delv about a question, with a server that has the links of a chain and nothing else.
func (w *realWorld) delv(t *testing.T, program string, s *dnssec.StoredChain, links []dnssec.Link) string {
	t.Helper()
	addr := realserver.FreeAddr(t)
	for _, network := range []string{"udp", "tcp"} { // delv asks again over TCP for a DNAME
		started, ended := make(chan struct{}), make(chan error, 1)
		server := &dns.Server{Addr: addr.String(), Net: network, Handler: chainHandler(links), NotifyStartedFunc: func() { close(started) }}
		go func() { ended <- server.ListenAndServe() }()
		select {
		case <-started:
			defer server.Shutdown()
		case err := <-ended:
			t.Fatal(err)
		}
	}
	anchors := filepath.Join(t.TempDir(), "anchors")
	var text strings.Builder
	for _, a := range w.root.Anchors {
		f := strings.Fields(a.String())
		fmt.Fprintf(&text, "trust-anchors { %q static-ds %s %s %s %q; };\n", a.Zone(), f[4], f[5], f[6], strings.Join(f[7:], ""))
	}
	if err := os.WriteFile(anchors, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), program, "@"+addr.Addr().String(), "-p", fmt.Sprint(addr.Port()), "-a", anchors,
		"+root=.", s.Name.String(), dns.TypeToString[s.Type]).CombinedOutput()
	if err != nil {
		return fmt.Sprintf("%s%v", out, err)
	}
	return string(out)
}

// chainHandler answers as a resolver that knows the links of a chain only. It adds what no signature
// covers, and replies have to have all the same: the CNAME that a DNAME makes, and the SOA beside the
// denial of a DS.
func chainHandler(links []dnssec.Link) dns.HandlerFunc {
	return func(rw dns.ResponseWriter, query *dns.Msg) {
		reply := new(dns.Msg).SetReply(query)
		reply.SetEdns0(4096, true)
		reply.RecursionAvailable = true
		reply.Rcode = dns.RcodeServerFailure
		q := query.Question[0]
		for i := len(links) - 1; i >= 0; i-- {
			if l := &links[i]; l.Name.String() == dns.CanonicalName(q.Name) && l.Type == q.Qtype {
				reply.Rcode = dns.RcodeSuccess
				if l.Kind == dnssec.KindNameError {
					reply.Rcode = dns.RcodeNameError
				}
				reply.Answer, reply.Ns = withCNAMEs(appendAll(l.Answer), l.Name.String()), appendAll(l.Authority)
				if l.Kind != dnssec.KindAnswer && !slices.ContainsFunc(reply.Ns, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeSOA }) {
					reply.Ns = append(reply.Ns, &dns.SOA{Hdr: dns.RR_Header{Name: zoneOf(l, links), Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: 300}, Ns: ".", Mbox: ".", Minttl: 300})
				}
				break
			}
		}
		rw.WriteMsg(reply)
	}
}

// zoneOf returns the zone that denies: the one that signs or, of an unsigned one, the delegation
// that has no DS.
func zoneOf(l *dnssec.Link, links []dnssec.Link) string {
	for _, set := range l.Authority {
		for rdata := range set.Signatures.All() {
			if sig, err := dnssec.ParseSignature(rdata); err == nil {
				return sig.Signer.String()
			}
		}
	}
	for i := len(links) - 1; i >= 0; i-- {
		if links[i].Type == dns.TypeDS && links[i].Kind == dnssec.KindNoData {
			return links[i].Name.String()
		}
	}
	return "."
}

// withCNAMEs adds to an answer about a name the CNAMEs that its DNAMEs make, behind their
// signatures.
func withCNAMEs(answer []dns.RR, name string) []dns.RR {
	var all []dns.RR
	var dname *dns.DNAME
	add := func() {
		if dname != nil {
			target := strings.TrimSuffix(name, dname.Hdr.Name) + dname.Target
			all = append(all, &dns.CNAME{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: dname.Hdr.Ttl}, Target: target})
			name, dname = target, nil
		}
	}
	for _, rr := range answer {
		switch rr := rr.(type) {
		case *dns.RRSIG:
		case *dns.DNAME:
			dname = rr
		case *dns.CNAME:
			if dname != nil {
				continue // it is the one that we make
			}
		default:
			add()
		}
		all = append(all, rr)
	}
	add()
	return all
}

func appendAll(sets []*dnssec.RRset) []dns.RR {
	var all []dns.RR
	for _, set := range sets {
		records, err := set.AppendRRs(all, set.TTL, true)
		if err != nil {
			panic(err)
		}
		all = records
	}
	return all
}
