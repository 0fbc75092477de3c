package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// without takes a flag and its value out.
func without(flags []string, name string) []string {
	var kept []string
	for i := 0; i < len(flags); i++ {
		if flags[i] == name {
			i++
			continue
		}
		kept = append(kept, flags[i])
	}
	return kept
}

// What the flags about the resolver change, as a client sees it.
func TestResolverFlags(t *testing.T) {
	w := newInternet(t)
	wrong := filepath.Join(t.TempDir(), "wrong.ds")
	write(t, wrong, ". IN DS 1 15 2 0000000000000000000000000000000000000000000000000000000000000000\n")
	below := filepath.Join(t.TempDir(), "below.ds")
	write(t, below, "elsewhere. IN DS 1 15 2 0000000000000000000000000000000000000000000000000000000000000000\n")
	tests := []struct {
		what   string
		flags  []string
		name   string
		rcode  int
		secure bool
	}{
		{"all as it should be", w.flags(), "www.shop.example.", dns.RcodeSuccess, true},
		{"-dnssec=true", w.flags("-dnssec=true"), "www.bogus.example.", dns.RcodeServerFailure, false},
		{"-dnssec=false", w.flags("-dnssec=false"), "www.bogus.example.", dns.RcodeSuccess, false},
		{"-anchors of other keys", append(without(w.flags(), "-anchors"), "-anchors", wrong), "www.shop.example.", dns.RcodeServerFailure, false},
		{"-anchors of another zone", append(without(w.flags(), "-anchors"), "-anchors", below), "www.bogus.example.", dns.RcodeSuccess, false},
		{"no -allow-server", without(w.flags(), "-allow-server"), "www.shop.example.", dns.RcodeServerFailure, false},
		{"-allow-server for some", append(without(w.flags(), "-allow-server"), "-allow-server", "127.77.0.2/31,127.77.0.4"),
			"www.shop.example.", dns.RcodeSuccess, true},
		{"-allow-server for too few", append(without(w.flags(), "-allow-server"), "-allow-server", "127.77.0.2"),
			"www.shop.example.", dns.RcodeServerFailure, false},
		{"-port of nobody", append(without(w.flags(), "-port"), "-port", "1"), "www.shop.example.", dns.RcodeServerFailure, false},
	}
	if testing.Short() {
		tests = tests[:len(tests)-1] // it waits until every server has been tried again
	}
	for _, test := range tests {
		p := startProxy(t, test.flags...)
		got := ask(t, "udp", p.at["udp"], test.name, dns.TypeA, withDO)
		if got.Rcode != test.rcode || got.AuthenticatedData != test.secure {
			t.Errorf("%s: got\n%v\nwant %s, AD %t", test.what, got, dns.RcodeToString[test.rcode], test.secure)
		}
		p.finish()
	}
}

// What the flags about answers from elsewhere change.
func TestPolicyFlags(t *testing.T) {
	w := newInternet(t)
	dir := t.TempDir()
	hosts, zone := filepath.Join(dir, "hosts"), filepath.Join(dir, "lan.zone")
	write(t, hosts, "192.0.2.77 printer.lan\n")
	write(t, zone, "@ 60 SOA ns hostmaster 1 7200 3600 86400 60\n@ 60 NS ns\nns 60 A 192.0.2.53\ncamera 60 A 192.0.2.78\n")
	forwarder := startProxy(t, w.flags("-hosts", hosts)...)
	tests := []struct {
		what  string
		flags []string
		name  string
		rcode int
		want  string // address
	}{
		{"-hosts", w.flags("-hosts", hosts), "printer.lan.", dns.RcodeSuccess, "192.0.2.77"},
		{"-local-zone", w.flags("-local-zone", "lan="+zone), "camera.lan.", dns.RcodeSuccess, "192.0.2.78"},
		{"no -rebind-protection", w.flags(), "inside.shop.example.", dns.RcodeSuccess, "10.0.0.1"},
		{"-rebind-protection", w.flags("-rebind-protection"), "inside.shop.example.", dns.RcodeSuccess, ""},
		{"-private-domain", w.flags("-rebind-protection", "-private-domain", "shop.example"), "inside.shop.example.", dns.RcodeSuccess, "10.0.0.1"},
		{"no -route", w.flags(), "printer.lan.", dns.RcodeNameError, ""},
		{"-route", w.flags("-route", "lan=unsigned,"+forwarder.at["udp"]), "printer.lan.", dns.RcodeSuccess, "192.0.2.77"},
		{"-route over tcp", w.flags("-route", "lan=unsigned,tcp://"+forwarder.at["tcp"]), "printer.lan.", dns.RcodeSuccess, "192.0.2.77"},
		{"-route to a stub zone", w.flags("-route", fmt.Sprintf("other.test=stub,unsigned,127.77.0.9:%d", w.port)), "www.other.test.", dns.RcodeSuccess, "192.0.2.99"},
	}
	for _, test := range tests {
		p := startProxy(t, test.flags...)
		got := ask(t, "udp", p.at["udp"], test.name, dns.TypeA, withEDNS)
		address := ""
		for _, rr := range got.Answer {
			if a, ok := rr.(*dns.A); ok {
				address = a.A.String()
			}
		}
		if got.Rcode != test.rcode || address != test.want {
			t.Errorf("%s: got\n%v\nwant %s, %q", test.what, got, dns.RcodeToString[test.rcode], test.want)
		}
		p.finish()
	}
}

// A route that leads back is an error that ends the proxy.
func TestRouteLoop(t *testing.T) {
	// An address of its own: nobody takes the port before the proxy does.
	address := fmt.Sprintf("127.%d.%d.%d:1053", 1+rand.IntN(250), rand.IntN(250), 1+rand.IntN(250))
	var stderr strings.Builder
	cmd := command(newInternet(t).flags("-listen", address, "-route", "lan=unsigned,"+address)...)
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	end := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer end.Stop()
	_ = cmd.Wait() // the exit code says how it ended
	if code := cmd.ProcessState.ExitCode(); code != exitUsage {
		t.Errorf("exit code %d, want %d", code, exitUsage)
	}
	expect(t, "standard error", stderr.String(), `\nproxy: -route: .*lan\.`)
}

func TestNSID(t *testing.T) {
	p := startProxy(t, newInternet(t).flags("-nsid", "server seven")...)
	got := ask(t, "udp", p.at["udp"], "www.shop.example.", dns.TypeA, withEDNS, func(m *dns.Msg) {
		m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_NSID{Code: dns.EDNS0NSID})
	})
	for _, o := range got.IsEdns0().Option {
		if id, ok := o.(*dns.EDNS0_NSID); ok && id.Nsid == hex.EncodeToString([]byte("server seven")) {
			return
		}
	}
	t.Errorf("got\n%v\nwant the identity", got)
}

// With -rotate each of several records comes first at some time.
func TestRotate(t *testing.T) {
	p := startProxy(t, newInternet(t).flags("-rotate")...)
	first := make(map[string]bool)
	eventually(t, "other order of records", func() bool {
		got := ask(t, "udp", p.at["udp"], "many.shop.example.", dns.TypeA)
		if len(got.Answer) != 3 {
			t.Fatalf("got\n%v\nwant 3 records", got)
		}
		first[got.Answer[0].String()] = true
		return len(first) == 3
	})
}

// scrape returns the metrics as a collector gets them.
func scrape(t *testing.T, p *process) string {
	t.Helper()
	response, err := http.Get("http://" + p.at["metrics"] + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK || !strings.HasPrefix(response.Header.Get("Content-Type"), "text/plain; version=0.0.4") {
		t.Errorf("got %s, %v, %v", response.Status, response.Header, err)
	}
	return string(text)
}

// expectMetrics returns the metrics when they have all that is wanted: a query is counted
// after its answer is sent.
func expectMetrics(t *testing.T, p *process, want ...string) (text string) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		text = scrape(t, p)
		if !slices.ContainsFunc(want, func(w string) bool { return !regexp.MustCompile(w).MatchString(text) }) {
			return text
		}
	}
	expect(t, "metrics", text, want...)
	return text
}

func TestMetrics(t *testing.T) {
	p := startProxy(t, newInternet(t).flags("-metrics", "127.0.0.1:0")...)
	for range 3 {
		ask(t, "udp", p.at["udp"], "www.shop.example.", dns.TypeA)
	}
	ask(t, "tcp", p.at["tcp"], "nosuch.shop.example.", dns.TypeA)
	text := expectMetrics(t, p,
		`iterdns_queries_total\{transport="udp",verdict="answered"\} 3\n`,
		`iterdns_queries_total\{transport="tcp",verdict="answered"\} 1\n`,
		`iterdns_queries_total\{transport="udp",verdict="rate-limited"\} 0\n`,
		`iterdns_answers_total\{transport="udp",rcode="NOERROR"\} 3\n`,
		`iterdns_answers_total\{transport="tcp",rcode="NXDOMAIN"\} 1\n`,
		`iterdns_answer_duration_seconds_bucket\{transport="tcp",le="\+Inf"\} 1\n`,
		`iterdns_answer_duration_seconds_count\{transport="tcp"\} 1\n`,
		`iterdns_questions_total 4\n`,
		`iterdns_questions_from_cache_total 2\n`,
		`iterdns_stale_answers_total 0\n`,
		`iterdns_upstream_queries_total\{network="udp"\} [1-9]`,
		`iterdns_upstream_received_bytes_total [1-9]`,
		`iterdns_failures_total\{reason="bogus"\} 0\n`,
		`iterdns_limits_total\{limit="Sends"\} 0\n`,
		`iterdns_bogus_total\{reason="[a-z ]+"\} 0\n`,
		`iterdns_questions_in_flight 0\n`,
		`iterdns_servers [1-9]`,
		`iterdns_cache_entries [1-9]`,
		`iterdns_cache_bytes [1-9]`,
		`iterdns_cache_max_bytes 67108864\n`,
	)
	if strings.Contains(text, "example") || strings.Contains(text, "127.0.0.1") {
		t.Errorf("a name or an address in\n%s", text)
	}
	checkExposition(t, text)
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (\S+)`).FindAllStringSubmatch(text, -1) {
		if !strings.Contains(string(page), "`"+m[1]+"`") {
			t.Errorf("README.md does not name %s", m[1])
		}
	}
}

// How many queries are over the rate depends on how fast they are asked; the client sees
// which.
func TestMetricsOverRate(t *testing.T) {
	p := startProxy(t, newInternet(t).flags("-metrics", "127.0.0.1:0", "-client-rate", "1")...)
	asked, over := 0, 0
	eventually(t, "query over the rate", func() bool {
		asked++
		if ask(t, "udp", p.at["udp"], "www.shop.example.", dns.TypeA).Truncated {
			over++
		}
		return over == 2
	})
	expectMetrics(t, p,
		fmt.Sprintf(`iterdns_queries_total\{transport="udp",verdict="rate-limited"\} %d\n`, over),
		fmt.Sprintf(`iterdns_queries_total\{transport="udp",verdict="answered"\} %d\n`, asked-over),
		fmt.Sprintf(`iterdns_answers_total\{transport="udp",rcode="NOERROR"\} %d\n`, asked),
	)
}

// Over streams, too, what the cache has is answered without decoding.
func TestStreamHits(t *testing.T) {
	p := startProxy(t, newInternet(t).flags("-metrics", "127.0.0.1:0")...)
	for range 2 {
		if got := ask(t, "tcp", p.at["tcp"], "www.shop.example.", dns.TypeA, withDO); len(got.Answer) != 2 || !got.AuthenticatedData {
			t.Errorf("got\n%v\nwant a secure answer", got)
		}
	}
	expectMetrics(t, p, `iterdns_hits_total\{transport="tcp"\} 1\n`)
}

// What goes wrong is counted by why.
func TestMetricsOfFailures(t *testing.T) {
	p := startProxy(t, newInternet(t).flags("-metrics", "127.0.0.1:0")...)
	ask(t, "udp", p.at["udp"], "www.bogus.example.", dns.TypeA)
	ask(t, "udp", p.at["udp"], "www.broken.example.", dns.TypeA)
	expectMetrics(t, p,
		`iterdns_failures_total\{reason="bogus"\} 1\n`,
		`iterdns_failures_total\{reason="unreachable"\} 1\n`,
		`iterdns_bogus_total\{reason="[a-z ]+"\} [1-9]`,
	)
}

// checkExposition: each line is a comment or a value, and each name has its type before
// its first value.
func checkExposition(t *testing.T, text string) {
	t.Helper()
	typed := make(map[string]bool)
	line := regexp.MustCompile(`^([a-z_]+?)(_bucket|_sum|_count)?(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? ([0-9.e+-]+)$`)
	for l := range strings.Lines(text) {
		l = strings.TrimSuffix(l, "\n")
		if name, ok := strings.CutPrefix(l, "# TYPE "); ok {
			typed[strings.Fields(name)[0]] = true
			continue
		}
		m := line.FindStringSubmatch(l)
		if !strings.HasPrefix(l, "# HELP ") && (m == nil || !typed[m[1]]) {
			t.Errorf("got the line %q", l)
		}
	}
}

// A small cache holds less than a large one, by its own count.
func TestCacheBytes(t *testing.T) {
	for _, size := range []int{100_000, 10_000_000} {
		p := startProxy(t, newInternet(t).flags("-metrics", "127.0.0.1:0", "-cache-bytes", fmt.Sprint(size))...)
		expectMetrics(t, p, fmt.Sprintf(`iterdns_cache_max_bytes %s\n`, regexp.QuoteMeta(fmt.Sprint(size))))
	}
}

func TestLog(t *testing.T) {
	w := newInternet(t)
	p := startProxy(t, w.flags("-log-queries")...)
	ask(t, "udp", p.at["udp"], "www.shop.example.", dns.TypeA)
	p.terminate()
	p.wait() // the line is written after the answer is sent
	expect(t, "-log-queries", p.text(), `"msg":"query","client":"127\.0\.0\.1:\d+","transport":"udp","name":"www\.shop\.example\.","type":"A","rcode":"NOERROR","answers":1`)

	p = startProxy(t, w.flags()...)
	ask(t, "udp", p.at["udp"], "www.shop.example.", dns.TypeA)
	p.terminate()
	p.wait()
	if strings.Contains(p.text(), "shop") {
		t.Errorf("names are logged though nobody asked for it:\n%s", p.text())
	}
}

// A question without an answer is logged with the reason, a bogus one as such, and one that is
// refused too; times have their unit.
func TestLogReasons(t *testing.T) {
	w := newInternet(t)
	p := startProxy(t, w.flags("-log-queries")...)
	ask(t, "udp", p.at["udp"], "www.bogus.example.", dns.TypeA)
	p.terminate()
	p.wait()
	expect(t, "bogus", p.text(), `"msg":"no answer","client":"127\.0\.0\.1:\d+","name":"www\.bogus\.example\.","type":"A","status":"bogus","why":"No answer for www\.bogus\.example\. A: the answer failed DNSSEC validation \(`)
	expect(t, "unit", p.text(), `"rcode":"SERVFAIL","answers":0,"took":"[0-9.]+[mµ]?s"`)

	p = startProxy(t, w.flags("-log-queries", "-allow-client", "192.0.2.0/24")...)
	ask(t, "udp", p.at["udp"], "www.shop.example.", dns.TypeA)
	ask(t, "tcp", p.at["tcp"], "www.shop.example.", dns.TypeA)
	p.terminate()
	p.wait()
	for _, transport := range []string{"udp", "tcp"} {
		expect(t, "refused over "+transport, p.text(), `"transport":"`+transport+`".*"rcode":"REFUSED".*"why":"its address is not in -allow-client"`)
	}
}

// A proxy that others reach and that answers this host only says so.
func TestWarnsOfStrangers(t *testing.T) {
	for flags, warns := range map[string]bool{
		"-listen 0.0.0.0:0":                              true,
		"-listen 127.0.0.1:0":                            false,
		"-listen 0.0.0.0:0 -allow-client 192.168.0.0/16": false,
		"-listen 0.0.0.0:0 -allow-client ::1":            true,
	} {
		var log strings.Builder
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if code := run(ctx, strings.Fields(flags), io.Discard, &log); code != exitStopped {
			t.Errorf("%s: exit code %d: %s", flags, code, &log)
		}
		if got := strings.Contains(log.String(), "level=WARN msg=\"only this host gets answers"); got != warns {
			t.Errorf("%s: got\n%s\nwant a warning: %t", flags, &log, warns)
		}
	}
}

// -time-limit ends a question whose servers are silent.
func TestTimeLimitOption(t *testing.T) {
	c, err := parseFlags([]string{"-time-limit", "2s"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if o, err := c.options(); err != nil || o.Limits.Time != 2*time.Second {
		t.Errorf("got %v, %v, want 2s", o.Limits.Time, err)
	}
}

// The log is text unless the flags say otherwise.
func TestLogFormat(t *testing.T) {
	for _, test := range []struct{ flags, want string }{
		{"", `level=INFO msg=ready\n`},
		{"-log text", `level=INFO msg=ready\n`},
		{"-log json", `"level":"INFO","msg":"ready"}\n`},
	} {
		var log strings.Builder
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // it is told to stop before it begins
		if code := run(ctx, append(strings.Fields(test.flags), "-listen", "127.0.0.1:0"), io.Discard, &log); code != exitStopped {
			t.Errorf("%q: exit code %d, want %d", test.flags, code, exitStopped)
		}
		expect(t, test.flags, log.String(), test.want)
	}
}

// brief has answers that expire while a test looks on.
const brief = internet + `
-- zone brief.example. at 127.77.0.8 --
www   1   A   192.0.2.91
often 5   A   192.0.2.92
`

func newBriefInternet(t *testing.T) *world {
	return newWorld(t, brief, "example.", "shop.example.", "brief.example.")
}

// With -stale an expired answer is given, and said to be one, when the servers fail;
// without it the failure is.
func TestStale(t *testing.T) {
	if testing.Short() {
		t.Skip("waits until answers are old; package resolver has serve-stale in virtual time")
	}
	for _, test := range []struct {
		flags []string
		rcode int
		why   uint16
	}{
		{[]string{"-stale", "1h", "-metrics", "127.0.0.1:0"}, dns.RcodeSuccess, dns.ExtendedErrorCodeStaleAnswer},
		{[]string{"-metrics", "127.0.0.1:0"}, dns.RcodeServerFailure, 0},
	} {
		w := newBriefInternet(t)
		p := startProxy(t, w.flags(test.flags...)...)
		question := func() *dns.Msg {
			return ask(t, "udp", p.at["udp"], "www.brief.example.", dns.TypeA, withEDNS)
		}
		if got := question(); len(got.Answer) != 1 {
			t.Fatalf("%v: got\n%v\nwant an answer", test.flags, got)
		}
		w.Fault("brief.example.", resolvertest.Rcode(dns.RcodeServerFailure))
		var got *dns.Msg
		eventually(t, "end of the answer", func() bool {
			got = question()
			return got.Rcode != dns.RcodeSuccess || ede(got) != nil
		})
		if e := ede(got); got.Rcode != test.rcode || test.why != 0 && (len(got.Answer) != 1 || e.InfoCode != test.why) {
			t.Errorf("%v: got\n%v\nwant %s, extended error %d", test.flags, got, dns.RcodeToString[test.rcode], test.why)
		}
		stale := "0"
		if test.why != 0 {
			stale = "[1-9]"
		}
		expectMetrics(t, p, `iterdns_stale_answers_total `+stale+`\d*\n`)
		p.finish()
	}
}

// With -stale-over-bogus what was validated is given, and said to be expired, while the new data is
// bogus; without it there is no answer.
func TestStaleOverBogus(t *testing.T) {
	for _, test := range []struct {
		flags []string
		rcode int
		why   uint16
	}{
		{[]string{"-stale-over-bogus", "-metrics", "127.0.0.1:0"}, dns.RcodeSuccess, dns.ExtendedErrorCodeStaleAnswer},
		{[]string{"-stale", "1h", "-metrics", "127.0.0.1:0"}, dns.RcodeServerFailure, dns.ExtendedErrorCodeDNSBogus},
	} {
		w := newWorld(t, strings.Replace(brief, "127.77.0.8", "127.77.0.8 signed", 1), "example.", "shop.example.", "brief.example.")
		p := startProxy(t, w.flags(test.flags...)...)
		question := func() *dns.Msg {
			return ask(t, "udp", p.at["udp"], "www.brief.example.", dns.TypeA, withEDNS)
		}
		if got := question(); len(got.Answer) != 1 {
			t.Fatalf("%v: got\n%v\nwant an answer", test.flags, got)
		}
		if err := w.Update("-- zone brief.example. signed break=corrupt:www/A --\n$TTL 1\nwww A 192.0.2.66\n"); err != nil {
			t.Fatal(err)
		}
		var got *dns.Msg
		eventually(t, "end of the answer", func() bool {
			got = question()
			return got.Rcode != dns.RcodeSuccess || ede(got) != nil
		})
		if e := ede(got); got.Rcode != test.rcode || e == nil || e.InfoCode != test.why || (len(got.Answer) == 1) != (test.rcode == dns.RcodeSuccess) {
			t.Errorf("%v: got\n%v\nwant %s, extended error %d", test.flags, got, dns.RcodeToString[test.rcode], test.why)
		}
		over := "0"
		if test.rcode == dns.RcodeSuccess {
			over = "[1-9]"
		}
		expectMetrics(t, p, `iterdns_stale_over_bogus_answers_total `+over+`\d*\n`)
		p.finish()
	}
}

// What is asked for all the time is fetched before it expires, unless -prefetch=false.
func TestPrefetch(t *testing.T) {
	if testing.Short() {
		t.Skip("waits until answers are old; package resolver has prefetching in virtual time")
	}
	for _, test := range []struct{ flag, want string }{
		{"-prefetch=true", `iterdns_prefetches_total\{result="succeeded"\} [1-9]`},
		{"-prefetch=false", `iterdns_prefetches_total\{result="succeeded"\} 0\n`},
	} {
		t.Run(test.flag, func(t *testing.T) {
			t.Parallel() // they wait
			w := newBriefInternet(t)
			p := startProxy(t, w.flags(test.flag, "-metrics", "127.0.0.1:0")...)
			fetched := regexp.MustCompile(test.want)
			eventually(t, "third fetch", func() bool {
				ask(t, "udp", p.at["udp"], "often.brief.example.", dns.TypeA)
				return w.Count(resolvertest.Name("often.brief.example."), resolvertest.Type(dns.TypeA)) >= 3
			})
			eventually(t, "metric "+test.want, func() bool {
				ask(t, "udp", p.at["udp"], "often.brief.example.", dns.TypeA)
				return fetched.MatchString(scrape(t, p))
			})
		})
	}
}

// TestDebugPage: the page is there, explains a name, and is for this host by its own name.
func TestDebugPage(t *testing.T) {
	p := startProxy(t, newInternet(t).flags("-debug", "127.0.0.1:0")...)
	at := "http://" + p.at["debug"] + "/debug/dns/"
	for what, ask := range map[string]func() (*http.Response, error){
		"Failures by reason": func() (*http.Response, error) { return http.Get(at) },
		"The walk": func() (*http.Response, error) {
			return http.PostForm(at+"explain", url.Values{"name": {"www.shop.example"}})
		},
	} {
		response, err := ask()
		if err != nil {
			t.Fatal(err)
		}
		page, err := io.ReadAll(response.Body)
		_ = response.Body.Close() // it has been read
		if err != nil || response.StatusCode != http.StatusOK || !strings.Contains(string(page), what) {
			t.Errorf("%s: got %s, %v\n%s", what, response.Status, err, page)
		}
	}
	request, err := http.NewRequest(http.MethodGet, at, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = "evil.example"
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close() // only its status is looked at
	if response.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("by another name: got %s", response.Status)
	}
}
