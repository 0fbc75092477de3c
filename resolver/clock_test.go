package resolver_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// wrongClockWorld has one zone that is in order, one whose own signatures have expired, one that is
// not signed, and one that does not answer. Signatures are good from 1 h ago for 30 days from now.
const wrongClockWorld = `
-- zone shop.example. at 198.51.100.3 signed --
www             300     A       192.0.2.80
mail            300     A       192.0.2.81
-- zone old.example. at 198.51.100.4 signed break=expired --
www             300     A       192.0.2.82
-- zone plain.example. at 198.51.100.5 --
www             300     A       192.0.2.83
-- zone fails.example. at 198.51.100.6 --
-- fault 198.51.100.6 --
rcode SERVFAIL
`

// inYear plays in virtual time, in December of that year.
func inYear(t *testing.T, year int, play func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(year, 12, 1, 12, 0, 0, 0, time.UTC)))
		play(t)
	})
}

// TestClockFarOff: where the root zone's own signatures say that it is another time, the error says
// that the clock is wrong, by how far, and what to do: not before that is sure.
func TestClockFarOff(t *testing.T) {
	at := func(year int) func() time.Time {
		return func() time.Time { return time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC) }
	}
	ahead := func(d time.Duration) func() time.Time { return func() time.Time { return time.Now().Add(d) } }
	for _, c := range []struct {
		about string
		year  int
		clock func() time.Time
		says  string // how far; "": the clock is not blamed
		code  uint16 // 0: the answer is Secure
	}{
		{"epoch", 2026, func() time.Time { return time.Unix(0, 0) }, "at least 56 years slow", dns.ExtendedErrorCodeSignatureNotYetValid},
		{"before the epoch", 2026, func() time.Time { return time.Unix(-10, 0) }, "at least 56 years slow", dns.ExtendedErrorCodeSignatureNotYetValid},
		{"epoch, more than 2^31 seconds later", 2040, func() time.Time { return time.Unix(0, 0) }, "at least 70 years slow", dns.ExtendedErrorCodeSignatureNotYetValid},
		{"2000", 2026, at(2000), "at least 26 years slow", dns.ExtendedErrorCodeSignatureNotYetValid},
		{"3 years ahead", 2026, ahead(3 * 365 * day), "at least 2 years fast", dns.ExtendedErrorCodeSignatureExpired},
		{"34 days ahead", 2026, ahead(34 * day), "at least 4 days fast", dns.ExtendedErrorCodeSignatureExpired},
		{"32 days ahead, 2 after the signatures", 2026, ahead(32 * day), "", dns.ExtendedErrorCodeSignatureExpired},
		{"20 days ahead", 2026, ahead(20 * day), "", 0},
		{"a day ahead", 2026, ahead(day), "", 0},
		{"right", 2026, ahead(0), "", 0},
		{"a day behind, 23 hours before the signatures", 2026, ahead(-day), "", dns.ExtendedErrorCodeSignatureNotYetValid},
		{"26 hours behind", 2026, ahead(-26 * time.Hour), "at least 1 day slow", dns.ExtendedErrorCodeSignatureNotYetValid},
	} {
		t.Run(c.about, func(t *testing.T) {
			inYear(t, c.year, func(t *testing.T) {
				in := resolvertest.New(t, wrongClockWorld)
				r := in.Resolver(t, ipv4Only, func(o *resolver.Options) { o.SignatureTime = c.clock })
				for range 2 { // the second time, a failure is remembered
					for _, name := range []string{"www.shop.example.", "none.shop.example.", "www.plain.example."} {
						result, err := r.Resolve(t.Context(), name, dns.TypeA)
						if c.code == 0 {
							if err != nil {
								t.Errorf("%s: got %v, want an answer", name, err)
							}
							continue
						}
						if err == nil {
							t.Fatalf("%s: got %v, want an error", name, result)
						}
						wantClock(t, err, c.code, c.says)
					}
				}
				if blamed := r.Stats().Failures[resolver.FailureClock]; (blamed > 0) != (c.says != "") {
					t.Errorf("Stats counts %d failures for the clock", blamed)
				}
				_, err := r.LookupNetIP(t.Context(), "ip4", "mail.shop.example.")
				if (err != nil && strings.Contains(err.Error(), c.says)) != (c.code != 0) {
					t.Errorf("LookupNetIP: got %v, want %q", err, c.says)
				}
			})
		})
	}
}

// wantClock compares what an error of a bogus answer says about the clock.
func wantClock(t *testing.T, err error, code uint16, says string) {
	t.Helper()
	var told *resolver.Error
	if !errors.As(err, &told) || told.Status != dnssec.Bogus || told.Extended.Code != code {
		t.Errorf("got %#v, want a bogus answer and the extended error %d", err, code)
		return
	}
	var wrong *resolver.ClockError
	blamed := says != ""
	reason := resolver.FailureBogus
	if blamed {
		reason = resolver.FailureClock
	}
	if errors.Is(err, resolver.ErrClock) != blamed || errors.As(err, &wrong) != blamed || resolver.Reason(err) != reason {
		t.Errorf("%v: is ErrClock %t, has a ClockError %t, reason %s; want the clock blamed: %t", err, errors.Is(err, resolver.ErrClock), wrong != nil, resolver.Reason(err), blamed)
	}
	if wrong != nil && !strings.Contains(wrong.Error(), says) {
		t.Errorf("got %v, want %q in it", wrong, says)
	}
	for _, text := range []string{err.Error(), told.Extended.Text, resolver.Explain(err)} {
		if strings.Contains(text, "clock seems wrong") != blamed || !strings.Contains(text, says) {
			t.Errorf("got %q, want %q in it", text, says)
		}
	}
	if strings.Contains(resolver.Explain(err), "Set the clock") != blamed {
		t.Errorf("got %q, want it to say how the clock is set: %t", resolver.Explain(err), blamed)
	}
}

// TestClockError: the bounds that the error gives hold the error of the clock.
func TestClockError(t *testing.T) {
	for _, off := range []time.Duration{-20 * 365 * day, -50 * time.Hour, 40 * day, 9 * 365 * day} {
		inYear(t, 2026, func(t *testing.T) {
			in := resolvertest.New(t, wrongClockWorld)
			r := in.Resolver(t, ipv4Only, func(o *resolver.Options) {
				o.SignatureTime = func() time.Time { return time.Now().Add(off) }
			})
			_, err := r.Resolve(t.Context(), "www.shop.example.", dns.TypeA)
			var wrong, remembered *resolver.ClockError
			if !errors.As(err, &wrong) {
				t.Fatalf("%v off: got %v, want a ClockError", off, err)
			}
			time.Sleep(time.Second)
			_, err = r.Resolve(t.Context(), "www.shop.example.", dns.TypeA)
			if !errors.Is(err, resolver.ErrCached) || !errors.As(err, &remembered) {
				t.Fatalf("%v off: got %v, want a ClockError that is remembered", off, err)
			}
			if !remembered.Clock.Equal(wrong.Clock) || !remembered.Signed.Equal(wrong.Signed) || !remembered.Expires.Equal(wrong.Expires) || remembered.KeyTag != wrong.KeyTag {
				t.Errorf("%v off: got %+v, remembered as %+v", off, wrong, remembered)
			}
			if wrong.IsSlow() != (off < 0) || wrong.AtLeast() > off.Abs() || wrong.AtMost() < off.Abs() || wrong.AtMost()-wrong.AtLeast() != 30*day+time.Hour {
				t.Errorf("%v off: got slow %t, %v to %v", off, wrong.IsSlow(), wrong.AtLeast(), wrong.AtMost())
			}
		})
	}
}

// TestClockOfAnchors: anchors that are not valid yet by a clock that is slow do not make it look as if
// the root's keys had been replaced.
func TestClockOfAnchors(t *testing.T) {
	inYear(t, 2026, func(t *testing.T) {
		in := resolvertest.New(t, wrongClockWorld)
		r := in.Resolver(t, ipv4Only, func(o *resolver.Options) {
			o.SignatureTime = func() time.Time { return time.Unix(1000, 0) }
			for i := range o.TrustAnchors {
				o.TrustAnchors[i].ValidFrom = time.Date(2024, 7, 18, 0, 0, 0, 0, time.UTC)
			}
		})
		_, err := r.Resolve(t.Context(), "www.shop.example.", dns.TypeA)
		wantClock(t, err, dns.ExtendedErrorCodeSignatureNotYetValid, "at least 56 years slow")
	})
}

// TestClockOneZone: expired signatures of one zone do not make the clock look wrong.
func TestClockOneZone(t *testing.T) {
	inYear(t, 2026, func(t *testing.T) {
		in := resolvertest.New(t, wrongClockWorld)
		r := in.Resolver(t, ipv4Only)
		for range 2 {
			_, err := r.Resolve(t.Context(), "www.old.example.", dns.TypeA)
			wantClock(t, err, dns.ExtendedErrorCodeSignatureExpired, "")
		}
		if got := statusOf(t, r, "www.shop.example."); got != dnssec.Secure {
			t.Errorf("got %v, want secure", got)
		}
	})
}

// TestAttackClockReplay: old answers of the root zone do not make a clock look fast that is right,
// where anything tells that they are old: what came beside them, or what was Secure before.
func TestAttackClockReplay(t *testing.T) {
	inYear(t, 2026, func(t *testing.T) {
		old := resolvertest.New(t, wrongClockWorld)
		query := ask(".", dns.TypeDNSKEY, withDO)
		keys := exchanged(t, old.Resolver(t, ipv4Only, func(o *resolver.Options) { o.Validation = resolver.ValidateOff }), query)
		time.Sleep(60 * day)
		now := resolvertest.New(t, wrongClockWorld)
		from := func(dial func(ctx context.Context, network, address string) (net.Conn, error)) *resolver.Resolver {
			return now.Resolver(t, ipv4Only, func(o *resolver.Options) { o.Dial = dial })
		}

		// Everything is old, and nothing was known before: it cannot be told from a clock that is fast.
		_, err := from(old.Dial).Resolve(t.Context(), "www.shop.example.", dns.TypeA)
		wantClock(t, err, dns.ExtendedErrorCodeSignatureExpired, "at least 30 days fast")
		if !strings.Contains(resolver.Explain(err), "old answers") {
			t.Errorf("got %q, want it to say that the answers may be old", resolver.Explain(err))
		}

		// Everything is old from some time on.
		var replaying atomic.Bool
		r := from(func(ctx context.Context, network, address string) (net.Conn, error) {
			if replaying.Load() {
				return old.Dial(ctx, network, address)
			}
			return now.Dial(ctx, network, address)
		})
		if got := statusOf(t, r, "www.shop.example."); got != dnssec.Secure {
			t.Fatalf("got %v, want secure", got)
		}
		replaying.Store(true)
		time.Sleep(8 * day) // until the keys that were proven have to be asked for again
		_, err = r.Resolve(t.Context(), "www.shop.example.", dns.TypeA)
		wantClock(t, err, dns.ExtendedErrorCodeSignatureExpired, "")

		// Only the root's keys are old.
		now.Fault(".", resolvertest.Hook(func(_, reply *dns.Msg) {
			reply.Answer = keys.Answer
		}).When(resolvertest.Type(dns.TypeDNSKEY), resolvertest.Name(".")))
		_, err = from(now.Dial).Resolve(t.Context(), "www.shop.example.", dns.TypeA)
		wantClock(t, err, dns.ExtendedErrorCodeSignatureExpired, "")
	})
}

// TestClockIsSet: when the clock is set right, answers are Secure at once, however long and often
// questions failed for it; other failures stay remembered.
func TestClockIsSet(t *testing.T) {
	for _, off := range []time.Duration{-26 * 365 * day, -day, 31 * day, 3 * 365 * day} {
		inYear(t, 2026, func(t *testing.T) {
			in := resolvertest.New(t, wrongClockWorld)
			var ahead atomic.Int64
			ahead.Store(int64(off))
			r := in.Resolver(t, ipv4Only, func(o *resolver.Options) {
				o.SignatureTime = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
				o.NegativeTrustAnchors = []resolver.NegativeTrustAnchor{{Zone: "fails.example."}}
			})
			for range 100 { // until failures are remembered for minutes
				r.Resolve(t.Context(), "www.shop.example.", dns.TypeA)
				r.Resolve(t.Context(), "www.fails.example.", dns.TypeA)
				time.Sleep(11 * time.Second)
			}
			_, err := r.Resolve(t.Context(), "www.shop.example.", dns.TypeA)
			if !errors.Is(err, resolver.ErrCached) {
				t.Fatalf("%v off: got %v, want a failure that is remembered", off, err)
			}
			ahead.Store(0)
			for _, name := range []string{"www.shop.example.", "mail.shop.example."} {
				if got := statusOf(t, r, name); got != dnssec.Secure {
					t.Errorf("%v off, then right: got %v for %s, want secure", off, got, name)
				}
			}
			if _, err := r.Resolve(t.Context(), "www.fails.example.", dns.TypeA); !errors.Is(err, resolver.ErrCached) {
				t.Errorf("%v off, then right: got %v, want the server's failure still remembered", off, err)
			}
			// A question that fails for its own signatures is not asked again for that for ever.
			r.Resolve(t.Context(), "www.old.example.", dns.TypeA)
			time.Sleep(time.Second)
			if _, err := r.Resolve(t.Context(), "www.old.example.", dns.TypeA); !errors.Is(err, resolver.ErrCached) {
				t.Errorf("%v off, then right: got %v, want it remembered", off, err)
			}
		})
	}
}

// TestSignatureTimeUnknown: a SignatureTime that returns the zero time is as none.
func TestSignatureTimeUnknown(t *testing.T) {
	inYear(t, 2026, func(t *testing.T) {
		in := resolvertest.New(t, wrongClockWorld)
		var told atomic.Pointer[time.Time]
		told.Store(&time.Time{})
		r := in.Resolver(t, ipv4Only, func(o *resolver.Options) { o.SignatureTime = func() time.Time { return *told.Load() } })
		if got := statusOf(t, r, "www.shop.example."); got != dnssec.Secure {
			t.Errorf("got %v, want secure", got)
		}
		time.Sleep(day)
		past := time.Now().Add(-100 * day)
		told.Store(&past)
		if got := statusOf(t, r, "mail.shop.example."); got != dnssec.Bogus {
			t.Errorf("with a time of the past got %v, want bogus", got)
		}
	})
}

// TestNotBefore: signatures are checked at a time that is known to have passed, and goes on from
// there, where the clock is behind it; else by the clock.
func TestNotBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		for _, earliest := range []time.Time{{}, start.Add(-day), start.Add(1000 * day)} {
			read := resolver.NotBefore(earliest)
			begin := time.Now()
			for range 3 {
				want := earliest.Add(time.Since(begin))
				if now := time.Now(); now.After(want) {
					want = now
				}
				if got := read(); !got.Equal(want) {
					t.Errorf("not before %v: got %v, want %v", earliest, got, want)
				}
				time.Sleep(day)
			}
		}
	})
	// The clock says 2026, and the zones are signed three years later.
	inYear(t, 2029, func(t *testing.T) {
		in := resolvertest.New(t, wrongClockWorld)
		signed := time.Now()
		r := in.Resolver(t, ipv4Only, func(o *resolver.Options) { o.SignatureTime = resolver.NotBefore(signed.Add(5 * day)) })
		if got := statusOf(t, r, "www.shop.example."); got != dnssec.Secure {
			t.Errorf("got %v, want secure", got)
		}
		time.Sleep(26 * day) // past the signatures, from there
		if got := statusOf(t, r, "mail.shop.example."); got != dnssec.Bogus {
			t.Errorf("31 days after the signatures were made got %v, want bogus", got)
		}
	})
}
