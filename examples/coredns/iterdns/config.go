package iterdns

import (
	"crypto/sha256"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/coredns/coredns/plugin"
	"github.com/redis/go-redis/v9"

	"github.com/iterdns/iterdns/resolver"
)

// config is what one directive says.
type config struct {
	zones, except plugin.Zones
	label         string // the zones, for metrics
	mark          caddyMark

	options     resolver.Options
	cacheBytes  int64
	allow       []netip.Prefix
	redis       *redis.Options // nil: none
	redisPrefix string
	snapshot    saverKey
	mock        *mock // nil: the real Internet
}

// answers reports whether a question for this name, in lower case, is for this plugin.
func (c *config) answers(qname string) bool {
	return c.zones.Matches(qname) != "" && c.except.Matches(qname) == ""
}

// defaultQuestions is what a resolver takes for resolver.Limits.Questions.
const defaultQuestions = 10_000

// maxPending is how many questions may be with the resolver: as many as it works on, and
// the same number waiting. Each holds a goroutine of the server's.
func (c *config) maxPending() int64 {
	switch n := int64(c.options.Limits.Questions); {
	case n < 0:
		return math.MaxInt64
	case n == 0:
		return 2 * defaultQuestions
	default:
		return 2 * n
	}
}

// keepStale is how long the cache has to keep what has expired.
func (c *config) keepStale() time.Duration {
	switch {
	case !c.options.ServeStale:
		return 0
	case c.options.MaxStale == 0:
		return resolver.DefaultMaxStale
	}
	return c.options.MaxStale
}

func (c *config) cacheKey() cacheKey { return cacheKey{c.label, c.cacheBytes, c.keepStale()} }

// finish fills what follows from all properties together.
func (c *config) finish() {
	c.label = strings.Join(c.zones, ",")
	o := &c.options
	o.DisableHostsFile = true // only the methods of package net read it
	if len(c.allow) > 0 {
		o.AllowServer = c.allowServer
	}
	o.ViewName = c.viewName()
	c.snapshot.cache = c.cacheKey()
}

func (c *config) allowServer(addr netip.Addr) bool {
	return resolver.PublicUnicast(addr) ||
		slices.ContainsFunc(c.allow, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// viewName stands for what cannot be compared: the function that allow_server makes, and
// the mock Internet. Plugins with the same ones may share what they know, through Redis
// too; a reload finds its cache again.
func (c *config) viewName() string {
	var name strings.Builder
	name.WriteString("coredns")
	allow := slices.Clone(c.allow)
	slices.SortFunc(allow, netip.Prefix.Compare)
	for _, p := range slices.Compact(allow) {
		fmt.Fprintf(&name, " %s", p)
	}
	if c.mock != nil {
		fmt.Fprintf(&name, " mock %x", sha256.Sum256([]byte(c.mock.text)))
	}
	return name.String()
}
