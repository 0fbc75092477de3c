package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/iterdns/iterdns/internal/test/netns"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/test/realresolver"
	"github.com/iterdns/iterdns/internal/test/realserver"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

const (
	// atOnce is how many questions each resolver has under way. More would make slow
	// ones run into their own limits.
	atOnce = 16

	// answerWithin is how long a resolver may take for one question: longer than ours
	// does. Others try dead servers for minutes; that is no answer, as SERVFAIL is.
	answerWithin = 12 * time.Second

	// askedAgain is how often a question is asked again whose answers differ, slower
	// and at last alone, before the difference counts.
	askedAgain = 2

	// pause is the time before that: failures are forgotten after 5 seconds.
	pause = 6 * time.Second

	// ready is how long a resolver may take to start.
	ready = 30 * time.Second
)

// ourAddr is where our resolver answers.
func ourAddr() netip.AddrPort { return netip.MustParseAddrPort("127.0.0.1:5300") }

// run does everything inside the namespace.
func run(ctx context.Context, c config) error {
	started := time.Now()
	classes, err := parseClasses(classesText)
	if err != nil {
		return fmt.Errorf("classes.txt: %w", err)
	}
	w := newWorld(c.seed, c.questions)
	if err := netns.Claim("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "198.18.0.0/15"); err != nil {
		return err
	}
	in, err := resolvertest.NewInternet(w.text, resolvertest.Seed(c.seed))
	if err != nil {
		return err
	}
	defer in.Close()
	net, err := serve(in)
	if err != nil {
		return err
	}
	defer net.close()
	stop, err := startAll(ctx, in, c.keep)
	defer stop()
	if err != nil {
		return err
	}
	log.Printf("%d zones, %d questions; all resolvers are ready after %v", strings.Count(w.text, "-- zone "), len(w.questions), time.Since(started).Round(time.Millisecond))
	r := askAll(ctx, w, classes)
	if ctx.Err() != nil {
		return errors.New("out of time")
	}
	return r.print(c, w, classes, time.Since(started))
}

// resolvers lists the names and addresses of all that are asked, ours first.
func resolvers() (names []string, addrs []netip.AddrPort) {
	names, addrs = []string{"iterdns"}, []netip.AddrPort{ourAddr()}
	for _, p := range realresolver.Products() {
		names, addrs = append(names, p.String()), append(addrs, peerAddr(p))
	}
	return names, addrs
}

// startAll starts our resolver and the others, and waits for them.
func startAll(ctx context.Context, in *resolvertest.Internet, keep string) (stop func(), err error) {
	var stops []func()
	stop = func() {
		for _, f := range stops {
			f()
		}
	}
	dir := keep
	if dir == "" {
		if dir, err = os.MkdirTemp("", "differential-"); err != nil {
			return stop, err
		}
		stops = append(stops, func() { os.RemoveAll(dir) })
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return stop, err
	}
	ours, err := startOurs(in)
	if err != nil {
		return stop, err
	}
	stops = append(stops, ours)
	var processes []*realserver.Process
	for _, p := range realresolver.Products() {
		process, err := startPeer(p, dir, hintsText(in.Hints()), rootAnchor(in))
		if err != nil {
			return stop, fmt.Errorf("%v: %w", p, err)
		}
		stops = append(stops, process.Kill) // it keeps nothing
		processes = append(processes, process)
	}
	names, addrs := resolvers()
	for i, addr := range addrs {
		if err := await(ctx, addr); err != nil {
			return stop, fmt.Errorf("%s: %w\n%s", names[i], err, processes[max(i-1, 0)].Log())
		}
	}
	return stop, nil
}

// hintsText writes hints as the zone file that all resolvers read.
func hintsText(hints *glue.Delegation) string {
	var b strings.Builder
	for _, server := range hints.Servers {
		fmt.Fprintf(&b, ". 3600000 NS %s\n", server.Name)
		for _, addr := range server.Addrs {
			if addr.Is4() {
				fmt.Fprintf(&b, "%s 3600000 A %s\n", server.Name, addr)
			}
		}
	}
	return b.String()
}

// rootAnchor returns the root's trust anchor. The Internet has more: signed zones below
// unsigned ones could have their own, which nobody gets here.
func rootAnchor(in *resolvertest.Internet) []dnssec.Anchor {
	return slices.DeleteFunc(in.Anchors(), func(a dnssec.Anchor) bool { return a.Zone() != "." })
}

// startOurs runs our resolver as a server like the others, with real sockets.
func startOurs(in *resolvertest.Internet) (stop func(), err error) {
	r, err := resolver.New(resolver.Options{
		RootHints:    in.Hints(),
		TrustAnchors: rootAnchor(in),
		AllowServer:  func(netip.Addr) bool { return true },
		Family:       resolver.FamilyIPv4Only,
		// The zones are below example., which is answered locally otherwise.
		DisableLocalZones: true,
	})
	if err != nil {
		return nil, err
	}
	packets, err := net.ListenPacket("udp", ourAddr().String())
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", ourAddr().String())
	if err != nil {
		return nil, err
	}
	servers := []*dns.Server{{PacketConn: packets, Handler: r}, {Listener: listener, Handler: r}}
	for _, server := range servers {
		go func() {
			if err := server.ActivateAndServe(); err != nil {
				log.Print("our server: ", err)
			}
		}()
	}
	return func() {
		for _, server := range servers {
			_ = server.Shutdown() // it may not have begun
		}
		r.Close()
	}, nil
}

// await returns when a resolver answers for the root.
func await(ctx context.Context, addr netip.AddrPort) error {
	ctx, cancel := context.WithTimeout(ctx, ready)
	defer cancel()
	for {
		client := dns.Client{Timeout: time.Second}
		query := new(dns.Msg).SetQuestion("example.", dns.TypeSOA).SetEdns0(1232, true)
		reply, _, err := client.ExchangeContext(ctx, query, addr.String())
		if err == nil && reply.Rcode == dns.RcodeSuccess && reply.AuthenticatedData {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not ready: %v, %v", err, reply)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// ask asks a resolver one question, over TCP if UDP does not do.
func ask(ctx context.Context, q question, addr netip.AddrPort) (outcome, *dns.Msg) {
	query := new(dns.Msg).SetQuestion(q.name, q.qtype).SetEdns0(1232, q.do)
	query.CheckingDisabled, query.AuthenticatedData = q.cd, true
	udp := dns.Client{Timeout: answerWithin, UDPSize: 1232}
	reply, _, err := udp.ExchangeContext(ctx, query, addr.String())
	if err == nil && reply.Truncated {
		tcp := dns.Client{Net: "tcp", Timeout: answerWithin}
		reply, _, err = tcp.ExchangeContext(ctx, query, addr.String())
	}
	if err != nil {
		return outcome{rcode: noReply}, nil
	}
	return newOutcome(reply), reply
}

// each calls f with 0 to n-1, some at once.
func each(n, workers int, f func(int)) {
	var wait sync.WaitGroup
	next := make(chan int)
	for range workers {
		wait.Go(func() {
			for i := range next {
				f(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wait.Wait()
}
