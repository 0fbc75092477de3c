package realnetwork

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/test/testcert"
	"github.com/iterdns/iterdns/resolver"
)

func tlsConfig(transport resolver.RouteTransport, roots *x509.CertPool) *tls.Config {
	if transport != resolver.TransportTLS {
		return nil
	}
	return &tls.Config{RootCAs: roots, ServerName: testcert.Name, MinVersion: tls.VersionTLS12}
}

// oneAddress answers everything with one address.
func oneAddress(authoritative bool) func(*dns.Msg) *dns.Msg {
	return func(q *dns.Msg) *dns.Msg {
		m := new(dns.Msg).SetReply(q)
		m.Authoritative, m.RecursionAvailable = authoritative, !authoritative
		a, err := dns.NewRR(q.Question[0].Name + " 60 A 192.0.2.66")
		if err != nil {
			return nil
		}
		m.Answer = []dns.RR{a}
		return m
	}
}

// stripped answers as a server of the zone would, without signatures.
func stripped(q *dns.Msg) *dns.Msg {
	ask := new(dns.Msg).SetQuestion(q.Question[0].Name, q.Question[0].Qtype)
	from := &net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(liar)}} // else it would be led back to us
	m, _, err := (&dns.Client{Dialer: from}).Exchange(ask, unbound+":53")
	if err != nil {
		return nil
	}
	m.Id, m.Question, m.Authoritative, m.RecursionAvailable = q.Id, q.Question, true, false
	return m
}

func rcode(code int) func(*dns.Msg) *dns.Msg {
	return func(q *dns.Msg) *dns.Msg { return new(dns.Msg).SetRcode(q, code) }
}

// answerOf asks for an address that has to be true, and Secure below alpha.
func answerOf(t *testing.T, r *resolver.Resolver, name string) *resolver.Result {
	t.Helper()
	result, err := r.Resolve(t.Context(), name, dns.TypeA)
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, resolver.Explain(err))
	}
	want := "192.0.2.90"
	if strings.HasSuffix(name, "alpha.") {
		want = "192.0.2.8"
		if result.Status != dnssec.Secure {
			t.Errorf("%s: got %s, want it secure", name, result.Status)
		}
	}
	if len(result.Answer) == 0 || !strings.Contains(result.Answer[0].String(), want) {
		t.Errorf("%s: got %v, want %s", name, result.Answer, want)
	}
	return result
}

// awaitNetwork asks, while the resolver's clock runs ahead by some seconds for each question, until
// the network is told as want. Tests of the network are made for questions, in the background, and
// take a busy machine longer than a question.
func (w *world) awaitNetwork(t *testing.T, r *resolver.Resolver, want resolver.Network, ask func()) {
	t.Helper()
	for range 600 {
		if r.Stats().Network == want {
			return
		}
		w.late.Add(int64(8 * time.Second))
		ask()
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("got network %s, want %s", r.Stats().Network, want)
}

// tests is how often the network can have been tested since begin: once each half a minute, or quarter
// where it is closed. Only a busy machine needs as long.
func tests(begin time.Time, each time.Duration) int { return int(time.Since(begin) / each) }

// TestOnlyTCP: what drops, refuses, or answers packets over UDP, and leaves TCP alone, costs no answer;
// what follows goes over TCP at once, and over UDP when that is back.
func TestOnlyTCP(t *testing.T) {
	w := newWorld(t)
	var lie atomic.Pointer[func(*dns.Msg) *dns.Msg]
	startLiar(t, func(q *dns.Msg) *dns.Msg { return (*lie.Load())(q) })
	for _, tt := range []struct {
		name  string
		rules rules
		lie   func(*dns.Msg) *dns.Msg
	}{
		{"dropped", droppedUDP, nil},
		{"prohibited", rules{arriving: "udp dport 53 reject with icmp admin-prohibited"}, nil},
		{"port unreachable", rules{arriving: "udp dport 53 reject with icmp port-unreachable"}, nil},
		{"firewall of this host", rules{leaving: "udp dport 53 drop"}, nil},
		{"led to Unbound", ledTo(unbound), nil},
		{"led to one address", ledTo(liar), oneAddress(false)},
		{"led to one address with authority", ledTo(liar), oneAddress(true)},
		{"led to a stripper", ledTo(liar), stripped},
		{"led to refusals", ledTo(liar), rcode(dns.RcodeRefused)},
		{"led to denials", ledTo(liar), rcode(dns.RcodeNameError)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.lie != nil {
				lie.Store(&tt.lie)
			}
			r := w.resolver(t, nil)
			setRules(t, tt.rules)
			begin := time.Now()
			answerOf(t, r, "www.alpha.")
			for range 20 {
				answerOf(t, r, w.fresh())
			}
			s := r.Stats()
			if s.Network != resolver.NetworkOnlyTCP || s.TurnsToTCP != 1 || s.TurnsToClosed != 0 {
				t.Fatalf("got network %s after %d turns", s.Network, s.TurnsToTCP)
			}
			setRules(t, tt.rules)
			answerOf(t, r, "mail.alpha.")
			answerOf(t, r, w.fresh())
			if udp, tcp := sent(t); udp > tests(begin, 30*time.Second) || tcp > 6 {
				t.Errorf("known as it is: %d packets over UDP, %d connections", udp, tcp)
			}
			setRules(t, rules{})
			w.awaitNetwork(t, r, resolver.NetworkOpen, func() { answerOf(t, r, w.fresh()) })
			setRules(t, rules{})
			answerOf(t, r, w.fresh())
			if udp, tcp := sent(t); udp == 0 || tcp != 0 {
				t.Errorf("open again: %d packets over UDP, %d connections", udp, tcp)
			}
		})
	}
}

// TestOtherAddress: what was found out ends when the host gets another address.
func TestOtherAddress(t *testing.T) {
	w := newWorld(t)
	r := w.resolver(t, nil)
	setRules(t, droppedUDP)
	for range 8 {
		answerOf(t, r, w.fresh())
	}
	if s := r.Stats(); s.Network != resolver.NetworkOnlyTCP {
		t.Fatalf("got network %s", s.Network)
	}
	setRules(t, rules{})
	w.late.Add(int64(2 * time.Second))
	w.move(t, elsewhere)
	defer w.move(t, here)
	answerOf(t, r, w.fresh())
	if s := r.Stats(); s.Network != resolver.NetworkOpen {
		t.Errorf("with another address: got network %s", s.Network)
	}
	if udp, _ := sent(t); udp == 0 {
		t.Error("UDP is not used in the other network")
	}
}

// TestFallback: where neither UDP nor TCP leads to the root servers, a fallback over TLS, or over TCP at
// another port, answers until they do.
func TestFallback(t *testing.T) {
	w := newWorld(t)
	allLed := rules{led: fmt.Sprintf("meta l4proto { udp, tcp } th dport 53 dnat to %s", unbound)}
	for _, tt := range []struct {
		name      string
		rules     rules
		transport resolver.RouteTransport
		why       error
	}{
		{"dropped", droppedAll, resolver.TransportTLS, resolver.ErrBlocked},
		{"rejected", rules{arriving: "udp dport 53 reject\ntcp dport 53 reject with tcp reset"}, resolver.TransportTCP, resolver.ErrBlocked},
		{"led to Unbound", allLed, resolver.TransportTLS, resolver.ErrIntercepted},
		{"TCP reset, UDP led to Unbound", rules{led: ledTo(unbound).led, arriving: "tcp dport 53 reject with tcp reset"}, resolver.TransportTCP, resolver.ErrIntercepted},
		{"firewall of this host", rules{leaving: droppedAll.arriving}, resolver.TransportTLS, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			setRules(t, tt.rules)
			if _, err := w.resolver(t, nil).Resolve(t.Context(), "www.alpha.", dns.TypeA); err == nil || tt.why != nil && !errors.Is(err, tt.why) {
				t.Errorf("without a fallback: got %v, want %v", err, tt.why)
			}
			begin := time.Now()
			r := w.resolver(t, func(o *resolver.Options) { o.Fallback = w.fallback(tt.transport) })
			if result := answerOf(t, r, "www.alpha."); !result.Fallback {
				t.Error("not marked as the fallback's")
			}
			setRules(t, tt.rules)
			for range 5 {
				if result := answerOf(t, r, w.fresh()); !result.Fallback {
					t.Error("not marked as the fallback's")
				}
			}
			if s := r.Stats(); s.Network != resolver.NetworkClosed || s.TurnsToClosed != 1 || s.FromFallback != 6 {
				t.Errorf("got network %s, %d answers of the fallback", s.Network, s.FromFallback)
			}
			if udp, tcp := sent(t); udp+tcp > 12+4*tests(begin, 15*time.Second) { // a connection may be tried four times
				t.Errorf("known as it is: %d packets over UDP, %d connections to port 53", udp, tcp)
			}
			setRules(t, rules{})
			w.awaitNetwork(t, r, resolver.NetworkOpen, func() { answerOf(t, r, w.fresh()) })
			if result := answerOf(t, r, "mail.alpha."); result.Fallback {
				t.Error("the root servers answer again, and the fallback was asked")
			}
		})
	}
}
