package main

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// A record that miekg/dns cannot decode, or would alter, is shown as it came, with the others of
// its reply.
func TestOddRecordsAreShown(t *testing.T) {
	in := resolvertest.New(t, `
-- zone odd.example. at 198.51.100.3 --
@    MX   10 mail
mail A    192.0.2.1
www  URI  \# 3 00ff41
www  UID  \# 3 00ff41
www  LOC  \# 3 00ff41
www  RKEY \# 2 00ff
-- fault 198.51.100.3 --
when type URI: add additional mail.odd.example. A 192.0.2.1
`)
	for _, form := range []form{formDig, formTree, formJSON} {
		for rrtype, want := range map[uint16]string{
			dns.TypeURI: `# 3 00ff41`, dns.TypeUID: `# 3 00ff41`, dns.TypeLOC: `# 3 00ff41`, dns.TypeRKEY: `# 2 00ff`,
		} {
			out := traced(t, in, &command{form: form, additional: true, name: "www.odd.example.", rrtype: rrtype})
			if !strings.Contains(out, want) || strings.Contains(out, "cannot be shown") {
				t.Errorf("%v %s: got\n%s", form, dns.Type(rrtype), out)
			}
			if form != formTree && rrtype == dns.TypeURI && !strings.Contains(out, "192.0.2.1") {
				t.Errorf("%v: the record beside it is not shown:\n%s", form, out)
			}
		}
	}
	if out := traced(t, in, &command{form: formDig, name: "odd.example.", rrtype: dns.TypeMX}); !strings.Contains(out, "10 mail.odd.example.") {
		t.Errorf("got\n%s", out)
	}
}

// traced is what a command writes.
func traced(t *testing.T, in *resolvertest.Internet, c *command) string {
	t.Helper()
	var out bytes.Buffer
	if err := c.trace(context.Background(), internet{options: in.Options()}, &out); err != nil {
		t.Errorf("%v %s: %v", c.form, dns.Type(c.rrtype), err)
	}
	return out.String()
}

// FuzzUnpack: what miekg/dns can unpack has as many records here.
func FuzzUnpack(f *testing.F) {
	m := new(dns.Msg).SetQuestion("odd.example.", dns.TypeMX)
	m.Answer = []dns.RR{&dns.MX{Hdr: dns.RR_Header{Name: "odd.example.", Rrtype: dns.TypeMX, Class: dns.ClassINET}, Mx: "mail.odd.example."}}
	m.Compress = true
	packed, err := m.Pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(packed)
	f.Fuzz(func(t *testing.T, message []byte) {
		var m dns.Msg
		if s, err := unpack(message); err == nil && m.Unpack(message) == nil && len(message) > headerLen {
			if len(s.answer) != len(m.Answer) || len(s.authority) != len(m.Ns) || len(s.additional) != len(m.Extra) {
				t.Errorf("%x: got %v, want %v", message, s, m)
			}
		}
	})
}
