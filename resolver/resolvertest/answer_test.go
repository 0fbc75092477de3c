package resolvertest

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/miekg/dns"
)

// answers is the Internet of TestAnswers. 192.0.2.1 serves example. and its child
// together.example., 192.0.2.2 shop.example., 192.0.2.3 other.example.
const answers = `
-- zone example. at 192.0.2.1 --
@               NS      ns1
                NS      ns.shop
child           NS      ns.child
child           NS      ns.shop
child           NS      ns.else.where.
ns.child        A       203.0.113.1
ns.child        AAAA    2001:db8::1
a.empty.node    A       192.0.2.10

-- zone together.example. at 192.0.2.1 --
www             A       192.0.2.11

-- zone shop.example. at 192.0.2.2 --
@               SOA     ns hostmaster 7 1 1 1 60
@               NS      ns
ns              A       192.0.2.2
www             A       192.0.2.80
www             A       192.0.2.81
mail            MX      10 ns
_x._tcp         SRV     1 2 3 ns
alias           CNAME   www
chain           CNAME   alias
away            CNAME   www.other.example.
dangling        CNAME   nothing
loop1           CNAME   loop2
loop2           CNAME   loop1
*.wild          A       192.0.2.82
there.wild      TXT     "here"
ent.wild        TXT     "x"
a.b.wild        TXT     "y"
*.walias        CNAME   www
old             DNAME   new
www.new         A       192.0.2.83
long            DNAME   aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.ccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc
type65280       TYPE65280 \# 3 010203

-- zone other.example. at 192.0.2.3 192.0.2.2 --
www             A       192.0.2.90
`

func TestAnswers(t *testing.T) {
	const soa = "ns shop.example. 60 IN SOA ns.shop.example. hostmaster.shop.example. 7 1 1 1 60"
	const parentSOA = "ns example. 300 IN SOA ns1.example. hostmaster.example. 1 3600 600 604800 300"
	tests := []struct {
		name   string
		server string
		qname  string
		qtype  uint16
		want   string
	}{
		{"answer", "192.0.2.2", "www.shop.example.", dns.TypeA, `NOERROR aa
			an www.shop.example. 300 IN A 192.0.2.80
			an www.shop.example. 300 IN A 192.0.2.81`},
		{"letter case of the question comes back", "192.0.2.2", "wWw.sHop.example.", dns.TypeA, `NOERROR aa
			an wWw.sHop.example. 300 IN A 192.0.2.80
			an wWw.sHop.example. 300 IN A 192.0.2.81`},
		{"NODATA, RFC 2308 §2.2", "192.0.2.2", "www.shop.example.", dns.TypeAAAA, "NOERROR aa\n" + soa},
		{"name error, RFC 2308 §2.1", "192.0.2.2", "none.shop.example.", dns.TypeA, "NXDOMAIN aa\n" + soa},
		{"empty non-terminal, RFC 4592 §2.2.2", "192.0.2.1", "empty.node.example.", dns.TypeA, "NOERROR aa\n" + parentSOA},
		{"below a name that exists", "192.0.2.2", "x.www.shop.example.", dns.TypeA, "NXDOMAIN aa\n" + soa},
		{"referral with in-domain and sibling glue", "192.0.2.1", "www.child.example.", dns.TypeA, `NOERROR
			ns child.example. 300 IN NS ns.child.example.
			ns child.example. 300 IN NS ns.shop.example.
			ns child.example. 300 IN NS ns.else.where.
			ar ns.child.example. 300 IN A 203.0.113.1
			ar ns.child.example. 300 IN AAAA 2001:db8::1
			ar ns.shop.example. 300 IN A 192.0.2.2`},
		{"NS at the cut is a referral too", "192.0.2.1", "shop.example.", dns.TypeNS, `NOERROR
			ns shop.example. 300 IN NS ns.shop.example.
			ar ns.shop.example. 300 IN A 192.0.2.2`},
		{"data below a cut is not answered from", "192.0.2.1", "hidden.child.example.", dns.TypeTXT, `NOERROR
			ns child.example. 300 IN NS ns.child.example.
			ns child.example. 300 IN NS ns.shop.example.
			ns child.example. 300 IN NS ns.else.where.
			ar ns.child.example. 300 IN A 203.0.113.1
			ar ns.child.example. 300 IN AAAA 2001:db8::1
			ar ns.shop.example. 300 IN A 192.0.2.2`},
		{"glue is not an answer", "192.0.2.1", "ns.child.example.", dns.TypeA, `NOERROR
			ns child.example. 300 IN NS ns.child.example.
			ns child.example. 300 IN NS ns.shop.example.
			ns child.example. 300 IN NS ns.else.where.
			ar ns.child.example. 300 IN A 203.0.113.1
			ar ns.child.example. 300 IN AAAA 2001:db8::1
			ar ns.shop.example. 300 IN A 192.0.2.2`},
		{"DS at the parent's side, RFC 4035 §3.1.4.1", "192.0.2.1", "shop.example.", dns.TypeDS, "NOERROR aa\n" + parentSOA},
		{"DS where parent and child are served", "192.0.2.1", "together.example.", dns.TypeDS, "NOERROR aa\n" + parentSOA},
		{"DS at the child's server", "192.0.2.2", "shop.example.", dns.TypeDS, "NOERROR aa\n" + soa},
		{"child on the parent's server", "192.0.2.1", "www.together.example.", dns.TypeA, `NOERROR aa
			an www.together.example. 300 IN A 192.0.2.11`},
		{"NS at the apex with addresses", "192.0.2.2", "shop.example.", dns.TypeNS, `NOERROR aa
			an shop.example. 300 IN NS ns.shop.example.
			ar ns.shop.example. 300 IN A 192.0.2.2`},
		{"MX with the host's address", "192.0.2.2", "mail.shop.example.", dns.TypeMX, `NOERROR aa
			an mail.shop.example. 300 IN MX 10 ns.shop.example.
			ar ns.shop.example. 300 IN A 192.0.2.2`},
		{"SRV with the host's address", "192.0.2.2", "_x._tcp.shop.example.", dns.TypeSRV, `NOERROR aa
			an _x._tcp.shop.example. 300 IN SRV 1 2 3 ns.shop.example.
			ar ns.shop.example. 300 IN A 192.0.2.2`},
		{"CNAME", "192.0.2.2", "alias.shop.example.", dns.TypeA, `NOERROR aa
			an alias.shop.example. 300 IN CNAME www.shop.example.
			an www.shop.example. 300 IN A 192.0.2.80
			an www.shop.example. 300 IN A 192.0.2.81`},
		{"chain of CNAMEs", "192.0.2.2", "chain.shop.example.", dns.TypeA, `NOERROR aa
			an chain.shop.example. 300 IN CNAME alias.shop.example.
			an alias.shop.example. 300 IN CNAME www.shop.example.
			an www.shop.example. 300 IN A 192.0.2.80
			an www.shop.example. 300 IN A 192.0.2.81`},
		{"CNAME asked for is not followed", "192.0.2.2", "chain.shop.example.", dns.TypeCNAME, `NOERROR aa
			an chain.shop.example. 300 IN CNAME alias.shop.example.`},
		{"ANY at a CNAME is not followed", "192.0.2.2", "chain.shop.example.", dns.TypeANY, `NOERROR aa
			an chain.shop.example. 300 IN CNAME alias.shop.example.`},
		{"CNAME into another zone served here", "192.0.2.2", "away.shop.example.", dns.TypeA, `NOERROR aa
			an away.shop.example. 300 IN CNAME www.other.example.
			an www.other.example. 300 IN A 192.0.2.90`},
		{"RCODE is of the last name, RFC 6604 §3", "192.0.2.2", "dangling.shop.example.", dns.TypeA, `NXDOMAIN aa
			an dangling.shop.example. 300 IN CNAME nothing.shop.example.
			` + soa},
		{"CNAME to NODATA", "192.0.2.2", "alias.shop.example.", dns.TypeAAAA, `NOERROR aa
			an alias.shop.example. 300 IN CNAME www.shop.example.
			` + soa},
		{"wildcard, RFC 4592 §2.2.1", "192.0.2.2", "x.y.wild.shop.example.", dns.TypeA, `NOERROR aa
			an x.y.wild.shop.example. 300 IN A 192.0.2.82`},
		{"wildcard NODATA", "192.0.2.2", "x.wild.shop.example.", dns.TypeTXT, "NOERROR aa\n" + soa},
		{"an existing name blocks the wildcard", "192.0.2.2", "there.wild.shop.example.", dns.TypeA, "NOERROR aa\n" + soa},
		{"an empty non-terminal blocks it too", "192.0.2.2", "b.wild.shop.example.", dns.TypeA, "NOERROR aa\n" + soa},
		{"so do names below what exists", "192.0.2.2", "z.b.wild.shop.example.", dns.TypeA, "NXDOMAIN aa\n" + soa},
		{"the wildcard asked for by name", "192.0.2.2", "*.wild.shop.example.", dns.TypeA, `NOERROR aa
			an *.wild.shop.example. 300 IN A 192.0.2.82`},
		{"wildcard CNAME", "192.0.2.2", "x.walias.shop.example.", dns.TypeA, `NOERROR aa
			an x.walias.shop.example. 300 IN CNAME www.shop.example.
			an www.shop.example. 300 IN A 192.0.2.80
			an www.shop.example. 300 IN A 192.0.2.81`},
		{"DNAME, RFC 6672 §3.1", "192.0.2.2", "www.old.shop.example.", dns.TypeA, `NOERROR aa
			an old.shop.example. 300 IN DNAME new.shop.example.
			an www.old.shop.example. 300 IN CNAME www.new.shop.example.
			an www.new.shop.example. 300 IN A 192.0.2.83`},
		{"DNAME leaves its owner alone, RFC 6672 §2.3", "192.0.2.2", "old.shop.example.", dns.TypeA, "NOERROR aa\n" + soa},
		{"DNAME asked for", "192.0.2.2", "old.shop.example.", dns.TypeDNAME, `NOERROR aa
			an old.shop.example. 300 IN DNAME new.shop.example.`},
		{"DNAME to a name too long, RFC 6672 §2.2", "192.0.2.2", strings.Repeat("a", 60) + ".long.shop.example.", dns.TypeA, `YXDOMAIN aa
			an long.shop.example. 300 IN DNAME ` +
			strings.Repeat("a", 60) + "." + strings.Repeat("b", 61) + "." + strings.Repeat("c", 61) + ".shop.example."},
		{"unknown type, RFC 3597 §5", "192.0.2.2", "type65280.shop.example.", 65280, `NOERROR aa
			an type65280.shop.example. 300 CLASS1 TYPE65280 \# 3 010203`},
		{"a zone that is not served", "192.0.2.2", "www.together.example.", dns.TypeA, "REFUSED"},
		{"zone transfer", "192.0.2.2", "shop.example.", dns.TypeAXFR, "REFUSED"},
		{"NXNAME, RFC 9824 §3.3", "192.0.2.2", "shop.example.", dns.TypeNXNAME, "FORMERR"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in := New(t, answers)
				compare(t, text(ask(t, in, test.server, query(test.qname, test.qtype))), test.want)
			})
		})
	}
}

func TestAliasLoopEnds(t *testing.T) {
	in := New(t, answers)
	reply := ask(t, in, "192.0.2.2", query("loop1.shop.example.", dns.TypeA))
	if got := len(reply.Answer); got != maxChain {
		t.Errorf("got %d records, want %d", got, maxChain)
	}
}

func TestAnyHasAllSets(t *testing.T) {
	in := New(t, answers)
	reply := ask(t, in, "192.0.2.2", query("shop.example.", dns.TypeANY))
	compare(t, text(reply), `NOERROR aa
		an shop.example. 300 IN SOA ns.shop.example. hostmaster.shop.example. 7 1 1 1 60
		an shop.example. 300 IN NS ns.shop.example.`)
}

func TestNegativeTTL(t *testing.T) {
	tests := []struct {
		soa  string
		want uint32
	}{
		{"@ 100 SOA ns h 1 1 1 1 60", 60},
		{"@ 30 SOA ns h 1 1 1 1 60", 30},
	}
	for _, test := range tests {
		in := New(t, "-- zone shop.example. at 192.0.2.2 --\n"+test.soa)
		reply := ask(t, in, "192.0.2.2", query("none.shop.example.", dns.TypeA))
		if got := reply.Ns[0].Header().Ttl; got != test.want {
			t.Errorf("%s: got TTL %d, want %d (RFC 2308 §5)", test.soa, got, test.want)
		}
	}
}

func TestMixedTTLsAreLevelled(t *testing.T) {
	in := New(t, `
-- zone shop.example. at 192.0.2.2 --
www 20 A 192.0.2.80
www 10 A 192.0.2.81
`)
	reply := ask(t, in, "192.0.2.2", query("www.shop.example.", dns.TypeA))
	compare(t, text(reply), `NOERROR aa
		an www.shop.example. 10 IN A 192.0.2.80
		an www.shop.example. 10 IN A 192.0.2.81`)
}
