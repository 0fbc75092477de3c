//go:build unix

package main

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// chainCorefile has everything in one server block that stands around a resolver: a zone
// from a file in front, another forwarded, and what counts, logs and turns records.
const chainCorefile = `.:5353 {
	bind HOST
	ready HOST:8181
	prometheus HOST:9153
	errors
	log
	loadbalance
	cache {
		disable success stale.example
	}
	file ZONEFILE zone.example
	loop
	forward corp.example HOST:5354
	iterdns {
		mock
	}
}
corp.example:5354 {
	bind HOST
	template IN A {
		answer "{{ .Name }} 60 IN A 10.0.0.80"
	}
}
`

const zoneFile = `@ 300 SOA ns1.zone.example. hostmaster.zone.example. 1 7200 3600 86400 300
@ 300 NS ns1.zone.example.
ns1 300 A 192.0.2.53
www 300 A 192.0.2.99
`

func startChain(t *testing.T) *server {
	t.Helper()
	file := filepath.Join(t.TempDir(), "db.zone.example")
	if err := os.WriteFile(file, []byte(zoneFile), 0o600); err != nil {
		t.Fatal(err)
	}
	return start(t, strings.ReplaceAll(chainCorefile, "ZONEFILE", file))
}

func TestChain(t *testing.T) {
	s := startChain(t)
	tests := []struct {
		qname     string
		addresses string
		aa        bool
	}{
		{"www.shop.example.", shopAddresses, false},
		{"www.zone.example.", "192.0.2.99", true},
		{"host.corp.example.", "10.0.0.80", true},
	}
	for _, test := range tests {
		reply := s.mustAsk(t, test.qname, dns.TypeA)
		if got := sorted(addresses(reply)); got != test.addresses || reply.Authoritative != test.aa {
			t.Errorf("%s: got %q with AA %v, want %q with AA %v", test.qname, got, reply.Authoritative, test.addresses, test.aa)
		}
	}
	for range 2 { // the second out of the plugin cache
		if reply := s.mustAsk(t, "www.bogus.example.", dns.TypeA); reply.Rcode != dns.RcodeServerFailure {
			t.Errorf("got %s for bogus data, want SERVFAIL", dns.RcodeToString[reply.Rcode])
		}
		if reply := s.mustAsk(t, "nosuch.shop.example.", dns.TypeA); reply.Rcode != dns.RcodeNameError {
			t.Errorf("got %s for no name, want NXDOMAIN", dns.RcodeToString[reply.Rcode])
		}
	}
	for _, want := range []string{
		`"A IN www.shop.example.`, // log
		"[ERROR] plugin/errors: 0 www.bogus.example. A: plugin/iterdns: ",
		"wrong signature",
	} {
		eventually(t, "the log has "+want, func() bool { return s.output.count(want) > 0 })
	}
	// loop has asked for a name of its own, and seen it once.
	eventually(t, "loop has asked", func() bool { return s.output.count(`"HINFO IN `) > 0 })
	if got := s.output.count(`"HINFO IN `); got != 1 || s.output.count("Loop (") != 0 {
		t.Errorf("got %d questions of loop, want one and no complaint", got)
	}
}

// loadbalance turns the records that the plugin returns, out of its cache and out of that of
// the plugin cache.
func TestLoadbalance(t *testing.T) {
	for _, caching := range []string{"", "cache"} {
		s := start(t, ".:5353 {\nbind HOST\nloadbalance\n"+caching+"\niterdns {\nmock\n}\n}")
		first := make(map[string]int)
		for range 60 {
			got := addresses(s.mustAsk(t, "www.shop.example.", dns.TypeA))
			if sorted(got) != shopAddresses {
				t.Fatalf("got %v, want %s", got, shopAddresses)
			}
			first[got[0]]++
		}
		// That one of three is never first in 60 answers has a chance of 1 in 10^10.
		if len(first) != 3 {
			t.Errorf("with %q: got as first address %v, want each of three sometimes", caching, first)
		}
		// An alias stays before what it leads to.
		for range 20 {
			reply := s.mustAsk(t, "web.shop.example.", dns.TypeA)
			if _, ok := reply.Answer[0].(*dns.CNAME); !ok || len(reply.Answer) != 4 {
				t.Errorf("got %v, want the alias and then three addresses", reply.Answer)
			}
		}
	}
}

// get fetches a page.
func get(t *testing.T, url string) (int, string) {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// scrape returns the metrics, by name with labels.
func (s *server) scrape(t *testing.T) map[string]float64 {
	t.Helper()
	_, body := get(t, "http://"+s.host+":9153/metrics")
	values := make(map[string]float64)
	for line := range strings.Lines(body) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "} ")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Errorf("%q: %v", line, err)
		}
		values[name+"}"] = n
	}
	return values
}

func TestMetrics(t *testing.T) {
	s := startChain(t)
	eventually(t, "ready", func() bool {
		code, _ := get(t, "http://"+s.host+":8181/ready")
		return code == http.StatusOK
	})
	before := s.scrape(t)
	s.mustAsk(t, "www.shop.example.", dns.TypeA)
	s.mustAsk(t, "www.shop.example.", dns.TypeA, func(m *dns.Msg) { m.SetEdns0(1232, true) }) // past the plugin cache
	s.mustAsk(t, "www.bogus.example.", dns.TypeA)
	server := `dns://` + s.host + `:5353`
	least := map[string]float64{
		`coredns_iterdns_questions_total{zones="."}`:                                        3,
		`coredns_iterdns_cache_answers_total{zones="."}`:                                    1,
		`coredns_iterdns_failures_total{reason="bogus",zones="."}`:                          1,
		`coredns_iterdns_upstream_queries_total{proto="udp",zones="."}`:                     3,
		`coredns_iterdns_upstream_response_bytes_total{zones="."}`:                          200,
		`coredns_iterdns_request_duration_seconds_count{server="` + server + `",zones="."}`: 3,
	}
	// A question is counted as ended after its answer is sent.
	var after map[string]float64
	eventually(t, "all questions have ended", func() bool {
		after = s.scrape(t)
		for name, n := range least {
			if after[name]-before[name] < n {
				return false
			}
		}
		return after[`coredns_iterdns_questions_in_flight{zones="."}`] == 0 && servfails(after) > 0
	})
	if got := servfails(after); got != 1 {
		t.Errorf("got %v responses with SERVFAIL, want 1", got)
	}
	for name, want := range map[string]float64{
		`coredns_iterdns_ready{zones="."}`:                               1,
		`coredns_iterdns_cache_max_bytes{zones="."}`:                     64 << 20,
		`coredns_iterdns_limits_total{limit="Sends",zones="."}`:          0,
		`coredns_iterdns_prefetches_total{result="failed",zones="."}`:    0,
		`coredns_iterdns_stale_answers_total{zones="."}`:                 0,
		`coredns_iterdns_cache_evictions_total{zones="."}`:               0,
		`coredns_iterdns_failures_total{reason="unreachable",zones="."}`: 0,
	} {
		if got, ok := after[name]; !ok || got != want {
			t.Errorf("%s: got %v (there: %v), want %v", name, got, ok, want)
		}
	}
	// On a busy machine a reply may come late, so that only its place is certain.
	if _, ok := after[`coredns_iterdns_upstream_timeouts_total{zones="."}`]; !ok {
		t.Error("timeouts are not counted")
	}
	for _, name := range []string{`coredns_iterdns_cache_entries{zones="."}`, `coredns_iterdns_cache_bytes{zones="."}`, `coredns_iterdns_servers{zones="."}`} {
		if after[name] <= 0 {
			t.Errorf("%s: got %v, want more than 0", name, after[name])
		}
	}
}

// servfails is how many responses had SERVFAIL, as the plugin prometheus counts them: by
// the plugin that wrote them last.
func servfails(metrics map[string]float64) (n float64) {
	for name, value := range metrics {
		if strings.HasPrefix(name, "coredns_dns_responses_total{") && strings.Contains(name, `rcode="SERVFAIL"`) {
			n += value
		}
	}
	return n
}
