//go:build unix

package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/miekg/dns"
)

const reloadCorefile = `.:5353 {
	bind HOST
	errors
	prometheus HOST:9153
	iterdns {
		mock
		limit sends %d
	}
}
`

// askAgain asks once more when a connection is closed before the answer, as clients have
// to (RFC 7766 §6.2.4): CoreDNS closes those that have not sent anything yet.
func (s *server) askAgain(network, qname string) (*dns.Msg, error) {
	reply, err := s.ask(network, qname, dns.TypeA)
	if err != nil && network == "tcp" && !errors.Is(err, os.ErrDeadlineExceeded) {
		reply, err = s.ask(network, qname, dns.TypeA)
	}
	return reply, err
}

// Reloads while clients ask lose no answer, neither of known names nor of new ones, and
// counters go on.
func TestReloadUnderLoad(t *testing.T) {
	s := start(t, fmt.Sprintf(reloadCorefile, 90))
	s.mustAsk(t, "www.shop.example.", dns.TypeA)
	var asked, lost atomic.Int64
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for i := range 4 {
		clients.Go(func() {
			network := []string{"udp", "tcp"}[i%2]
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				qname, rcode := "www.shop.example.", dns.RcodeSuccess
				if n%2 == 1 {
					qname, rcode = fmt.Sprintf("n%d-%d.cdn.example.", i, n), dns.RcodeNameError
				}
				asked.Add(1)
				if reply, err := s.askAgain(network, qname); err != nil || reply.Rcode != rcode {
					lost.Add(1)
					t.Errorf("%s over %s: got %v and %v", qname, network, reply, err)
				}
			}
		})
	}
	const reloads = 5
	for i := range reloads {
		before := asked.Load()
		eventually(t, "clients ask", func() bool { return asked.Load() > before+50 })
		questions := s.scrape(t)[`coredns_iterdns_questions_total{zones="."}`]
		s.write(t, fmt.Sprintf(reloadCorefile, 91+i))
		s.signal(t, syscall.SIGUSR1)
		eventually(t, "the server has reloaded", func() bool { return s.output.count("Reloading complete") == i+1 })
		if got := s.scrape(t)[`coredns_iterdns_questions_total{zones="."}`]; got < questions {
			t.Errorf("got %v questions after the reload, want %v of before it at least", got, questions)
		}
	}
	close(stop)
	clients.Wait()
	t.Logf("%d questions during %d reloads, %d without the right answer", asked.Load(), reloads, lost.Load())
}

// A Corefile with a mistake changes nothing, and the log says where it is.
func TestReloadFails(t *testing.T) {
	s := start(t, fmt.Sprintf(reloadCorefile, 90))
	broken := []struct{ corefile, want string }{
		{strings.Replace(fmt.Sprintf(reloadCorefile, 90), "mock", "mokc", 1), "plugin/iterdns: " + s.corefile + ":6 - Error during parsing: unknown property 'mokc'"},
		// This one fails after the plugin has started: the address is nobody's.
		{strings.Replace(fmt.Sprintf(reloadCorefile, 91), ".:5353 {\n\tbind HOST", ".:5353 {\n\tbind 192.0.2.1", 1), "192.0.2.1"},
	}
	for i, test := range broken {
		s.write(t, test.corefile)
		s.signal(t, syscall.SIGUSR1)
		eventually(t, "the reload has failed", func() bool { return s.output.count("[ERROR] SIGUSR1") == i+1 })
		if s.output.count(test.want) == 0 {
			t.Errorf("the log lacks %q", test.want)
		}
		if got := sorted(addresses(s.mustAsk(t, "www.shop.example.", dns.TypeA))); got != shopAddresses {
			t.Errorf("got %q after a reload that failed, want %s", got, shopAddresses)
		}
	}
	s.write(t, fmt.Sprintf(reloadCorefile, 92))
	s.signal(t, syscall.SIGUSR1)
	eventually(t, "the server has reloaded", func() bool { return s.output.count("Reloading complete") == 1 })
	if got := sorted(addresses(s.mustAsk(t, "www.shop.example.", dns.TypeA))); got != shopAddresses {
		t.Errorf("got %q after the reload, want %s", got, shopAddresses)
	}
}

// SIGTERM ends the server, while a question is under way too.
func TestShutdown(t *testing.T) {
	s := start(t, fmt.Sprintf(reloadCorefile, 90))
	asked := make(chan struct{})
	go func() {
		close(asked)
		// What comes of it is not certain: the answer may be SERVFAIL, or none.
		_, _ = s.ask("tcp", "www.silent.example.", dns.TypeA)
	}()
	<-asked
	s.mustAsk(t, "www.shop.example.", dns.TypeA)
	s.signal(t, syscall.SIGTERM)
	<-s.ended
	if s.err != nil {
		t.Errorf("got %v, want exit status 0", s.err)
	}
}

// A Corefile with a mistake is no start, and the message says where the mistake is.
func TestCorefileErrors(t *testing.T) {
	for corefile, want := range map[string]string{
		".:5353 {\nbind HOST\niterdns {\nmock\ndnssec maybe\n}\n}": ":5 - Error during parsing: dnssec: want 'on' or 'off'",
		".:5353 {\nbind HOST\niterdns {\nhints nowhere\n}\n}":      ":4 - Error during parsing: hints: open nowhere",
	} {
		s := run(t, corefile)
		<-s.ended
		if s.err == nil || s.output.count("plugin/iterdns: "+s.corefile+want) == 0 {
			t.Errorf("got %v and\n%swant %q", s.err, s.output, want)
		}
	}
}
