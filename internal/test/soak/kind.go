package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
)

// kind is a kind of question.
type kind struct {
	name    string
	share   int // of the questions for zones that work, or of those for hostile ones
	hostile bool
	draw    func(*rand.Rand) question
}

// question is one question, and what is right to say to it.
type question struct {
	name  string
	qtype uint16
	rcode int
	// want are the records of the answer, but for signatures, as owner, type and data.
	// Where nothing is wanted of a question that must not be answered, never is set.
	want   []string
	secure bool
	never  bool
}

// newName is a name that has not been asked for before.
func newName(r *rand.Rand, zone string) string { return fmt.Sprintf("x%x.%s", r.Uint64(), zone) }

// address asks for an address.
func address(name, addr string, secure bool) question {
	return question{name: name, qtype: dns.TypeA, want: []string{name + " A " + addr}, secure: secure}
}

// kinds are all of them.
func kinds() []kind { return slices.Concat(goodKinds(), hostileKinds()) }

// goodKinds are the questions for zones that work.
func goodKinds() []kind {
	return []kind{
		{"cached", 620, false, func(r *rand.Rand) question {
			i := r.IntN(hotNames)
			return address(fmt.Sprintf("h%d.hot.example.", i), hotAddr(i), true)
		}},
		{"cold", 150, false, func(r *rand.Rand) question {
			return address(newName(r, "cold.plain.example."), "192.0.2.80", false)
		}},
		{"signed", 80, false, func(r *rand.Rand) question {
			i := r.IntN(signedNames)
			return address(fmt.Sprintf("n%d.signed.example.", i), fmt.Sprintf("192.0.2.%d", i%250), true)
		}},
		{"NXDOMAIN", 40, false, func(r *rand.Rand) question {
			return question{name: newName(r, "plain.example."), qtype: dns.TypeA, rcode: dns.RcodeNameError}
		}},
		{"signed NXDOMAIN", 20, false, func(r *rand.Rand) question {
			return question{name: newName(r, "signed.example."), qtype: dns.TypeA, rcode: dns.RcodeNameError, secure: true}
		}},
		{"signed NODATA", 20, false, func(r *rand.Rand) question {
			return question{name: fmt.Sprintf("n%d.signed.example.", r.IntN(signedNames)), qtype: dns.TypeMX, secure: true}
		}},
		{"alias", 20, false, func(r *rand.Rand) question {
			name := newName(r, "alias.plain.example.")
			return question{name: name, qtype: dns.TypeA,
				want: []string{name + " CNAME h7.hot.example.", "h7.hot.example. A " + hotAddr(7)}}
		}},
		{"DNAME", 10, false, func(r *rand.Rand) question {
			i := r.IntN(hotNames)
			name, target := fmt.Sprintf("h%d.old.plain.example.", i), fmt.Sprintf("h%d.hot.example.", i)
			return question{name: name, qtype: dns.TypeA, want: []string{
				"old.plain.example. DNAME hot.example.", name + " CNAME " + target, target + " A " + hotAddr(i)}}
		}},
		{"over TCP", 10, false, func(r *rand.Rand) question { return address(newName(r, "long.example."), "192.0.2.81", false) }},
		{"lossy", 10, false, func(r *rand.Rand) question { return address(newName(r, "lossy.example."), "192.0.2.82", false) }},
		{"far", 20, false, func(r *rand.Rand) question {
			i := r.IntN(farZones)
			return address(newName(r, fmt.Sprintf("z%d.far.example.", i)), fmt.Sprintf("192.0.2.%d", i), false)
		}},
	}
}

// hostileKinds are those for zones that do not mean well. An error is right for all of
// them, and for most nothing else is.
func hostileKinds() []kind {
	never := func(name string) question { return question{name: name, qtype: dns.TypeA, never: true} }
	nothing := func(zone string) func(*rand.Rand) question {
		return func(r *rand.Rand) question { return never(newName(r, zone)) }
	}
	perhaps := func(zone, addr string) func(*rand.Rand) question {
		return func(r *rand.Rand) question { return address(newName(r, zone), addr, false) }
	}
	return []kind{
		{"NXNSAttack", 10, true, func(r *rand.Rand) question {
			return never(newName(r, fmt.Sprintf("s%d.nxns.example.", r.IntN(nxnsZones))))
		}},
		{"KeyTrap", 5, true, perhaps("keytrap.example.", "192.0.2.90")},
		{"chain of aliases", 10, true, func(r *rand.Rand) question {
			return never(fmt.Sprintf("c%d.chain.example.", r.IntN(chainLength-15)))
		}},
		{"loop of aliases", 5, true, func(*rand.Rand) question { return never("loop.chain.example.") }},
		{"bogus", 10, true, nothing("bogus.example.")},
		{"silent", 20, true, nothing("silent.example.")},
		{"slow", 10, true, perhaps("slow.example.", "192.0.2.91")},
		{"drip", 5, true, perhaps("drip.example.", "192.0.2.92")},
		{"forged", 10, true, perhaps("forged.example.", "192.0.2.93")},
		{"garbage", 5, true, nothing("garbage.example.")},
		{"lame", 5, true, nothing("lame.example.")},
		{"poison", 10, true, perhaps("poison.example.", "192.0.2.94")},
	}
}

// errUnanswered says that a question for a zone that works has no answer.
var errUnanswered = errors.New("no answer")

// judge compares an answer with what is right. The error is errUnanswered, or says what is
// wrong. To hostile zones' questions no answer is always right.
func (q question) judge(k kind, result *resolver.Result, err error) error {
	switch {
	case err != nil && k.hostile:
		return nil
	case err != nil:
		return fmt.Errorf("%s %s: %w: %w", q.name, dns.Type(q.qtype), errUnanswered, err)
	case q.never:
		return fmt.Errorf("%s: got %s %q, want an error", q.name, dns.RcodeToString[result.Rcode], brief(result.Answer))
	}
	if got := brief(result.Answer); result.Rcode != q.rcode || !slices.Equal(got, q.want) {
		return fmt.Errorf("%s %s: got %s %q, want %s %q", q.name, dns.Type(q.qtype),
			dns.RcodeToString[result.Rcode], got, dns.RcodeToString[q.rcode], q.want)
	}
	if q.secure != (result.Status == dnssec.Secure) && !k.hostile {
		return fmt.Errorf("%s %s: got %v, want secure: %t", q.name, dns.Type(q.qtype), result.Status, q.secure)
	}
	return nil
}

// brief writes records as owner, type and data, in lower case, without signatures.
func brief(rrs []dns.RR) []string {
	var lines []string
	for _, rr := range rrs {
		h := rr.Header()
		if h.Rrtype == dns.TypeRRSIG {
			continue
		}
		data := strings.TrimSpace(strings.TrimPrefix(rr.String(), h.String()))
		lines = append(lines, strings.ToLower(h.Name)+" "+dns.Type(h.Rrtype).String()+" "+strings.ToLower(data))
	}
	return lines
}
