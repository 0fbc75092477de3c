package resolver_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// signedAttack is a row of the table of attacks on the validator: what one question may
// make it compute, however the zone is made. An operation is counted when it begins, so
// that what ends a question by a limit of failures is one more of them.
type signedAttack struct {
	name  string
	text  string
	ask   string
	fault map[string]resolvertest.Fault // by zone

	limit  string // the question fails by; "": no limit does
	status dnssec.Status
	sends  int // goal
}

// validatorBounds is what no row may exceed: attacks.md, table of limits.
var validatorBounds = dnssec.Spent{SignatureChecks: 64, FailedChecks: 16 + 1, CostUnits: 200, NSEC3Hashes: 600}

// besideSigned is an honest zone that has what attacks are made of, in reasonable numbers:
// it is asked for after each of them, by the same resolver.
const besideSigned = `
-- zone fine.test. at 203.0.113.200 algorithm=13 nsec3 iterations=10 salt=aabbccdd ksk=1,2 zsk=1,2 --
www             A       192.0.2.99
*.wild          A       192.0.2.98
`

// oneSigned is the attacker's zone.
func oneSigned(words string) string {
	return fmt.Sprintf("-- zone attacker.example. at %s %s --\nwww A 192.0.2.66\n*.wild A 192.0.2.67\n", attackerAt, words)
}

// manyDS is a zone whose parent has n DS records for it, none of which leads to a key, but
// the tag and algorithm of each to the search for one.
func manyDS(n int) string {
	var b strings.Builder
	b.WriteString("-- zone example. at 198.51.100.2 algorithm=13 --\nattacker NS ns.attacker\nns.attacker A " + attackerAt + "\n")
	for i := range n {
		fmt.Fprintf(&b, "attacker DS %d 13 2 %064X\n", 4711+i, i)
	}
	return b.String() + oneSigned("algorithm=13 no-ds")
}

// signedChain is a chain of n aliases, each into a signed zone of its own.
func signedChain(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "-- zone c%d.example. at 198.51.100.%d algorithm=13 --\nwww CNAME www.c%d.example.\n", i, 100+i, i+1)
	}
	return b.String() + fmt.Sprintf("-- zone c%d.example. at 198.51.100.%d algorithm=13 --\nwww A 192.0.2.66\n", n, 100+n)
}

// signedCuts is a name below n zone cuts.
func signedCuts(n int, words string) (text, name string) {
	var b strings.Builder
	name = "example."
	for i := range n {
		name = fmt.Sprintf("l%d.%s", i, name)
		fmt.Fprintf(&b, "-- zone %s at 198.51.100.%d %s --\n", name, 10+i, words)
	}
	return b.String() + "www A 192.0.2.80\n", "www." + name
}

// inDenial adds wrong signatures to the proofs in the authority section.
func inDenial(n int) resolvertest.Fault {
	return resolvertest.Hook(func(_, reply *dns.Msg) {
		var more []dns.RR
		for _, rr := range reply.Ns {
			if sig, ok := rr.(*dns.RRSIG); ok {
				more = append(more, wrongSignatures(sig, n)...)
			}
		}
		reply.Ns = append(more, reply.Ns...)
	})
}

func signedAttacks() []signedAttack {
	hostile := func(f resolvertest.Fault) map[string]resolvertest.Fault {
		return map[string]resolvertest.Fault{"attacker.example.": f}
	}
	everywhere := func(n int, f resolvertest.Fault) map[string]resolvertest.Fault {
		faults := make(map[string]resolvertest.Fault)
		for i := range n {
			faults[fmt.Sprintf("c%d.example.", i)] = f
		}
		return faults
	}
	salted := "nsec3 iterations=50 salt=" + strings.Repeat("ab", 255)
	deep, deepName := signedCuts(36, "algorithm=13")
	dear, dearName := signedCuts(15, "algorithm=14")
	return []signedAttack{
		{name: "KeyTrap, 100 keys of a tag x 100 signatures, P-256", text: oneSigned("algorithm=13"), ask: "www.attacker.example.", fault: hostile(keyTrap(100, 100)), limit: "KeysPerTag", sends: 12},
		{name: "the same, P-384", text: oneSigned("algorithm=14"), ask: "www.attacker.example.", fault: hostile(keyTrap(100, 100)), limit: "KeysPerTag", sends: 12},
		{name: "the same, RSA", text: oneSigned("algorithm=8"), ask: "www.attacker.example.", fault: hostile(keyTrap(100, 100)), limit: "KeysPerTag", sends: 12},
		{name: "100 wrong signatures of an answer", text: oneSigned("algorithm=13"), ask: "www.attacker.example.", fault: hostile(keyTrap(0, 100)), limit: "SignaturesPerRRset", sends: 12},
		{name: "100 wrong signatures of a denial (NSEC)", text: oneSigned("algorithm=13"), ask: "none.attacker.example.", fault: hostile(inDenial(100)), limit: "SignaturesPerRRset", sends: 12},
		{name: "100 wrong signatures of a denial (NSEC3)", text: oneSigned("algorithm=13 nsec3"), ask: "none.attacker.example.", fault: hostile(inDenial(100)), limit: "SignaturesPerRRset", sends: 12},
		{name: "100 wrong signatures of a wildcard's proof", text: oneSigned("algorithm=13"), ask: "a.wild.attacker.example.", fault: hostile(inDenial(100)), limit: "SignaturesPerRRset", sends: 12},
		{name: "20 DS records that lead to no key", text: manyDS(20), ask: "www.attacker.example.", limit: "DSPerZone", sends: 12},
		{name: "11 zones, 4 wrong signatures a set (one counter)", text: signedChain(9), ask: "www.c0.example.", fault: everywhere(10, keyTrap(0, 4)), limit: "FailedSignatureChecks", sends: 50},
		{name: "36 zone cuts (delegation trap)", text: deep, ask: deepName, limit: "SignatureChecks", sends: 100},
		{name: "15 zone cuts, P-384 (cost)", text: dear, ask: dearName, limit: "SignatureCost", sends: 50},
		{name: "NSEC3, 110 labels, 50 iterations, long salt", text: oneSigned(salted), ask: strings.Repeat("a.", 110) + "attacker.example.", status: dnssec.Secure, sends: 20},
		{name: "NSEC3, 51 iterations", text: oneSigned("nsec3 iterations=51"), ask: "none.attacker.example.", status: dnssec.Insecure, sends: 12},
		{name: "NSEC3, 2,500 iterations", text: oneSigned("nsec3 iterations=2500"), ask: "none.attacker.example.", status: dnssec.Insecure, sends: 12},
		{name: "NSEC3, 200 records nobody has signed", text: oneSigned("nsec3"), ask: "none.attacker.example.", fault: hostile(manyNSEC3(200)), status: dnssec.Bogus, sends: 24},
		{name: "NSEC3, parameters of its own in each record", text: oneSigned(salted), ask: "none.attacker.example.", fault: hostile(otherParameters()), status: dnssec.Bogus, sends: 12},
	}
}

// TestAttackSignedTable asserts what the worst signed zones cost, and prints the table. The
// milliseconds depend on the processor and on what else the machine does; they are printed
// and not asserted.
func TestAttackSignedTable(t *testing.T) {
	t.Logf("%-52s %5s %6s %6s %5s %6s  %-25s %s", "scenario", "sends", "checks", "failed", "units", "hashes", "end", "with its world")
	for _, a := range signedAttacks() {
		t.Run(strings.ReplaceAll(a.name, "/", " "), func(t *testing.T) {
			begin, line := time.Now(), "" // inside, time is virtual
			inWorld(t, a.text+besideSigned, func(w *world) {
				for zone, fault := range a.fault {
					w.in.Fault(zone, fault)
				}
				w.in.ResetLog()
				done, err := spentBy(w.Context(), w.r, a.ask, dns.TypeA)
				w.settle()
				spent, sends := done.Validation, w.in.Count(notPriming)
				line = fmt.Sprintf("%-52s %5d %6d %6d %5d %6d  %-25s", a.name, sends, spent.SignatureChecks, spent.FailedChecks, spent.CostUnits, spent.NSEC3Hashes, a.wantEnd(w, err))
				bound := validatorBounds
				if spent.SignatureChecks > bound.SignatureChecks || spent.FailedChecks > bound.FailedChecks || spent.CostUnits > bound.CostUnits || spent.NSEC3Hashes > bound.NSEC3Hashes || sends > a.sends {
					t.Errorf("got %+v and %d sends, want at most %+v and %d", spent, sends, bound, a.sends)
				}
				a.wantFine(w)
			}, ipv4Only)
			t.Logf("%s %5d ms", line, time.Since(begin).Milliseconds())
		})
	}
}

// wantEnd checks how the question ended, and says it in a word.
func (a *signedAttack) wantEnd(w *world, err error) string {
	w.Helper()
	var limit *resolver.LimitError
	var failure *resolver.Error
	switch {
	case a.limit != "":
		if !errors.As(err, &limit) || limit.Limit != a.limit || !errors.As(err, &failure) {
			w.Errorf("got %v, want the limit %s", err, a.limit)
			return "?"
		}
		if failure.Extended.Code != dns.ExtendedErrorCodeOther || !strings.Contains(failure.Extended.Text, a.limit) || w.r.Stats().Limits[a.limit] == 0 {
			w.Errorf("%s: extended error %v, count %d; want it named and counted", a.limit, failure.Extended, w.r.Stats().Limits[a.limit])
		}
		w.wantNotCached(a.ask, dns.TypeA)
		return "limit " + a.limit
	case a.status == dnssec.Bogus:
		if !errors.As(err, &failure) || failure.Status != dnssec.Bogus {
			w.Errorf("got %v, want it to be bogus", err)
		}
		w.wantNotCached(a.ask, dns.TypeA)
		return "bogus"
	}
	o := w.ask(a.ask, dns.TypeA) // it has just been answered
	if err != nil || o.err != nil || o.Status != a.status || o.sends != 0 {
		w.Errorf("got %v and out of the cache %v with %d sends, want it to be %v", err, o, o.sends, a.status)
	}
	return a.status.String()
}

// wantFine asks for the honest zone beside the attacker's.
func (a *signedAttack) wantFine(w *world) {
	w.Helper()
	for _, q := range []struct {
		name  string
		rcode int
		data  []string
	}{
		{"www.fine.test.", 0, []string{"www.fine.test. A 192.0.2.99"}},
		{"a.b.wild.fine.test.", 0, []string{"a.b.wild.fine.test. A 192.0.2.98"}},
		{"none.fine.test.", dns.RcodeNameError, nil},
	} {
		o := w.ask(q.name, dns.TypeA)
		if o.err != nil {
			w.Errorf("%s: %v", q.name, o.err)
			continue
		}
		if got := brief(answerRecords(o.Answer)); o.Rcode != q.rcode || fmt.Sprint(got) != fmt.Sprint(q.data) || o.Status != dnssec.Secure {
			w.Errorf("%s: got %v, %v; want %v, secure", q.name, o, o.Status, q.data)
		}
	}
}
