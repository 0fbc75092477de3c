package resolvertest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

func TestLogEntry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := New(t, shop+"-- fault "+shopServer+" --\nlatency 20ms\nwhen type TXT: drop")
		time.Sleep(time.Second)
		q := query("wWw.shop.example.", dns.TypeA)
		q.Id, q.RecursionDesired, q.CheckingDisabled = 4711, true, true
		q.IsEdns0().SetDo()
		reply := ask(t, in, shopServer, q)
		got := in.Log()[0]
		want := Query{
			Time: time.Now().Add(-20 * time.Millisecond), Server: mustAddrPort(shopServer).Addr(), Network: "udp",
			ID: 4711, Name: "wWw.shop.example.", Type: dns.TypeA, Class: dns.ClassINET,
			RD: true, CD: true, DO: true, EDNS: true, UDPSize: 1232, Size: q.Len(),
			Answered: true, Rcode: dns.RcodeSuccess, ReplySize: reply.Len(),
		}
		reply.Compress = true
		want.ReplySize = reply.Len()
		if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	})
}

func TestFilters(t *testing.T) {
	in := New(t, shop+"-- zone other.example. at 2001:db8::4 --\nwww A 192.0.2.1")
	for _, q := range []struct{ network, server, name string }{
		{"udp", shopServer, "www.shop.example."},
		{"tcp", shopServer, "wWw.shop.example."},
		{"udp", "2001:db8::4", "a.b.other.example."},
	} {
		exchangeOver(t, in, q.network, q.server, query(q.name, dns.TypeA))
	}
	exchangeOver(t, in, "udp", shopServer, query("shop.example.", dns.TypeNS))
	tests := []struct {
		name    string
		filters []Filter
		want    int
	}{
		{"none", nil, 4},
		{"nil", []Filter{nil}, 4},
		{"name in any case", []Filter{Name("WWW.shop.example")}, 2},
		{"malformed name", []Filter{Name("a..b")}, 0},
		{"below", []Filter{Below("example.")}, 4},
		{"below a name", []Filter{Below("other.example")}, 1},
		{"below is also at", []Filter{Below("shop.example")}, 3},
		{"malformed top", []Filter{Below("a..b")}, 0},
		{"type", []Filter{Type(dns.TypeNS)}, 1},
		{"types", []Filter{Type(dns.TypeNS, dns.TypeA)}, 4},
		{"network", []Filter{Over("tcp")}, 1},
		{"server", []Filter{To("2001:db8::4")}, 1},
		{"servers", []Filter{To("2001:db8::4", shopServer, "nonsense")}, 4},
		{"not", []Filter{Not(Over("tcp"))}, 3},
		{"all of them", []Filter{Name("www.shop.example."), Over("udp")}, 1},
	}
	for _, test := range tests {
		if got := in.Count(test.filters...); got != test.want {
			t.Errorf("%s: got %d, want %d", test.name, got, test.want)
		}
	}
	in.ResetLog()
	if got := in.Count(); got != 0 {
		t.Errorf("got %d queries after ResetLog", got)
	}
}

// TestUnconnected: what could not be sent is in the log too, and what was sent
// over a connection is there once.
func TestUnconnected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := New(t, shop)
		wire := wireOf(t, query("www.shop.example.", dns.TypeA))
		for _, fault := range []Fault{Latency(time.Second), Refuse(), Unreachable()} {
			in.Fault(shopServer, Mend(), fault)
			for _, network := range []string{"udp", "tcp"} {
				send(t, in, inMemory, network, shopServer, wire)
			}
		}
		var got []string
		for _, q := range in.Log() {
			got = append(got, q.String())
		}
		want := []string{
			"198.51.100.3 udp www.shop.example. A", "198.51.100.3 tcp www.shop.example. A",
			"198.51.100.3 udp www.shop.example. A", "198.51.100.3 tcp (no connection)",
			"198.51.100.3 udp (no connection)", "198.51.100.3 tcp (no connection)",
		}
		if !slices.Equal(got, want) {
			t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	})
}

func TestTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := New(t, shop+"-- fault "+shopServer+" --\nlatency 20ms\nwhen type TXT: drop\nwhen type MX: truncate\nwhen type NS: rcode 15")
		q := query("www.shop.example.", dns.TypeA)
		q.RecursionDesired, q.AuthenticatedData, q.CheckingDisabled = true, true, true
		q.IsEdns0().SetDo()
		q.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0001020304050607"}}
		ask(t, in, shopServer, q)
		plain := new(dns.Msg).SetQuestion("www.shop.example.", dns.TypeMX)
		plain.RecursionDesired = false
		ask(t, in, shopServer, plain)
		ask(t, in, shopServer, query("www.shop.example.", dns.TypeNS))
		send(t, in, inMemory, "udp", shopServer, wireOf(t, query("www.shop.example.", dns.TypeTXT)))
		want := `
after  server        net  question               flags                  size  reply
0s     198.51.100.3  udp  www.shop.example. A    rd,ad,cd,do,edns,cookie  57    NOERROR 61
20ms   198.51.100.3  udp  www.shop.example. MX   -                      34    NOERROR tc 34
40ms   198.51.100.3  udp  www.shop.example. NS   edns                   45    RCODE15 45
60ms   198.51.100.3  udp  www.shop.example. TXT  edns                   45    -
`
		if got := Table(in.Log()); squeezed(got) != squeezed(want) {
			t.Errorf("got:\n%s\nwant:%s", got, want)
		}
	})
	if got := Table(nil); got != "no queries\n" {
		t.Errorf("got %q", got)
	}
}

// squeezed takes superfluous blanks out.
func squeezed(s string) string {
	var out []string
	for line := range strings.Lines(strings.TrimSpace(s)) {
		out = append(out, strings.Join(strings.Fields(line), " "))
	}
	return strings.Join(out, "\n")
}

func TestUnmocked(t *testing.T) {
	ask := func(t *testing.T, in *Internet) {
		root := in.Servers(".")[0].String()
		for _, name := range []string{
			"www.shop.example.", "example.", ".", "ns1.", // what is there, or leads there
			"nobody.example.", "www.nowhere.", "WWW.nowhere.", "nobody.shop.example.",
		} {
			wire, err := query(name, dns.TypeA).Pack()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := send(t, in, inMemory, "udp", root, wire); err != nil {
				t.Fatal(err)
			}
		}
	}
	in := New(t, shop)
	ask(t, in)
	if got := fmt.Sprint(in.Unmocked()); got != "[nobody.example. www.nowhere.]" {
		t.Errorf("got %s", got)
	}
	failures := failuresOf(func(tb TB) {
		in := New(tb, shop, FailUnmocked())
		ask(t, in)
	})
	if len(failures) != 3 || !strings.Contains(failures[0], "nobody.example.") {
		t.Errorf("got failures %q, want three", failures)
	}
	if in := New(t, "-- zone . at 192.0.2.1 --\n"); len(in.Unmocked()) != 0 {
		t.Errorf("got %v with a written root", in.Unmocked())
	}
}

func TestFailures(t *testing.T) {
	for name, f := range map[string]func(t TB){
		"text":      func(t TB) { New(t, "nonsense") },
		"directory": func(t TB) { NewFS(t, fstest.MapFS{"x.txt": {Data: []byte("nonsense")}}) },
		"fault":     func(t TB) { New(t, shop).Fault(shopServer, Flag("xx", true)) },
		"target":    func(t TB) { New(t, shop).Fault("a..b", Dead()) },
		"intercept": func(t TB) { New(t, shop).Intercept(Add(Answer, "x")) },
		"forged":    func(t TB) { New(t, shop).Fault(shopServer, Forged(1, Add(Answer, "x"))) },
		"owner":     func(t TB) { New(t, shop).Fault(shopServer, RemoveName(Answer, "a..b", dns.TypeA)) },
	} {
		if got := failuresOf(f); len(got) != 1 {
			t.Errorf("%s: got failures %q, want one", name, got)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("without a test, a text with errors does not panic")
		}
	}()
	New(nil, "nonsense")
}

func TestFS(t *testing.T) {
	files := fstest.MapFS{
		"root.zone":         {Data: []byte("; at 192.0.2.1\nwritten TXT root\n")},
		"example.zone":      {Data: []byte("$TTL 60\n@ NS ns\nns A 192.0.2.2\n")},
		"shop.example.zone": {Data: []byte("; shop\n; at 192.0.2.3 2001:db8::3\nwww A 192.0.2.80\n")},
		"faults.txt":        {Data: []byte("-- fault shop.example. --\nset ra\n-- zone more.example. at 192.0.2.3 --\n")},
		"README":            {Data: []byte("not for us")},
		"sub/x.zone":        {Data: []byte("nonsense")},
	}
	in := NewFS(t, files)
	for zone, want := range map[string]string{
		".": "[192.0.2.1]", "example.": "[192.0.2.2]", "shop.example.": "[192.0.2.3 2001:db8::3]", "more.example.": "[192.0.2.3]",
	} {
		if got := fmt.Sprint(in.Servers(zone)); got != want {
			t.Errorf("%s: got %s, want %s", zone, got, want)
		}
	}
	compare(t, text(ask(t, in, "192.0.2.3", query("www.shop.example.", dns.TypeA))),
		"NOERROR aa ra\nan www.shop.example. 300 IN A 192.0.2.80")

	for name, test := range map[string]struct{ data, want string }{
		"bad.example.zone": {"www A 192.0.2.1\nwww A x\n", "bad.example.zone:2: "},
		"bad.txt":          {"-- zone a. --\n\nwww A x\n", "bad.txt:3: "},
		"worse.txt":        {"stray", "worse.txt: line 1: "},
		"a..b.zone":        {"", "a..b.zone"},
	} {
		in, err := NewInternetFS(fstest.MapFS{name: {Data: []byte(test.data)}})
		if err == nil || in != nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
	}
	if in, err := NewInternetFS(files); err != nil {
		t.Error(err)
	} else {
		in.Close()
	}
}

func TestNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := New(t, shop)
		if got := in.Now(); !got.Equal(time.Now()) {
			t.Errorf("got %v, want %v", got, time.Now())
		}
		in.Advance(time.Hour)
		in.Advance(time.Minute)
		if got, want := in.Now(), time.Now().Add(61*time.Minute); !got.Equal(want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}
