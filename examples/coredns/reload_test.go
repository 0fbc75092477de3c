//go:build unix

package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

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
		s.reload(t)
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
		// What the page says of certificates.
		{strings.Replace(fmt.Sprintf(reloadCorefile, 91), "errors", "errors\n\ttls nowhere.pem nowhere.key", 1), "nowhere.pem"},
		// This one fails after the plugin has started: the address is nobody's.
		{strings.Replace(fmt.Sprintf(reloadCorefile, 91), ".:5353 {\n\tbind HOST", ".:5353 {\n\tbind 192.0.2.1", 1), "192.0.2.1"},
	}
	for i, test := range broken {
		s.write(t, test.corefile)
		s.reload(t)
		eventually(t, "the reload has failed", func() bool { return s.output.count("[ERROR] SIGUSR1") == i+1 })
		if s.output.count(test.want) == 0 {
			t.Errorf("the log lacks %q", test.want)
		}
		if got := sorted(addresses(s.mustAsk(t, "www.shop.example.", dns.TypeA))); got != shopAddresses {
			t.Errorf("got %q after a reload that failed, want %s", got, shopAddresses)
		}
	}
	s.write(t, fmt.Sprintf(reloadCorefile, 92))
	s.reload(t)
	eventually(t, "the server has reloaded", func() bool { return s.output.count("Reloading complete") == 1 })
	if got := sorted(addresses(s.mustAsk(t, "www.shop.example.", dns.TypeA))); got != shopAddresses {
		t.Errorf("got %q after the reload, want %s", got, shopAddresses)
	}
}

// slowWorld has a zone whose servers take a while.
const slowWorld = `-- zone . signed --
-- zone example. signed --
-- zone shop.example. at 198.51.100.3 signed --
www A 192.0.2.80
-- zone slow.example. at 198.51.100.6 --
* A 192.0.2.67
-- fault 198.51.100.6 --
latency 600ms
`

// drain is a server that is told to end, or to reload, while it is asked.
type drain struct {
	*server
	t       *testing.T
	clients sync.WaitGroup
	answers atomic.Int64 // of any kind but SERVFAIL
	failed  atomic.Int64 // SERVFAIL
	asking  sync.RWMutex // read-locked by who asks on
}

// underWay asks for names that take a while, over both transports, and returns when they
// are with the servers of their zone. Every one has to be answered. Those that have been answered
// before anybody has looked are followed by others.
func (d *drain) underWay(n int) {
	d.t.Helper()
	asked, waiting := 0, new(atomic.Int64)
	eventually(d.t, "the questions are under way", func() bool {
		for ; waiting.Load() < int64(n); asked++ {
			qname, network := fmt.Sprintf("a%d.slow.example.", asked), []string{"udp", "tcp"}[asked%2]
			waiting.Add(1)
			d.clients.Go(func() {
				defer waiting.Add(-1)
				reply, err := d.ask(network, qname, dns.TypeA)
				if err != nil || reply.Rcode != dns.RcodeSuccess {
					d.t.Errorf("%s: got %v and %v, want the answer", qname, reply, err)
				}
			})
		}
		d.asking.Lock() // so that no other question is under way
		defer d.asking.Unlock()
		all := waiting.Load()
		return all == int64(n) && d.scrape(d.t)[`coredns_iterdns_questions_in_flight{zones="."}`] >= float64(all)
	})
}

// askOn asks for a name in the cache until stop is closed. No answer is none of a server
// that has ended; what is answered is counted.
func (d *drain) askOn(stop <-chan struct{}) {
	d.clients.Go(func() {
		query := new(dns.Msg).SetQuestion("www.shop.example.", dns.TypeA)
		client := &dns.Client{Timeout: 200 * time.Millisecond}
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
			}
			d.asking.RLock()
			reply, _, err := client.Exchange(query, net.JoinHostPort(d.host, port))
			d.asking.RUnlock()
			switch {
			case err != nil:
			case reply.Rcode == dns.RcodeServerFailure:
				d.failed.Add(1)
			default:
				d.answers.Add(1)
			}
		}
	})
}

// A server that ends, or reloads, answers what it has been asked, and goes on answering
// until it no longer listens: nobody gets SERVFAIL for it, in the time of lameduck neither.
func TestShutdownIsNoServfail(t *testing.T) {
	for about, c := range map[string]struct {
		lameduck string
		sig      syscall.Signal
	}{
		"end":       {"", syscall.SIGTERM},
		"lameduck":  {"lameduck 3s", syscall.SIGTERM},
		"reload":    {"", syscall.SIGUSR1},
		"interrupt": {"lameduck 3s", syscall.SIGINT},
	} {
		t.Run(about, func(t *testing.T) {
			world := filepath.Join(t.TempDir(), "world")
			if err := os.WriteFile(world, []byte(slowWorld), 0o600); err != nil {
				t.Fatal(err)
			}
			d := &drain{t: t, server: start(t, ".:5353 {\nbind HOST\nerrors\nprometheus HOST:9153\nhealth HOST:8080 {\n"+c.lameduck+
				"\n}\niterdns {\nmock "+world+"\nlimit time 10s\n}\n}\n")}
			d.mustAsk(t, "www.shop.example.", dns.TypeA)
			d.mustAsk(t, "w.slow.example.", dns.TypeA) // knows the zone's servers
			stop := make(chan struct{})
			const asking = 3
			for range asking {
				d.askOn(stop)
			}
			eventually(t, "clients are answered", func() bool { return d.answers.Load() > 20 })
			if c.sig != syscall.SIGINT { // which waits for nobody
				d.underWay(6)
			}
			d.signal(t, c.sig)
			if c.sig == syscall.SIGUSR1 {
				eventually(t, "the server has reloaded", func() bool { return d.output.count("Reloading complete") == 1 })
				before := d.answers.Load()
				eventually(t, "clients are answered", func() bool { return d.answers.Load() > before+20 })
			} else {
				if before := d.answers.Load(); c.lameduck != "" {
					// More than had been asked before the signal.
					eventually(t, "clients are answered in the time of lameduck", func() bool { return d.answers.Load() > before+asking })
				}
				<-d.ended
			}
			close(stop)
			d.clients.Wait()
			if n := d.failed.Load(); n != 0 {
				t.Errorf("got %d times SERVFAIL beside %d answers, want none", n, d.answers.Load())
			}
		})
	}
}

const snapshotCorefile = `.:5353 {
	bind HOST
	errors
	prometheus HOST:9153
	iterdns {
		mock
		snapshot %s %s
	}
}
`

// What a server has learnt is there after a restart, however it ends; what was left of a
// snapshot that was being written is not.
func TestSnapshotOverRestart(t *testing.T) {
	for about, c := range map[string]struct {
		interval string
		sig      syscall.Signal
	}{
		"end":       {"0s", syscall.SIGTERM},
		"interrupt": {"0s", syscall.SIGINT},
		"kill":      {"100ms", syscall.SIGKILL},
	} {
		t.Run(about, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "cache")
			if err := os.WriteFile(file+".unfinished-12", []byte("half a snapsh"), 0o600); err != nil {
				t.Fatal(err)
			}
			s := start(t, fmt.Sprintf(snapshotCorefile, file, c.interval))
			if entries, err := os.ReadDir(filepath.Dir(file)); err != nil || c.interval == "0s" && len(entries) != 0 {
				t.Errorf("got %v and %v, want that what was left is gone", entries, err)
			}
			s.mustAsk(t, "www.shop.example.", dns.TypeA)
			eventually(t, "the server knows the root too", func() bool { return s.scrape(t)[`coredns_iterdns_ready{zones="."}`] == 1 })
			asked := time.Now()
			if c.sig == syscall.SIGKILL {
				// The second one from here on has been begun after the answer.
				for range 2 {
					eventually(t, "a snapshot", func() bool {
						info, err := os.Stat(file)
						return err == nil && info.ModTime().After(asked)
					})
					asked = time.Now()
				}
			}
			s.signal(t, c.sig)
			<-s.ended

			s = start(t, fmt.Sprintf(snapshotCorefile, file, "0s"))
			if got := sorted(addresses(s.mustAsk(t, "www.shop.example.", dns.TypeA))); got != shopAddresses {
				t.Errorf("got %q after the restart, want %s", got, shopAddresses)
			}
			if got := s.scrape(t)[`coredns_iterdns_upstream_queries_total{proto="udp",zones="."}`]; got != 0 || s.output.count("is read: ") != 1 {
				t.Errorf("got %v queries to servers after the restart, want none", got)
			}
		})
	}
}

// SIGTERM ends the server, while a question is under way too.
func TestShutdown(t *testing.T) {
	s := start(t, fmt.Sprintf(reloadCorefile, 90))
	asked := make(chan struct{})
	go func() {
		close(asked)
		// What comes of it is not certain: it may take longer than the server waits.
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

// The line on the plugin page has failures counted that would be a line each.
func TestConsolidate(t *testing.T) {
	page, err := os.ReadFile("iterdns/README.md")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile("`(consolidate 1)m( .+)`").FindSubmatch(page)
	if line == nil {
		t.Fatal("the page has no such line")
	}
	s := start(t, fmt.Sprintf(".:5353 {\nbind HOST\nerrors {\n%ss%s\n}\niterdns {\nmock\nlimit time 100ms\n}\n}", line[1], line[2]))
	for i := range 5 {
		if reply := s.mustAsk(t, fmt.Sprintf("n%d.silent.example.", i), dns.TypeA); reply.Rcode != dns.RcodeServerFailure {
			t.Errorf("got %v, want SERVFAIL", reply)
		}
	}
	eventually(t, "they are counted", func() bool { return s.output.count("errors like 'plugin/iterdns: ' occurred in last 1s") > 0 })
	if s.output.count("silent.example") != 0 {
		t.Error("they are a line each")
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
