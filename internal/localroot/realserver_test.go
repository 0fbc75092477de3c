package localroot

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/test/realserver"
	"github.com/iterdns/iterdns/internal/test/rootsigner"
)

// The real root zone comes from real servers as from the file, and they answer as the copy does.
func TestRealServers(t *testing.T) {
	text := realText(t)
	for _, product := range realserver.Products() {
		t.Run(product.String(), func(t *testing.T) {
			realserver.Need(t, product)
			server := realserver.Start(t, product, realserver.Zone{Origin: ".", Text: text})
			c, err := fetchAXFR(t.Context(), new(net.Dialer).DialContext, server.Addr(), nil, dnsname.Root, nil)
			if err != nil {
				t.Fatal(err)
			}
			z, err := iana.verify(c, realTime)
			if err != nil {
				t.Fatal(err)
			}
			if z.Serial != realSerial || z.Records != 24977 {
				t.Errorf("got serial %d, %d records", z.Serial, z.Records)
			}
			if _, err := fetchAXFR(t.Context(), new(net.Dialer).DialContext, server.Addr(), nil, dnsname.Root, z); err != errUnchanged {
				t.Errorf("again: got %v", err)
			}
			compareReplies(t, server, z)

			own := realserver.Start(t, product, realserver.Zone{Origin: ".", Text: rootsigner.Sign(t, smallRoot, rootsigner.Options{Signed: signedAt, Hash: 2})})
			if c, err = fetchAXFR(t.Context(), new(net.Dialer).DialContext, own.Addr(), nil, dnsname.Root, nil); err != nil {
				t.Fatal(err)
			}
			if _, err := trustOf(t, 0).verify(c, signedAt); err != nil {
				t.Error(err)
			}
		})
	}
}

// compareReplies asks a server and the copy the same questions.
func compareReplies(t *testing.T, server *realserver.Server, z *Zone) {
	t.Helper()
	conn, err := dns.DialTimeout("tcp", server.Addr().String(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	compared := make(map[string]int)
	for i, q := range questionsFor(z) {
		query := new(dns.Msg).SetQuestion(q.Name, q.Qtype).SetEdns0(4096, true)
		query.RecursionDesired = false
		if err := conn.WriteMsg(query); err != nil {
			t.Fatal(err)
		}
		want, err := conn.ReadMsg()
		if err != nil {
			t.Fatal(err)
		}
		name := dnsname.MustParse(q.Name)
		packed := z.Reply(name, q.Qtype)
		got := new(dns.Msg)
		if err := got.Unpack(packed); err != nil {
			t.Fatalf("%d: %s %s: %v", i, q.Name, dns.Type(q.Qtype), err)
		}
		if a, b := summary(got), summary(want); a != b {
			t.Fatalf("%s %s: got\n%s\nwant\n%s", q.Name, dns.Type(q.Qtype), a, b)
		}
		kind := "referral"
		switch {
		case got.Rcode != 0:
			kind = dns.RcodeToString[got.Rcode]
		case len(got.Answer) > 0:
			kind = "answer"
		case got.Authoritative:
			kind = "no data"
		}
		compared[kind]++
	}
	t.Log(compared)
	if len(compared) != 4 {
		t.Errorf("got %v, want four kinds", compared)
	}
}

// questionsFor are the apex, each delegation, and names between and below them.
func questionsFor(z *Zone) []dns.Question {
	var questions []dns.Question
	ask := func(name string, types ...uint16) {
		for _, rrtype := range types {
			questions = append(questions, dns.Question{Name: name, Qtype: rrtype, Qclass: dns.ClassINET})
		}
	}
	ask(".", dns.TypeSOA, dns.TypeNS, dns.TypeDNSKEY, dns.TypeZONEMD, dns.TypeNSEC, dns.TypeDS, dns.TypeA, dns.TypeMX, dns.TypeCNAME)
	for i := range z.sets {
		s := &z.sets[i]
		if s.Type != dns.TypeNS || s.Owner.IsRoot() {
			continue
		}
		name := s.Owner.String()
		ask(name, dns.TypeDS)
		ask("www.example."+name, dns.TypeA)
		if i%7 == 0 {
			ask(name, dns.TypeNS, dns.TypeMX, dns.TypeDNSKEY)
			ask("a."+name, dns.TypeDS)
			ask("0-missing-"+name, dns.TypeA, dns.TypeDS)
			ask("www."+strings.TrimSuffix(name, ".")+"-0.", dns.TypeAAAA)
		}
	}
	return questions
}

// summary is what matters of a reply: code, AA, and the records of answer and authority in any
// order. Which glue comes with a referral is the server's choice where not all has room; here that
// which is of the referral's own servers is compared.
func summary(m *dns.Msg) string {
	var b strings.Builder
	fmt.Fprintln(&b, dns.RcodeToString[m.Rcode], m.Authoritative)
	hosts := make(map[string]bool)
	for _, section := range [][]dns.RR{m.Answer, m.Ns} {
		var lines []string
		for _, rr := range section {
			if ns, ok := rr.(*dns.NS); ok {
				hosts[ns.Ns] = true
			}
			// Some servers add the NS records of the zone to its answers.
			if len(m.Answer) > 0 && &section[0] != &m.Answer[0] {
				continue
			}
			lines = append(lines, rr.String())
		}
		slices.Sort(lines)
		fmt.Fprintln(&b, strings.Join(lines, "\n"))
	}
	if !m.Authoritative {
		var lines []string
		for _, rr := range m.Extra {
			if hosts[rr.Header().Name] {
				lines = append(lines, rr.String())
			}
		}
		slices.Sort(lines)
		fmt.Fprintln(&b, strings.Join(lines, "\n"))
	}
	return b.String()
}
