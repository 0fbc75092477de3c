package iterate

import (
	"bytes"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/env"
	"github.com/iterdns/iterdns/internal/limits"
	"github.com/iterdns/iterdns/internal/routes"
	"github.com/iterdns/iterdns/internal/secondlevel"
	"github.com/iterdns/iterdns/internal/upstream"
	"github.com/iterdns/iterdns/internal/wire"
)

// sealedAt is when the blobs of these tests were stored.
var sealedAt = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// message packs a reply to "www.example. A" with the records of one section each.
func message(t testing.TB, edit func(m *dns.Msg), answer, authority, additional string) []byte {
	t.Helper()
	m := new(dns.Msg).SetQuestion("www.example.", dns.TypeA)
	m.Response, m.Authoritative, m.Compress = true, true, true
	for section, text := range map[*[]dns.RR]string{&m.Answer: answer, &m.Ns: authority, &m.Extra: additional} {
		if text == "" {
			continue
		}
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		*section = append(*section, rr)
	}
	if edit != nil {
		edit(m)
	}
	payload, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return payload
}

const (
	wwwA      = "www.example. 300 A 192.0.2.1"
	exampleNS = "example. 300 NS ns.example."
	nsA       = "ns.example. 300 A 198.51.100.1"
	rootSOA   = ". 300 SOA ns.example. h.example. 1 1 1 1 60"
)

// withoutServers returns an iterator that can make replies of blobs, but asks no servers.
func withoutServers() *Iterator {
	e := env.New(env.Settings{Limits: limits.Limits{}.Fill(), Now: time.Now}, false, nil)
	return &Iterator{Env: e, upstream: upstream.New(e, nil, nil, nil)}
}

// recalling returns what an iterator makes of a blob with this payload, as a reply of the
// root's servers.
func recalling(r *Iterator, payload []byte) (*upstream.Reply, error) {
	q := answer.Question{Name: dnsname.MustParse("www.example."), Type: dns.TypeA}
	b := secondlevel.Blob{Stored: sealedAt, Expires: sealedAt.Add(100 * time.Second), Payload: payload}
	st := r.NewQueryState(q, cache.Checked)
	cut := &routes.ZoneCut{Delegation: &glue.Delegation{Zone: dnsname.Root}, Source: new(routes.Source)}
	return r.secondReply(st, cut, q, b, sealedAt.Add(40*time.Second))
}

// Only what a server could have sent, and would have been accepted, is a reply.
func TestSecondReply(t *testing.T) {
	r := withoutServers()
	for _, c := range []struct {
		about   string
		payload []byte
		kind    answer.Kind // unusable: refused
	}{
		{"an answer", message(t, nil, wwwA, "", ""), answer.KindAnswer},
		{"a referral", message(t, func(m *dns.Msg) { m.Authoritative = false }, "", exampleNS, nsA), answer.KindReferral},
		{"a name error", message(t, func(m *dns.Msg) { m.Rcode = dns.RcodeNameError }, "", rootSOA, ""), answer.KindNameError},
		{"no data", message(t, nil, "", rootSOA, ""), answer.KindNoData},
		{"an alias", message(t, nil, "www.example. 300 CNAME other.example.", "", ""), answer.KindAlias},

		{"no data without SOA", message(t, nil, "", "", ""), answer.KindUnusable},
		{"a query", message(t, func(m *dns.Msg) { m.Response = false }, wwwA, "", ""), answer.KindUnusable},
		{"a part", message(t, func(m *dns.Msg) { m.Truncated = true }, wwwA, "", ""), answer.KindUnusable},
		{"an update", message(t, func(m *dns.Msg) { m.Opcode = dns.OpcodeUpdate }, wwwA, "", ""), answer.KindUnusable},
		{"another name's", message(t, func(m *dns.Msg) { m.Question[0].Name = "ww.example." }, wwwA, "", ""), answer.KindUnusable},
		{"another type's", message(t, func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeMX }, wwwA, "", ""), answer.KindUnusable},
		{"another class's", message(t, func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }, wwwA, "", ""), answer.KindUnusable},
		{"without question", message(t, func(m *dns.Msg) { m.Question = nil }, wwwA, "", ""), answer.KindUnusable},
		{"a failure", message(t, func(m *dns.Msg) { m.Rcode = dns.RcodeServerFailure }, "", "", ""), answer.KindUnusable},
		{"a refusal", message(t, func(m *dns.Msg) { m.Rcode = dns.RcodeRefused }, "", "", ""), answer.KindUnusable},
		{"out of a cache", message(t, func(m *dns.Msg) { m.Authoritative, m.RecursionAvailable = false, true }, wwwA, "", ""), answer.KindUnusable},
		{"a referral upwards", message(t, func(m *dns.Msg) { m.Authoritative = false }, "", ". 300 NS ns.example.", nsA), answer.KindUnusable},
		{"bytes too many", append(message(t, nil, wwwA, "", ""), 0), answer.KindUnusable},
		{"a header", make([]byte, wire.HeaderLen), answer.KindUnusable},
		{"nothing", nil, answer.KindUnusable},
	} {
		m, err := recalling(r, c.payload)
		switch {
		case c.kind == answer.KindUnusable && (err == nil || m != nil):
			t.Errorf("%s: got %v, want it refused", c.about, m.Kind)
		case c.kind != answer.KindUnusable && (err != nil || m.Kind != c.kind || !m.FromSecond):
			t.Errorf("%s: got %+v, %v, want %v", c.about, m, err, c.kind)
		}
	}
}

// TTLs are older by what has passed, and end with the blob.
func TestSecondReplyAges(t *testing.T) {
	r := withoutServers()
	for ttl, want := range map[string]uint32{"90": 50, "41": 1, "40": 0, "3": 0, "0": 0, "300": 60, "4294967295": 60} {
		m, err := recalling(r, message(t, nil, "www.example. "+ttl+" A 192.0.2.1", "", ""))
		if err != nil || m.Answer[0].TTL != want {
			t.Errorf("TTL %s after 40 s of 100: got %+v, %v, want %d", ttl, m, err, want)
			continue
		}
		decoded := new(dns.Msg)
		if err := decoded.Unpack(m.Wire); err != nil || decoded.Answer[0].Header().Ttl != want {
			t.Errorf("TTL %s: got %v, %v on the wire, want %d", ttl, decoded, err, want)
		}
	}
}

// Cookies and other data between one resolver and a server are not shared.
func TestWithoutSecrets(t *testing.T) {
	payload := message(t, func(m *dns.Msg) {
		m.Id = 0x1234
		m.SetEdns0(1232, true)
		m.IsEdns0().Option = []dns.EDNS0{
			&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "00112233445566778899aabbccddeeff"},
			&dns.EDNS0_NSID{Code: dns.EDNS0NSID, Nsid: "6e73"},
		}
	}, wwwA, "", "")
	before := bytes.Clone(payload)
	got := withoutSecrets(payload)
	if !bytes.Equal(payload, before) {
		t.Error("the reply itself has changed")
	}
	m := new(dns.Msg)
	if err := m.Unpack(got); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(got, []byte("\x00\x11\x22\x33\x44")) || m.Id != 0 || len(m.IsEdns0().Option) != 1 || m.IsEdns0().Option[0].Option() != dns.EDNS0PADDING {
		t.Errorf("got %v with %v", m, m.IsEdns0().Option)
	}
	if len(m.Answer) != 1 || m.Answer[0].String() != "www.example.\t300\tIN\tA\t192.0.2.1" {
		t.Errorf("got answer %v", m.Answer)
	}
}

// FuzzSecondReply: whatever a store holds, the message made of it is a reply to the
// question that settles it, and no TTL outlives the blob.
func FuzzSecondReply(f *testing.F) {
	f.Add(message(f, nil, wwwA, "", ""))                                                               // an answer
	f.Add(message(f, func(m *dns.Msg) { m.Authoritative = false }, "", exampleNS, nsA))                // a referral
	f.Add(message(f, func(m *dns.Msg) { m.Rcode = dns.RcodeNameError }, "", rootSOA, ""))              // a denial
	f.Add(message(f, func(m *dns.Msg) { m.SetEdns0(1232, true) }, "", rootSOA, ""))                    // with EDNS
	f.Add(message(f, nil, "www.example. 300 CNAME other.example.", "", ""))                            // an alias
	f.Add(message(f, func(m *dns.Msg) { m.Question[0].Name = "WWW.example." }, wwwA, "", ""))          // letter case
	f.Add(message(f, nil, "example. 300 DNAME test.", "", ""))                                         // an alias of a whole zone
	f.Add(message(f, nil, "", "example. 300 DS 1 13 2 00", ""))                                        // half a referral
	f.Add(message(f, func(m *dns.Msg) { m.Response = false }, "", "", ""))                             // a query
	f.Add(message(f, nil, wwwA, "www.example. 300 NSEC example. A RRSIG", "example. 300 A 192.0.2.9")) // a bit of all
	f.Add([]byte("_5\x85\x00\x00\x01\x00\x01\x00\x01\x00\x01\x03www\aexample\x00\x00\x01\x00\x01\xc0\f\x00\x01\x00\x01\x00\x00\x01,\x00\x04\xc0\x00\x02\x01" +
		"\xc0\x10,/\x00\x01\x00\x00\x01,\x00\x11\aexample\x00\x00\x06@\x00\x00\x00\x00\x02\xc0&\x00\x01\x00\x01\x00\x00\f\x00\x00\x04\xc0\x00\x02\t")) // a name that points into a TTL
	r := withoutServers()
	f.Fuzz(func(t *testing.T, payload []byte) {
		before := bytes.Clone(payload)
		m, err := recalling(r, payload)
		if !bytes.Equal(before, payload) {
			t.Fatal("the blob has changed")
		}
		if err != nil {
			if m != nil {
				t.Fatalf("%v beside error %v", m, err)
			}
			return
		}
		if !settlesQuestion(m) || replyTTL(m) > 60 {
			t.Fatalf("got %v that lives %d s, want something final that lives 60 s at most", m.Kind, replyTTL(m))
		}
		parsed, err := wire.Parse(m.Wire)
		if err != nil || parsed.Question.Name != "\x03www\x07example\x00" {
			t.Fatalf("got %v, %v", parsed, err)
		}
		if _, err := wire.Parse(withoutSecrets(m.Wire)); err != nil {
			t.Fatalf("without secrets: %v", err)
		}
	})
}
