package iterdns

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
	roothints "github.com/iterdns/iterdns/rootHints"
)

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
	"snapshot":             (*parser).readSnapshot,
	"allow_server":         (*parser).readAllowServer,
	"family":               (*parser).readFamily,
	"port":                 (*parser).readPort,
	"local_zones":          (*parser).readLocalZones,
	"rebinding_protection": (*parser).readRebindingProtection,
	"case_randomisation":   (*parser).readCaseRandomisation,
	"mock":                 (*parser).readMock,
}

// repeated are the properties that may be there more than once. It never changes.
var repeated = map[string]bool{"except": true, "negative_anchor": true, "limit": true, "route": true, "allow_server": true}

func (p *parser) readExcept(args []string) error {
	if len(args) == 0 {
		return errNone
	}
	zones, err := parseZones(args)
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
		if !until.After(time.Now()) {
			return fmt.Errorf("'%s' is over: the zone is validated, and this line can go", args[1])
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
	if p.limits[args[0]] {
		return fmt.Errorf("'%s' is there twice", args[0])
	}
	p.limits[args[0]] = true
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
		raw, err := os.ReadFile(p.path(args[0]))
		if err != nil {
			return err
		}
		text = string(raw)
	}
	in, err := resolvertest.NewInternet(text)
	if err != nil {
		return err
	}
	in.Close() // Start makes one
	p.config.mock = &mock{text}
	return nil
}

// path returns a file's name relative to the property root of the server block.
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
