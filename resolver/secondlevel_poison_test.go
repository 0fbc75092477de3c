package resolver_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"net"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
)

// forge is what an attacker can do that can write the store and knows how values are
// sealed, but not the key of the resolvers: it changes the messages in all values, leaves
// out those for which edit says so, and seals them anew.
func (s *store) forge(t testing.TB, edit func(m *dns.Msg) (keep bool)) {
	t.Helper()
	const sealAt, payloadAt = 21, 37
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, v := range s.values {
		m := new(dns.Msg)
		if err := m.Unpack(v.value[payloadAt:]); err != nil {
			t.Fatal(err)
		}
		if !edit(m) {
			delete(s.values, key)
			continue
		}
		m.Compress = true
		payload, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		seal := hmac.New(sha256.New, nil)
		seal.Write([]byte{'s', 1})
		seal.Write([]byte(key))
		seal.Write(v.value[:sealAt])
		seal.Write(payload)
		v.value = slices.Concat(v.value[:sealAt], seal.Sum(nil)[:payloadAt-sealAt], payload)
		s.values[key] = v
	}
}

// evil is the attacker's address.
const evil = "203.0.113.66"

func sectionsIn(m *dns.Msg) []*[]dns.RR { return []*[]dns.RR{&m.Answer, &m.Ns, &m.Extra} }

// takeOff removes the records of some types from a message.
func takeOff(m *dns.Msg, types ...uint16) {
	for _, section := range sectionsIn(m) {
		*section = slices.DeleteFunc(*section, func(rr dns.RR) bool { return slices.Contains(types, rr.Header().Rrtype) })
	}
}

// toEvil makes all addresses evil ones.
func toEvil(m *dns.Msg) {
	for _, section := range sectionsIn(m) {
		for _, rr := range *section {
			if a, ok := rr.(*dns.A); ok {
				a.A = net.ParseIP(evil)
			}
		}
	}
}

func isReferral(m *dns.Msg) bool {
	return len(m.Answer) == 0 && slices.ContainsFunc(m.Ns, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeNS })
}

// storeLies are what the store returns instead of what was put into it.
var storeLies = map[string]func(m *dns.Msg) bool{
	"other addresses": func(m *dns.Msg) bool { toEvil(m); return true },
	"no signatures":   func(m *dns.Msg) bool { takeOff(m, dns.TypeRRSIG); return true },
	"no DNSSEC, other addresses": func(m *dns.Msg) bool {
		toEvil(m)
		takeOff(m, dns.TypeRRSIG, dns.TypeDS, dns.TypeDNSKEY, dns.TypeNSEC, dns.TypeNSEC3)
		return true
	},
	"no delegation is signed, other addresses": func(m *dns.Msg) bool {
		if isReferral(m) {
			takeOff(m, dns.TypeDS, dns.TypeRRSIG, dns.TypeNSEC, dns.TypeNSEC3)
		}
		toEvil(m)
		return true
	},
	"nothing exists": func(m *dns.Msg) bool {
		if len(m.Answer) > 0 && m.Question[0].Qtype != dns.TypeDNSKEY {
			m.Rcode = dns.RcodeNameError
			m.Answer = nil
			soa, _ := dns.NewRR("shop.example. 300 SOA ns1.shop.example. h.shop.example. 1 1 1 1 300")
			m.Ns = []dns.RR{soa}
		}
		return true
	},
	"other servers, which are dead": func(m *dns.Msg) bool { toEvil(m); return isReferral(m) },
	"other servers and keys, which are dead": func(m *dns.Msg) bool {
		toEvil(m)
		return isReferral(m) || m.Question[0].Qtype == dns.TypeDNSKEY
	},
	"no keys": func(m *dns.Msg) bool {
		if m.Question[0].Qtype == dns.TypeDNSKEY {
			m.Answer = nil
			soa, _ := dns.NewRR(m.Question[0].Name + " 300 SOA ns1.shop.example. h.shop.example. 1 1 1 1 300")
			m.Ns = []dns.RR{soa}
		}
		return true
	},
	"everything with more in it": func(m *dns.Msg) bool {
		for _, text := range []string{"www.deep.shop.example. 300 A " + evil, "shop.example. 300 NS ns.evil.test.", "ns.evil.test. 300 A " + evil} {
			rr, _ := dns.NewRR(text)
			m.Answer, m.Ns, m.Extra = append(m.Answer, rr), append(m.Ns, rr), append(m.Extra, rr)
		}
		return true
	},
}

// Whatever the store returns, signed data is answered as it is, and is Secure; unsigned
// data never becomes so.
func TestSecondLevelPoisoned(t *testing.T) {
	for about, lie := range storeLies {
		t.Run(about, func(t *testing.T) {
			fleet(t, sharedWorld, func(w *world, s *store) {
				w.askAll()
				synctest.Wait()
				s.forge(w, func(m *dns.Msg) bool {
					m.AuthenticatedData = true
					return lie(m)
				})
				for _, q := range sharedQuestions {
					other := w.replica(secondLevelUse(s), ipv4Only)
					o := other.ask(q.name, q.qtype)
					if o.err == nil {
						o.Answer = noSignatures(o.Answer)
					}
					switch {
					case q.status == dnssec.Secure:
						o.check(other, q.name, q.rcode, q.records...)
						if o.err == nil && o.Status != dnssec.Secure {
							w.Errorf("%s: got %v, want Secure", q.name, o.Status)
						}
						// Once more, from the cache: it has nothing of the lie.
						if o = other.ask(q.name, q.qtype); o.err == nil {
							o.Answer = noSignatures(o.Answer)
						}
						o.check(other, q.name, q.rcode, q.records...)
					case o.err != nil:
						w.Errorf("%s: got %v, want an answer", q.name, o.err)
					case o.Status == dnssec.Secure:
						w.Errorf("%s: got Secure, though its zone is not signed", q.name)
					}
				}
			})
		})
	}
}

// Without the key nobody forges anything.
func TestSecondLevelKey(t *testing.T) {
	key := func(o *resolver.Options) { o.SecondLevelKey = []byte("a secret of 32 bytes, or nearly") }
	fleet(t, sharedWorld, func(w *world, s *store) {
		w.askAll()
		synctest.Wait()
		s.forge(w, storeLies["other addresses"])
		other := w.replica(secondLevelUse(s), ipv4Only, key)
		if sends := other.askAll(); sends == 0 {
			w.Error("all answers come out of the store")
		}
		if stats := other.r.SecondLevelStats(); stats.Hits != 0 || stats.Bogus != 0 || stats.Refused == 0 {
			w.Errorf("got %+v, want everything refused", stats)
		}
	}, key)
}

// An entry that turned out bogus is replaced by a right one, for all resolvers.
func TestSecondLevelLies(t *testing.T) {
	fleet(t, sharedWorld, func(w *world, s *store) {
		w.askAll()
		synctest.Wait()
		s.forge(w, func(m *dns.Msg) bool {
			if !isReferral(m) && m.Question[0].Qtype != dns.TypeDNSKEY {
				toEvil(m)
			}
			return true
		})
		other := w.replica(secondLevelUse(s), ipv4Only)
		other.ask("www.shop.example.", dns.TypeA)
		synctest.Wait()
		if stats := other.r.SecondLevelStats(); stats.Bogus != 1 {
			w.Errorf("got %+v, want one bogus answer", stats)
		}
		third := w.replica(secondLevelUse(s), ipv4Only)
		if o := third.ask("www.shop.example.", dns.TypeA).atMost(third, 0); o.err != nil || o.Status != dnssec.Secure {
			w.Errorf("got %v, want what the second replica put right", o)
		}
	})
}
