package roothints

import (
	_ "embed" // for named.root
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/iterdns/iterdns/glue"
)

// To take over a newer file of IANA (https://www.internic.net/domain/named.root):
//
//	ROOT_HINTS=/path/to/named.root go generate ./rootHints
//
//go:generate go run ./internal/refresh $ROOT_HINTS

//go:embed named.root
var namedRoot string

// datePrefix stands before the date in the embedded file.
const datePrefix = "; last update: "

// parsed is the embedded file, read when it is first needed. It is shared and so
// never handed out; Default makes copies. A malformed embedded file is a broken
// build, which the tests of this package do not let through.
var parsed = sync.OnceValue(func() *glue.Delegation {
	d, err := Parse(strings.NewReader(namedRoot))
	if err != nil {
		panic("roothints: embedded file: " + err.Error())
	}
	return d
})

// Default returns the hints that IANA published on Date: 13 name servers with an
// IPv4 and an IPv6 address each. Every call returns a copy of its own, which the
// caller may change.
func Default() *glue.Delegation {
	shared := parsed()
	d := *shared
	d.Servers = slices.Clone(shared.Servers)
	for i, s := range d.Servers {
		d.Servers[i].Addrs = slices.Clone(s.Addrs)
	}
	return &d
}

// Date tells on which day IANA last changed the hints that Default returns, at
// 00:00 UTC. It may be years back and the hints be current all the same: root name
// servers are renumbered once in several years, and keep answering at their old
// addresses for a long time.
func Date() time.Time {
	_, rest, _ := strings.Cut(namedRoot, datePrefix)
	line, _, _ := strings.Cut(rest, "\n")
	day, err := time.Parse(time.DateOnly, line)
	if err != nil {
		panic("roothints: embedded file: " + err.Error())
	}
	return day
}
