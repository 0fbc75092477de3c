package failure

import (
	"errors"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/rescue"
)

// The causes of failures that callers can tell apart. The exported errors of package resolver
// are the same values, and say what each means.
var (
	ErrClosed                  = errors.New("resolver is closed")
	ErrNoReachableServer       = errors.New("no reachable server")
	ErrNoServerAddress         = errors.New("no address of any name server")
	ErrCircular                = errors.New("circular dependency between name servers")
	ErrIntercepted             = errors.New("queries to the root servers are intercepted: answers come from a recursive resolver in between")
	ErrBlocked                 = errors.New("no root server can be reached: port 53 may be blocked")
	ErrNoNetwork         error = &narrowed{"no network: this host can send no query", ErrBlocked}
	ErrOnlyTCP                 = errors.New("asked over TCP, since this network lets no DNS over UDP through")
	ErrNoDescriptors           = errors.New("no file descriptors are left to ask servers with")
	ErrTLSRequired             = errors.New("no server could be asked over TLS, as is required")
	ErrCertificate             = errors.New("certificate of a server is not valid")
	ErrMetaType                = errors.New("not a type that can be resolved")
	ErrAliasLoop               = errors.New("alias loop")
	ErrAborted                 = rescue.ErrAborted
	ErrCached                  = errors.New("failed recently")
	ErrHookResult              = errors.New("hook returned a result that cannot be used")
	ErrName                    = errors.New("malformed domain name")
	ErrFiltered                = errors.New("no address of the answer is allowed")
	ErrRouteLoop               = errors.New("route leads back to this resolver")
	ErrZoneDenied              = errors.New("the zone's own servers deny its apex")
	ErrOutsideZone             = errors.New("name is not in the zone")
	ErrNoZone                  = errors.New("not a zone whose servers can be asked")
	ErrClock                   = dnssec.ErrClock
	ErrServerNotAllowed        = errors.New("address may not be asked")
)

// narrowed is a sentinel that is a case of another one.
type narrowed struct {
	text string
	of   error
}

func (e *narrowed) Error() string { return e.text }

func (e *narrowed) Unwrap() error { return e.of }

// The reasons why a server's response cannot be used.
var (
	ErrLame            = errors.New("does not serve the zone")
	ErrNoQuestion      = errors.New("could not read the query")
	ErrFlooded         = errors.New("sent too much that is no reply")
	ErrCutOff          = errors.New("reply over TCP is truncated")
	ErrRefusesToSettle = errors.New("no usable reply in as many tries as one server gets")
)

// ErrUndecodable: an answer has records that cannot be decoded.
var ErrUndecodable = errors.New("answer cannot be decoded")

// ErrUnreadable: a reply to the query cannot be parsed.
var ErrUnreadable = errors.New("malformed reply")

// ErrForeignReply: the message that arrived is no reply to the query.
var ErrForeignReply = errors.New("reply does not belong to the query")

// ErrNotCached: the answer is not in the cache and no server may be asked (RD=0).
var ErrNotCached = errors.New("not in the cache")
