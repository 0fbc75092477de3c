package resolver_test

import (
	"errors"
	"fmt"
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

// brokenZone is a zone whose header %s says what is wrong with it.
const brokenZone = `
-- zone shop.example. at 198.51.100.3 %s --
www             A       192.0.2.80
*.wild          A       192.0.2.82
unsigned        NS      ns.other.example.
-- zone child.shop.example. at 198.51.100.4 signed --
www             A       192.0.2.85
`

// brokenCase is a zone signed wrong, or with something unknown, and the outcome of a
// question.
type brokenCase struct {
	words  string
	name   string
	qtype  uint16
	status dnssec.Status // Bogus: an error
	codes  []uint16      // extended DNS error: one of them
}

func brokenCases() []brokenCase {
	const www, wild, missing = "www.shop.example.", "a.wild.shop.example.", "missing.shop.example."
	const (
		algorithm  = dns.ExtendedErrorCodeUnsupportedDNSKEYAlgorithm
		digest     = dns.ExtendedErrorCodeUnsupportedDSDigestType
		bogus      = dns.ExtendedErrorCodeDNSBogus
		expired    = dns.ExtendedErrorCodeSignatureExpired
		early      = dns.ExtendedErrorCodeSignatureNotYetValid
		noKey      = dns.ExtendedErrorCodeDNSKEYMissing
		noSig      = dns.ExtendedErrorCodeRRSIGsMissing
		noZoneKey  = dns.ExtendedErrorCodeNoZoneKeyBitSet
		noProof    = dns.ExtendedErrorCodeNSECMissing
		inverted   = dns.ExtendedErrorCodeSignatureExpiredBeforeValid
		iterations = dns.ExtendedErrorCodeUnsupportedNSEC3IterValue
	)
	is := func(codes ...uint16) []uint16 { return codes }
	return []brokenCase{
		// Insecure, with the reason.
		{"algorithm=16", www, dns.TypeA, dnssec.Insecure, is(algorithm)},
		{"algorithm=3", www, dns.TypeA, dnssec.Insecure, is(algorithm)},
		{"break=ds-algorithm", www, dns.TypeA, dnssec.Insecure, is(algorithm)},
		{"digest=200", www, dns.TypeA, dnssec.Insecure, is(digest)},
		{"digest=3", www, dns.TypeA, dnssec.Insecure, is(digest)},
		{"iterations=51", missing, dns.TypeA, dnssec.Insecure, is(iterations)},
		{"iterations=150", www, dns.TypeMX, dnssec.Insecure, is(iterations)},
		{"iterations=65535", wild, dns.TypeA, dnssec.Insecure, is(iterations)},
		{"iterations=51", "unsigned.shop.example.", dns.TypeDS, dnssec.Insecure, is(iterations)},
		// A signature over the referral's proof still counts.
		{"iterations=51 break=corrupt:NSEC3", missing, dns.TypeA, dnssec.Bogus, is(bogus)},
		{"iterations=51", www, dns.TypeA, dnssec.Secure, nil},

		// Bogus.
		{"break=expired:www/A", www, dns.TypeA, dnssec.Bogus, is(expired)},
		{"break=future:www/A", www, dns.TypeA, dnssec.Bogus, is(early)},
		{"break=inverted:www/A", www, dns.TypeA, dnssec.Bogus, is(inverted)},
		{"break=corrupt:www/A", www, dns.TypeA, dnssec.Bogus, is(bogus)},
		{"break=unsigned:www/A", www, dns.TypeA, dnssec.Bogus, is(noSig)},
		{"break=signer:www/A", www, dns.TypeA, dnssec.Bogus, is(bogus)},
		{"break=tag:www/A", www, dns.TypeA, dnssec.Bogus, is(noKey)},
		{"break=labels:www/A", www, dns.TypeA, dnssec.Bogus, is(bogus)},
		{"break=algorithm:www/A", www, dns.TypeA, dnssec.Bogus, is(algorithm)},
		{"break=expired:DNSKEY", www, dns.TypeA, dnssec.Bogus, is(expired)},
		{"break=future:DNSKEY", www, dns.TypeA, dnssec.Bogus, is(early)},
		{"break=corrupt:DNSKEY", www, dns.TypeA, dnssec.Bogus, is(bogus)},
		{"break=unsigned:DNSKEY", www, dns.TypeA, dnssec.Bogus, is(noSig)},
		{"break=absent:@/DNSKEY", www, dns.TypeA, dnssec.Bogus, is(noKey)},
		{"break=zone-key", www, dns.TypeA, dnssec.Bogus, is(noZoneKey)},
		{"break=ds-digest", www, dns.TypeA, dnssec.Bogus, is(noKey)},
		{"break=ds-tag", www, dns.TypeA, dnssec.Bogus, is(noKey)},
		{"ksk=2", www, dns.TypeA, dnssec.Bogus, is(noKey)},
		{"sign=2", www, dns.TypeA, dnssec.Bogus, is(noKey)},

		{"break=expired:NSEC", missing, dns.TypeA, dnssec.Bogus, is(expired)},
		{"break=corrupt:www/NSEC", www, dns.TypeMX, dnssec.Bogus, is(bogus)},
		{"break=unsigned:NSEC", missing, dns.TypeA, dnssec.Bogus, is(noSig, noProof)},
		{"break=unsigned:SOA", missing, dns.TypeA, dnssec.Bogus, is(noSig)},
		{"break=absent:www/NSEC", www, dns.TypeMX, dnssec.Bogus, is(noProof, bogus)},
		{"nsec3 break=absent:www/NSEC3", www, dns.TypeMX, dnssec.Bogus, is(noProof, bogus)},
		{"nsec3 break=absent:@/NSEC3", missing, dns.TypeA, dnssec.Bogus, is(noProof, bogus)},
		{"nsec3 break=expired:NSEC3", missing, dns.TypeA, dnssec.Bogus, is(expired)},
		{"break=unsigned:NSEC", wild, dns.TypeA, dnssec.Bogus, is(noSig, noProof)},
		{"nsec3 break=unsigned:NSEC3", wild, dns.TypeA, dnssec.Bogus, is(noSig, noProof)},

		// The zone's fault is the child's too.
		{"break=expired:DNSKEY", "www.child.shop.example.", dns.TypeA, dnssec.Bogus, is(expired)},
		{"break=unsigned:child/DS", "www.child.shop.example.", dns.TypeA, dnssec.Bogus, is(noSig)},
		{"break=corrupt:child/DS", "www.child.shop.example.", dns.TypeA, dnssec.Bogus, is(bogus)},
		{"break=absent:child/DS", "www.child.shop.example.", dns.TypeA, dnssec.Bogus, is(noProof, bogus)},
		{"break=expired:unsigned/NSEC", "unsigned.shop.example.", dns.TypeDS, dnssec.Bogus, is(expired)},
	}
}

// The reason is returned, by Resolve and by Exchange; bogus data is an error and is not
// used to answer others.
func TestBogusAnswers(t *testing.T) {
	for _, c := range brokenCases() {
		t.Run(fmt.Sprint(c.words, " ", c.name, " ", dns.Type(c.qtype)), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in := resolvertest.New(t, fmt.Sprintf(brokenZone, c.words))
				r := in.Resolver(t)
				result, err := r.Resolve(resolver.WithChain(t.Context()), c.name, c.qtype)
				if c.status == dnssec.Bogus {
					c.checkError(t, err)
					checkBogusChain(t, in, err)
					c.checkRemembered(t, r, err)
					c.checkNothingKept(t, in, r)
				} else {
					c.checkResult(t, in, result, err)
				}
				if t.Failed() {
					t.Logf("queries:\n%s", resolvertest.Table(in.Log()))
				}
			})
		})
	}
}

func (c brokenCase) checkResult(t *testing.T, in *resolvertest.Internet, result *resolver.Result, err error) {
	if err != nil {
		t.Fatal(err)
	}
	var codes []uint16
	for _, e := range result.Extended {
		codes = append(codes, e.Code)
	}
	if result.Status != c.status || !slices.Equal(codes, c.codes) {
		t.Errorf("got %v %v, want %v %d", result.Status, result.Extended, c.status, c.codes)
	}
	if err := checkChain(in, result); err != nil {
		t.Error(err)
	}
}

func (c brokenCase) checkError(t *testing.T, err error) {
	var failure *resolver.Error
	var reason *dnssec.BogusError
	if !errors.As(err, &failure) {
		t.Fatalf("got %v, want an Error", err)
	}
	if failure.Status != dnssec.Bogus || !errors.As(err, &reason) || !slices.Contains(c.codes, failure.Extended.Code) {
		t.Errorf("got %v, status %v, %v, want bogus with one of the codes %d", err, failure.Status, failure.Extended, c.codes)
	}
}

// checkBogusChain validates the evidence of an error again: it is bogus. Less of it is
// never good.
func checkBogusChain(t *testing.T, in *resolvertest.Internet, err error) {
	t.Helper()
	var failure *resolver.Error
	var reason, again *dnssec.BogusError
	if !errors.As(err, &failure) || !errors.As(err, &reason) || len(failure.Chain) < 2 {
		t.Fatalf("got %v, want an Error with its evidence", err)
	}
	if first := &failure.Chain[0]; first.Name != "\x00" || first.Type != dns.TypeDNSKEY {
		t.Errorf("got %v first, want the keys of the root", first)
	}
	_, err = dnssec.VerifyChain(failure.Chain, in.Anchors(), in.Now())
	if !errors.As(err, &again) || again.Reason.Code != reason.Reason.Code || again.Reason.Name != reason.Reason.Name {
		t.Errorf("evidence: got %v, want %v; it is\n%s", err, reason, chainSteps(failure.Chain))
	}
	for i := range len(failure.Chain) - 1 {
		less := slices.Delete(slices.Clone(failure.Chain), i, i+1)
		if verdict, err := dnssec.VerifyChain(less, in.Anchors(), in.Now()); err == nil {
			t.Errorf("evidence without %v: got %v, want an error", &failure.Chain[i], verdict.Status)
		}
	}
}

// checkRemembered asks again at once: it is still bogus for the same reason, without evidence.
func (c brokenCase) checkRemembered(t *testing.T, r *resolver.Resolver, before error) {
	t.Helper()
	_, err := r.Resolve(resolver.WithChain(t.Context()), c.name, c.qtype)
	var first, failure *resolver.Error
	if !errors.As(before, &first) || !errors.As(err, &failure) || !errors.Is(err, resolver.ErrCached) || failure.Status != dnssec.Bogus || failure.Chain != nil {
		t.Errorf("again: got %v, want %v with the status bogus", err, resolver.ErrCached)
	}
	if first != nil && failure != nil && failure.Extended != first.Extended {
		t.Errorf("again: got the extended error %v, want %v as before", failure.Extended, first.Extended)
	}
}

// What a zone's servers refuse to send is missing in the evidence as well.
func TestBogusChainOfSilence(t *testing.T) {
	for _, qtype := range []uint16{dns.TypeDNSKEY, dns.TypeDS} {
		t.Run(dns.TypeToString[qtype], func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in := resolvertest.New(t, fmt.Sprintf(brokenZone, "signed"))
				// The referral says nothing of the DS either.
				in.Fault("shop.example.", resolvertest.Remove(resolvertest.Authority, qtype))
				in.Fault("shop.example.", resolvertest.Rcode(dns.RcodeServerFailure).When(resolvertest.Type(qtype)))
				_, err := in.Resolver(t).Resolve(resolver.WithChain(t.Context()), "www.child.shop.example.", dns.TypeA)
				if got := in.Count(); got > 50 {
					t.Errorf("got %d queries, want 50 at most:\n%s", got, resolvertest.Table(in.Log()))
				}
				var failure *resolver.Error
				if !errors.As(err, &failure) || failure.Status != dnssec.Bogus {
					t.Fatalf("got %v, want bogus", err)
				}
				var bogus *dnssec.BogusError
				if _, err := dnssec.VerifyChain(failure.Chain, in.Anchors(), in.Now()); !errors.As(err, &bogus) {
					t.Errorf("evidence: got %v, want bogus; it is\n%s", err, chainSteps(failure.Chain))
				}
			})
		})
	}
}

// checkNothingKept asks again in all ways that the cache could answer: bogus data is not
// returned to questions with validation, and questions without it get the data.
func (c brokenCase) checkNothingKept(t *testing.T, in *resolvertest.Internet, r *resolver.Resolver) {
	fromCache := c.query(false)
	fromCache.RecursionDesired = false
	if reply := exchanged(t, r, fromCache); len(reply.Answer) > 0 || reply.Rcode == dns.RcodeSuccess || reply.Rcode == dns.RcodeNameError {
		t.Errorf("out of the cache: got\n%v", reply)
	}
	reply := exchanged(t, r, c.query(false))
	if reply.Rcode != dns.RcodeServerFailure || len(reply.Answer)+len(reply.Ns) > 0 || reply.AuthenticatedData {
		t.Errorf("checked: got\n%v", reply)
	}
	if reply := exchanged(t, r, c.query(true)); reply.Rcode == dns.RcodeServerFailure || reply.AuthenticatedData || !reply.CheckingDisabled {
		t.Errorf("with CD: got\n%v", reply)
	}
	if reply := exchanged(t, r, fromCache); len(reply.Answer) > 0 || reply.Rcode == dns.RcodeSuccess || reply.Rcode == dns.RcodeNameError {
		t.Errorf("out of the cache, after CD: got\n%v", reply)
	}
	time.Sleep(10 * time.Minute) // what is remembered of the failure is over
	if _, err := r.Resolve(t.Context(), c.name, c.qtype); err == nil {
		t.Error("after CD: got no error")
	}
}

func (c brokenCase) query(cd bool) *dns.Msg {
	q := new(dns.Msg).SetQuestion(c.name, c.qtype)
	q.SetEdns0(4096, true)
	q.CheckingDisabled = cd
	return q
}

// Unchecked data neither answers questions with validation nor replaces checked data;
// checked data answers all questions.
func TestCheckingDisabledApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, fmt.Sprintf(brokenZone, "signed"))
		r := in.Resolver(t)
		c := brokenCase{name: "www.shop.example.", qtype: dns.TypeA}
		if _, err := r.Resolve(t.Context(), c.name, c.qtype); err != nil {
			t.Fatal(err)
		}
		// The zone changes, and is now forged: questions with CD after the TTL get the new
		// data, others an error, never the forged data.
		time.Sleep(200 * time.Second)
		in.Fault("198.51.100.3", resolvertest.Replace(dns.RcodeSuccess, "www.shop.example. 3600 A 203.0.113.66"))
		if reply := exchanged(t, r, c.query(true)); lastData(reply.Answer, dns.TypeA) != "192.0.2.80" {
			t.Errorf("CD, while checked data is alive: got\n%v\nwant it", reply)
		}
		time.Sleep(200 * time.Second)
		if reply := exchanged(t, r, c.query(true)); lastData(reply.Answer, dns.TypeA) != "203.0.113.66" || reply.AuthenticatedData {
			t.Errorf("CD: got\n%v\nwant the server's data", reply)
		}
		for range 3 {
			if reply := exchanged(t, r, c.query(false)); reply.Rcode != dns.RcodeServerFailure {
				t.Errorf("checked: got\n%v\nwant SERVFAIL", reply)
			}
			time.Sleep(time.Minute)
		}
		// The server is mended. The unchecked data is still alive and must not matter.
		in.Fault("198.51.100.3", resolvertest.Mend())
		time.Sleep(10 * time.Minute)
		if reply := exchanged(t, r, c.query(false)); lastData(reply.Answer, dns.TypeA) != "192.0.2.80" || !reply.AuthenticatedData {
			t.Errorf("mended: got\n%v", reply)
		}
		// Checked data wins over unchecked data that is there too.
		if reply := exchanged(t, r, c.query(true)); lastData(reply.Answer, dns.TypeA) != "192.0.2.80" {
			t.Errorf("CD, both there: got\n%v", reply)
		}
	})
}

// Data that is not checked yet answers no question with validation, and a question with CD
// at the same time does not wait for validation.
func TestPendingDataIsNotUsed(t *testing.T) {
	const zones = `
-- zone shop.example. at 198.51.100.3 signed break=corrupt:bad/A --
www  A  192.0.2.80
bad  A  203.0.113.66
-- fault 198.51.100.3 --
latency 20ms
when type DNSKEY: latency 80ms
`
	type kind struct {
		name    string
		cd, bad bool
	}
	for _, cdFirst := range []bool{true, false} {
		inWorld(t, zones, func(w *world) {
			exchanged(w.T, w.r, ask("shop.example.", dns.TypeMX, withCD)) // the way there is known, and no key
			start := time.Now()
			var all sync.WaitGroup
			check := func(k kind) {
				query := ask(k.name, dns.TypeA, withDO)
				query.CheckingDisabled = k.cd
				reply := exchanged(w.T, w.r, query)
				took := time.Since(start)
				switch {
				case k.cd && (lastData(reply.Answer, dns.TypeA) == "" || reply.AuthenticatedData || took > 50*time.Millisecond):
					w.Errorf("%s with CD after %v: got\n%v\nwant the data at once, and no AD", k.name, took, reply)
				case !k.cd && k.bad && (reply.Rcode != dns.RcodeServerFailure || len(reply.Answer) > 0):
					w.Errorf("%s: got\n%v\nwant SERVFAIL", k.name, reply)
				case !k.cd && !k.bad && (lastData(reply.Answer, dns.TypeA) != "192.0.2.80" || !reply.AuthenticatedData):
					w.Errorf("%s: got\n%v\nwant it checked", k.name, reply)
				}
			}
			for _, k := range []kind{
				{"www.shop.example.", cdFirst, false}, {"www.shop.example.", !cdFirst, false},
				{"bad.shop.example.", cdFirst, true}, {"bad.shop.example.", !cdFirst, true},
			} {
				all.Go(func() { check(k) })
				time.Sleep(time.Millisecond)
			}
			time.Sleep(50 * time.Millisecond) // the data is there, and the keys are not
			for _, name := range []string{"www.shop.example.", "bad.shop.example."} {
				w.wantNotCached(name, dns.TypeA)
			}
			all.Wait()
			w.wantNotCached("bad.shop.example.", dns.TypeA)
			if o := w.ask("www.shop.example.", dns.TypeA); o.err != nil || o.sends > 0 || o.Status != dnssec.Secure {
				w.Errorf("afterwards: got %s with %d sends, want it Secure out of the cache", o, o.sends)
			}
		}, ipv4Only)
	}
}

// AD is set when everything is Secure and the client understands it (RFC 6840 §5.7-5.8).
func TestAuthenticData(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, fmt.Sprintf(signedWorld, "", wildcards))
		r := in.Resolver(t)
		for _, q := range []struct {
			name   string
			qtype  uint16
			secure bool
		}{
			{"www.shop.example.", dns.TypeA, true},
			{"missing.shop.example.", dns.TypeA, true},
			{"www.shop.example.", dns.TypeMX, true},
			{"over.shop.example.", dns.TypeA, true},
			{"away.shop.example.", dns.TypeA, false},
			{"www.insecure.shop.example.", dns.TypeA, false},
			{"www.plain.example.", dns.TypeA, false},
		} {
			for _, client := range []struct {
				edns, do, ad, cd bool
				want             bool
			}{
				{edns: true, do: true, want: true},
				{edns: true, ad: true, want: true},
				{edns: true, do: true, ad: true, want: true},
				{ad: true, want: true},
				{edns: true},
				{},
				{edns: true, do: true, cd: true, want: true}, // known to be Secure by now
				{edns: true, ad: true, cd: true, want: true},
				{edns: true, cd: true},
			} {
				query := new(dns.Msg).SetQuestion(q.name, q.qtype)
				query.AuthenticatedData, query.CheckingDisabled = client.ad, client.cd
				if client.edns {
					query.SetEdns0(1232, client.do)
				}
				reply := exchanged(t, r, query)
				want := q.secure && client.want
				if reply.AuthenticatedData != want {
					t.Errorf("%s %s, %+v: got AD %t, want %t", q.name, dns.Type(q.qtype), client, reply.AuthenticatedData, want)
				}
				if client.do != hasDNSSEC(reply) && q.secure {
					t.Errorf("%s %s, %+v: records of DNSSEC %t, want %t", q.name, dns.Type(q.qtype), client, hasDNSSEC(reply), client.do)
				}
			}
		}
	})
}

// With CD nothing is validated, so that only data that was found Secure before is
// authentic.
func TestAuthenticDataUnchecked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := resolvertest.New(t, fmt.Sprintf(signedWorld, "", wildcards)).Resolver(t)
		for _, turn := range []string{"cold", "again"} {
			query := new(dns.Msg).SetQuestion("www.shop.example.", dns.TypeA).SetEdns0(1232, true)
			query.CheckingDisabled = true
			if reply := exchanged(t, r, query); reply.AuthenticatedData || len(reply.Answer) == 0 {
				t.Errorf("%s: got\n%v\nwant an answer without AD", turn, reply)
			}
		}
	})
}

// hasDNSSEC reports whether a reply has signatures or proofs.
func hasDNSSEC(m *dns.Msg) bool {
	return slices.ContainsFunc(slices.Concat(m.Answer, m.Ns), func(rr dns.RR) bool {
		switch rr.Header().Rrtype {
		case dns.TypeRRSIG, dns.TypeNSEC, dns.TypeNSEC3:
			return true
		}
		return false
	})
}

// A bogus answer says by which extended error to the client of a server.
func TestExtendedErrorInReplies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, fmt.Sprintf(brokenZone, "break=expired:www/A"))
		r := in.Resolver(t)
		c := brokenCase{name: "www.shop.example.", qtype: dns.TypeA}
		want := []uint16{dns.ExtendedErrorCodeSignatureExpired}
		if got := codes(exchanged(t, r, c.query(false))); !slices.Equal(got, want) {
			t.Errorf("got codes %d, want %d", got, want)
		}
		want = append(want, dns.ExtendedErrorCodeCachedError)
		if got := codes(exchanged(t, r, c.query(false))); !slices.Equal(got, want) {
			t.Errorf("again: got codes %d, want %d", got, want)
		}
	})
}
