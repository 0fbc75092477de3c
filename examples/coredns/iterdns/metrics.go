package iterdns

import (
	"maps"

	"github.com/coredns/coredns/plugin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// requestDuration is how long answers took, those out of the cache too.
var requestDuration = promauto.NewHistogramVec(prometheus.HistogramOpts{
	Namespace: plugin.Namespace,
	Subsystem: name,
	Name:      "request_duration_seconds",
	Help:      "Histogram of the time each answer took.",
	Buckets:   plugin.TimeBuckets,
}, []string{"server", "zones"})

func init() { prometheus.MustRegister(collector{shared.live}) }

// sample is what the plugins of one label have counted, by metric and value of its own
// label ("": it has none), and the state they are in.
type sample struct {
	counts map[*metric]map[string]float64
	gauges map[*metric]map[string]float64
}

func newSample() *sample {
	return &sample{make(map[*metric]map[string]float64), make(map[*metric]map[string]float64)}
}

// metric is one that is read off the resolvers.
type metric struct {
	*prometheus.Desc
	labelled bool
}

func newMetric(metricName, help string, label ...string) *metric {
	return &metric{
		prometheus.NewDesc(prometheus.BuildFQName(plugin.Namespace, name, metricName), help, append([]string{"zones"}, label...), nil),
		len(label) > 0,
	}
}

// The metrics, which never change.
var (
	questions       = newMetric("questions_total", "Counter of questions.")
	fromCache       = newMetric("cache_answers_total", "Counter of questions answered with what was known, stale or local.")
	stale           = newMetric("stale_answers_total", "Counter of questions answered with expired data.")
	failures        = newMetric("failures_total", "Counter of questions that failed.", "reason")
	upstream        = newMetric("upstream_queries_total", "Counter of queries sent to name servers, retries included.", "proto")
	upstreamBytes   = newMetric("upstream_response_bytes_total", "Counter of the bytes of their replies.")
	upstreamTimeout = newMetric("upstream_timeouts_total", "Counter of queries that nobody replied to in time.")
	limitsHit       = newMetric("limits_total", "Counter of how often each limit struck.", "limit")
	dropped         = newMetric("dropped_packets_total", "Counter of packets that were not taken for a reply.", "reason")
	leftOut         = newMetric("left_out_total", "Counter of replies that had more of something than is kept.", "what")
	bogus           = newMetric("bogus_total", "Counter of responses that failed validation.", "reason")
	prefetches      = newMetric("prefetches_total", "Counter of entries fetched again before their end.", "result")
	evictions       = newMetric("cache_evictions_total", "Counter of entries evicted for others.")
	secondLevel     = newMetric("second_level_total", "Counter of what came of the second level.", "result")

	inFlight      = newMetric("questions_in_flight", "Questions that servers are being asked for.")
	knownServers  = newMetric("servers", "Name servers' addresses that something is known about, once for each plugin and route that knows it.")
	cacheEntries  = newMetric("cache_entries", "Entries of the cache.")
	cacheBytes    = newMetric("cache_bytes", "Memory that the cache takes.")
	cacheMaxBytes = newMetric("cache_max_bytes", "Memory that the cache may take.")
	storeInUse    = newMetric("second_level_in_use", "1 if the second level is read or written, 0 if it is left alone.", "use")
	isReady       = newMetric("ready", "Plugins that have answered for one of their zones.")
)

func (s *sample) count(m *metric, label string, n uint64) { add(s.counts, m, label, float64(n)) }
func (s *sample) gauge(m *metric, n float64)              { add(s.gauges, m, "", n) }

// inUse tells whether a store is used; of several plugins with the same zones one that is
// left alone counts.
func (s *sample) inUse(use string, leftAlone bool) {
	value := 1.0
	if leftAlone {
		value = 0
	}
	if old, ok := s.gauges[storeInUse][use]; ok {
		value = min(value, old)
	}
	if s.gauges[storeInUse] == nil {
		s.gauges[storeInUse] = make(map[string]float64)
	}
	s.gauges[storeInUse][use] = value
}

func add(to map[*metric]map[string]float64, m *metric, label string, n float64) {
	if to[m] == nil {
		to[m] = make(map[string]float64)
	}
	to[m][label] += n
}

// addCounts adds what h has counted.
func (s *sample) addCounts(h *Iterdns) {
	st := h.resolver.Stats()
	s.count(questions, "", st.Questions)
	s.count(fromCache, "", st.FromCache)
	s.count(stale, "", st.Stale)
	for reason, n := range st.Failures {
		s.count(failures, string(reason), n)
	}
	s.count(upstream, "udp", st.SentUDP)
	s.count(upstream, "tcp", st.SentTCP)
	s.count(upstreamBytes, "", st.Received)
	s.count(upstreamTimeout, "", st.TimedOut)
	for limit, n := range st.Limits {
		s.count(limitsHit, limit, n)
	}
	for reason, n := range st.Dropped {
		s.count(dropped, string(reason), n)
	}
	for what, n := range st.LeftOut {
		s.count(leftOut, string(what), n)
	}
	for reason, n := range st.Bogus {
		s.count(bogus, reason, n)
	}
	s.count(prefetches, "fetched", st.Prefetched)
	s.count(prefetches, "failed", st.PrefetchFailed)
	s.count(prefetches, "dropped", st.PrefetchDropped)
	if h.config.redis != nil {
		s.addSecondLevel(h)
	}
}

func (s *sample) addSecondLevel(h *Iterdns) {
	st := h.resolver.SecondLevelStats()
	s.count(secondLevel, "hit", st.Hits)
	s.count(secondLevel, "miss", st.Misses)
	s.count(secondLevel, "error", st.Errors)
	s.count(secondLevel, "skipped", st.Skipped)
	s.count(secondLevel, "refused", st.Refused)
	s.count(secondLevel, "bogus", st.Bogus)
	s.count(secondLevel, "write", st.Writes)
	s.count(secondLevel, "write_error", st.WriteErrors)
	s.count(secondLevel, "write_dropped", st.Dropped)
}

// addState adds what h is doing. Its cache, which it may share, is left to cachePool.addTo.
func (s *sample) addState(h *Iterdns) {
	st := h.resolver.Stats()
	s.gauge(inFlight, float64(st.InFlight))
	s.gauge(knownServers, float64(st.Servers))
	if h.config.redis != nil {
		s.inUse("read", h.store.unread.Load())
		s.inUse("write", h.store.unwritten.Load())
	}
	up := 0.0
	if h.Ready() {
		up = 1
	}
	s.gauge(isReady, up)
}

// samples returns a metric for each label.
func (l *liveSet) samples() map[string]*sample {
	l.mu.Lock()
	defer l.mu.Unlock()
	samples := make(map[string]*sample)
	sampleOf := func(label string) *sample {
		if samples[label] == nil {
			samples[label] = newSample()
		}
		return samples[label]
	}
	for label, past := range l.past {
		for m, values := range past.counts {
			sampleOf(label).counts[m] = maps.Clone(values)
		}
	}
	for h := range l.handlers {
		s := sampleOf(h.config.label)
		s.addCounts(h)
		s.addState(h)
	}
	shared.caches.addTo(sampleOf)
	return samples
}

// collector passes the metrics to Prometheus. It is registered once for the process, as
// those of all plugins are.
type collector struct{ live *liveSet }

// Describe implements prometheus.Collector.
func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range [...]*metric{
		questions, fromCache, stale, failures, upstream, upstreamBytes, upstreamTimeout, limitsHit, bogus, dropped, leftOut,
		prefetches, evictions, secondLevel, inFlight, knownServers, cacheEntries, cacheBytes, cacheMaxBytes, storeInUse, isReady,
	} {
		ch <- m.Desc
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	for zones, s := range c.live.samples() {
		send(ch, zones, s.counts, prometheus.CounterValue)
		send(ch, zones, s.gauges, prometheus.GaugeValue)
	}
}

func send(ch chan<- prometheus.Metric, zones string, values map[*metric]map[string]float64, kind prometheus.ValueType) {
	for m, byLabel := range values {
		for label, n := range byLabel {
			labels := []string{zones}
			if m.labelled {
				labels = append(labels, label)
			}
			ch <- prometheus.MustNewConstMetric(m.Desc, kind, n, labels...)
		}
	}
}
