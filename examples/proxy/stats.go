package main

import (
	"maps"
	"slices"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/resolver"
)

// writeStats writes what the resolver has counted.
func writeStats(out exposition, s resolver.Stats) {
	out.one("iterdns_questions_total", "counter", "Questions that the resolver was asked, queries from the cache included.", s.Questions)
	out.one("iterdns_questions_from_cache_total", "counter", "Questions answered with what was known before.", s.FromCache)
	out.one("iterdns_stale_answers_total", "counter", "Questions answered with what had expired.", s.Stale)
	out.one("iterdns_stale_over_bogus_answers_total", "counter", "Those of them whose new data is bogus.", s.StaleOverBogus)
	out.one("iterdns_fallback_answers_total", "counter", "Questions answered by the fallback (-fallback).", s.FromFallback)
	out.one("iterdns_network_only_tcp", "gauge", "1 while the network lets DNS to the root servers through over TCP only.", flag01(s.Network == resolver.NetworkOnlyTCP))
	out.one("iterdns_network_closed", "gauge", "1 while no root server can be asked.", flag01(s.Network == resolver.NetworkClosed))
	out.each("iterdns_network_turns_total", "Changes of what the network lets through.", "to",
		count{string(resolver.NetworkOnlyTCP), s.TurnsToTCP}, count{string(resolver.NetworkClosed), s.TurnsToClosed})
	out.each("iterdns_failures_total", "Questions that failed, by why.", "reason", tagged(s.Failures)...)
	out.each("iterdns_upstream_queries_total", "Queries sent to servers.", "network",
		count{"udp", s.SentUDP}, count{"tcp", s.SentTCP})
	out.one("iterdns_upstream_timeouts_total", "counter", "Queries to servers that nobody replied to in time.", s.TimedOut)
	out.one("iterdns_upstream_received_bytes_total", "counter", "Bytes of the replies of servers.", s.Received)
	out.each("iterdns_limits_total", "Refusals, by the limit that was reached.", "limit", tagged(s.Limits)...)
	out.each("iterdns_dropped_packets_total", "What arrived and was not taken for a reply, by why.", "reason", tagged(s.Dropped)...)
	out.each("iterdns_left_out_total", "Replies that had more of something than is kept, by what.", "what", tagged(s.LeftOut)...)
	out.each("iterdns_bogus_total", "Responses that failed validation, by why.", "reason", tagged(s.Bogus)...)
	out.each("iterdns_prefetches_total", "Entries to be fetched again before their end, by what became of that.", "result",
		count{"succeeded", s.Prefetched}, count{"failed", s.PrefetchFailed}, count{"dropped", s.PrefetchDropped})
	out.one("iterdns_questions_in_flight", "gauge", "Questions that servers are being asked for.", s.InFlight)
	out.one("iterdns_questions_queued", "gauge", "Queries that wait until there are fewer of them.", s.Queued)
	out.one("iterdns_prefetches_in_flight", "gauge", "Prefetches under way.", s.Prefetching)
	out.one("iterdns_servers", "gauge", "Addresses of servers that something is known about.", s.Servers)
	writeCache(out, s.Cache)
}

// flag01 returns what a metric has for yes and no.
func flag01(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

func writeCache(out exposition, s cache.Stats) {
	out.one("iterdns_cache_entries", "gauge", "What the cache holds.", s.Entries)
	out.one("iterdns_cache_bytes", "gauge", "Memory that the cache takes.", s.Bytes)
	out.one("iterdns_cache_max_bytes", "gauge", "Memory that the cache may take.", s.MaxBytes)
	out.each("iterdns_cache_hits_total", "What was found in the cache, by what it is.", "kind",
		count{"rrset", s.Hits}, count{"negative", s.NegativeHits}, count{"failure", s.FailureHits},
		count{"delegation", s.CutHits}, count{"alias", s.ChainHits}, count{"stale", s.StaleHits}, count{"synthesised", s.Synthesised})
	out.each("iterdns_cache_misses_total", "What was not found in the cache, by why.", "reason",
		count{"absent", s.MissAbsent}, count{"expired", s.MissExpired}, count{"rank", s.MissRank})
	out.one("iterdns_cache_refused_total", "counter", "What was not kept.", s.Refused)
	out.one("iterdns_cache_evictions_total", "counter", "Entries evicted for others.", s.Evictions)
}

// count is one of several counters that a label tells apart.
type count struct {
	label string
	n     uint64
}

// tagged returns the counters of a map in an order that stays.
func tagged[K ~string](m map[K]uint64) []count {
	var counts []count
	for _, label := range slices.Sorted(maps.Keys(m)) {
		counts = append(counts, count{string(label), m[label]})
	}
	return counts
}

// each writes counters that a label tells apart.
func (e exposition) each(name, text, label string, counts ...count) {
	e.help(name, "counter", text)
	for _, c := range counts {
		e.value(name, c.n, label, c.label)
	}
}
