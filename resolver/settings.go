package resolver

import (
	"context"
	"net"
	"net/netip"
	"time"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/policy"
	"github.com/iterdns/iterdns/internal/secondlevel"
)

// settings are what the engine needs of the options, checked and filled.
type settings struct {
	Limits limits

	Now              func() time.Time
	SignatureTime    func() time.Time // of validation
	OwnSignatureTime bool             // SignatureTime was given, and is not Now

	Cache           *cache.Cache
	ViewName        string
	ServeStale      bool
	StaleAfter      time.Duration
	DisablePrefetch bool

	SecondLevel        cache.SecondLevel // nil: none
	SecondLevelKey     []byte
	SecondLevelChanged func(secondlevel.Use, error) // nil: not told

	RootHints    *glue.Delegation
	Validates    bool
	TrustAnchors []dnssec.Anchor
	Algorithms   map[uint8]dnssec.Algorithm

	Minimise                 minimisation
	Family                   addressFamily
	Port                     uint16
	DisableCaseRandomisation bool
	AllowServer              func(netip.Addr) bool
	OwnAllowServer           bool // AllowServer was given, and is not the default
	Dial                     func(ctx context.Context, network, address string) (net.Conn, error)

	Filter            *policy.AddressFilter // nil: all addresses are allowed
	DisableLocalZones bool
}

// minimisation says how QNAME minimisation (RFC 9156) deals with errors.
type minimisation uint8

const (
	minimiseRelaxed minimisation = iota // an error to a minimised query is asked again in full
	minimiseStrict                      // an error is final
	minimiseOff                         // queries have the full name and type
)

// addressFamily says which address family of servers is used.
type addressFamily uint8

const (
	familyAuto     addressFamily = iota // both
	familyIPv4Only                      // IPv4 only
	familyIPv6Only                      // IPv6 only
)
