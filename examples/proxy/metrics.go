package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
)

// transport is what a query came by.
type transport uint8

const (
	overUDP transport = iota
	overTCP
	overTLS
	overHTTPS
	transports
)

func (t transport) String() string {
	switch t {
	case overUDP:
		return "udp"
	case overTCP:
		return "tcp"
	case overTLS:
		return "tls"
	case overHTTPS:
		return "https"
	case transports:
	}
	return "unknown"
}

// isEncrypted reports whether nobody between client and proxy can read what goes by it.
func (t transport) isEncrypted() bool { return t == overTLS || t == overHTTPS }

// metrics counts what comes and goes; what the resolver does it counts itself. Names and addresses are not counted: their number is the network's.
type metrics struct {
	resolver    *resolver.Resolver
	certificate *certificate // nil: none

	connections   atomic.Int64  // open, over all transports but UDP
	turnedAway    atomic.Uint64 // connections that were not accepted
	idleClosed    atomic.Uint64 // idle connections closed for others
	overQuestions atomic.Uint64 // queries of clients that had too many under way

	mu      sync.Mutex
	tallies []*tally // guarded by mu
}

// tally is the count of one listener, of its own so that cores do not wait for each
// other's.
type tally struct {
	transport transport
	verdicts  [overRate + 1]atomic.Uint64
	rcodes    [rcodes]atomic.Uint64
	hits      atomic.Uint64
	buckets   [len(bucketBounds) + 1]atomic.Uint64
	micros    atomic.Uint64 // all answers but hits took together
}

// rcodes is how many response codes a header can say.
const rcodes = 16

// bucketBounds are the upper bounds of the histogram, by what is between them: this
// host, this city, this continent, the world, retries, timeouts.
var bucketBounds = [...]time.Duration{
	time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond,
	50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second,
}

func newMetrics(r *resolver.Resolver) *metrics { return &metrics{resolver: r} }

func (m *metrics) newTally(t transport) *tally {
	m.mu.Lock()
	defer m.mu.Unlock()
	one := &tally{transport: t}
	m.tallies = append(m.tallies, one)
	return one
}

// received counts a message that came.
func (t *tally) received(v verdict) { t.verdicts[v].Add(1) }

// hit counts an answer that was made of the cache at once.
func (t *tally) hit(answer []byte) {
	t.hits.Add(1)
	t.rcodes[answer[3]%rcodes].Add(1)
}

// answered counts any other answer.
func (t *tally) answered(answer []byte, took time.Duration) {
	t.rcodes[answer[3]%rcodes].Add(1)
	at, _ := slices.BinarySearch(bucketBounds[:], took)
	t.buckets[at].Add(1)
	t.micros.Add(uint64(took.Microseconds()))
}

func newMetricsListener(l net.Listener, m *metrics) *httpListener {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		defer active(r)()
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		m.write(w)
	})
	return newHTTPListener("metrics", l, mux)
}

// newDebugListener shows the page about the resolver.
func newDebugListener(l net.Listener, page http.Handler) *httpListener {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/dns/", func(w http.ResponseWriter, r *http.Request) {
		defer active(r)()
		page.ServeHTTP(w, r)
	})
	return newHTTPListener("debug", l, mux)
}

// write writes all metrics in Prometheus' text format.
func (m *metrics) write(w io.Writer) {
	out := exposition{w}
	sum := m.sum()
	out.help("iterdns_queries_total", "counter", "Queries received, by what they came by and what was done with them.")
	for t := range transports {
		for v, label := range verdictLabels {
			out.value("iterdns_queries_total", sum[t].verdicts[v], "transport", t.String(), "verdict", label)
		}
	}
	out.help("iterdns_answers_total", "counter", "Answers sent, by response code.")
	for t := range transports {
		for rcode, n := range sum[t].rcodes {
			if text, known := dns.RcodeToString[rcode]; known && (n > 0 || commonRcode(rcode)) {
				out.value("iterdns_answers_total", n, "transport", t.String(), "rcode", text)
			}
		}
	}
	out.help("iterdns_hits_total", "counter", "Answers that were in the cache and sent without decoding.")
	for t := range transports {
		out.value("iterdns_hits_total", sum[t].hits, "transport", t.String())
	}
	m.writeDurations(out, sum)
	out.one("iterdns_connections", "gauge", "Connections that are open.", m.connections.Load())
	out.one("iterdns_connections_turned_away_total", "counter", "Connections that were not accepted.", m.turnedAway.Load())
	out.one("iterdns_idle_connections_closed_total", "counter", "Connections that were idle for longest when there was no room for another.", m.idleClosed.Load())
	out.one("iterdns_client_questions_exceeded_total", "counter", "Queries of clients that had too many under way.", m.overQuestions.Load())
	if m.certificate != nil {
		out.one("iterdns_certificate_expires_seconds", "gauge", "Unix time at which the certificate in force ends.", m.certificate.expires().Unix())
	}
	writeStats(out, m.resolver.Stats())
}

// verdictLabels are the verdicts as values of a label.
var verdictLabels = [...]string{answered: "answered", ignored: "ignored", refused: "refused", overRate: "rate-limited"}

// commonRcode reports whether a response code is shown before it was ever sent.
func commonRcode(rcode int) bool {
	return rcode == dns.RcodeSuccess || rcode == dns.RcodeServerFailure || rcode == dns.RcodeNameError
}

// counts are the tallies of one transport together.
type counts struct {
	verdicts [overRate + 1]uint64
	rcodes   [rcodes]uint64
	hits     uint64
	buckets  [len(bucketBounds) + 1]uint64
	micros   uint64
}

func (m *metrics) sum() (sum [transports]counts) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, t := range m.tallies {
		s := &sum[t.transport]
		add(s.verdicts[:], t.verdicts[:])
		add(s.rcodes[:], t.rcodes[:])
		add(s.buckets[:], t.buckets[:])
		s.hits += t.hits.Load()
		s.micros += t.micros.Load()
	}
	return sum
}

func add(sum []uint64, counts []atomic.Uint64) {
	for i := range counts {
		sum[i] += counts[i].Load()
	}
}

func (m *metrics) writeDurations(out exposition, sum [transports]counts) {
	const name = "iterdns_answer_duration_seconds"
	out.help(name, "histogram", "Time from query to answer, of those that were no hits.")
	for t := range transports {
		var below uint64
		for i, n := range sum[t].buckets {
			below += n
			bound := "+Inf"
			if i < len(bucketBounds) {
				bound = fmt.Sprint(bucketBounds[i].Seconds())
			}
			out.value(name+"_bucket", below, "transport", t.String(), "le", bound)
		}
		out.value(name+"_sum", float64(sum[t].micros)/1e6, "transport", t.String())
		out.value(name+"_count", below, "transport", t.String())
	}
}

// exposition writes Prometheus' text format. Errors are the reader's: it is gone.
type exposition struct{ io.Writer }

func (e exposition) help(name, kind, text string) {
	fmt.Fprintf(e, "# HELP %s %s\n# TYPE %[1]s %[3]s\n", name, text, kind)
}

// value writes one value; labels are names and values in turn, which need no quoting.
func (e exposition) value(name string, value any, labels ...string) {
	fmt.Fprint(e, name)
	for i := 0; i+1 < len(labels); i += 2 {
		fmt.Fprintf(e, "%c%s=%q", "{,"[min(i, 1)], labels[i], labels[i+1])
	}
	if len(labels) > 0 {
		fmt.Fprint(e, "}")
	}
	fmt.Fprintln(e, "", value)
}

// one writes a metric without labels.
func (e exposition) one(name, kind, text string, value any) {
	e.help(name, kind, text)
	e.value(name, value)
}
