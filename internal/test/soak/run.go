package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

const (
	// maxHostile is how many questions for hostile zones are under way. Each may take the
	// ten seconds of Limits.Time, and must not keep the others waiting.
	maxHostile = 2_000
	// keepLogs is how often the log of the servers, which would fill the memory, is
	// emptied.
	keepLogs = 50 * time.Millisecond
	// maxExamples is how many wrong or missing answers are spelled out.
	maxExamples = 20
)

// run is a soak under way.
type run struct {
	config  config
	in      *resolvertest.Internet
	r       *resolver.Resolver
	kinds   []kind
	tallies []tally // of the kinds
	hostile chan struct{}

	latency *histogram // of answers out of the cache in this phase; changed between phases

	mu       sync.Mutex
	examples []string // guarded by mu
}

// tally counts what came of one kind of question.
type tally struct {
	asked, answered, failed, wrong, unanswered atomic.Uint64
}

// soak runs all phases and returns the report. What happens meanwhile is written to w.
func soak(c config, w io.Writer) (*report, error) {
	in, port, err := newWorld(c.seed)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	before := usageNow()
	o := in.Options()
	o.Dial, o.Port, o.Family = nil, port, resolver.FamilyIPv4Only
	o.AllowServer = func(netip.Addr) bool { return true }
	o.Cache = cache.New(cache.Options{MaxBytes: c.cache})
	r, err := resolver.New(o)
	if err != nil {
		return nil, err
	}
	s := &run{config: c, in: in, r: r, kinds: kinds(), hostile: make(chan struct{}, maxHostile)}
	s.tallies = make([]tally, len(s.kinds))
	stop := s.emptyLogs()
	rep := &report{config: c, before: before}
	for i := range c.phases {
		s.latency = new(histogram)
		begin := time.Now()
		s.phase(uint64(i), c.time/time.Duration(c.phases))
		rep.add(s, time.Since(begin))
		fmt.Fprintln(w, rep.phases[i])
	}
	stop()
	rep.finish(s)
	err = r.Close() // nothing leads to the resolver any more: the next measurement is without it
	rep.after = settled(before)
	return rep, err
}

// emptyLogs empties the servers' logs until it is told to stop.
func (s *run) emptyLogs() (stop func()) {
	over := make(chan struct{})
	var emptying sync.WaitGroup
	emptying.Go(func() {
		for {
			select {
			case <-over:
				return
			case <-time.After(keepLogs):
				s.in.ResetLog()
			}
		}
	})
	return func() {
		close(over)
		emptying.Wait()
	}
}

// phase asks for a time, and returns when all questions have come to an end.
func (s *run) phase(number uint64, length time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), length)
	defer cancel()
	var asking sync.WaitGroup
	for i := range s.config.workers {
		source := rand.NewPCG(s.config.seed, number<<32|uint64(i))
		asking.Go(func() { s.work(ctx, rand.New(source), &asking) })
	}
	asking.Wait()
}

// work asks one question after the other. Those for hostile zones are not waited for.
func (s *run) work(ctx context.Context, random *rand.Rand, asking *sync.WaitGroup) {
	begin := time.Now()
	for n := 0; ctx.Err() == nil; n++ {
		if s.config.rate > 0 {
			due := begin.Add(time.Duration(n) * time.Second * time.Duration(s.config.workers) / time.Duration(s.config.rate))
			time.Sleep(time.Until(due))
		}
		k := s.drawKind(random)
		q := s.kinds[k].draw(random)
		if !s.kinds[k].hostile {
			s.ask(k, q)
			continue
		}
		s.hostile <- struct{}{}
		asking.Go(func() {
			defer func() { <-s.hostile }()
			s.ask(k, q)
		})
	}
}

// drawKind draws the number of a kind.
func (s *run) drawKind(random *rand.Rand) int {
	hostile := random.IntN(100) < s.config.hostile
	total := 0
	for _, k := range s.kinds {
		if k.hostile == hostile {
			total += k.share
		}
	}
	at := random.IntN(total)
	for i, k := range s.kinds {
		if k.hostile != hostile {
			continue
		}
		if at -= k.share; at < 0 {
			return i
		}
	}
	return 0 // not reached: the shares add up to total
}

// ask asks a question and judges the answer.
func (s *run) ask(number int, q question) {
	k, t := s.kinds[number], &s.tallies[number]
	begin := time.Now()
	result, err := s.r.Resolve(context.Background(), q.name, q.qtype)
	took := time.Since(begin)
	t.asked.Add(1)
	switch {
	case err != nil:
		t.failed.Add(1)
	case result.FromCache:
		s.latency.add(took)
		t.answered.Add(1)
	default:
		t.answered.Add(1)
	}
	switch err := q.judge(k, result, err); {
	case err == nil:
	case errors.Is(err, errUnanswered):
		t.unanswered.Add(1)
		s.example(k, err)
	default:
		t.wrong.Add(1)
		s.example(k, err)
	}
}

func (s *run) example(k kind, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.examples) < maxExamples {
		s.examples = append(s.examples, k.name+": "+err.Error())
	}
}
