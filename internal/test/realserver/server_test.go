package realserver

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"
)

const zoneText = `$TTL 300
@    SOA ns hostmaster 1 7200 3600 86400 60
     NS  ns
ns   A   192.0.2.53
www  A   192.0.2.80
`

func TestStart(t *testing.T) {
	for _, product := range Products() {
		t.Run(product.String(), func(t *testing.T) {
			s := Start(t, product,
				Zone{Origin: "shop.example.", Text: zoneText},
				Zone{Origin: "bank.example", Text: zoneText})
			for _, network := range []string{"udp", "tcp"} {
				for _, name := range []string{"www.shop.example.", "www.bank.example."} {
					if got, want := ask(t, s, network, name), "192.0.2.80"; got != want {
						t.Errorf("%s over %s: got %q, want %q", name, network, got, want)
					}
				}
			}
			s.Stop()
			if err := s.askSOA(t.Context(), "tcp", "shop.example."); err == nil {
				t.Error("the server answers after Stop")
			}
			s.Stop() // a second call returns at once
		})
	}
}

// ask returns the first address that the server returns for name.
func ask(t *testing.T, s *Server, network, name string) string {
	t.Helper()
	client := dns.Client{Net: network, Timeout: 10 * time.Second}
	reply, _, err := client.ExchangeContext(t.Context(), new(dns.Msg).SetQuestion(name, dns.TypeA), s.Addr().String())
	if err != nil {
		t.Fatalf("%s over %s: %v", name, network, err)
	}
	for _, rr := range reply.Answer {
		if a, ok := rr.(*dns.A); ok {
			return a.A.String()
		}
	}
	return ""
}

func TestRootZone(t *testing.T) {
	root := `. 60 SOA a.root-servers.example. hostmaster.example. 1 7200 3600 86400 60
. 60 NS a.root-servers.example.
example. 60 NS ns.example.
ns.example. 60 A 192.0.2.53
a.root-servers.example. 60 A 192.0.2.1
`
	for _, product := range Products() {
		t.Run(product.String(), func(t *testing.T) {
			Start(t, product, Zone{Origin: ".", Text: root})
		})
	}
}

// A process that ends before it answers is reported as that, and not after the
// whole wait.
func TestAwaitReadyProcessEnds(t *testing.T) {
	for _, product := range Products() {
		t.Run(product.String(), func(t *testing.T) {
			Need(t, product)
			s := start(t, product, TLS{}, []netip.AddrPort{FreeAddr(t)}, []Zone{{Origin: "not..a name", Text: zoneText}})
			err := s.awaitReady([]Zone{{Origin: "shop.example."}})
			if !errors.Is(err, errEnded) {
				t.Errorf("awaitReady of a server with a broken configuration: got %v, want %v", err, errEnded)
			}
			s.Stop()
			if s.Log() == "" {
				t.Error("the log is empty, want the reason")
			}
		})
	}
}

// TestPause: a server that is paused says nothing, answers again, and can be ended from
// there; one that is killed is gone, with its children.
func TestPause(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for servers that are stopped")
	}
	for _, product := range Products() {
		t.Run(product.String(), func(t *testing.T) {
			zone := Zone{Origin: "shop.example.", Text: zoneText}
			s := Start(t, product, zone)
			s.Pause(t)
			if err := s.askSOA(t.Context(), "udp", zone.Origin); err == nil {
				t.Error("the server answers while it is paused")
			}
			s.Resume(t)
			if got, want := ask(t, s, "udp", "www.shop.example."), "192.0.2.80"; got != want {
				t.Errorf("after that: got %q, want %q", got, want)
			}
			s.Pause(t)
			s.Stop()
			if err := s.askSOA(t.Context(), "tcp", zone.Origin); err == nil {
				t.Error("the server answers after Stop")
			}
			s = Start(t, product, zone)
			s.Kill()
			if err := s.askSOA(t.Context(), "tcp", zone.Origin); err == nil {
				t.Error("the server answers after Kill")
			}
			s.Kill() // a second call returns at once
		})
	}
}
