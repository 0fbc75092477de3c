// Package prometheus shows Prometheus what a resolver does: a collector for client_golang
// that reads the counts of resolver.Stats, every one of them.
//
//	c := prometheus.NewCollector(r.Stats)
//	registry.MustRegister(c)
//
// Stats has no times. Those of questions and servers are measured with the hooks of a
// resolver.Trace, of questions that are asked with it:
//
//	ctx = resolver.WithTrace(ctx, c.Trace())
//
// No name and no address is ever the value of a label: their number is the network's to
// choose, and each would be a time series for ever.
package prometheus

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/iterdns/iterdns/resolver"
)

// namespace is what all names of metrics begin with.
const namespace = "iterdns"

// Collector is a prometheus.Collector for what a resolver counts, and for what the hooks of
// its Trace measure. It is safe for concurrent use.
type Collector struct {
	stats func() resolver.Stats
	trace *resolver.Trace

	duration prometheus.Histogram
	sends    prometheus.Histogram
	rtt      *prometheus.HistogramVec
}

// NewCollector makes a collector of the result of stats, which is the method Stats of a
// resolver. It is called each time that metrics are collected.
func NewCollector(stats func() resolver.Stats) *Collector {
	histogram := func(name, help string, buckets []float64) prometheus.HistogramOpts {
		return prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: buckets}
	}
	// From what is near to what has timed out, doubling.
	seconds := prometheus.ExponentialBuckets(0.001, 2, 14)
	c := &Collector{
		stats: stats,
		duration: prometheus.NewHistogram(histogram("question_duration_seconds", "Time that questions took.",
			append([]float64{0.00001, 0.0001}, seconds...))),
		sends: prometheus.NewHistogram(histogram("question_queries", "Queries sent for one question.",
			[]float64{0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 100})),
		rtt: prometheus.NewHistogramVec(histogram("response_seconds", "Time from query to response.", seconds), []string{"network"}),
	}
	c.trace = &resolver.Trace{
		Response: func(i resolver.ResponseInfo) {
			if i.Err == nil {
				c.rtt.WithLabelValues(i.Network).Observe(i.RTT.Seconds())
			}
		},
		Done: func(i resolver.DoneInfo) {
			c.duration.Observe(i.Elapsed.Seconds())
			c.sends.Observe(float64(i.Sends))
		},
	}
	return c
}

// Trace returns the hooks that measure, for resolver.WithTrace. It may be used for any
// number of questions at once.
func (c *Collector) Trace() *resolver.Trace { return c.trace }

func (c *Collector) measured() []prometheus.Collector {
	return []prometheus.Collector{c.duration, c.sends, c.rtt}
}

// Describe is a method of prometheus.Collector.
func (c *Collector) Describe(descriptions chan<- *prometheus.Desc) {
	for _, one := range c.measured() {
		one.Describe(descriptions)
	}
	for _, m := range metrics {
		descriptions <- m.desc
	}
}

// Collect is a method of prometheus.Collector.
func (c *Collector) Collect(into chan<- prometheus.Metric) {
	for _, one := range c.measured() {
		one.Collect(into)
	}
	stats := c.stats()
	for _, m := range metrics {
		if m.value != nil {
			into <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value(&stats))
			continue
		}
		for label, value := range m.values(&stats) {
			into <- prometheus.MustNewConstMetric(m.desc, m.kind, value, label)
		}
	}
}
