package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// evil is data that a terminal would obey, and that looks like a record of somebody else.
const evil = "\x1b]0;pwned\x07\u009b2J\u202e\x7f\r\n;; www.bank.example. 60 IN A 6.6.6.6"

// No form of output has control characters that a server sent, nor lines of its making.
func TestOutputIsPrintable(t *testing.T) {
	in := resolvertest.New(t, `
-- zone evil.example. at 198.51.100.3 --
@ SOA ns hostmaster 1 3600 600 86400 60
`)
	in.Handle("198.51.100.3", dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		m.Authoritative = true
		null := &dns.NULL{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeNULL, Class: dns.ClassINET, Ttl: 60}, Data: evil}
		m.Answer, m.Ns, m.Extra = []dns.RR{null}, []dns.RR{null}, []dns.RR{null}
		m.SetEdns0(1232, false)
		m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_EDE{InfoCode: 1, ExtraText: evil})
		_ = w.WriteMsg(m)
	}))
	for _, form := range []form{formDig, formTree, formJSON} {
		for _, name := range []string{"www.evil.example.", `\027[2J.evil.example.`} {
			var out bytes.Buffer
			c := &command{form: form, additional: true, name: name, rrtype: dns.TypeNULL, dnssec: true, graph: filepath.Join(t.TempDir(), "walk.svg")}
			place := internet{options: in.Options()}
			if err := c.trace(context.Background(), place, &out); err != nil {
				t.Errorf("%v %s: %v", form, name, err)
			}
			picture, err := os.ReadFile(c.graph)
			if err != nil {
				t.Error(err)
			}
			for what, text := range map[string]string{"output": out.String(), "picture": string(picture)} {
				if i := strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) && r != '\t' && r != '\n' }); i >= 0 {
					t.Errorf("%v %s, %s: got %q", form, name, what, text[max(0, i-40):min(len(text), i+40)])
				}
				if strings.Contains(text, "\n;; www.bank") {
					t.Errorf("%v %s, %s: a line is the server's", form, name, what)
				}
			}
			if form != formJSON {
				continue
			}
			for line := range strings.Lines(out.String()) {
				var e event
				if err := json.Unmarshal([]byte(line), &e); err != nil {
					t.Errorf("%s: %v in %s", name, err, line)
				}
				if len(e.Answer) > 0 && !strings.Contains(e.Answer[0], evil) {
					t.Errorf("%s: got %q, want all of the data, behind JSON's escapes", name, e.Answer[0])
				}
			}
		}
	}
}
