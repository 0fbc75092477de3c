// Package prometheus counts what a resolver does, for Prometheus: a collector for
// client_golang that is fed by the hooks of a resolver.Trace.
//
//	c := prometheus.NewCollector(cache)
//	registry.MustRegister(c)
//	…
//	ctx = resolver.WithTrace(ctx, c.Trace())
//
// Questions asked with such a context are counted; those asked without are not. No name
// and no address is ever the value of a label: their number is the network's to choose,
// and each would be a time series for ever.
package prometheus

import (
	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/resolver"
)

// namespace is what all names of metrics begin with.
const namespace = "iterdns"

// Collector is a prometheus.Collector for what the hooks of its Trace have seen, and for
// a cache. It is safe for concurrent use.
type Collector struct {
	cache *cache.Cache
	trace *resolver.Trace

	questions  *prometheus.CounterVec
	duration   prometheus.Histogram
	sends      prometheus.Histogram
	bytes      prometheus.Counter
	signatures prometheus.Counter
	joined     prometheus.Counter
	lookups    *prometheus.CounterVec
	queries    *prometheus.CounterVec
	responses  *prometheus.CounterVec
	rtt        *prometheus.HistogramVec
	steps      *prometheus.CounterVec
	validated  *prometheus.CounterVec
}

// NewCollector makes a collector. c is the cache in the resolver's options, nil when its
// metrics are not wanted.
func NewCollector(c *cache.Cache) *Collector {
	counter := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}
	}
	// From what is near to what has timed out, doubling.
	seconds := prometheus.ExponentialBuckets(0.001, 2, 14)
	collector := &Collector{
		cache: c,
		questions: prometheus.NewCounterVec(counter("questions_total",
			"Questions that have ended, by response code (or error) and DNSSEC status."), []string{"rcode", "status"}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: namespace, Name: "question_duration_seconds",
			Help: "Time that questions took.", Buckets: append([]float64{0.00001, 0.0001}, seconds...)}),
		sends: prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: namespace, Name: "question_queries",
			Help: "Queries sent for one question.", Buckets: []float64{0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 100}}),
		bytes:      prometheus.NewCounter(counter("received_bytes_total", "Octets received from servers.")),
		signatures: prometheus.NewCounter(counter("signature_checks_total", "Signatures checked.")),
		joined:     prometheus.NewCounter(counter("joined_total", "Questions and steps shared with others under way.")),
		lookups:    prometheus.NewCounterVec(counter("cache_lookups_total", "Look-ups in the cache, by what was found."), []string{"found"}),
		queries:    prometheus.NewCounterVec(counter("queries_total", "Queries sent, by transport and reason."), []string{"network", "reason"}),
		responses:  prometheus.NewCounterVec(counter("responses_total", "What came of queries, by transport and kind."), []string{"network", "kind"}),
		rtt: prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: "response_seconds",
			Help: "Time from query to response.", Buckets: seconds}, []string{"network"}),
		steps:     prometheus.NewCounterVec(counter("steps_total", "Steps of the walk: referrals, aliases, look-ups of servers."), []string{"step"}),
		validated: prometheus.NewCounterVec(counter("validated_total", "Parts of answers judged, by DNSSEC status."), []string{"status"}),
	}
	collector.trace = collector.hooks()
	return collector
}

// Trace gives the hooks that count, for resolver.WithTrace. It may be used for any
// number of questions at once.
func (c *Collector) Trace() *resolver.Trace { return c.trace }

func (c *Collector) hooks() *resolver.Trace {
	return &resolver.Trace{
		Joined: func(resolver.JoinedInfo) { c.joined.Inc() },
		Cache:  func(i resolver.CacheInfo) { c.lookups.WithLabelValues(found(i)).Inc() },
		Query:  func(i resolver.QueryInfo) { c.queries.WithLabelValues(i.Network, string(i.Reason)).Inc() },
		Response: func(i resolver.ResponseInfo) {
			kind := i.Kind
			if i.Err != nil {
				kind = "failed"
			} else {
				c.rtt.WithLabelValues(i.Network).Observe(i.RTT.Seconds())
			}
			c.responses.WithLabelValues(i.Network, kind).Inc()
		},
		Referral: func(resolver.ReferralInfo) { c.steps.WithLabelValues("referral").Inc() },
		Alias:    func(resolver.AliasInfo) { c.steps.WithLabelValues("alias").Inc() },
		ServerLookup: func(i resolver.ServerLookupInfo) {
			if i.Done {
				c.steps.WithLabelValues("server lookup").Inc()
			}
		},
		Validated: func(i resolver.ValidatedInfo) { c.validated.WithLabelValues(i.Status.String()).Inc() },
		Done:      c.done,
	}
}

func (c *Collector) done(i resolver.DoneInfo) {
	rcode, status := "error", ""
	if i.Result != nil {
		rcode, status = dns.RcodeToString[i.Result.Rcode], i.Result.Status.String()
	}
	c.questions.WithLabelValues(rcode, status).Inc()
	c.duration.Observe(i.Elapsed.Seconds())
	c.sends.Observe(float64(i.Sends))
	c.bytes.Add(float64(i.Bytes))
	c.signatures.Add(float64(i.Validation.SignatureChecks))
}

// found says in one word what a look-up in the cache gave.
func found(i resolver.CacheInfo) string {
	switch {
	case !i.Hit:
		return "nothing"
	case i.Failure:
		return "failure"
	case i.Negative:
		return "negative"
	case i.Alias:
		return "alias"
	}
	return "records"
}

func (c *Collector) own() []prometheus.Collector {
	return []prometheus.Collector{c.questions, c.duration, c.sends, c.bytes, c.signatures, c.joined, c.lookups,
		c.queries, c.responses, c.rtt, c.steps, c.validated}
}

// Describe is a method of prometheus.Collector.
func (c *Collector) Describe(descriptions chan<- *prometheus.Desc) {
	for _, one := range c.own() {
		one.Describe(descriptions)
	}
	for _, one := range cacheMetrics {
		descriptions <- one.desc
	}
}

// Collect is a method of prometheus.Collector.
func (c *Collector) Collect(metrics chan<- prometheus.Metric) {
	for _, one := range c.own() {
		one.Collect(metrics)
	}
	if c.cache == nil {
		return
	}
	stats := c.cache.Stats()
	for _, one := range cacheMetrics {
		metrics <- prometheus.MustNewConstMetric(one.desc, one.kind, one.value(stats))
	}
}

// cacheMetric is a metric that the cache counts itself.
type cacheMetric struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(cache.Stats) float64
}

var cacheMetrics = []cacheMetric{
	{cacheDesc("entries", "What the cache holds."), prometheus.GaugeValue, func(s cache.Stats) float64 { return float64(s.Entries) }},
	{cacheDesc("bytes", "Memory that the cache takes."), prometheus.GaugeValue, func(s cache.Stats) float64 { return float64(s.Bytes) }},
	{cacheDesc("max_bytes", "Memory that the cache may take."), prometheus.GaugeValue, func(s cache.Stats) float64 { return float64(s.MaxBytes) }},
	{cacheDesc("evictions_total", "Entries that made room for others."), prometheus.CounterValue, func(s cache.Stats) float64 { return float64(s.Evictions) }},
	{cacheDesc("refused_total", "What was not kept."), prometheus.CounterValue, func(s cache.Stats) float64 { return float64(s.Refused) }},
}

func cacheDesc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName(namespace, "cache", name), help, nil, nil)
}
