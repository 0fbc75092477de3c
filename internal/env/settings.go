package env

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/limits"
	"github.com/iterdns/iterdns/internal/policy"
	"github.com/iterdns/iterdns/internal/secondlevel"
)

// Settings are what the engine needs of the options, checked and filled.
type Settings struct {
	Limits limits.Limits

	Now              func() time.Time
	SignatureTime    func() time.Time // of validation
	OwnSignatureTime bool             // SignatureTime was given, and is not Now

	Cache           *cache.Cache
	ViewName        string
	ServeStale      bool
	StaleOverBogus  bool // what was Secure is given, expired, where what comes now is bogus
	StaleAfter      time.Duration
	DisablePrefetch bool

	SecondLevel        cache.SecondLevel // nil: none
	SecondLevelKey     []byte
	SecondLevelChanged func(secondlevel.Use, error) // nil: not told

	RootHints    *glue.Delegation
	Validates    bool
	TrustAnchors []dnssec.Anchor // to begin with
	Algorithms   map[uint8]dnssec.Algorithm
	LocalRoot    bool // there is to be one

	Minimise                 Minimisation
	Family                   Family
	Port                     uint16
	DisableCaseRandomisation bool
	AllowServer              func(netip.Addr) bool
	OwnAllowServer           bool // AllowServer was given, and is not the default
	Dial                     func(ctx context.Context, network, address string) (net.Conn, error)

	RequireTLS string // what Options.RequireTLS says, as text

	Filter            *policy.AddressFilter // nil: all addresses are allowed
	DisableLocalZones bool
}

// Minimisation says how QNAME minimisation (RFC 9156) deals with errors.
type Minimisation uint8

const (
	minimiseRelaxed Minimisation = iota // an error to a minimised query is asked again in full
	MinimiseStrict                      // an error is final
	MinimiseOff                         // queries have the full name and type
)

// Family says which address family of servers is used.
type Family uint8

const (
	FamilyAuto     Family = iota // both
	FamilyIPv4Only               // IPv4 only
	FamilyIPv6Only               // IPv6 only
)

// Digest covers every option that decides which data this resolver believes, and the trust
// anchors of now, except for others that may change while it runs: routes and negative trust
// anchors have views of their own. It is the same in all processes.
func (c *Settings) Digest(anchors []dnssec.Anchor) [32]byte {
	h, validation := sha256.New(), 1
	if c.Validates {
		validation = 0
	}
	fmt.Fprintf(h, "view %q algorithms %v ", c.ViewName, c.algorithmNumbers())
	fmt.Fprintf(h, "validation %d hints %v allow %t family %d port %d local %t iterations %d signatures %t",
		validation, c.RootHints.Servers, c.OwnAllowServer, c.Family, c.Port,
		!c.DisableLocalZones, c.Limits.NSEC3Iterations, c.OwnSignatureTime)
	if c.LocalRoot && !slices.ContainsFunc(anchors, func(a dnssec.Anchor) bool { return a.Zone() == "." }) {
		fmt.Fprint(h, " local root") // which nothing but its source vouches for
	}
	fmt.Fprint(h, c.RequireTLS)
	for _, a := range anchors {
		fmt.Fprintf(h, " anchor %q %d %d", a, a.ValidFrom.Unix(), a.ValidUntil.Unix())
	}
	return [32]byte(h.Sum(nil))
}

// algorithmNumbers lists the algorithms that are added, in order, and then those that are
// taken away. Their implementations do not matter: a number means one algorithm.
func (c *Settings) algorithmNumbers() [2][]uint8 {
	var numbers [2][]uint8
	for _, number := range slices.Sorted(maps.Keys(c.Algorithms)) {
		which := 0
		if c.Algorithms[number] == nil {
			which = 1
		}
		numbers[which] = append(numbers[which], number)
	}
	return numbers
}
