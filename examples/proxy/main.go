// Proxy is a complete DNS server that finds the answers itself: over UDP, TCP, TLS and
// HTTPS, with access lists, limits for each client, metrics, and a cache that survives a
// restart. README.md describes its flags; examples/server is the same in thirty lines.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/debugpage"
)

// What the program ends with.
const (
	exitStopped = 0 // it was told to stop, and did
	exitFailed  = 1 // something broke while it ran
	exitUsage   = 2 // it cannot do what the flags say
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), stopSignals()...)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// stopSignals end the program in good order. SIGHUP is one, so that the cache is not lost when a
// terminal is closed, unless the program was started with it ignored, as nohup(1) does.
func stopSignals() []os.Signal {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	return signals
}

// run is the whole program: it serves until ctx ends.
func run(ctx context.Context, arguments []string, stdout, stderr io.Writer) int {
	c, err := parseFlags(arguments, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return exitStopped
	}
	var o resolver.Options
	if err == nil {
		o, err = c.options()
	}
	var p *proxy
	if err == nil {
		p, err = newProxy(c, o, newLogger(c, stderr))
	}
	if err != nil {
		fmt.Fprintf(stderr, "proxy: %v\n", err)
		return exitUsage
	}
	err = p.serve(ctx)
	switch {
	case errors.Is(err, resolver.ErrRouteLoop):
		fmt.Fprintf(stderr, "proxy: -route: %v\n", err)
		return exitUsage
	case err != nil:
		p.log.Error("stopped", "error", err)
		return exitFailed
	}
	return exitStopped
}

// proxy is the program with everything open that it needs.
type proxy struct {
	config    *config
	log       *slog.Logger
	cache     *snapshotCache
	resolver  *resolver.Resolver
	handler   *handler
	metrics   *metrics
	page      *debugpage.Page // nil: none
	listeners []listener
	limited   []*limitedListener // what the listeners accept connections from
}

// listener takes queries in at one address.
type listener interface {
	// serve answers queries until stop is called. It returns when the last answer is
	// written, and at once with the error if it cannot go on.
	serve() error
	// stop ends the taking in of queries. Those that were taken in are answered.
	stop()
	// close takes the answers' way away too.
	close() error
	// String says what is listened to, and where.
	String() string
}

// newProxy makes the resolver, fills its cache and opens the sockets. Nothing is
// answered before serve. An error is about the flags.
func newProxy(c *config, o resolver.Options, log *slog.Logger) (*proxy, error) {
	if c.threads > 0 {
		runtime.GOMAXPROCS(c.threads)
	}
	p := &proxy{config: c, log: log, cache: newSnapshotCache(c, log)}
	if c.certificate != nil {
		c.certificate.log = log
	}
	o.Cache = p.cache.Cache
	if o.AnchorStore != nil {
		o.AnchorsChanged = p.logAnchors
	}
	if o.LocalRoot != nil {
		o.LocalRoot.Changed = p.logLocalRoot
	}
	if c.logQueries {
		o.Hooks.After = p.logFailure
	}
	var err error
	if p.resolver, err = resolver.New(o); err != nil {
		return nil, err
	}
	p.metrics = newMetrics(p.resolver)
	p.metrics.certificate = c.certificate
	p.handler = newHandler(c, p.resolver, p.metrics, log)
	if len(c.debugListen) > 0 {
		if p.page, err = debugpage.New(p.resolver, debugpage.Options{Ask: true}); err != nil {
			return nil, errors.Join(err, p.close())
		}
	}
	if err := p.listen(); err != nil {
		return nil, errors.Join(err, p.close())
	}
	p.cache.load()
	return p, nil
}

// logAnchors logs what becomes of the keys that are trusted.
func (p *proxy) logAnchors(change resolver.AnchorChange) {
	switch {
	case change.Err != nil:
		p.log.Error("trust anchors", "error", resolver.Explain(change.Err))
	case change.Zone == "":
		p.log.Info("the file of trust anchors works again")
	}
	for _, key := range change.Keys {
		p.log.Info("trust anchor", "state", key.State, "since", key.Since, "record", fmt.Sprintf("%.40s", key.Record))
	}
}

// logFailure logs why a question has no answer: the reply has room for a few words only, and only
// where the query has EDNS.
func (p *proxy) logFailure(ctx context.Context, q dns.Question, result *resolver.Result, err error) (*resolver.Result, error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		status := "failed"
		if e := new(resolver.Error); errors.As(err, &e) && e.Status == dnssec.Bogus {
			status = "bogus"
		}
		p.log.Warn("no answer", "client", resolver.ClientAddr(ctx).String(), "name", q.Name, "type", dns.Type(q.Qtype).String(), "status", status, "why", resolver.Explain(err))
	}
	return result, err
}

// serve answers until ctx ends, then finishes what it has begun.
func (p *proxy) serve(ctx context.Context) error {
	ended := make(chan error, len(p.listeners))
	told := ""
	for _, l := range p.listeners {
		go func() { ended <- l.serve() }()
		if at := l.String(); at != told { // several UDP sockets have one address
			p.log.Info("listening", "at", at)
			told = at
		}
	}
	p.warnOfStrangers()
	p.log.Info("ready")
	notify("READY=1")
	running := len(p.listeners)
	watching, stopWatching := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() { p.watch(watching) })
	var failed error
	select {
	case <-ctx.Done():
	case failed = <-ended:
		running--
	case failed = <-p.findLoops(ctx):
	}
	notify("STOPPING=1")
	p.log.Info("stopping")
	stopWatching()
	watch.Wait() // or there were two snapshots at once
	return errors.Join(failed, p.drain(ended, running), p.close(), p.cache.save())
}

// warnOfStrangers tells when other hosts reach an address at which only this host gets answers.
func (p *proxy) warnOfStrangers() {
	isOfHost := func(b netip.Prefix) bool { return b.Addr().IsLoopback() }
	if slices.ContainsFunc(p.config.allowClients, func(b netip.Prefix) bool { return !isOfHost(b) }) {
		return
	}
	for _, at := range slices.Concat(p.config.listen, p.config.tlsListen, p.config.httpsListen) {
		if !at.Addr().IsLoopback() {
			p.log.Warn("only this host gets answers, though others reach this address: -allow-client says who else may ask", "at", at.String())
		}
	}
}

// findLoops tells of routes that lead back to this proxy: only once it answers can that be
// found out. Nothing comes when there are none.
func (p *proxy) findLoops(ctx context.Context) <-chan error {
	found := make(chan error, 1)
	if len(p.config.routes) > 0 {
		go func() {
			if err := p.resolver.CheckRoutes(ctx); errors.Is(err, resolver.ErrRouteLoop) {
				found <- err
			}
		}()
	}
	return found
}

const (
	// lastAnswers is how long the answers that say SERVFAIL may take to be sent, when -drain
	// is over.
	lastAnswers = time.Second
	// closing is how long is waited for the end of what was closed: nobody outside has a say
	// in that any more.
	closing = 2 * time.Second
)

// drain stops the listeners and waits for their last answers, but no longer than the
// flags say: then the resolver is closed, and what is left gets SERVFAIL. Clients that do
// not take even that are left.
func (p *proxy) drain(ended <-chan error, running int) error {
	for _, l := range p.listeners {
		l.stop()
	}
	running, failed := await(ended, running, p.config.drain)
	if running == 0 {
		return failed
	}
	p.log.Warn("questions are given up", "after", p.config.drain.String())
	go func() { _ = p.resolver.Close() }() // close waits for it, and reports it
	running, err := await(ended, running, lastAnswers)
	return errors.Join(failed, err, p.hangUp(ended, running))
}

// hangUp closes what running listeners still have open.
func (p *proxy) hangUp(ended <-chan error, running int) error {
	if running == 0 {
		return nil
	}
	p.log.Warn("clients do not take their answers, their connections are closed")
	_ = p.closeListeners() // close reports it
	running, err := await(ended, running, closing)
	if running > 0 {
		return errors.Join(err, fmt.Errorf("%d listeners do not end", running))
	}
	return err
}

// await waits for the end of listeners, for at most patience, and returns how many have not
// ended, and what the others ended with.
func await(ended <-chan error, running int, patience time.Duration) (left int, failed error) {
	over := time.After(patience)
	for ; running > 0; running-- {
		select {
		case err := <-ended:
			failed = errors.Join(failed, err)
		case <-over:
			return running, failed
		}
	}
	return 0, failed
}

// close closes everything. What does not end in time is left: the snapshot is still to be
// saved.
func (p *proxy) close() error {
	closed := make(chan error, 1)
	go func() {
		if p.page != nil {
			_ = p.page.Close() // it returns no error
		}
		closed <- p.resolver.Close()
	}()
	err := p.closeListeners()
	select {
	case failed := <-closed:
		return errors.Join(err, failed)
	case <-time.After(closing):
		return errors.Join(err, errors.New("the resolver does not close"))
	}
}

// closeListeners closes all sockets, whatever waits to be written.
func (p *proxy) closeListeners() (err error) {
	for _, l := range p.limited {
		_ = l.Close() // its listener reports it
		l.hangUp()
	}
	for _, l := range p.listeners {
		err = errors.Join(err, l.close())
	}
	return err
}

func newLogger(c *config, w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: slog.LevelInfo}
	if c.logJSON {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
