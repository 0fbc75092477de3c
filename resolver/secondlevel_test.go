package resolver_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// store is a second level in memory, which can be slow, dead or full of lies.
type store struct {
	mu     sync.Mutex
	values map[string]stored
	gets   int
	sets   int
	delay  time.Duration // of each read
	broken error         // what every call returns
	silent bool          // no call returns before its context ends
	stuck  chan struct{} // not nil: no write returns before it is closed, whatever ctx says
}

type stored struct {
	value   []byte
	expires time.Time
}

func newStore() *store { return &store{values: make(map[string]stored)} }

func (s *store) Get(ctx context.Context, key []byte) ([]byte, error) {
	s.mu.Lock()
	s.gets++
	v, delay, err, silent := s.values[string(key)], s.delay, s.broken, s.silent
	s.mu.Unlock()
	if silent {
		delay = time.Hour
	}
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if err != nil || !time.Now().Before(v.expires) {
		return nil, err
	}
	return v.value, nil
}

func (s *store) Set(ctx context.Context, key, value []byte, ttl time.Duration) error {
	s.mu.Lock()
	stuck, silent := s.stuck, s.silent
	s.mu.Unlock()
	if stuck != nil {
		<-stuck
	}
	if silent {
		<-ctx.Done()
		return ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sets++
	if s.broken == nil {
		s.values[string(key)] = stored{append([]byte(nil), value...), time.Now().Add(ttl)}
	}
	return s.broken
}

func (s *store) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// counts returns the numbers of reads and writes since it was last called.
func (s *store) counts() (gets, sets int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	gets, sets = s.gets, s.sets
	s.gets, s.sets = 0, 0
	return gets, sets
}

// sharing makes a resolver that shares s with others.
func secondLevelUse(s *store) func(*resolver.Options) {
	return func(o *resolver.Options) { o.SecondLevel, o.ViewName = s, "test" }
}

// replica is another resolver of the same world, with a cache of its own.
func (w *world) replica(change ...func(*resolver.Options)) *world {
	return &world{w.T, w.in, w.in.Resolver(w.T, change...)}
}

// fleet is a world whose resolvers share a store.
func fleet(t *testing.T, text string, play func(w *world, s *store), change ...func(*resolver.Options)) {
	t.Helper()
	s := newStore()
	inWorld(t, text, func(w *world) { play(w, s) }, append([]func(*resolver.Options){secondLevelUse(s), ipv4Only}, change...)...)
}

const sharedWorld = `
-- zone shop.example. at 198.51.100.3 signed --
www     A     192.0.2.80
alias   CNAME www
far     CNAME www.plain.test.
*.wild  A     192.0.2.81
short   3     A 192.0.2.82
-- zone deep.shop.example. at 198.51.100.4 signed nsec3 --
www     A     192.0.2.83
-- zone plain.test. at 198.51.100.5 --
www     A     192.0.2.90
`

// sharedQuestions are a question of each sort, and what is to be found.
var sharedQuestions = []struct {
	name    string
	qtype   uint16
	rcode   int
	status  dnssec.Status
	records []string
}{
	{"www.shop.example.", dns.TypeA, 0, dnssec.Secure, []string{"www.shop.example. A 192.0.2.80"}},
	{"alias.shop.example.", dns.TypeA, 0, dnssec.Secure, []string{"alias.shop.example. CNAME www.shop.example.", "www.shop.example. A 192.0.2.80"}},
	{"far.shop.example.", dns.TypeA, 0, dnssec.Insecure, []string{"far.shop.example. CNAME www.plain.test.", "www.plain.test. A 192.0.2.90"}},
	{"x.wild.shop.example.", dns.TypeA, 0, dnssec.Secure, []string{"x.wild.shop.example. A 192.0.2.81"}},
	{"www.shop.example.", dns.TypeMX, 0, dnssec.Secure, nil},
	{"none.shop.example.", dns.TypeA, dns.RcodeNameError, dnssec.Secure, nil},
	{"www.deep.shop.example.", dns.TypeA, 0, dnssec.Secure, []string{"www.deep.shop.example. A 192.0.2.83"}},
	{"none.deep.shop.example.", dns.TypeA, dns.RcodeNameError, dnssec.Secure, nil},
	{"www.plain.test.", dns.TypeA, 0, dnssec.Insecure, []string{"www.plain.test. A 192.0.2.90"}},
	{"none.plain.test.", dns.TypeA, dns.RcodeNameError, dnssec.Insecure, nil},
}

// noSignatures takes RRSIG records away, to compare the rest.
func noSignatures(rrs []dns.RR) []dns.RR {
	var rest []dns.RR
	for _, rr := range rrs {
		if rr.Header().Rrtype != dns.TypeRRSIG {
			rest = append(rest, rr)
		}
	}
	return rest
}

// askAll asks every question, and returns how many queries to servers that took.
func (w *world) askAll() (sends int) {
	w.Helper()
	for _, q := range sharedQuestions {
		o := w.ask(q.name, q.qtype)
		if o.err == nil {
			o.Answer = noSignatures(o.Answer)
			if o.Status != q.status {
				w.Errorf("%s %s: got %v, want %v", q.name, dns.Type(q.qtype), o.Status, q.status)
			}
		}
		o.check(w, q.name, q.rcode, q.records...)
		sends += o.sends
	}
	return sends
}

// What one replica has learnt another one need not ask for, and validates itself.
func TestSecondLevelAnswersReplicas(t *testing.T) {
	for _, change := range []func(*resolver.Options){func(*resolver.Options) {},
		func(o *resolver.Options) { o.SecondLevelKey = []byte("a secret of the fleet") }, minimiseOff} {
		fleet(t, sharedWorld, func(w *world, s *store) {
			if sends := w.askAll(); sends == 0 {
				w.Fatal("the first replica has sent no query")
			}
			time.Sleep(100 * time.Second)
			other := w.replica(secondLevelUse(s), ipv4Only, change)
			if sends := other.askAll(); sends != 0 {
				w.Errorf("the second replica sends %d queries, want none", sends)
			}
			o := other.ask("www.shop.example.", dns.TypeA)
			if o.TTL != 200*time.Second {
				w.Errorf("got TTL %v after 100 s, want 200 s", o.TTL)
			}
			time.Sleep(201 * time.Second)
			if third := w.replica(secondLevelUse(s), ipv4Only, change); third.ask("www.shop.example.", dns.TypeA).sends == 0 {
				w.Error("301 s later the answer still comes from the store")
			}
		}, change)
	}
}

// Only replies that were found good are written, and not those that expire in a moment.
func TestSecondLevelKeepsOut(t *testing.T) {
	fleet(t, sharedWorld+"-- zone broken.example. at 198.51.100.6 signed break=corrupt:www/A --\nwww A 192.0.2.99\n", func(w *world, s *store) {
		w.ask("short.shop.example.", dns.TypeA)
		synctest.Wait()
		before := len(s.values)
		if o := w.ask("www.broken.example.", dns.TypeA); o.err == nil {
			w.Fatalf("got %v, want an error", o)
		}
		query := new(dns.Msg).SetQuestion("www.plain.test.", dns.TypeA)
		query.CheckingDisabled = true
		if m, err := w.r.Exchange(w.Context(), query); err != nil || len(m.Answer) != 1 {
			w.Fatalf("CD: got %v, %v", m, err)
		}
		synctest.Wait()
		if after := len(s.values); after != before {
			w.Errorf("%d values in the store, want %d as before a bogus answer and a question with CD", after, before)
		}
		other := w.replica(secondLevelUse(s), ipv4Only)
		other.ask("short.shop.example.", dns.TypeA).atMostFrom(other, 1, 3)
	})
}

// atMostFrom bounds what a question cost from both sides.
func (o asked) atMostFrom(w *world, least, most int) {
	w.Helper()
	if o.sends < least || o.sends > most {
		w.Errorf("got %d sends, want %d to %d:\n%s", o.sends, least, most, resolvertest.Table(w.in.Log(notPriming)))
	}
}

// A question with CD neither reads nor writes.
func TestSecondLevelIsNotForUnchecked(t *testing.T) {
	fleet(t, sharedWorld, func(w *world, s *store) {
		query := new(dns.Msg).SetQuestion("www.shop.example.", dns.TypeA)
		query.CheckingDisabled = true
		if m, err := w.r.Exchange(w.Context(), query); err != nil || len(m.Answer) != 1 {
			w.Fatalf("got %v, %v", m, err)
		}
		w.settle()
		if gets, sets := s.counts(); gets != 0 || sets != 0 {
			w.Errorf("got %d reads and %d writes, want none", gets, sets)
		}
	})
}

// No reply outlives the lease of the zone cut that it came through.
func TestSecondLevelEndsWithTheLease(t *testing.T) {
	fleet(t, ghostWorld, func(w *world, s *store) {
		w.want("long.ghost.example.", dns.TypeA, 0, "long.ghost.example. A 192.0.2.81")
		time.Sleep(60 * time.Second)
		other := w.replica(secondLevelUse(s), ipv4Only)
		o := other.want("long.ghost.example.", dns.TypeA, 0, "long.ghost.example. A 192.0.2.81").atMost(other, 0)
		if o.TTL > 40*time.Second {
			w.Errorf("got TTL %v, want the 40 s that are left of the lease", o.TTL)
		}
		if err := w.in.Update("-- zone example. at 198.51.100.2 --\n"); err != nil {
			w.Fatal(err)
		}
		time.Sleep(41 * time.Second)
		other.want("long.ghost.example.", dns.TypeA, dns.RcodeNameError)
		w.replica(secondLevelUse(s), ipv4Only).want("long.ghost.example.", dns.TypeA, dns.RcodeNameError)
	})
}

var errStore = errors.New("no store")

// A store that is silent, slow or broken makes no answer later than a bound, costs
// nothing after that, and is found again.
func TestSecondLevelDead(t *testing.T) {
	const bound = 60 * time.Millisecond // three reads of 20 ms
	for about, harm := range map[string]func(s *store){
		"silent": func(s *store) { s.silent = true },
		"slow":   func(s *store) { s.delay = 19 * time.Millisecond },
		"broken": func(s *store) { s.broken = errStore },
	} {
		t.Run(about, func(t *testing.T) {
			var alone [3]time.Duration
			names := [3]string{"www.shop.example.", "none.deep.shop.example.", "www.plain.test."}
			inWorld(t, sharedWorld, func(w *world) {
				for i, name := range names {
					alone[i] = w.ask(name, dns.TypeA).took
				}
			}, ipv4Only)
			fleet(t, sharedWorld, func(w *world, s *store) {
				harm(s)
				for i, name := range names {
					o := w.ask(name, dns.TypeA)
					limit := alone[i] + bound
					if i > 0 && about != "slow" {
						limit = alone[i]
					}
					if o.err != nil || o.took > limit {
						w.Errorf("%s: got %v after %v, want an answer after at most %v", name, o, o.took, limit)
					}
				}
				w.settle()
				s.change(func() { s.silent, s.delay, s.broken = false, 0, nil })
				w.ask("none.shop.example.", dns.TypeA) // finds the store alive
				w.settle()
				w.ask("www.deep.shop.example.", dns.TypeA)
				synctest.Wait()
				other := w.replica(secondLevelUse(s), ipv4Only)
				other.ask("www.deep.shop.example.", dns.TypeA)
				if hits := other.r.SecondLevelStats().Hits; hits == 0 {
					w.Errorf("no hits after the store is back: %+v, writer's %+v", other.r.SecondLevelStats(), w.r.SecondLevelStats())
				}
			})
		})
	}
}

// An entry that cannot be written at once waits in a bounded queue, and those that do not
// fit in are dropped and counted. No answer waits.
func TestSecondLevelQueue(t *testing.T) {
	fleet(t, "-- zone many.example. at 198.51.100.3 --\n* A 192.0.2.1\n", func(w *world, s *store) {
		s.stuck = make(chan struct{})
		for n := range 600 {
			if o := w.ask(fmt.Sprintf("n%d.many.example.", n), dns.TypeA); o.err != nil || o.took > 200*time.Millisecond {
				w.Fatalf("got %v after %v", o, o.took)
			}
		}
		stats := w.r.SecondLevelStats()
		if stats.Dropped < 80 || stats.Dropped > 100 || stats.Writes != 0 {
			w.Errorf("got %+v, want what is above 512 waiting and 4 under way dropped", stats)
		}
		close(s.stuck)
		synctest.Wait()
		if after := w.r.SecondLevelStats(); after.Writes != 516 {
			w.Errorf("got %+v, want 516 writes", after)
		}
	})
}

// Equal questions at the same time read once.
func TestSecondLevelEqualQuestions(t *testing.T) {
	fleet(t, sharedWorld, func(w *world, s *store) {
		w.askAll()
		synctest.Wait()
		s.counts()
		s.delay = time.Millisecond
		other := w.replica(secondLevelUse(s), ipv4Only)
		var group sync.WaitGroup
		for n := range 20 {
			group.Go(func() {
				name := []string{"www.shop.example.", "alias.shop.example.", "none.shop.example."}[n%3]
				if _, err := other.r.Resolve(w.Context(), name, dns.TypeA); err != nil {
					w.Errorf("%s: %v", name, err)
				}
			})
		}
		group.Wait()
		// Referrals to example. and shop.example., keys of ., example. and shop.example.,
		// and three answers.
		if gets, _ := s.counts(); gets > 9 {
			w.Errorf("got %d reads, want 9 at most", gets)
		}
	})
}

// The trace says which replies came from the store, and their bytes count.
func TestSecondLevelTrace(t *testing.T) {
	fleet(t, sharedWorld, func(w *world, s *store) {
		w.ask("www.plain.test.", dns.TypeA)
		time.Sleep(10 * time.Second)
		other := w.replica(secondLevelUse(s), ipv4Only)
		var seen []string
		total := 0
		var done resolver.DoneInfo
		ctx := resolver.WithTrace(w.Context(), &resolver.Trace{
			SecondLevel: func(i resolver.SecondLevelInfo) {
				seen = append(seen, fmt.Sprint(i.Zone, " ", i.Asked.Name, " ", i.Hit, " ", i.Kind, " ", i.Err))
				total += len(i.Message)
				if i.Hit && i.Age < 10*time.Second {
					w.Errorf("got age %v, want 10 s and a little", i.Age)
				}
			},
			Done: func(i resolver.DoneInfo) { done = i },
		})
		if o := other.askWith(ctx, "www.plain.test.", dns.TypeA); o.err != nil {
			w.Fatal(o.err)
		}
		if len(seen) == 0 || done.Sends != 0 || done.Bytes != total || total == 0 {
			w.Errorf("got %q, %d sends, %d of %d bytes counted", seen, done.Sends, done.Bytes, total)
		}
	})
}

// Functions cannot be compared between processes.
func TestSecondLevelNeedsAName(t *testing.T) {
	for about, o := range map[string]resolver.Options{
		"Dial":          {Dial: resolvertest.New(t, "").Dial},
		"SignatureTime": {SignatureTime: time.Now},
	} {
		o.SecondLevel = newStore()
		if r, err := resolver.New(o); err == nil {
			r.Close()
			t.Errorf("%s without ViewName: no error", about)
		}
		o.ViewName = "test"
		r, err := resolver.New(o)
		if err != nil {
			t.Errorf("%s with ViewName: %v", about, err)
			continue
		}
		r.Close()
	}
}

// spoil changes every value in the store, in its byte at.
func (s *store) spoil(at int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, v := range maps.All(s.values) {
		v.value = append([]byte(nil), v.value...)
		v.value[(at+len(v.value))%len(v.value)] ^= 1
		s.values[k] = v
	}
}

// Damaged, foreign and oversized values are refused whole.
func TestSecondLevelRefuses(t *testing.T) {
	for about, harm := range map[string]func(s *store){
		"magic": func(s *store) { s.spoil(0) }, "version": func(s *store) { s.spoil(4) },
		"time": func(s *store) { s.spoil(8) }, "seal": func(s *store) { s.spoil(25) },
		"header": func(s *store) { s.spoil(37) }, "last byte": func(s *store) { s.spoil(-1) },
		"exchanged": func(s *store) {
			keys := slices.Sorted(maps.Keys(s.values))
			last := s.values[keys[len(keys)-1]].value
			for _, k := range keys {
				v := s.values[k]
				v.value, last = last, v.value
				s.values[k] = v
			}
		},
		"oversize": func(s *store) {
			for k, v := range s.values {
				v.value = append(v.value, make([]byte, 20_000)...)
				s.values[k] = v
			}
		},
		"empty": func(s *store) {
			for k, v := range s.values {
				v.value = []byte{}
				s.values[k] = v
			}
		},
	} {
		t.Run(about, func(t *testing.T) {
			fleet(t, sharedWorld, func(w *world, s *store) {
				w.askAll()
				synctest.Wait()
				harm(s)
				other := w.replica(secondLevelUse(s), ipv4Only)
				o := other.ask("www.shop.example.", dns.TypeA)
				if o.err != nil || o.Status != dnssec.Secure || o.sends == 0 {
					w.Errorf("got %v after %d sends", o, o.sends)
				}
				if stats := other.r.SecondLevelStats(); stats.Refused == 0 || stats.Hits != 0 || stats.Bogus != 0 {
					w.Errorf("got %+v, want everything refused", stats)
				}
			})
		})
	}
}
