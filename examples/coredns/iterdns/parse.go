package iterdns

import (
	"fmt"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/plugin"
)

// parser reads one directive. Its errors name the file and the line.
type parser struct {
	*caddy.Controller
	root   string // where relative file names begin
	config *config
	limits map[string]bool // those that have been set
}

// directive reads `iterdns [ZONES...] { properties }`.
func (p *parser) directive() error {
	var err error
	if p.config.zones, err = parseZones(p.RemainingArgs()); err != nil {
		return p.Err(err.Error())
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
		args := p.RemainingArgs()
		if p.NextArg() { // it stops at a brace, and only there
			return p.Errf("%s: no block begins here", word)
		}
		if err := read(p, args); err != nil {
			return p.Errf("%s: %v", word, err)
		}
	}
	if err := p.excluded(seen); err != nil {
		return err
	}
	p.config.finish()
	return nil
}

// parseZones checks names of zones, and brings them into CoreDNS's form.
func parseZones(args []string) (plugin.Zones, error) {
	var zones plugin.Zones
	for _, arg := range args {
		normal := plugin.Host(arg).NormalizeExact()
		if len(normal) == 0 {
			return nil, fmt.Errorf("'%s' is no zone", arg)
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
