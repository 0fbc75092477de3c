package debugpage

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/iterdns/iterdns/resolver"
)

// overview is the content of the first page.
type overview struct {
	Refreshing bool
	Every      time.Duration
	Plots      []plot
	Times      []plot // histograms
	Failures   []reason
	Bogus      []reason
	Limits     []reason
	Dropped    []reason
	Stats      resolver.Stats
	LocalRoot  string // the copy of the root zone; "": none is wanted
}

// reason is one line of a table of counts.
type reason struct {
	Name, Meaning string
	Count, Lately uint64 // Lately: within the time of the plots, where that is known
	Part          int    // of the largest in the table, in percent
}

// meanings say what the reasons of failures mean.
var meanings = map[resolver.FailureReason]string{
	resolver.FailureBogus:       "the answer failed DNSSEC validation",
	resolver.FailureLimit:       "a limit on the work for one question was reached",
	resolver.FailureTimeout:     "time ran out",
	resolver.FailureCanceled:    "the caller gave up",
	resolver.FailureUnreachable: "no server sent a usable answer, or none has an address",
	resolver.FailureNetwork:     "the root servers are blocked or intercepted",
	resolver.FailureLoop:        "aliases or name servers depend on themselves",
	resolver.FailureCached:      "it failed a moment ago and is not tried again yet; the cause is counted where it failed",
	resolver.FailureRefused:     "only the cache was allowed to answer, and has nothing",
	resolver.FailureHook:        "a hook of this program returned what cannot be used",
	resolver.FailureClosed:      "the resolver was closed",
	resolver.FailureDescriptors: "no file descriptors were left",
	resolver.FailureCertificate: "a server's certificate is not valid",
	resolver.FailureOther:       "something else",
}

// network says what the network lets through.
func network(n resolver.Network) string {
	switch n {
	case resolver.NetworkOpen:
		return "open"
	case resolver.NetworkOnlyTCP:
		return "lets no DNS over UDP through: servers are asked over TCP"
	case resolver.NetworkClosed:
		return "closed: no root server can be asked"
	}
	return string(n)
}

func (p *Page) overview(refreshing bool) *overview {
	s := p.resolver.Stats()
	readings := append(p.figures.all(), figureOf(s))
	o := &overview{Refreshing: refreshing, Every: p.options.Every, Stats: s, Plots: p.plotsOf(readings)}
	o.Times = []plot{p.serverTimes()}
	if counts := p.watched.counts(); slices.Max(counts) > 0 {
		o.Times = append(o.Times, barPlot("Question times, ms", "Questions by the time they took. Each label is the upper bound of its bar.", counts))
	}
	o.Failures = reasonsOf(s.Failures, func(r resolver.FailureReason) string { return meanings[r] })
	before := readings[0].byReason
	for i, name := range slices.Sorted(maps.Keys(s.Failures)) {
		for j := range o.Failures {
			if o.Failures[j].Name == string(name) {
				o.Failures[j].Lately = s.Failures[name] - before[i]
			}
		}
	}
	if p.resolver.Options().LocalRoot != nil {
		o.LocalRoot = p.resolver.LocalRootState().String()
	}
	none := func(string) string { return "" }
	o.Bogus, o.Limits = reasonsOf(s.Bogus, none), reasonsOf(s.Limits, none)
	o.Dropped = reasonsOf(s.Dropped, func(resolver.DropReason) string { return "" })
	return o
}

// reasonsOf returns the counts that are not zero, the largest first.
func reasonsOf[K ~string](counts map[K]uint64, meaning func(K) string) []reason {
	var all []reason
	var top uint64
	for _, k := range slices.Sorted(maps.Keys(counts)) {
		if n := counts[k]; n > 0 {
			all = append(all, reason{Name: string(k), Meaning: meaning(k), Count: n})
			top = max(top, n)
		}
	}
	for i := range all {
		all[i].Part = max(1, int(100*float64(all[i].Count)/float64(top)))
	}
	slices.SortStableFunc(all, func(a, b reason) int { return cmp.Compare(b.Count, a.Count) })
	return all
}

// plotsOf draws what the readings show.
func (p *Page) plotsOf(readings []figure) []plot {
	times := []time.Time{readings[0].at}
	var questions, hits, ratio, queries, lost, failures, flight, cached []float64
	for i := 1; i < len(readings); i++ {
		a, b := &readings[i-1], &readings[i]
		passed := b.at.Sub(a.at).Seconds()
		if i == len(readings)-1 && i > 1 && passed < p.options.Every.Seconds()/2 {
			break // too short for a rate
		}
		rate := func(before, after uint64) float64 {
			if passed <= 0 {
				return math.NaN()
			}
			return float64(after-before) / passed
		}
		times = append(times, b.at)
		questions = append(questions, rate(a.questions, b.questions))
		hits = append(hits, rate(a.fromCache, b.fromCache))
		part := math.NaN()
		if asked := b.questions - a.questions; asked > 0 {
			part = 100 * float64(b.fromCache-a.fromCache) / float64(asked)
		}
		ratio = append(ratio, part)
		queries = append(queries, rate(a.udp+a.tcp, b.udp+b.tcp))
		lost = append(lost, rate(a.timedOut, b.timedOut))
		failures = append(failures, rate(a.failures, b.failures))
		flight = append(flight, float64(b.inFlight))
		cached = append(cached, float64(b.cacheBytes))
	}
	return []plot{
		linePlot("Questions", times, rates, series{"all", "one", questions}, series{"answered from the cache", "two", hits}),
		linePlot("Hit ratio", times, percents, series{"answered from the cache", "two", ratio}),
		linePlot("Queries to servers", times, rates, series{"all", "one", queries}, series{"without a reply in time", "bad", lost}),
		linePlot("Failures", times, rates, series{"questions that failed", "bad", failures}),
		linePlot("Under way", times, numbers, series{"questions that servers are asked for", "one", flight}),
		linePlot("Cache", times, bytes, series{"memory", "two", cached}),
	}
}

// serverTimes draws the round-trip times of the servers that have answered lately.
func (p *Page) serverTimes() plot {
	counts := make([]uint64, len(bounds)+1)
	p.resolver.WalkServers(func(s resolver.KnownServer) bool {
		if s.RTT > 0 {
			counts[bucketOf(s.RTT)]++
		}
		return true
	})
	return barPlot("Server round trips, ms", "Servers by their round-trip time. Each label is the upper bound of its bar.", counts)
}
