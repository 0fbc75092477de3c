package prometheus

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/iterdns/iterdns/resolver"
)

// metric is one that is read off resolver.Stats: a value, or several, by that of a label.
type metric struct {
	desc   *prometheus.Desc
	kind   prometheus.ValueType
	value  func(*resolver.Stats) float64
	values func(*resolver.Stats) map[string]float64
}

func counter(name, help string, value func(*resolver.Stats) uint64) metric {
	return metric{describe(name, help), prometheus.CounterValue, func(s *resolver.Stats) float64 { return float64(value(s)) }, nil}
}

func gauge(name, help string, value func(*resolver.Stats) int64) metric {
	return metric{describe(name, help), prometheus.GaugeValue, func(s *resolver.Stats) float64 { return float64(value(s)) }, nil}
}

func labelled(name, help, label string, values func(*resolver.Stats) map[string]float64) metric {
	return metric{describe(name, help, label), prometheus.CounterValue, nil, values}
}

func describe(name, help string, label ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, label, nil)
}

// byLabel returns the counts of a map of Stats, whose keys never change.
func byLabel[K ~string](counts map[K]uint64) map[string]float64 {
	values := make(map[string]float64, len(counts))
	for label, n := range counts {
		values[string(label)] = float64(n)
	}
	return values
}

func flag01(yes bool) int64 {
	if yes {
		return 1
	}
	return 0
}

// metrics is all that resolver.Stats has, but for the shards of the cache. It never changes.
var metrics = []metric{
	counter("questions_total", "Questions.", func(s *resolver.Stats) uint64 { return s.Questions }),
	counter("answers_from_cache_total", "Questions answered with what was known, stale or local.",
		func(s *resolver.Stats) uint64 { return s.FromCache }),
	counter("answers_stale_total", "Questions answered with expired data.", func(s *resolver.Stats) uint64 { return s.Stale }),
	counter("answers_stale_over_bogus_total", "Those of them whose new data is bogus.", func(s *resolver.Stats) uint64 { return s.StaleOverBogus }),
	counter("answers_from_fallback_total", "Questions answered by the fallback.", func(s *resolver.Stats) uint64 { return s.FromFallback }),
	labelled("network_turns_total", "Changes of what the network lets through to root servers.", "to",
		func(s *resolver.Stats) map[string]float64 {
			return map[string]float64{"tcp": float64(s.TurnsToTCP), "closed": float64(s.TurnsToClosed)}
		}),
	gauge("network_only_tcp", "1 while only TCP leads to root servers.", func(s *resolver.Stats) int64 { return flag01(s.Network == resolver.NetworkOnlyTCP) }),
	gauge("network_closed", "1 while no root server can be asked.", func(s *resolver.Stats) int64 { return flag01(s.Network == resolver.NetworkClosed) }),
	labelled("failures_total", "Questions that failed, by reason.", "reason",
		func(s *resolver.Stats) map[string]float64 { return byLabel(s.Failures) }),
	labelled("queries_total", "Queries sent to servers, retries included, by transport.", "network",
		func(s *resolver.Stats) map[string]float64 {
			return map[string]float64{"udp": float64(s.SentUDP), "tcp": float64(s.SentTCP)}
		}),
	counter("received_bytes_total", "Bytes of the replies to them.", func(s *resolver.Stats) uint64 { return s.Received }),
	counter("timeouts_total", "Queries that nobody replied to in time.", func(s *resolver.Stats) uint64 { return s.TimedOut }),
	labelled("limits_total", "How often each limit struck.", "limit",
		func(s *resolver.Stats) map[string]float64 { return byLabel(s.Limits) }),
	labelled("dropped_packets_total", "Packets that were not taken for a reply, by reason.", "reason",
		func(s *resolver.Stats) map[string]float64 { return byLabel(s.Dropped) }),
	labelled("left_out_total", "Replies that had more of something than is kept, by what.", "what",
		func(s *resolver.Stats) map[string]float64 { return byLabel(s.LeftOut) }),
	labelled("bogus_total", "Responses that failed validation, by reason.", "reason",
		func(s *resolver.Stats) map[string]float64 { return byLabel(s.Bogus) }),
	labelled("prefetches_total", "Entries that were to be fetched again before their end, by result.", "result",
		func(s *resolver.Stats) map[string]float64 {
			return map[string]float64{
				"fetched": float64(s.Prefetched), "failed": float64(s.PrefetchFailed), "dropped": float64(s.PrefetchDropped),
			}
		}),

	gauge("questions_in_flight", "Questions that servers are being asked for.", func(s *resolver.Stats) int64 { return int64(s.InFlight) }),
	gauge("prefetches_in_flight", "Entries that are being fetched again.", func(s *resolver.Stats) int64 { return int64(s.Prefetching) }),
	gauge("refreshes_in_flight", "Questions that go on behind expired answers.", func(s *resolver.Stats) int64 { return int64(s.Refreshing) }),
	gauge("questions_queued", "Queries that wait for room.", func(s *resolver.Stats) int64 { return int64(s.Queued) }),
	gauge("sockets", "UDP sockets that are open.", func(s *resolver.Stats) int64 { return int64(s.Sockets) }),
	gauge("connections", "TCP connections that are open.", func(s *resolver.Stats) int64 { return int64(s.Connections) }),
	gauge("servers", "Addresses of servers that something is known about.", func(s *resolver.Stats) int64 { return int64(s.Servers) }),

	gauge("cache_entries", "What the cache holds.", func(s *resolver.Stats) int64 { return int64(s.Cache.Entries) }),
	gauge("cache_bytes", "Memory that the cache takes.", func(s *resolver.Stats) int64 { return s.Cache.Bytes }),
	gauge("cache_max_bytes", "Memory that the cache may take.", func(s *resolver.Stats) int64 { return s.Cache.MaxBytes }),
	labelled("cache_hits_total", "What was found in the cache, by kind.", "found", func(s *resolver.Stats) map[string]float64 {
		c := &s.Cache
		return map[string]float64{
			"records": float64(c.Hits), "negative": float64(c.NegativeHits), "failure": float64(c.FailureHits),
			"delegation": float64(c.CutHits), "chain": float64(c.ChainHits), "stale": float64(c.StaleHits),
			"synthesised": float64(c.Synthesised),
		}
	}),
	labelled("cache_misses_total", "Why records were not found in the cache.", "reason", func(s *resolver.Stats) map[string]float64 {
		c := &s.Cache
		return map[string]float64{"absent": float64(c.MissAbsent), "expired": float64(c.MissExpired), "rank": float64(c.MissRank)}
	}),
	counter("cache_evictions_total", "Entries evicted for others.", func(s *resolver.Stats) uint64 { return s.Cache.Evictions }),
	counter("cache_refused_total", "What was not kept.", func(s *resolver.Stats) uint64 { return s.Cache.Refused }),
	counter("cache_refused_types_total", "What was not kept since its name has too many types.",
		func(s *resolver.Stats) uint64 { return s.Cache.RefusedTypes }),

	labelled("second_level_total", "What came of the second level, by result.", "result", func(s *resolver.Stats) map[string]float64 {
		l := &s.SecondLevel
		return map[string]float64{
			"hit": float64(l.Hits), "miss": float64(l.Misses), "error": float64(l.Errors), "skipped": float64(l.Skipped),
			"refused": float64(l.Refused), "bogus": float64(l.Bogus), "write": float64(l.Writes),
			"write_error": float64(l.WriteErrors), "write_dropped": float64(l.Dropped),
		}
	}),

	counter("queries_tls_total", "Queries sent over TLS, which are among those over TCP.", func(s *resolver.Stats) uint64 { return s.SentTLS }),
	labelled("anchor_refreshes_total", "Times that a zone with trust anchors was asked for its keys, and that the store failed.", "result",
		func(s *resolver.Stats) map[string]float64 {
			a := &s.Anchors
			return map[string]float64{"taken": float64(a.Refreshed), "failed": float64(a.RefreshFailed), "store_failed": float64(a.StoreFailed)}
		}),
	gauge("anchors_trusted", "Keys that are trusted.", func(s *resolver.Stats) int64 { return int64(s.Anchors.Trusted) }),
	gauge("anchors_pending", "Keys that have not been seen for long enough yet.", func(s *resolver.Stats) int64 { return int64(s.Anchors.Pending) }),
	gauge("anchors_revoked", "Keys that their owners have revoked.", func(s *resolver.Stats) int64 { return int64(s.Anchors.Revoked) }),
	gauge("anchors_unsaved", "1 while the store lacks the latest states of keys.", func(s *resolver.Stats) int64 { return flag01(s.Anchors.Unsaved) }),
	gauge("local_root_in_use", "1 while a copy of the root zone answers.", func(s *resolver.Stats) int64 { return int64(s.LocalRoot.InUse) }),
	gauge("local_root_serial", "Serial number of the copy.", func(s *resolver.Stats) int64 { return int64(s.LocalRoot.Serial) }),
	gauge("local_root_age_seconds", "How long ago a source confirmed the copy.", func(s *resolver.Stats) int64 { return int64(s.LocalRoot.Age) }),
	gauge("local_root_left_seconds", "How long the copy may still be used.", func(s *resolver.Stats) int64 { return int64(s.LocalRoot.Left) }),
	labelled("local_root_total", "What came of the local root, by result.", "result", func(s *resolver.Stats) map[string]float64 {
		l := &s.LocalRoot
		return map[string]float64{"loaded": float64(l.Loaded), "unchanged": float64(l.Unchanged), "reply": float64(l.Replies)}
	}),
	labelled("local_root_failures_total", "What failed with the local root, by fault.", "fault",
		func(s *resolver.Stats) map[string]float64 { return byLabel(s.LocalRoot.Failures) }),
}
