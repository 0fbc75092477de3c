package resolver

import (
	"errors"

	"github.com/iterdns/iterdns/internal/rescue"
)

// The causes of failures that callers can tell apart. The exported errors of package resolver
// are the same values, and say what each means.
var (
	errClosed            = errors.New("resolver is closed")
	errNoReachableServer = errors.New("no reachable server")
	errNoServerAddress   = errors.New("no address of any name server")
	errCircular          = errors.New("circular dependency between name servers")
	errIntercepted       = errors.New("queries to the root servers are intercepted: answers come from a recursive resolver in between")
	errBlocked           = errors.New("no root server can be reached: port 53 may be blocked")
	errNoDescriptors     = errors.New("no file descriptors are left to ask servers with")
	errCertificate       = errors.New("certificate of a server is not valid")
	errMetaType          = errors.New("not a type that can be resolved")
	errAliasLoop         = errors.New("alias loop")
	errAborted           = rescue.ErrAborted
	errCached            = errors.New("failed recently")
	errHookResult        = errors.New("hook returned a result that cannot be used")
	errName              = errors.New("malformed domain name")
	errFiltered          = errors.New("no address of the answer is allowed")
	errRouteLoop         = errors.New("route leads back to this resolver")
)

// The reasons why a server's response cannot be used.
var (
	errLame            = errors.New("does not serve the zone")
	errNoQuestion      = errors.New("could not read the query")
	errFlooded         = errors.New("sent too much that is no reply")
	errCutOff          = errors.New("reply over TCP is truncated")
	errRefusesToSettle = errors.New("no usable reply in as many tries as one server gets")
)

// errUndecodable: an answer has records that cannot be decoded.
var errUndecodable = errors.New("answer cannot be decoded")

// errUnreadable: a reply to the query cannot be parsed.
var errUnreadable = errors.New("malformed reply")

// errForeignReply: the message that arrived is no reply to the query.
var errForeignReply = errors.New("reply does not belong to the query")

// errNotCached: the answer is not in the cache and no server may be asked (RD=0).
var errNotCached = errors.New("not in the cache")
