package resolver_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

var (
	simSeeds = flag.Int("seeds", 25, "how many seeds TestSimulation plays")
	simFirst = flag.Uint64("first", 1, "the first seed that TestSimulation plays")
	simSeed  = flag.Uint64("seed", 0, "the one seed that TestSimulation plays, with its log; 0: see -first")
)

// shortSeeds is how many seeds -short plays at most.
const shortSeeds = 10

// wantFaults returns how often each kind of fault must have happened in so many seeds: once
// a seed on average. A few seeds may differ too much from each other to ask for that.
func wantFaults(seeds uint64) int64 {
	const enough, some = 100, 25
	switch {
	case seeds >= enough:
		return int64(seeds)
	case seeds >= some:
		return int64(seeds / 2)
	}
	return 0
}

// simulation is one run: a world, its network, a resolver, and the outcome. Every decision
// follows from the seed.
type simulation struct {
	t       *testing.T
	seed    uint64
	rng     *rand.Rand
	world   *simWorld
	net     *simNet
	in      *resolvertest.Internet
	r       *resolver.Resolver
	tally   *simTally
	limits  resolver.Limits
	anchors []dnssec.Anchor

	start   time.Time
	waiting sync.WaitGroup
	mu      sync.Mutex
	log     []string             // guarded by mu
	cached  map[string]simCached // guarded by mu
}

// TestSimulation plays whole Internets from one seed each: zones, questions, and everything
// that goes wrong (attacks.md 4, gate 3). The truth is computed from the zones' data alone.
// Whatever happens,
//
//   - an answer is true, or was until its TTL ran out, and is secure only as far as it
//     is signed; otherwise there is a typed error;
//   - the chain of a secure answer can be verified with nothing but the root's keys;
//   - a TTL is no larger than the zone's, and only goes down in the cache;
//   - no question takes more time or sends more queries than its limits allow;
//   - nothing that a hostile server says about other zones is believed;
//   - when the trouble is over, every question has its answer;
//   - no goroutine is left (the bubble would not end).
//
// Little of a run is concurrent: to use several processors, run several processes.
func TestSimulation(t *testing.T) {
	seeds := *simSeeds
	if testing.Short() {
		seeds = min(seeds, shortSeeds)
	}
	first, last := *simFirst, *simFirst+uint64(seeds)-1
	if *simSeed != 0 {
		first, last = *simSeed, *simSeed
	}
	tally := new(simTally)
	for seed := first; seed <= last; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { simulate(t, seed, tally, seed%2 == 0) })
	}
	for f := range simFaults {
		n := tally[f].Load()
		t.Logf("%-18s %8d", f, n)
		if want := wantFaults(last - first + 1); n < want {
			t.Errorf("%s: %d times in %d seeds, want %d at least", f, n, last-first+1, want)
		}
	}
}

// simulate plays one seed and returns its log, in the order of time. With awaitHere the first
// query of a search goes out in the search's goroutine, as it does without Options.Dial; TestSimulation
// has every other seed do so.
func simulate(t *testing.T, seed uint64, tally *simTally, awaitHere bool) (log []string) {
	cryptotest.SetGlobalRandom(t, seed) // IDs and letter case
	synctest.Test(t, func(t *testing.T) {
		s := newSimulation(t, seed, tally, awaitHere)
		s.trouble()
		s.recovery()
		if err := s.r.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
		s.checkPackets()
		log = s.finish()
		if t.Failed() || *simSeed != 0 {
			t.Logf("to replay: go test ./resolver -run '^TestSimulation$' -seed %d\n%s", seed, strings.Join(log, "\n"))
		}
	})
	return log
}

func newSimulation(t *testing.T, seed uint64, tally *simTally, awaitHere bool) *simulation {
	s := &simulation{t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 0)), tally: tally, start: time.Now(), cached: make(map[string]simCached)}
	s.world = newSimWorld(s.rng)
	var text strings.Builder
	for _, origin := range s.world.origins {
		text.WriteString(s.world.now().zones[origin].section())
	}
	s.in = resolvertest.New(t, text.String(), resolvertest.Seed(seed))
	s.net = newSimNet(seed, s.world, tally)
	s.net.install(s.in)
	s.limits = resolver.Limits{Sends: []int{100, 100, 60, 30}[s.rng.IntN(4)]}
	o := s.in.Options()
	o.TrustAnchors = slices.DeleteFunc(o.TrustAnchors, func(a dnssec.Anchor) bool { return a.Zone() != "." })
	s.anchors = o.TrustAnchors
	o.AllowServer = func(addr netip.Addr) bool { return !addr.IsPrivate() }
	o.Limits = s.limits
	o.DisableCaseRandomisation = s.world.chance(0.5)
	o.Minimise = []resolver.Minimise{resolver.MinimiseRelaxed, resolver.MinimiseRelaxed, resolver.MinimiseOff}[s.rng.IntN(3)]
	r, err := resolver.New(o)
	if err != nil {
		t.Fatal(err)
	}
	s.r = r
	s.r.Seed(seed)
	if awaitHere {
		s.r.AwaitHere()
	}
	return s
}

// note writes a line of the log.
func (s *simulation) note(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := fmt.Sprintf("%016d ", time.Since(s.start))
	s.log = append(s.log, at+fmt.Sprintf(format, args...))
}

// finish returns the log with the queries that were sent, in the order of time.
func (s *simulation) finish() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range s.in.Log(resolvertest.Not(bySpy)) {
		s.log = append(s.log, fmt.Sprintf("%016d   %s %s %s %s %d: %s", q.Time.Sub(s.start), q.Server, q.Network, q.Name, dns.Type(q.Type), q.ID, reply(q)))
	}
	slices.Sort(s.log)
	return s.log
}

// reply describes the reply to a query.
func reply(q resolvertest.Query) string {
	if !q.Answered {
		return "-"
	}
	return fmt.Sprintf("%s %d bytes, TC %t", dns.RcodeToString[q.Rcode], q.ReplySize, q.Truncated)
}

// trouble asks questions while things go wrong.
func (s *simulation) trouble() {
	for range 50 {
		s.event()
		for range 1 + s.rng.IntN(3) {
			name, qtype := s.world.question()
			s.ask(name, qtype)
			if s.world.chance(0.1) {
				s.ask(name, qtype) // twice at once
			}
		}
		time.Sleep(s.pause())
	}
	s.waiting.Wait()
}

// pause is how long to wait until the next questions: no two events fall on the same
// instant.
func (s *simulation) pause() time.Duration {
	most := []time.Duration{time.Millisecond, 50 * time.Millisecond, time.Second, 30 * time.Second, 400 * time.Second, 2 * time.Hour}
	return time.Duration(1 + s.rng.Int64N(int64(most[s.rng.IntN(len(most))])))
}

// event changes something about the zones, the servers or the clock, now and then.
func (s *simulation) event() {
	update := func(f simFault, what, text string) {
		s.tally[f].Add(1)
		s.note("%s: %s", f, what)
		if err := s.in.Update(text); err != nil {
			s.t.Fatalf("seed %d: %v", s.seed, err)
		}
	}
	first := func(text string) string { line, _, _ := strings.Cut(text, "\n"); return line }
	switch n := s.rng.IntN(100); {
	case n < 5:
		text := s.world.newContents()
		update(faultZoneChange, first(text), text)
	case n < 10:
		text := s.world.rollKeys()
		update(faultKeyRoll, first(text), text)
	case n < 12:
		text := s.world.resign()
		update(faultZoneChange, first(text), text)
	case n < 15:
		text, z := s.world.move()
		update(faultMove, first(text), text)
		if z != nil {
			s.net.haunt(s.in, z)
		}
	case n < 18:
		text := s.world.revoke()
		update(faultRevoke, first(text), text)
	case n < 22:
		d := time.Duration(s.rng.Int64N(int64(time.Hour)))
		if s.world.chance(0.3) {
			d = -d / 20
			s.world.putBack(-d)
		}
		s.tally[faultClock].Add(1)
		s.note("%s: %v", faultClock, d)
		s.in.Advance(d)
	case n < 34:
		v := s.world.now()
		z := v.zones[s.world.origins[s.rng.IntN(len(s.world.origins))]]
		server := z.addrs[s.rng.IntN(len(z.addrs))]
		d := time.Duration(s.rng.Int64N(int64(time.Minute)))
		s.note("restart: %s for %v", server, d)
		s.net.restart(server, d)
	}
}

// ask puts a question beside others.
func (s *simulation) ask(name string, qtype uint16) {
	ctx, cancel := context.WithCancel(s.t.Context())
	if s.world.chance(0.08) {
		s.tally[faultCancel].Add(1)
		ctx, cancel = context.WithTimeout(s.t.Context(), time.Duration(1+s.rng.Int64N(int64(200*time.Millisecond))))
	}
	s.waiting.Go(func() {
		defer cancel()
		s.resolve(ctx, name, qtype)
	})
	time.Sleep(time.Nanosecond) // until it waits for something: then the next one finds what it has begun
}

// resolve asks one question and checks the outcome.
func (s *simulation) resolve(ctx context.Context, name string, qtype uint16) (*resolver.Result, error) {
	sends, shared := 0, false
	tries := make(map[string]int)
	if hash(name)%chainsOneIn == 0 {
		ctx = resolver.WithChain(ctx)
	}
	ctx = resolver.WithTrace(ctx, &resolver.Trace{
		Query: func(i resolver.QueryInfo) {
			sends++
			tries[fmt.Sprint(i.Server, i.Network, strings.ToLower(i.Asked.Name), i.Asked.Qtype)]++
		},
		Joined: func(resolver.JoinedInfo) { shared = true },
	})
	from := time.Now()
	result, err := s.r.Resolve(ctx, name, qtype)
	to := time.Now()
	asked := name + " " + dns.Type(qtype).String()
	if deadline, ok := ctx.Deadline(); ok && to.After(deadline.Add(50*time.Millisecond)) || to.Sub(from) > 10*time.Second+50*time.Millisecond {
		s.t.Errorf("seed %d: %s took %v, want it to end by its deadline", s.seed, asked, to.Sub(from))
	}
	if !shared && sends > s.limits.Sends { // what others sent is on their budgets
		s.t.Errorf("seed %d: %s took %d sends, want %d at most", s.seed, asked, sends, s.limits.Sends)
	}
	for what, n := range tries {
		if n > maxSimTries && !shared {
			s.t.Errorf("seed %d: %s: sent %s %d times, want %d at most", s.seed, asked, what, n, maxSimTries)
		}
	}
	if err != nil {
		if errors.Is(err, context.Canceled) && ctx.Err() == nil {
			s.t.Errorf("seed %d: %s: got %v, want what others have to do with a question not to end it", s.seed, asked, err)
		}
		var typed *resolver.Error
		if !errors.As(err, &typed) {
			s.t.Errorf("seed %d: %s: got error %T, want a *resolver.Error", s.seed, asked, err)
		}
		s.note("%s since %v: %v", asked, from.Sub(s.start), err)
		return nil, err
	}
	s.note("%s since %v: %s %v %q TTL %v", asked, from.Sub(s.start), dns.RcodeToString[result.Rcode], result.Status, groups(result.Answer), result.TTL)
	if wrong := s.world.judge(result, from, to); wrong != "" {
		s.t.Errorf("seed %d: after %v, %s: %s", s.seed, to.Sub(s.start), asked, wrong)
	}
	if wrong := s.checkChain(result); wrong != "" {
		s.t.Errorf("seed %d: after %v, %s: %s", s.seed, to.Sub(s.start), asked, wrong)
	}
	if wrong := s.checkAge(asked, result, to); wrong != "" {
		s.t.Errorf("seed %d: after %v, %s: %s", s.seed, to.Sub(s.start), asked, wrong)
	}
	return result, nil
}

// maxSimTries is how often one server is asked one thing over one network for one question:
// three times (RFC 9520 §3.1) a walk, of which there may be four with bogus retries, and
// again without EDNS or in another letter case.
const maxSimTries = 3*4 + 4

// chainsOneIn is of how many names the answers to one come with their chain of trust:
// to judge it all again takes time.
const chainsOneIn = 4

// hash is the same number for the same text in all runs.
func hash(text string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(text)) // never fails
	return h.Sum64()
}

// checkChain judges a secure answer again by its chain of trust, from the root's keys.
func (s *simulation) checkChain(r *resolver.Result) string {
	if r.Status != dnssec.Secure || r.Chain == nil {
		return ""
	}
	verdict, err := dnssec.VerifyChain(r.Chain, s.anchors, s.in.Now())
	if err != nil || verdict.Status != dnssec.Secure {
		return fmt.Sprintf("got a chain that comes to %v, %v, want it secure", verdict, err)
	}
	return ""
}

// simCached is how long an answer is to stay in the cache, as far as known.
type simCached struct {
	at, expires time.Time
	data        string
}

// checkAge checks that an answer from the cache has not grown younger there: unless a
// server was asked for the name meanwhile, it expires no later than before.
func (s *simulation) checkAge(asked string, r *resolver.Result, now time.Time) string {
	sets := groups(r.Answer)
	if len(sets) != 1 || s.world.isExpanded(r.Question.Name) { // one expansion makes others possible
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	is := simCached{at: now, expires: now.Add(r.TTL), data: strings.Join(sets[0], " ")}
	was, ok := s.cached[asked]
	s.cached[asked] = is
	if !ok || !r.FromCache || is.data != was.data || !s.net.lastAsked(r.Question.Name).Before(was.at.Add(-slack)) {
		return ""
	}
	if end := was.expires.Add(time.Second + s.world.setBack()); is.expires.After(end) {
		return fmt.Sprintf("got TTL %v out of the cache, want %v at most, as %v before", r.TTL, end.Sub(now), now.Sub(was.at))
	}
	return ""
}

// recovery asks when all is well again and everything old has expired: now there must be
// answers.
func (s *simulation) recovery() {
	s.net.calm()
	time.Sleep(s.world.lease() + 2*time.Hour)
	for range 30 {
		name, qtype := s.world.question()
		now := time.Now()
		want := s.world.outcome(name, qtype)
		_, err := s.resolve(s.t.Context(), name, qtype)
		var limit *resolver.LimitError
		switch {
		case err == nil, want != "answer", errors.As(err, &limit) && s.limits.Sends < 100:
		default:
			s.t.Errorf("seed %d: after %v, %s %s: got error %v, want an answer", s.seed, now.Sub(s.start), name, dns.Type(qtype), err)
		}
	}
}

// checkPackets checks where queries went: the address that hostile servers name may only
// get those for their own zones.
func (s *simulation) checkPackets() {
	for _, q := range s.in.Log(resolvertest.To(privateAddr)) {
		s.t.Errorf("seed %d: after %v, got a query for %s %s to %s, want none", s.seed, q.Time.Sub(s.start), q.Name, dns.Type(q.Type), q.Server)
	}
	for _, q := range s.in.Log(resolvertest.To(poisonAddr)) {
		if q.Unconnected {
			continue
		}
		name := strings.ToLower(q.Name)
		if z := s.world.now().zoneOf(name); !z.hostile {
			s.t.Errorf("seed %d: after %v, %s %s was asked of a hostile server", s.seed, q.Time.Sub(s.start), name, dns.Type(q.Type))
		}
	}
}
