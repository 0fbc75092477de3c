package upstream

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/limits"
	"github.com/iterdns/iterdns/internal/rescue"
	"github.com/iterdns/iterdns/internal/transport"
)

// handleFailure decides what follows a send without an acceptable reply.
func (x *exchange) handleFailure(err error) (again bool, out Result) {
	addr := x.to.Addr
	rescue.Again(err) // of a connection that several sends share
	err = namedCause(err)
	f := failure.Of(err)
	if f.Is(failure.NoDescriptors) || f.Is(failure.Aborted) {
		return false, x.fail(err)
	}
	if errors.Is(err, transport.ErrConns) && f.IsTimeout() {
		return false, x.fail(x.Budget.WaitedInVain(limits.Connections, err))
	}
	var sending *transport.Error
	if x.network == "udp" && errors.As(err, &sending) && sending.Unsent() {
		switch {
		case !f.IsTimeout() || x.cutShort:
			return false, x.fail(err)
		case x.hasLeft: // the server has replied to an earlier form: the next form is left to another try
			return false, Result{Server: x.to, Err: err, TimedOut: true}
		}
		return false, Result{Server: x.to, Unsent: true}
	}
	if f.IsTimeout() {
		x.r.Counts.TimedOut.Add(1)
	}
	if x.malformed != nil {
		err = fmt.Errorf("%w: %w", x.malformed, err)
	}
	switch {
	case errors.Is(err, transport.ErrAbandoned):
		return x.afterAbandon(err)
	case errors.Is(err, transport.ErrStale):
		return x.retry(faultConnection, err)
	case f.Is(failure.Canceled):
		x.lateLoss()
		return false, Result{Server: x.to, Err: err}
	case f.IsTimeout() && x.network == "tcp" && !x.streamOnly():
		// It may well be alive, as its reply over UDP led here, but it is of no use.
		return false, x.endInVain(err)
	case f.IsTimeout() && x.cutShort: // the question's time is over, not the server's
		x.lateLoss()
		return false, x.fail(err)
	case f.IsTimeout():
		if !x.hasLeft { // neither a connection nor a handshake came about
			x.noteFault(err)
		}
		x.Cut.Source.Infra.TimedOut(x.r.Settings.Now(), addr, x.to.Estimate.Replies)
		if x.sawOurID && x.network == "udp" && !x.to.UDPSpoilt && !x.to.Plain {
			x.udpSpoilt = true
			return x.retry(faultForged, err) // not silent: what came is damaged or forged
		}
		return false, Result{Server: x.to, Err: err, TimedOut: true}
	}
	x.noteFault(err)
	return false, x.endInVain(err)
}

// endInVain ends the exchange after a send that failed. When TCP was used only because what
// came over UDP was damaged, or right but for the ID, the server may be tried over UDP
// again, from another port: otherwise one forged or damaged packet would cost the answer of
// a server without TCP. That allows a forger one more guess (RFC 5452 §9.2), and no more.
func (x *exchange) endInVain(err error) Result {
	return Result{Server: x.to, Err: err, UDPSpoilt: x.udpSpoilt && x.network == "tcp"}
}

// afterAbandon decides how to ask again after a reply that may be forged. TCP is safe from
// an attacker who cannot see the traffic.
func (x *exchange) afterAbandon(err error) (again bool, out Result) {
	switch x.abandoned {
	case wrongCase:
		x.Cut.Source.Infra.LostCase(x.r.Settings.Now(), x.to.Addr)
		return x.retry(faultCase, err)
	case wrongCookie:
		return x.retry(faultCookie, err)
	case flooded:
		return x.afterFlood()
	case wrongID, notAbandoned:
	}
	x.udpSpoilt = true
	return x.retry(faultForged, err)
}

// afterFlood goes on over TCP, and over UDP once more if there is no TCP: a flood must cost
// the question no more than silence does.
func (x *exchange) afterFlood() (again bool, out Result) {
	if x.network == "tcp" {
		return false, x.endInVain(failure.WrapCause(failure.ErrFlooded, x.malformed))
	}
	x.udpSpoilt = true
	return x.retry(faultForged, failure.WrapCause(failure.ErrFlooded, x.malformed))
}

// namedCause wraps the error of a send in one that names its cause, if it is a cause that
// the operator of this resolver, or of a server that it forwards to, can repair. Otherwise
// all that would be known is that no server answered.
func namedCause(err error) error {
	if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
		return fmt.Errorf("%w: %w", failure.ErrNoDescriptors, err)
	}
	if what := certificateFault(err); what != "" {
		return &failure.CertificateError{What: what, Err: err}
	}
	return err
}

// IsNoRoute reports whether err is that of a query over UDP that this host refused to send.
func IsNoRoute(err error) bool {
	var sending *transport.Error
	return errors.As(err, &sending) && sending.NoRoute()
}

// certificateFault says what is wrong with a server's certificate (RFC 8310 §8.1), without
// naming the server; "": nothing.
func certificateFault(err error) string {
	var invalid x509.CertificateInvalidError
	var name x509.HostnameError
	var authority x509.UnknownAuthorityError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "certificate of a server has expired, or is not valid yet"
	case errors.As(err, &name):
		return "certificate of a server is for another name"
	case errors.As(err, &authority):
		return "certificate of a server is of an unknown authority"
	case errors.As(err, &invalid):
		return "certificate of a server is not valid"
	}
	return ""
}

// IsForbidden reports whether err is that of a query over UDP that this host's own filter has refused.
func IsForbidden(err error) bool { return IsNoRoute(err) && errors.Is(err, fs.ErrPermission) }
