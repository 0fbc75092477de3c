package debugpage_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"github.com/miekg/dns"
	"golang.org/x/net/html"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/debugpage"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// world has names that fail in three ways, and some that do not.
const world = `
-- zone . signed at 198.51.100.1 --
-- zone example. signed at 198.51.100.2 --
-- zone shop.example. signed at 198.51.100.3 --
www A 192.0.2.80
@ MX 10 mail
cdn CNAME www.plain.example.
-- zone plain.example. at 198.51.100.4 --
www A 192.0.2.85
loop CNAME b
b CNAME loop
-- zone broken.example. signed break=expired:www/A at 198.51.100.5 --
www A 192.0.2.66
-- zone wrongds.example. signed break=ds-digest at 198.51.100.8 --
www A 192.0.2.69
-- zone silent.example. at 198.51.100.6 --
www A 192.0.2.67
-- zone lame.example. at 198.51.100.7 --
www A 192.0.2.68
-- fault 198.51.100.3 --
latency 30ms
cookies
-- fault 198.51.100.6 --
dead
-- fault 198.51.100.7 --
lame refused
`

// site is a page over a mock Internet in memory.
type site struct {
	*testing.T
	in   *resolvertest.Internet
	r    *resolver.Resolver
	page *debugpage.Page
}

// inSite runs a test in virtual time. All goroutines have to be over at its end.
func inSite(t *testing.T, text string, o debugpage.Options, test func(*site), change ...func(*resolver.Options)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, text)
		s := &site{T: t, in: in, r: in.Resolver(t, change...)}
		var err error
		if s.page, err = debugpage.New(s.r, o); err != nil {
			t.Fatal(err)
		}
		test(s)
		if err := s.page.Close(); err != nil {
			t.Error(err)
		}
	})
}

// request makes a request from this host.
func request(method, target string, form url.Values) *http.Request {
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r := httptest.NewRequest(method, "http://localhost:6060/debug/dns/"+target, body)
	r.RemoteAddr = "127.0.0.1:40000"
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return r
}

// send returns what a request gets. Every page is checked.
func (s *site) send(r *http.Request) (status int, body string) {
	s.Helper()
	w := httptest.NewRecorder()
	s.page.ServeHTTP(w, r)
	body = w.Body.String()
	if strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
		checkHTML(s.T, body)
	}
	policy := w.Header().Get("Content-Security-Policy")
	if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") || strings.Contains(policy, "script-src") {
		s.Errorf("got policy %q", policy)
	}
	if w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("X-Content-Type-Options") != "nosniff" {
		s.Errorf("got headers %v", w.Header())
	}
	return w.Code, body
}

// get returns a page that has to be there.
func (s *site) get(target string) string {
	s.Helper()
	status, body := s.send(request(http.MethodGet, target, nil))
	if status != http.StatusOK {
		s.Fatalf("%s: got %d\n%s", target, status, body)
	}
	return body
}

// explain asks for a name.
func (s *site) explain(name, qtype string, anew bool) string {
	s.Helper()
	form := url.Values{"name": {name}, "type": {qtype}}
	if anew {
		form.Set("anew", "1")
	}
	status, body := s.send(request(http.MethodPost, "explain", form))
	if status != http.StatusOK {
		s.Fatalf("%s: got %d\n%s", name, status, body)
	}
	return body
}

// void are the elements of HTML that have no end tag.
var void = []string{"meta", "link", "input", "br"}

// checkHTML reads a page: every element is closed where it should be, nothing is a script, an
// inline style or an address of another site, and all of it is printable.
func checkHTML(t *testing.T, page string) {
	t.Helper()
	if i := strings.IndexFunc(page, func(r rune) bool { return !unicode.IsPrint(r) && r != '\n' && r != '\t' }); i >= 0 {
		t.Errorf("not printable: %q", page[max(0, i-40):min(len(page), i+40)])
	}
	var open []string
	labelled := 0
	for z := html.NewTokenizer(strings.NewReader(page)); ; {
		kind := z.Next()
		token := z.Token()
		switch kind {
		case html.ErrorToken:
			if z.Err() != io.EOF || len(open) > 0 {
				t.Errorf("got %v with %v open", z.Err(), open)
			}
			return
		case html.StartTagToken:
			if !slices.Contains(void, token.Data) {
				open = append(open, token.Data)
			}
		case html.EndTagToken:
			if len(open) == 0 || open[len(open)-1] != token.Data {
				t.Fatalf("</%s> with %v open", token.Data, open)
			}
			open = open[:len(open)-1]
		case html.TextToken, html.SelfClosingTagToken, html.CommentToken, html.DoctypeToken:
		}
		switch token.Data {
		case "script", "style", "iframe", "object", "embed", "base", "img", "foreignObject":
			if kind != html.TextToken {
				t.Errorf("an element %s", token.Data)
			}
		case "label":
			labelled++
		case "input", "select":
			if kind == html.StartTagToken && !slices.Contains(open, "label") {
				t.Errorf("an %s without label", token.Data)
			}
		}
		for _, a := range token.Attr {
			switch {
			case strings.HasPrefix(a.Key, "on"), a.Key == "style":
				t.Errorf("an attribute %s of %s", a.Key, token.Data)
			case a.Key == "href" || a.Key == "action" || a.Key == "src":
				if u, err := url.Parse(a.Val); err != nil || u.IsAbs() || u.Host != "" {
					t.Errorf("%s=%q leads elsewhere", a.Key, a.Val)
				}
			}
		}
	}
}

// textOf returns the text of a page as a reader sees it.
func textOf(page string) string {
	var b strings.Builder
	for z := html.NewTokenizer(strings.NewReader(page)); ; {
		switch z.Next() {
		case html.ErrorToken:
			return strings.Join(strings.Fields(b.String()), " ")
		case html.TextToken:
			b.Write(z.Text())
			b.WriteByte(' ')
		case html.StartTagToken, html.EndTagToken, html.SelfClosingTagToken, html.CommentToken, html.DoctypeToken:
		}
	}
}

// TestThreeFailures: why three names fail is to be seen on the page, and on nothing else; also when
// the program has asked for them before, and only what it remembers is left.
func TestThreeFailures(t *testing.T) {
	for _, test := range []struct {
		name string
		want []string // on the page
		kept []string // of the failure in the cache
	}{
		{"www.broken.example", []string{"bogus", "signature expired", "198.51.100.5", "trust anchor", "DNSKEY"}, []string{"Signature Expired"}},
		{"www.silent.example", []string{"no reply", "198.51.100.6", "silent.example.", "no reachable server"}, []string{"No Reachable Authority"}},
		{"www.lame.example", []string{"REFUSED", "198.51.100.7", "lame.example."}, []string{"No Reachable Authority"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			inSite(t, world, debugpage.Options{Ask: true}, func(s *site) {
				page := s.explain(test.name, "A", false)
				want := append(test.want, "no answer", test.name)
				wantAll(t, "asked", textOf(page), want...)
				if !strings.Contains(page, `<svg xmlns="http://www.w3.org/2000/svg" class="picture"`) {
					t.Error("there is no picture")
				}
				wantAll(t, "asked again", textOf(s.explain(test.name, "A", false)), "known before", "failed a moment ago")
				time.Sleep(time.Second) // until what the question began beside itself has ended
				before := s.r.Stats()
				wantAll(t, "asked anew", textOf(s.explain(test.name, "A", true)), want...)
				if after := s.r.Stats(); after.Questions != before.Questions || after.Cache.Entries != before.Cache.Entries {
					t.Errorf("asking anew changed the resolver: %d questions, %d entries before, %d, %d after",
						before.Questions, before.Cache.Entries, after.Questions, after.Cache.Entries)
				}
				wantAll(t, "cache", textOf(s.get("cache?kind=failure&name="+test.name)), append(test.kept, "in a row", "1 to 1 of 1")...)
			})
		})
	}
}

func wantAll(t *testing.T, what, text string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(text, want) {
			t.Errorf("%s: no %q in\n%s", what, want, text)
		}
	}
}

// TestAnswers: what an answer means is said too.
func TestAnswers(t *testing.T) {
	inSite(t, world, debugpage.Options{Ask: true}, func(s *site) {
		for _, test := range []struct {
			name, qtype string
			want        []string
		}{
			{"www.shop.example", "A", []string{"The name www.shop.example has 1 A record.", "DNSSEC proves it", "192.0.2.80", "secure"}},
			{"cdn.shop.example", "a", []string{"cdn.shop.example is an alias of www.plain.example.", "DNSSEC does not protect it", "insecure"}},
			{"missing.shop.example", "TYPE1", []string{"There is no name missing.shop.example, as the zone shop.example says.", "DNSSEC proves it"}},
			{"www.shop.example", "TXT", []string{"exists, but has no TXT records, as the zone shop.example says"}},
			{"a..c", "A", []string{"That is no domain name."}},
			{"foo bar", "A", []string{"there is a blank in it"}},
			{`foo\\ bar`, "A", []string{"there is a blank in it"}},
			{`foo\ bar.shop.example`, "A", []string{"There is no name foo\\ bar.shop.example"}},
			{`foo\032bar.shop.example`, "A", []string{"There is no name foo\\ bar.shop.example"}},
			{"www.shop.example", "NONSENSE", []string{"That is no record type"}},
			{"www.shop.example", "AXFR", []string{"no answer"}},
		} {
			wantAll(t, test.name+" "+test.qtype, textOf(s.explain(test.name, test.qtype, false)), test.want...)
		}
	})
}

// TestAliasLoop: where aliases lead is in the walk, in the picture and in the cache.
func TestAliasLoop(t *testing.T) {
	inSite(t, world, debugpage.Options{Ask: true}, func(s *site) {
		const loop = "loop.plain.example"
		page := s.explain(loop, "A", false)
		way := "alias to b.plain.example, then back to " + loop
		wantAll(t, "asked", textOf(page), "no answer", way+". Received", way+", ")
		wantAll(t, "asked", page, `<a href="cache?name=loop.plain.example&amp;exactly=1">cache</a>`)
		wantAll(t, "asked again", textOf(s.explain(loop, "A", false)), "known already", loop+". -> b.plain.example. -> "+loop)
		wantAll(t, "cache", textOf(s.get("cache?kind=chain")), loop+". CNAME chain insecure 5 min 0 s "+way)
	})
}

// TestFolded: a bogus answer is asked for again, and the page says so in one line, for each zone too.
func TestFolded(t *testing.T) {
	inSite(t, world, debugpage.Options{Ask: true}, func(s *site) {
		page := s.explain("www.broken.example", "A", true)
		wantAll(t, "walk", page, "<details><summary class=\"line\"><span class=\"what\">asked again 2 times, with the same result</span>")
		wantAll(t, "picture", page, `class="picture"`, `class="picture narrow"`, "keys secure, data bogus", "(asked 3 times, the same)")
		page = textOf(s.explain("www.wrongds.example", "A", true))
		wantAll(t, "mismatch", page, "In the zone wrongds.example, the key tag ", " matches that of the DS, the digest does not.")
	})
}

// TestTerms: words of the resolver's own have their meaning on the page.
func TestTerms(t *testing.T) {
	inSite(t, world, debugpage.Options{Ask: true}, func(s *site) {
		page := s.explain("www.silent.example", "A", true)
		wantAll(t, "walk", page, `title="the servers asked before sent nothing usable"`, "<dt>next</dt>", "on the way: its servers were asked")
		if strings.Contains(page, `class="box indeterminate"`) {
			t.Error("zones on the way have the colour of a warning")
		}
		if page = s.explain("www.shop.example", "A", true); strings.Contains(page, "<dt>next</dt>") || strings.Contains(page, "<dl class=\"terms\">") {
			t.Error("terms that are not there are explained")
		}
		s.explain("www.shop.example", "A", false)
		wantAll(t, "cache", s.get("cache"), "<dt>indeterminate</dt>", `title="not validated itself`)
		wantAll(t, "cache", textOf(s.get("cache")), "entries of other kinds")
		s.explain("loop.plain.example", "A", false)
		wantAll(t, "overview", textOf(s.get("")), "Servers by their round-trip time. Each label is the upper bound of its bar.", "Aliases that lead in a circle are there as aliases")
	})
}

// TestExplainLink: a link with a name fills the form in, or leads to what is remembered of the name,
// and asks nothing.
func TestExplainLink(t *testing.T) {
	for ask, want := range map[bool]string{
		true:  `<input name="name" value="www.shop.example"`,
		false: `<a class="mono" href="cache?name=www.shop.example">www.shop.example</a>`,
	} {
		inSite(t, world, debugpage.Options{Ask: ask}, func(s *site) {
			wantAll(t, fmt.Sprint("Ask: ", ask), s.get("explain?name=+www.shop.example+&type=MX"), want)
			if n := s.in.Count(); n != 0 {
				t.Errorf("%d queries were sent", n)
			}
		})
	}
}

// TestOverview: what has happened is in the figures, and in the plots once they have been read.
func TestOverview(t *testing.T) {
	inSite(t, world, debugpage.Options{}, func(s *site) {
		if page := textOf(s.get("")); !strings.Contains(page, "No question has failed.") || !strings.Contains(page, "none yet") {
			t.Errorf("got\n%s\nof a resolver that was asked nothing", page)
		}
		done := 0
		ctx := s.page.Watch(resolver.WithTrace(s.Context(), &resolver.Trace{Done: func(resolver.DoneInfo) { done++ }}))
		for range 3 {
			_, _ = s.r.Resolve(ctx, "www.broken.example", dns.TypeA) // they fail
			_, _ = s.r.Resolve(s.page.Watch(s.Context()), "www.shop.example", dns.TypeA)
		}
		if done != 3 {
			t.Errorf("the trace that was there is called %d times, want 3", done)
		}
		time.Sleep(25 * time.Second)
		page := s.get("")
		wantAll(t, "overview", textOf(page), "bogus the answer failed DNSSEC validation", "signature expired", "−25 s", "up to 1 ms: 5", "Question times, ms", "Questions 0/s Questions all: 0/s, answered from the cache: 0/s at the end")
		wantAll(t, "overview", page, `<a href="cache?kind=failure">cache</a>`)
		if !strings.Contains(page, `<path class="line one" d="M52.0 `) {
			t.Errorf("no plot in\n%s", page)
		}
		wantAll(t, "servers", textOf(s.get("servers")), "198.51.100.3:53 30.0 ms up 0 yes kept required")
		wantAll(t, "delegations", textOf(s.get("delegations?name=shop.example")), "shop.example. 59 min 3", "ns1.shop.example. 198.51.100.3")
	})
}

// TestServersMarkedDown come first.
func TestServersMarkedDown(t *testing.T) {
	inSite(t, world, debugpage.Options{}, func(s *site) {
		_, _ = s.r.Resolve(s.Context(), "www.silent.example", dns.TypeA) // it fails
		_, _ = s.r.Resolve(s.Context(), "www.shop.example", dns.TypeA)
		page := textOf(s.get("servers"))
		wantAll(t, "servers", page, "1 marked down", "Route 198.51.100.6:53 – marked down")
		if page := textOf(s.get("servers?address=198.51.100.3")); !strings.Contains(page, "1 to 1 of 1") || strings.Contains(page, "marked down –") {
			t.Errorf("got %s", page)
		}
		if page := textOf(s.get("servers?address=nonsense&sort=rtt")); !strings.Contains(page, "No server is known whose address begins like that.") {
			t.Errorf("got %s", page)
		}
		wantAll(t, "slowest", textOf(s.get("servers?sort=rtt")), "Route 198.51.100.3:53 30.0 ms")
	})
}

// evil is text that a browser would obey, or a terminal.
const evil = `"><script>alert(1)</script><img src=x onerror=alert(1)>` + "\x1b]0;pwned\x07\u202e'&lt;"

// TestHostileText: wherever text from the network, or from a request, is shown, it stays text.
func TestHostileText(t *testing.T) {
	label := `<script>alert\(1\)</script>\"'\027&.evil.example.`
	inSite(t, "-- zone evil.example. at 198.51.100.3 --\n@ SOA ns hostmaster 1 3600 600 86400 60\n", debugpage.Options{Ask: true}, func(s *site) {
		var broken atomic.Bool
		s.in.Fault("198.51.100.3", resolvertest.Hook(func(query, m *dns.Msg) {
			q := query.Question[0]
			h := dns.RR_Header{Name: q.Name, Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 60}
			switch q.Qtype {
			case dns.TypeTXT:
				m.Rcode, m.Ns = dns.RcodeSuccess, nil
				m.Answer = []dns.RR{&dns.TXT{Hdr: h, Txt: []string{evil}}}
			case dns.TypeNULL:
				h.Rrtype = dns.TypeNULL
				m.Rcode, m.Ns = dns.RcodeSuccess, nil
				m.Answer = []dns.RR{&dns.NULL{Hdr: h, Data: evil}}
			case dns.TypeMX:
				h.Rrtype = dns.TypeCNAME
				m.Rcode, m.Ns = dns.RcodeSuccess, nil
				m.Answer = []dns.RR{&dns.CNAME{Hdr: h, Target: "target." + label}}
			}
			if broken.Load() {
				m.Rcode, m.Answer, m.Ns = dns.RcodeServerFailure, nil, nil
				m.SetEdns0(1232, false)
				m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_EDE{InfoCode: dns.ExtendedErrorCodeOther, ExtraText: evil})
			}
		}))
		for _, qtype := range []string{"TXT", "NULL", "MX", "A"} {
			for _, anew := range []bool{false, true} {
				page := s.explain(label, qtype, anew)
				wantAll(t, qtype, textOf(page), "evil.example.")
			}
		}
		broken.Store(true)
		s.explain("failing."+label, "A", false)
		for _, target := range []string{
			"", "servers", "cache", "delegations", "explain", "cache?kind=failure", "cache?name=" + url.QueryEscape(label), "delegations?name=example",
			"cache?name=" + url.QueryEscape(evil), "delegations?name=" + url.QueryEscape(evil), "explain?name=" + url.QueryEscape(evil) + "&type=" + url.QueryEscape(evil),
			"servers?address=" + url.QueryEscape(evil) + "&sort=" + url.QueryEscape(evil), "cache?kind=" + url.QueryEscape(evil), "cache?page=" + url.QueryEscape(evil),
		} {
			s.get(target) // checks it
		}
		s.explain(evil, evil, true)
		wantAll(t, "cache", textOf(s.get("cache")), `<script>alert\(1\)`, `alert(1)`)
	})
}

// TestGuard: who may see the page.
func TestGuard(t *testing.T) {
	for _, test := range []struct {
		about   string
		options debugpage.Options
		change  func(*http.Request)
		want    int
	}{
		{"this host", debugpage.Options{}, func(*http.Request) {}, 200},
		{"this host, IPv6", debugpage.Options{}, func(r *http.Request) { r.RemoteAddr, r.Host = "[::1]:4000", "[::1]:6060" }, 200},
		{"another host", debugpage.Options{}, func(r *http.Request) { r.RemoteAddr = "192.0.2.1:4000" }, 403},
		{"a client without address", debugpage.Options{}, func(r *http.Request) { r.RemoteAddr = "@" }, 403},
		{"forwarded", debugpage.Options{}, func(r *http.Request) { r.Header.Set("X-Forwarded-For", "127.0.0.1") }, 403},
		{"forwarded, by the other header", debugpage.Options{}, func(r *http.Request) { r.Header.Set("Forwarded", "for=127.0.0.1") }, 403},
		{"another host with the token", debugpage.Options{Remote: true, Token: "secret"}, func(r *http.Request) {
			r.RemoteAddr = "192.0.2.1:4000"
			r.SetBasicAuth("", "secret")
		}, 200},
		{"another host without the token", debugpage.Options{Remote: true, Token: "secret"}, func(r *http.Request) { r.RemoteAddr = "192.0.2.1:4000" }, 401},
		{"a wrong token", debugpage.Options{Token: "secret"}, func(r *http.Request) { r.SetBasicAuth("secret", "secre") }, 401},
		{"no token", debugpage.Options{Token: "secret"}, func(*http.Request) {}, 401},
		{"a bearer", debugpage.Options{Token: "secret"}, func(r *http.Request) { r.Header.Set("Authorization", "Bearer secret") }, 200},
		{"another scheme", debugpage.Options{Token: "secret"}, func(r *http.Request) { r.Header.Set("Authorization", "secret") }, 401},
		{"a name that leads here", debugpage.Options{}, func(r *http.Request) { r.Host = "evil.example:6060" }, 421},
		{"a name of ours", debugpage.Options{Hosts: []string{"Host.example."}}, func(r *http.Request) { r.Host = "host.example:6060" }, 200},
		{"an empty name", debugpage.Options{Hosts: []string{""}}, func(r *http.Request) { r.Host = "" }, 421},
		{"an address", debugpage.Options{}, func(r *http.Request) { r.Host = "127.0.0.1" }, 200},
		{"an image of another site", debugpage.Options{}, func(r *http.Request) {
			r.Header.Set("Sec-Fetch-Site", "cross-site")
			r.Header.Set("Sec-Fetch-Mode", "no-cors")
			r.Header.Set("Sec-Fetch-Dest", "image")
		}, 403},
		{"a frame of a neighbour", debugpage.Options{}, func(r *http.Request) {
			r.Header.Set("Sec-Fetch-Site", "same-site")
			r.Header.Set("Sec-Fetch-Mode", "navigate")
			r.Header.Set("Sec-Fetch-Dest", "iframe")
		}, 403},
		{"a link of another site", debugpage.Options{}, func(r *http.Request) {
			r.Header.Set("Sec-Fetch-Site", "cross-site")
			r.Header.Set("Sec-Fetch-Mode", "navigate")
			r.Header.Set("Sec-Fetch-Dest", "document")
		}, 200},
	} {
		t.Run(test.about, func(t *testing.T) {
			inSite(t, world, test.options, func(s *site) {
				for _, target := range []string{"", "servers", "cache", "style.css", "explain"} {
					r := request(http.MethodGet, target, nil)
					test.change(r)
					if status, _ := s.send(r); status != test.want {
						t.Errorf("%q: got %d, want %d", target, status, test.want)
					}
				}
			})
		})
	}
}

// TestAsking: only a POST from the page itself asks, and only where it may.
func TestAsking(t *testing.T) {
	form := url.Values{"name": {"www.shop.example"}, "type": {"A"}}
	with := func(name, value string) *http.Request {
		r := request(http.MethodPost, "explain", form)
		r.Header.Set(name, value)
		return r
	}
	inSite(t, world, debugpage.Options{Ask: true}, func(s *site) {
		for about, test := range map[string]struct {
			r    *http.Request
			want int
		}{
			"another site":             {with("Sec-Fetch-Site", "cross-site"), 403},
			"another site, old":        {with("Origin", "http://evil.example"), 403},
			"a file":                   {with("Origin", "null"), 403},
			"read only":                {request(http.MethodGet, "explain?name=www.shop.example&type=A", nil), 200},
			"read only, the head":      {request(http.MethodHead, "explain?name=www.shop.example", nil), 200},
			"another method":           {request(http.MethodPut, "explain", form), 405},
			"another page":             {request(http.MethodPost, "cache", form), 405},
			"a page that is not there": {request(http.MethodGet, "nothing", nil), 404},
			"too much":                 {request(http.MethodPost, "explain", url.Values{"name": {strings.Repeat("a", 1<<20)}}), 400},
			"a name in the query": {func() *http.Request {
				r := request(http.MethodPost, "explain?name=www.shop.example&type=A", url.Values{})
				return r
			}(), 200},
		} {
			if status, _ := s.send(test.r); status != test.want {
				t.Errorf("%s: got %d, want %d", about, status, test.want)
			}
		}
		if n := s.in.Count(); n != 0 {
			t.Errorf("%d queries were sent", n)
		}
		own := with("Sec-Fetch-Site", "same-origin")
		own.Header.Set("Origin", "http://localhost:6060")
		if status, body := s.send(own); status != 200 || !strings.Contains(body, "192.0.2.80") || s.in.Count() == 0 {
			t.Errorf("the page's own: got %d\n%s", status, body)
		}
	})
	inSite(t, world, debugpage.Options{}, func(s *site) {
		if status, _ := s.send(request(http.MethodPost, "explain", form)); status != 403 || s.in.Count() != 0 {
			t.Errorf("not allowed: got %d and %d queries", status, s.in.Count())
		}
		if page := s.get("explain"); strings.Contains(page, "<form") {
			t.Errorf("a form in\n%s", page)
		}
	})
}

// TestAskingIsBounded: two questions at a time, and none longer than a quarter of a minute. Close
// ends them.
func TestAskingIsBounded(t *testing.T) {
	asked := make(chan struct{}, 10)
	wait := func(o *resolver.Options) {
		o.Hooks.Before = func(ctx context.Context, q dns.Question) (*resolver.Result, error) {
			asked <- struct{}{}
			<-ctx.Done()
			return nil, ctx.Err()
		}
	}
	inSite(t, world, debugpage.Options{Ask: true}, func(s *site) {
		type outcome struct {
			status int
			took   time.Duration
		}
		outcomes := make(chan outcome, 10)
		ask := func(name string) {
			began := time.Now()
			w := httptest.NewRecorder()
			s.page.ServeHTTP(w, request(http.MethodPost, "explain", url.Values{"name": {name}}))
			outcomes <- outcome{w.Code, time.Since(began)}
		}
		for i := range 3 {
			go ask(fmt.Sprintf("n%d.shop.example", i))
		}
		for range 3 {
			o := <-outcomes
			if want := map[int]time.Duration{503: 5 * time.Second, 200: 15 * time.Second}[o.status]; o.took != want {
				t.Errorf("got %d after %v, want it after %v", o.status, o.took, want)
			}
		}
		if len(asked) != 2 {
			t.Errorf("%d questions were asked, want 2", len(asked))
		}
		go ask("last.shop.example")
		synctest.Wait()
		began := time.Now()
		if err := s.page.Close(); err != nil || time.Since(began) != 0 {
			t.Errorf("Close: %v after %v", err, time.Since(began))
		}
		<-outcomes
		if status, body := s.send(request(http.MethodGet, "", nil)); status != 503 || !strings.Contains(body, "has been closed") {
			t.Errorf("after Close: got %d\n%s", status, body)
		}
	}, wait)
}

// deadlines is a ResponseWriter of a server with deadlines.
type deadlines struct {
	*httptest.ResponseRecorder
	read, write []time.Time
}

func (d *deadlines) SetReadDeadline(t time.Time) error { d.read = append(d.read, t); return nil }

func (d *deadlines) SetWriteDeadline(t time.Time) error { d.write = append(d.write, t); return nil }

// TestDeadlines: a question may take longer than the server allows for other requests.
func TestDeadlines(t *testing.T) {
	inSite(t, world, debugpage.Options{Ask: true}, func(s *site) {
		for method, want := range map[string]int{http.MethodPost: 1, http.MethodGet: 0} {
			w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
			s.page.ServeHTTP(w, request(method, "explain", url.Values{"name": {"www.shop.example"}}))
			if len(w.read) != want || len(w.write) != want || want == 1 && !(w.read[0].IsZero() && w.write[0].IsZero()) {
				t.Errorf("%s: got deadlines %v and %v", method, w.read, w.write)
			}
		}
	})
}

// TestPaging: every entry is on one of the pages, in canonical order, and pages beyond the end are
// empty.
func TestPaging(t *testing.T) {
	var text strings.Builder
	text.WriteString("-- zone shop.example. at 198.51.100.3 --\n")
	const names = 250
	for i := range names {
		fmt.Fprintf(&text, "n%03d A 192.0.2.1\n", i)
	}
	inSite(t, text.String(), debugpage.Options{}, func(s *site) {
		for i := range names {
			if _, err := s.r.Resolve(s.Context(), fmt.Sprintf("n%03d.shop.example", (i*7)%names), dns.TypeA); err != nil {
				t.Fatal(err)
			}
		}
		seen := 0
		for page := range 4 {
			body := textOf(s.get(fmt.Sprintf("cache?kind=rrset&name=shop.example&page=%d", page)))
			for i := page * 100; i < min(page*100+100, names); i++ {
				if name := fmt.Sprintf("n%03d.shop.example.", i); strings.Count(body, name) == 1 {
					seen++
				}
			}
			if next := strings.Contains(body, "after →"); next != (page < 2) {
				t.Errorf("page %d: a next page: %v", page, next)
			}
		}
		if seen != names {
			t.Errorf("%d names are where they should be, want %d", seen, names)
		}
		for _, page := range []string{"-1", "999999999999999999999", "x", "1000000"} {
			s.get("cache?page=" + page)
			s.get("servers?page=" + page)
		}
		wantAll(t, "exactly", textOf(s.get("cache?exactly=1&name=n001.shop.example&kind=rrset")), "1 to 1 of 1")
		wantAll(t, "nothing", textOf(s.get("cache?name=other.example")), "Nothing is kept there.")
		wantAll(t, "no name", textOf(s.get("cache?name=a..b")), "That is no domain name")
	})
}

// TestOptions: what makes no sense is refused.
func TestOptions(t *testing.T) {
	r := resolvertest.New(t, world).Resolver(t)
	for option, o := range map[string]debugpage.Options{
		"Remote": {Remote: true}, "Every": {Every: time.Millisecond},
	} {
		var wrong *debugpage.OptionError
		if _, err := debugpage.New(r, o); !errors.As(err, &wrong) || wrong.Option != option || !strings.Contains(err.Error(), option) {
			t.Errorf("%+v: got %v, want it about %s", o, err, option)
		}
	}
}

// TestClosing twice is no mistake, and the page works where it is mounted without its path.
func TestClosing(t *testing.T) {
	inSite(t, world, debugpage.Options{}, func(s *site) {
		w := httptest.NewRecorder()
		http.StripPrefix("/debug/dns", s.page).ServeHTTP(w, request(http.MethodGet, "servers", nil))
		if w.Code != http.StatusOK {
			t.Errorf("got %d", w.Code)
		}
		_ = s.page.Close()
	})
}
