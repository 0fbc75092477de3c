package main

import (
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/internal/snapshot"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/roothttp"
)

// config is what the flags say.
type config struct {
	listen, tlsListen, httpsListen []netip.AddrPort
	metricsListen, debugListen     []netip.AddrPort
	certFile, keyFile              string
	certificate                    *certificate // nil: neither TLS nor HTTPS

	hintsFile, anchorsFile string
	anchorsState           string
	localRoot              []resolver.LocalRootSource // nil: the root servers are asked
	localRootFile          string
	dnssec                 bool
	allowServers           []netip.Prefix
	port                   uint
	routes                 []resolver.Route
	fallback               *resolver.Route // nil: none
	requireTLS             []resolver.TLSRequirement
	hostsFile              string
	localZones             []string // ZONE=FILE
	rebindProtection       bool
	privateDomains         []string
	rotate                 bool
	nsid                   string

	cacheBytes       int64
	stale            time.Duration // 0: expired answers are not given
	staleOverBogus   bool
	prefetch         bool
	snapshotFile     string
	snapshotInterval time.Duration // 0: at the end only
	threads          int

	allowClients      []netip.Prefix
	clientRate        int
	clientQuestions   int
	clientConnections int
	questions         int
	timeLimit         time.Duration
	descriptors       uint64 // that the process may have open

	logJSON    bool
	logQueries bool
	drain      time.Duration
}

// loopback is who may ask unless the flags say otherwise: this host.
const loopback = "127.0.0.0/8,::1/128"

// flagSet declares the flags, which fill c.
func (c *config) flagSet() *flag.FlagSet {
	f := flag.NewFlagSet("proxy", flag.ContinueOnError)
	f.Var((*addressList)(&c.listen), "listen", "`ADDRESSES` (IP:PORT,…) to answer at over UDP and TCP (default 127.0.0.1:5353)")
	f.Var((*addressList)(&c.tlsListen), "tls-listen", "`ADDRESSES` to answer at over TLS, RFC 7858; needs -cert and -key")
	f.Var((*addressList)(&c.httpsListen), "https-listen", "`ADDRESSES` to answer at over HTTPS, RFC 8484, under /dns-query; needs -cert and -key")
	f.StringVar(&c.certFile, "cert", "", "`FILE` with the certificate chain, PEM; read again when it changes")
	f.StringVar(&c.keyFile, "key", "", "`FILE` with the certificate's key, PEM")
	f.Var((*addressList)(&c.metricsListen), "metrics", "`ADDRESSES` to serve metrics at, over HTTP, in Prometheus' text format under /metrics")
	f.Var((*addressList)(&c.debugListen), "debug", "`ADDRESSES` to show a page about the resolver at, over HTTP, under /debug/dns/; for clients on this host only")

	f.StringVar(&c.hintsFile, "hints", "", "`FILE` with root hints (default: IANA's, built in)")
	f.StringVar(&c.anchorsState, "anchors-file", "", "follow the root's keys when they are replaced (RFC 5011), and keep the state in `FILE`")
	f.StringVar(&c.anchorsFile, "anchors", "", "`FILE` with trust anchors, DS or DNSKEY records (default: IANA's, built in)")
	f.Func("local-root", "answer instead of the root servers from a verified copy of the root zone (RFC 8806) from `SOURCE`: axfr for the public servers, a URL such as "+roothttp.IANA+", or a file; can be repeated, and the first that works is used", c.addLocalRoot)
	f.StringVar(&c.localRootFile, "local-root-file", "", "keep the copy of -local-root in `FILE`")
	f.BoolVar(&c.dnssec, "dnssec", true, "validate answers")
	f.Var((*prefixList)(&c.allowServers), "allow-server", "`PREFIXES` (CIDR,…) of name servers that may be asked in addition to those at public addresses")
	f.UintVar(&c.port, "port", 53, "`PORT` of authoritative servers")

	f.Var((*routeList)(&c.routes), "route", "`ZONE=SERVER,…`: ask these for the names of a zone; SERVER is [tcp://|tls://]IP[:PORT][#NAME], or a file like /etc/resolv.conf; the words stub, iterate and unsigned change what the route is")
	f.Func("fallback", "`SERVER,…`: ask these, as of -route, while no root server can be asked (default: none)", c.setFallback)
	f.Func("require-tls", "`ZONE[#NAME]`: ask the authoritative servers of a zone, or at an address or prefix, over TLS only, with NAME or that of the name server in the certificate; ,pin=BASE64 behind it is a key; can be repeated", c.addRequireTLS)
	f.StringVar(&c.hostsFile, "hosts", "", "`FILE` in the form of /etc/hosts whose names are answered from it")
	f.Var((*zoneFiles)(&c.localZones), "local-zone", "`ZONE=FILE`: answer a zone from a zone file")
	f.BoolVar(&c.rebindProtection, "rebind-protection", false, "leave private addresses out of answers")
	f.Var((*wordList)(&c.privateDomains), "private-domain", "`DOMAINS` whose names may have private addresses")
	f.BoolVar(&c.rotate, "rotate", false, "return the records of one name and type in a different order each time")

	f.StringVar(&c.nsid, "nsid", "", "`TEXT` that tells clients which of several servers has answered (RFC 5001)")

	c.cacheBytes = cache.DefaultMaxBytes
	f.Var((*size)(&c.cacheBytes), "cache-bytes", "`SIZE` of the cache in bytes, or with a unit of 1024: 64K, 64M, 2G")
	f.DurationVar(&c.stale, "stale", 0, "`TIME` after expiry for which answers are returned while servers fail, RFC 8767 (default: none are)")
	f.BoolVar(&c.staleOverBogus, "stale-over-bogus", false, "return expired data that was validated while new data fails validation, for the `-stale` time or a day, and no longer than its signatures")
	f.BoolVar(&c.prefetch, "prefetch", true, "refresh answers in use before they expire")
	f.StringVar(&c.snapshotFile, "snapshot", "", "`FILE` that keeps the cache while the proxy does not run")
	f.DurationVar(&c.snapshotInterval, "snapshot-interval", 15*time.Minute, "`TIME` between snapshots while the proxy runs; 0s: only one at the end")
	f.IntVar(&c.threads, "threads", 0, "`NUMBER` of threads that run at once (GOMAXPROCS; default: one for each core)")

	f.Var((*prefixList)(&c.allowClients), "allow-client", "`PREFIXES` (CIDR,…) of clients that may ask (default "+loopback+")")
	f.IntVar(&c.clientRate, "client-rate", 0, "`QUERIES` a second that one client may send; negative: no limit (default 1000, none for this host)")
	f.IntVar(&c.clientQuestions, "client-questions", 0, "`QUESTIONS` of one client that may be worked on at once; negative: no limit (default 200, none for this host)")
	f.IntVar(&c.clientConnections, "client-connections", 0, "`CONNECTIONS` that one client may have; negative: no limit (default 50, none for this host)")
	f.DurationVar(&c.timeLimit, "time-limit", 10*time.Second, "`TIME` that one question may take; then it is answered SERVFAIL")
	f.IntVar(&c.questions, "questions", 10_000, "`QUESTIONS` of all clients that may be worked on at once")

	f.Var((*logFormat)(&c.logJSON), "log", "`FORMAT` of the log on standard error: text or json (default text)")
	f.BoolVar(&c.logQueries, "log-queries", false, "log every query, with name and client")
	f.DurationVar(&c.drain, "drain", 5*time.Second, "`TIME` to answer what was asked before SIGTERM")
	return f
}

// parseFlags reads the command line. The error is one line, or flag.ErrHelp when the
// flags were printed because that was asked for.
func parseFlags(arguments []string, help io.Writer) (*config, error) {
	c := &config{descriptors: descriptors()}
	f := c.flagSet()
	f.SetOutput(io.Discard) // the package would print all flags below each error
	if err := f.Parse(arguments); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			printHelp(help, f)
		}
		return nil, err
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("%q is no flag", f.Arg(0))
	}
	if c.listen == nil {
		c.listen = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:5353")}
	}
	if c.allowClients == nil {
		_ = (*prefixList)(&c.allowClients).Set(loopback) // a constant that is right
	}
	return c, c.check()
}

// check reports values that no flag can report alone.
func (c *config) check() error {
	switch {
	case c.port == 0 || c.port > 65535:
		return fmt.Errorf("-port %d: want 1 to 65535", c.port)
	case c.cacheBytes <= 0:
		return fmt.Errorf("-cache-bytes %d: want more than 0", c.cacheBytes)
	case c.timeLimit <= 0:
		return fmt.Errorf("-time-limit %v: want more than 0s", c.timeLimit)
	case c.staleOverBogus && !c.dnssec:
		return errors.New("-stale-over-bogus: nothing is validated with -dnssec=false")
	case c.stale < 0:
		return fmt.Errorf("-stale %v: want 0s or more", c.stale)
	case c.threads < 0:
		return fmt.Errorf("-threads %d: want 0 or more", c.threads)
	case c.questions <= 0:
		return fmt.Errorf("-questions %d: want more than 0", c.questions)
	case c.snapshotInterval < 0:
		return fmt.Errorf("-snapshot-interval %v: want 0s or more", c.snapshotInterval)
	case c.localRootFile != "" && c.localRoot == nil:
		return errors.New("-local-root-file needs -local-root")
	case c.drain < 0:
		return fmt.Errorf("-drain %v: want 0s or more", c.drain)
	}
	if c.snapshotFile != "" {
		if folder, err := os.Stat(filepath.Dir(c.snapshotFile)); err != nil || !folder.IsDir() {
			return fmt.Errorf("-snapshot %s: its folder is not there", c.snapshotFile)
		}
		if err := snapshot.File(c.snapshotFile).Probe(); err != nil {
			return fmt.Errorf("-snapshot %s: it cannot be written: %w", c.snapshotFile, err)
		}
	}
	return c.checkCertificate()
}

func (c *config) checkCertificate() error {
	encrypted := len(c.tlsListen)+len(c.httpsListen) > 0
	switch {
	case c.certFile == "" && c.keyFile == "" && !encrypted:
		return nil
	case c.certFile == "" || c.keyFile == "":
		return errors.New("-tls-listen and -https-listen need both -cert and -key")
	case !encrypted:
		return errors.New("-cert and -key are for -tls-listen and -https-listen, which are not there")
	}
	var err error
	c.certificate, err = readCertificate(c.certFile, c.keyFile)
	return err
}

// tlsConfig is for servers that speak the given protocols.
func (c *config) tlsConfig(protocols ...string) *tls.Config {
	return &tls.Config{
		GetCertificate: c.certificate.get,
		NextProtos:     protocols,
		MinVersion:     tls.VersionTLS12, // RFC 8310 §7.2, RFC 9325
	}
}

// addressList is a flag with addresses and ports.
type addressList []netip.AddrPort

func (l *addressList) String() string { return "" }

// Set adds addresses: the flag may be given again.
func (l *addressList) Set(text string) error {
	for one := range strings.SplitSeq(text, ",") {
		address, err := netip.ParseAddrPort(one)
		if err != nil {
			return errors.New("want an IP address and a port, as 127.0.0.1:53 or [::1]:53")
		}
		if isGroup(address.Addr().Unmap()) {
			return errors.New("a group's or broadcast address is none to answer from")
		}
		*l = append(*l, netip.AddrPortFrom(address.Addr().Unmap(), address.Port()))
	}
	return nil
}

// prefixList is a flag with address blocks.
type prefixList []netip.Prefix

func (l *prefixList) String() string { return "" }

// Set adds address blocks; an address alone is one, too.
func (l *prefixList) Set(text string) error {
	for one := range strings.SplitSeq(text, ",") {
		prefix, err := netip.ParsePrefix(one)
		if err != nil {
			addr, addrErr := netip.ParseAddr(one)
			if addrErr != nil {
				return errors.New("want an IP address or block, as 192.0.2.1 or 2001:db8::/32")
			}
			prefix = netip.PrefixFrom(addr, addr.BitLen())
		}
		*l = append(*l, prefix.Masked())
	}
	return nil
}

// wordList is a flag with words.
type wordList []string

func (l *wordList) String() string { return "" }

func (l *wordList) Set(text string) error {
	*l = append(*l, strings.Split(text, ",")...)
	return nil
}

// zoneFiles is a flag with ZONE=FILE.
type zoneFiles []string

func (l *zoneFiles) String() string { return "" }

func (l *zoneFiles) Set(text string) error {
	for one := range strings.SplitSeq(text, ",") {
		if zone, file, _ := strings.Cut(one, "="); zone == "" || file == "" {
			return errors.New("want ZONE=FILE, as lan=/etc/lan.zone")
		}
		*l = append(*l, one)
	}
	return nil
}

// size is a flag with bytes.
type size int64

func (s *size) String() string { return strconv.FormatInt(int64(*s), 10) }

// Set reads a number with or without a unit of 1024.
func (s *size) Set(text string) error {
	number := strings.TrimSuffix(strings.TrimSuffix(strings.ToUpper(text), "B"), "I")
	shift := 0
	for i, unit := range []string{"K", "M", "G", "T"} {
		if short, ok := strings.CutSuffix(number, unit); ok {
			number, shift = short, 10*(i+1)
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n > math.MaxInt64>>shift || n < math.MinInt64>>shift {
		return errors.New("want bytes, or a number with a unit of 1024, as 64M")
	}
	*s = size(n << shift)
	return nil
}

// contains reports whether one of prefixes has addr, which is not IPv4-mapped.
func contains(prefixes []netip.Prefix, addr netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// logFormat is the flag for the log; true is JSON.
type logFormat bool

func (l *logFormat) String() string { return "" }

func (l *logFormat) Set(text string) error {
	switch text {
	case "text", "json":
		*l = text == "json"
		return nil
	}
	return errors.New("want text or json")
}
