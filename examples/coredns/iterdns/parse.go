package iterdns

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/plugin"
	"github.com/redis/go-redis/v9"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/examples/rediscache"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
	roothints "github.com/iterdns/iterdns/rootHints"
)

// parser reads one directive. Its errors name the file and the line.
type parser struct {
	*caddy.Controller
	root   string // where relative file names begin
	config *config
}

// directive reads `iterdns [ZONES...] { properties }`.
func (p *parser) directive() error {
	var err error
	if p.config.zones, err = p.zones(p.RemainingArgs()); err != nil {
		return err
	}
	if len(p.config.zones) == 0 {
		p.config.zones = plugin.OriginsFromArgsOrServerBlock(nil, p.ServerBlockKeys)
	}
	seen := make(map[string]bool)
	for p.NextBlock() {
		word := p.Val()
		read, ok := properties[word]
		if !ok {
			return p.Errf("unknown property '%s'", word)
		}
		if seen[word] && !repeated[word] {
			return p.Errf("property '%s' is there twice", word)
		}
		seen[word] = true
		if err := read(p, p.RemainingArgs()); err != nil {
			return p.Errf("%s: %v", word, err)
		}
	}
	if err := p.excluded(seen); err != nil {
		return err
	}
	p.config.finish()
	return nil
}

// zones checks names of zones, and brings them into CoreDNS's form.
func (p *parser) zones(args []string) (plugin.Zones, error) {
	var zones plugin.Zones
	for _, arg := range args {
		normal := plugin.Host(arg).NormalizeExact()
		if len(normal) == 0 {
			return nil, p.Errf("'%s' is no zone", arg)
		}
		zones = append(zones, normal...)
	}
	return zones, nil
}

// excluded says which properties cannot be there together.
func (p *parser) excluded(seen map[string]bool) error {
	if seen["mock"] {
		for _, other := range []string{"hints", "anchors", "allow_server", "port"} {
			if seen[other] {
				return p.Errf("'mock' brings an Internet of its own, which '%s' is not for", other)
			}
		}
	}
	return nil
}

// What is wrong with the arguments of a property.
var (
	errNone   = errors.New("argument missing")
	errMany   = errors.New("too many arguments")
	errSwitch = errors.New("want 'on' or 'off'")
)

// repeated are the properties that may be there more than once. It never changes.
var repeated = map[string]bool{"except": true, "negative_anchor": true, "limit": true, "route": true, "allow_server": true}

// properties read the arguments of each property. It never changes.
var properties = map[string]func(p *parser, args []string) error{
	"except":               (*parser).readExcept,
	"hints":                (*parser).readHints,
	"anchors":              (*parser).readAnchors,
	"negative_anchor":      (*parser).readNegativeAnchor,
	"dnssec":               (*parser).readDNSSEC,
	"minimise":             (*parser).readMinimise,
	"cache":                (*parser).readCache,
	"limit":                (*parser).readLimit,
	"route":                (*parser).readRoute,
	"serve_stale":          (*parser).readServeStale,
	"prefetch":             (*parser).readPrefetch,
	"redis":                (*parser).readRedis,
	"allow_server":         (*parser).readAllowServer,
	"family":               (*parser).readFamily,
	"port":                 (*parser).readPort,
	"local_zones":          (*parser).readLocalZones,
	"rebinding_protection": (*parser).readRebindingProtection,
	"case_randomisation":   (*parser).readCaseRandomisation,
	"mock":                 (*parser).readMock,
}

func (p *parser) readExcept(args []string) error {
	if len(args) == 0 {
		return errNone
	}
	zones, err := p.zones(args)
	p.config.except = append(p.config.except, zones...)
	return err
}

func (p *parser) readHints(args []string) (err error) {
	p.config.options.RootHints, err = parseFile(p, args, roothints.Parse)
	return err
}

func (p *parser) readAnchors(args []string) (err error) {
	p.config.options.TrustAnchors, err = parseFile(p, args, dnssec.ParseAnchors)
	return err
}

func (p *parser) readNegativeAnchor(args []string) error {
	if err := count(args, 1, 2); err != nil {
		return err
	}
	anchor := resolver.NegativeTrustAnchor{Zone: args[0]}
	if len(args) == 2 {
		until, err := time.Parse(time.RFC3339, args[1])
		if err != nil {
			return fmt.Errorf("'%s' is no time such as 2026-02-01T00:00:00Z", args[1])
		}
		anchor.Until = until
	}
	o := &p.config.options
	o.NegativeTrustAnchors = append(o.NegativeTrustAnchors, anchor)
	return nil
}

func (p *parser) readDNSSEC(args []string) error {
	on, err := isOn(args)
	if !on {
		p.config.options.Validation = resolver.ValidateOff
	}
	return err
}

func (p *parser) readMinimise(args []string) error {
	return choose(args, &p.config.options.Minimise, []string{"relaxed", "strict", "off"},
		[]resolver.Minimise{resolver.MinimiseRelaxed, resolver.MinimiseStrict, resolver.MinimiseOff})
}

func (p *parser) readFamily(args []string) error {
	return choose(args, &p.config.options.Family, []string{"auto", "ipv4", "ipv6"},
		[]resolver.Family{resolver.FamilyAuto, resolver.FamilyIPv4Only, resolver.FamilyIPv6Only})
}

func (p *parser) readCache(args []string) error {
	if err := count(args, 1, 1); err != nil {
		return err
	}
	size, err := parseSize(args[0])
	p.config.cacheBytes = size
	return err
}

func (p *parser) readLimit(args []string) error {
	if err := count(args, 2, 2); err != nil {
		return err
	}
	return setLimit(&p.config.options.Limits, args[0], args[1])
}

// readRoute reads a zone and the words that resolver.ParseRoute has behind the sign of
// equality, each an argument of its own.
func (p *parser) readRoute(args []string) error {
	if len(args) < 2 {
		return errNone
	}
	route, err := resolver.ParseRoute(args[0] + "=" + strings.Join(args[1:], ","))
	if err != nil {
		return err
	}
	p.config.options.Routes = append(p.config.options.Routes, route)
	return nil
}

func (p *parser) readServeStale(args []string) error {
	if err := count(args, 0, 2); err != nil {
		return err
	}
	o := &p.config.options
	o.ServeStale = true
	for i, field := range []*time.Duration{&o.MaxStale, &o.StaleAfter}[:len(args)] {
		d, err := time.ParseDuration(args[i])
		if err != nil || d <= 0 {
			return fmt.Errorf("'%s' is no time such as 24h or 1800ms", args[i])
		}
		*field = d
	}
	return nil
}

func (p *parser) readPrefetch(args []string) error {
	on, err := isOn(args)
	p.config.options.DisablePrefetch = !on
	return err
}

// readRedis reads an address or a URL, and the words key_file and prefix with their
// values.
func (p *parser) readRedis(args []string) error {
	if len(args) == 0 {
		return errNone
	}
	var err error
	if p.config.redis, err = redisOptions(args[0]); err != nil {
		return err
	}
	p.config.redisPrefix = "iterdns:"
	for args = args[1:]; len(args) > 0; args = args[2:] {
		if len(args) == 1 {
			return fmt.Errorf("'%s' has no value", args[0])
		}
		switch args[0] {
		case "prefix":
			p.config.redisPrefix = args[1]
		case "key_file":
			if p.config.options.SecondLevelKey, err = p.readKey(args[1]); err != nil {
				return err
			}
		default:
			return fmt.Errorf("unknown word '%s': want 'key_file' or 'prefix'", args[0])
		}
	}
	return nil
}

// redisOptions gives those that fit a resolver, for HOST:PORT, or a URL that may have a
// password.
func redisOptions(address string) (*redis.Options, error) {
	if !strings.Contains(address, "://") {
		return rediscache.Options(address), nil
	}
	url, err := redis.ParseURL(address)
	if err != nil {
		return nil, errors.New("the URL is none such as rediss://:PASSWORD@HOST:6379/0") // not its text: a password is in it
	}
	o := rediscache.Options(url.Addr)
	o.Network, o.Username, o.Password, o.DB, o.TLSConfig = url.Network, url.Username, url.Password, url.DB, url.TLSConfig
	return o, nil
}

// minKey is the shortest secret that is taken, in octets: a shorter one can be guessed.
const minKey = 16

func (p *parser) readKey(file string) ([]byte, error) {
	key, err := os.ReadFile(p.path(file))
	if err != nil {
		return nil, err
	}
	if len(key) < minKey {
		return nil, fmt.Errorf("%s has %d octets, want %d at least", file, len(key), minKey)
	}
	return key, nil
}

func (p *parser) readAllowServer(args []string) error {
	if len(args) == 0 {
		return errNone
	}
	for _, arg := range args {
		prefix, err := netip.ParsePrefix(arg)
		if err != nil {
			addr, addrErr := netip.ParseAddr(arg)
			if addrErr != nil {
				return fmt.Errorf("'%s' is no address or block such as 192.0.2.1 or 2001:db8::/32", arg)
			}
			prefix = netip.PrefixFrom(addr, addr.BitLen())
		}
		p.config.allow = append(p.config.allow, prefix.Masked())
	}
	return nil
}

func (p *parser) readPort(args []string) error {
	if err := count(args, 1, 1); err != nil {
		return err
	}
	port, err := strconv.ParseUint(args[0], 10, 16)
	if err != nil || port == 0 {
		return fmt.Errorf("'%s' is no port", args[0])
	}
	p.config.options.Port = uint16(port)
	return nil
}

func (p *parser) readLocalZones(args []string) error {
	on, err := isOn(args)
	p.config.options.DisableLocalZones = !on
	return err
}

func (p *parser) readRebindingProtection(args []string) error {
	p.config.options.RebindingProtection = true
	p.config.options.PrivateDomains = args
	return nil
}

func (p *parser) readCaseRandomisation(args []string) error {
	on, err := isOn(args)
	p.config.options.DisableCaseRandomisation = !on
	return err
}

func (p *parser) readMock(args []string) error {
	if err := count(args, 0, 1); err != nil {
		return err
	}
	text := builtIn
	if len(args) == 1 {
		octets, err := os.ReadFile(p.path(args[0]))
		if err != nil {
			return err
		}
		text = string(octets)
	}
	in, err := resolvertest.NewInternet(text)
	if err != nil {
		return err
	}
	in.Close() // Start makes one
	p.config.mock = &mock{text}
	return nil
}

// path gives a file's name relative to the property root of the server block.
func (p *parser) path(file string) string {
	if filepath.IsAbs(file) || p.root == "" {
		return file
	}
	return filepath.Join(p.root, file)
}

// parseFile reads the file that is the only argument.
func parseFile[T any](p *parser, args []string, parse func(io.Reader) (T, error)) (T, error) {
	var none T
	if err := count(args, 1, 1); err != nil {
		return none, err
	}
	file, err := os.Open(p.path(args[0]))
	if err != nil {
		return none, err
	}
	defer file.Close()
	value, err := parse(file)
	if err != nil {
		return none, fmt.Errorf("%s: %w", args[0], err)
	}
	return value, nil
}
