package resolver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/anchorkeeper"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/env"
	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/limits"
	"github.com/iterdns/iterdns/internal/localzone"
	"github.com/iterdns/iterdns/internal/policy"
	"github.com/iterdns/iterdns/internal/routes"
	"github.com/iterdns/iterdns/internal/secondlevel"
	"github.com/iterdns/iterdns/internal/stub"
	"github.com/iterdns/iterdns/internal/transport"
	roothints "github.com/iterdns/iterdns/rootHints"
)

// config is Options checked and filled.
type config struct {
	Options
	hosts        *stub.HostsFile // nil: not consulted
	search       stub.SearchList
	destinations *stub.Destinations
	limits       limits.Limits
	allow        func(netip.Addr) bool
	filter       *policy.AddressFilter // nil: all addresses are allowed
	zones        localzone.Zones       // the first LocalZones
	tls          *routes.TLSRules      // nil: none

	ownSignatureTime bool // SignatureTime was given
}

// settings returns what the engine needs of the options.
func (c *config) settings() env.Settings {
	s := env.Settings{
		Limits: c.limits,
		Now:    c.Now, SignatureTime: c.SignatureTime, OwnSignatureTime: c.ownSignatureTime,
		Cache: c.Cache, ViewName: c.ViewName,
		ServeStale: c.ServeStale, StaleOverBogus: c.ServeStaleOverBogus, StaleAfter: c.StaleAfter, DisablePrefetch: c.DisablePrefetch,
		SecondLevel: c.SecondLevel, SecondLevelKey: c.SecondLevelKey,
		RootHints: c.RootHints, Validates: c.Validation == Validate, TrustAnchors: c.TrustAnchors, Algorithms: c.Algorithms,
		LocalRoot: c.LocalRoot != nil,
		Minimise:  env.Minimisation(c.Minimise), Family: env.Family(c.Family), Port: c.Port,
		DisableCaseRandomisation: c.DisableCaseRandomisation,
		AllowServer:              c.allow, OwnAllowServer: c.AllowServer != nil, Dial: c.Dial,
		Filter: c.filter, DisableLocalZones: c.DisableLocalZones, RequireTLS: c.tls.Text(),
	}
	if tell := c.SecondLevelChanged; tell != nil {
		s.SecondLevelChanged = func(use secondlevel.Use, why error) { tell(SecondLevelChange{use == secondlevel.Writes, why}) }
	}
	return s
}

func (o Options) fill() (config, error) {
	c := config{Options: o, limits: limits.Limits(o.Limits).Fill(), allow: o.AllowServer, ownSignatureTime: o.SignatureTime != nil}
	if dial := o.Dial; dial != nil {
		c.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dial(ctx, network, address)
			return conn, handedIn(err)
		}
	}
	if c.RootHints == nil {
		c.RootHints = roothints.Default()
	}
	if len(c.RootHints.Servers) == 0 {
		return config{}, optionError("RootHints", "no server")
	}
	if c.TrustAnchors == nil {
		c.TrustAnchors = dnssec.DefaultAnchors()
	}
	if c.Validation == Validate && len(c.TrustAnchors) == 0 {
		return config{}, optionError("TrustAnchors", "empty: want nil for the built-in ones, or ValidateOff")
	}
	if c.allow == nil {
		c.allow = PublicUnicast
	}
	if c.Port == 0 {
		c.Port = routes.DefaultPort
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	c.SignatureTime = orNow(c.SignatureTime, c.Now)
	if err := c.checkSecrets(); err != nil {
		return config{}, err
	}
	if err := c.checkAnchorStore(); err != nil {
		return config{}, err
	}
	if err := c.fillStale(); err != nil {
		return config{}, err
	}
	if err := c.fillNet(); err != nil {
		return config{}, err
	}
	if err := c.fillPolicy(); err != nil {
		return config{}, err
	}
	if o.SecondLevel != nil && o.ViewName == "" && c.hasFunctions() {
		return config{}, optionError("ViewName", "empty: SecondLevel with Dial, Exchanger, AllowServer, SignatureTime or a TLSConfig of RequireTLS needs one")
	}
	if err := c.checkLocalRoot(); err != nil {
		return config{}, err
	}
	return c, c.checkEnums()
}

// checkSecrets checks keys and identities: of those that make no sense nothing would be noticed
// before they are needed.
func (c *config) checkSecrets() error {
	for i, a := range c.TrustAnchors {
		switch {
		case a.Zone() == "":
			return optionError("TrustAnchors", "number %d is empty: want one of dnssec.NewAnchor or ParseAnchors", i)
		case !a.ValidUntil.IsZero() && !a.ValidFrom.Before(a.ValidUntil):
			return optionError("TrustAnchors", "%s, key %d: valid until %v, which is not after its beginning, %v", a.Zone(), a.Tag(), a.ValidUntil, a.ValidFrom)
		}
	}
	switch key := c.SecondLevelKey; {
	case key == nil:
	case len(key) == 0:
		return optionError("SecondLevelKey", "no bytes, want random ones, or nil for no key")
	case len(bytes.TrimLeft(key, "\x00")) == 0:
		return optionError("SecondLevelKey", "all bytes are 0, want random ones")
	}
	switch id := c.NSID; {
	case len(id) > maxNSID:
		return optionError("NSID", "%d bytes, want at most %d", len(id), maxNSID)
	case strings.TrimSpace(id) != id:
		return optionError("NSID", "%q begins or ends with white space", id)
	}
	return nil
}

// checkAnchorStore checks that the keeper of the anchors is the one who says when a key counts.
func (c *config) checkAnchorStore() error {
	if c.AnchorStore == nil {
		return nil
	}
	for _, a := range c.TrustAnchors {
		if !a.ValidFrom.IsZero() || !a.ValidUntil.IsZero() {
			return optionError("AnchorStore", "%s, key %d, is valid for a time: the store decides from when to when keys are", a.Zone(), a.Tag())
		}
	}
	if c.Validation != Validate {
		return optionError("AnchorStore", "nothing is validated: want no store, or Validate")
	}
	return nil
}

// openAnchors makes the keeper of the anchors, which replace those of the options.
func (c *config) openAnchors() (*anchorkeeper.Keeper, error) {
	if c.AnchorStore == nil {
		return nil, nil
	}
	o := anchorkeeper.Options{
		Store: c.AnchorStore, Anchors: c.TrustAnchors, Now: c.SignatureTime,
		Validator: dnssec.Options{Algorithms: c.Algorithms},
	}
	if tell := c.AnchorsChanged; tell != nil {
		o.Changed = func(change anchorkeeper.Change) { tell(AnchorChange(change)) }
	}
	keeper, anchors, err := anchorkeeper.Open(o)
	if err != nil {
		if name, ok := c.AnchorStore.(fmt.Stringer); ok && errors.Is(err, dnssec.ErrRollover) {
			err = fmt.Errorf("%s: %w", name, err)
		}
		return nil, &OptionError{"AnchorStore", err}
	}
	c.TrustAnchors = anchors
	return keeper, nil
}

// maxNSID is how many bytes the identity of a server may have: half of what a client takes
// that states no size of its own (RFC 6891 §6.2.3).
const maxNSID = 255

// hasFunctions reports whether an option that decides which data is believed is a function
// or an interface, whose values cannot be compared.
func (c *config) hasFunctions() bool {
	o := &c.Options
	return o.Dial != nil || o.Exchanger != nil || o.AllowServer != nil || c.ownSignatureTime ||
		slices.ContainsFunc(o.RequireTLS, func(q TLSRequirement) bool { return q.TLSConfig != nil })
}

func (c *config) checkEnums() error {
	switch c.Validation {
	case Validate, ValidateOff:
	default:
		return optionError("Validation", "unknown value %d", c.Validation)
	}
	switch c.Minimise {
	case MinimiseRelaxed, MinimiseStrict, MinimiseOff:
	default:
		return optionError("Minimise", "unknown value %d", c.Minimise)
	}
	switch c.Family {
	case FamilyAuto, FamilyIPv4Only, FamilyIPv6Only:
	default:
		return optionError("Family", "unknown value %d", c.Family)
	}
	switch c.AddressOrder {
	case OrderByPolicy, OrderAsAnswered, OrderIPv4First, OrderIPv6First:
	default:
		return optionError("AddressOrder", "unknown value %d", c.AddressOrder)
	}
	return nil
}

// fillPolicy checks and fills in the options that change answers.
func (c *config) fillPolicy() error {
	var err error
	if c.filter, err = c.addressFilter(); err != nil {
		return err
	}
	if c.tls, err = c.tlsRules(); err != nil {
		return err
	}
	c.zones, err = localZones(c.LocalZones)
	return err
}

// fillStale fills the options of RFC 8767, and makes the cache if there is none.
func (c *config) fillStale() error {
	if c.MaxStale < 0 || c.StaleAfter < 0 {
		return optionError("MaxStale", "neither it nor StaleAfter may be negative")
	}
	if c.MaxStale == 0 {
		c.MaxStale = DefaultMaxStale
	}
	if c.StaleAfter == 0 {
		c.StaleAfter = cache.StaleAnswerTimer
	}
	var keep time.Duration
	if c.ServeStale || c.ServeStaleOverBogus {
		keep = c.MaxStale
	}
	if c.Cache == nil {
		c.Cache = cache.New(cache.Options{KeepStale: keep})
	}
	if c.ServeStale && c.Cache.Options().KeepStale == 0 {
		return optionError("ServeStale", "takes a Cache whose KeepStale is not zero")
	}
	switch {
	case !c.ServeStaleOverBogus:
	case c.Validation != Validate:
		return optionError("ServeStaleOverBogus", "is about what validation finds, and Validation is off")
	case c.Cache.Options().KeepStale == 0:
		return optionError("ServeStaleOverBogus", "takes a Cache whose KeepStale is not zero")
	}
	return nil
}

// fillNet checks and fills in what the methods of package net need.
func (c *config) fillNet() error {
	search, err := stub.NewSearchList(c.SearchList, c.Ndots)
	if err != nil {
		return &OptionError{"SearchList", err}
	}
	c.search = search
	if !c.DisableHostsFile {
		c.hosts = stub.NewHostsFile(c.HostsFile)
	}
	c.destinations = stub.NewDestinations(stub.RouteSource)
	return nil
}

// sort puts addresses in the order of the options.
func (c *config) sort(addrs []netip.Addr) { c.destinations.Sort(stub.Order(c.AddressOrder), addrs) }

// addressFilter returns the filter of the options; nil when it would allow all addresses.
func (o *Options) addressFilter() (*policy.AddressFilter, error) {
	f := &policy.AddressFilter{PublicOnly: o.RebindingProtection, Allow: o.AllowAddress}
	for _, domain := range o.PrivateDomains {
		n, err := dnsname.Parse(domain)
		if err != nil {
			return nil, optionError("PrivateDomains", "%q: %w", domain, err)
		}
		f.Exempt = append(f.Exempt, n)
	}
	if len(f.Exempt) > 0 && !f.PublicOnly {
		return nil, optionError("PrivateDomains", "RebindingProtection is off, from which they would be exempt")
	}
	if !f.PublicOnly && f.Allow == nil {
		return nil, nil
	}
	return f, nil
}

// checked makes a sender of an Exchanger: since that returns only one reply, a wrong one is
// a failed query.
type checked struct{ Exchanger }

func (c checked) Send(ctx context.Context, network string, server netip.AddrPort, query []byte, w transport.Watch) ([]byte, error) {
	w.Sent() // an Exchanger does not say when it has sent
	reply, err := c.Exchange(ctx, network, server, query)
	if err != nil {
		return nil, handedIn(err)
	}
	switch w.Check(reply) {
	case transport.Accept:
		return reply, nil
	case transport.Abandon:
		return reply, transport.ErrAbandoned
	case transport.Ignore:
		return nil, failure.ErrForeignReply
	}
	return nil, failure.ErrForeignReply
}

// OptionError is an error of New, or of a method that replaces an option later (SetRoutes and its
// like): the option has a value that makes no sense. It wraps the
// reason.
type OptionError struct {
	Option string // the name of the field of Options
	Err    error
}

func (e *OptionError) Error() string { return "resolver: options: " + e.text() }

// Unwrap returns the reason.
func (e *OptionError) Unwrap() error { return e.Err }

func (e *OptionError) text() string { return e.Option + ": " + e.Err.Error() }

// explain says what is wrong with the option, or with what the store has that it names.
func (e *OptionError) explain() (what, remedy string) {
	switch {
	case errors.Is(e.Err, anchorkeeper.ErrLoad):
		return "the store of trust anchors (Options.AnchorStore) cannot be read (" + briefly(e.Err) + ")",
			"It may be empty at first, but the folder of a file has to exist, and nobody else may write the file"
	case errors.Is(e.Err, dnssec.ErrRollover):
		return "the store of trust anchors (Options.AnchorStore) has something else than their states (" + briefly(e.Err) + ")",
			"Name the right store; without its file, a program starts anew from Options.TrustAnchors"
	}
	return "the options make no sense: " + e.text(), ""
}

// asOptionError returns an error of the engine about options as callers see it.
func asOptionError(err error) error {
	var e *routes.OptionError
	if errors.As(err, &e) {
		return (*OptionError)(e)
	}
	return err
}

// textError is an error of a text that stands for the value of an option (ParseRoute and its like).
type textError struct{ err error }

func (e *textError) Error() string { return "resolver: " + e.err.Error() }

// Unwrap returns the reason.
func (e *textError) Unwrap() error { return e.err }

func badText(format string, args ...any) error { return &textError{fmt.Errorf(format, args...)} }

func optionError(option, format string, args ...any) error {
	return &OptionError{option, fmt.Errorf(format, args...)}
}

// orNow returns the function read, or now where that is nil or does not know the time.
func orNow(read, now func() time.Time) func() time.Time {
	if read == nil {
		return now
	}
	return func() time.Time {
		if t := read(); !t.IsZero() {
			return t
		}
		return now()
	}
}

// NotBefore returns a function for Options.SignatureTime: the time of the clock, but no earlier than
// earliest and what has passed since this call. It is for hosts that start without the right time
// but know a moment that has passed, such as when they were shut down, when the program was built, or
// the answer of a time server. A clock that is ahead is not corrected.
//
// Signatures that ended before earliest are refused, whatever the clock says, so that it takes
// nothing from validation. But it only helps if earliest is not long ago: the root zone's signatures
// are good for one to three weeks. The zero time makes it the clock alone.
func NotBefore(earliest time.Time) func() time.Time {
	begin := time.Now()
	return func() time.Time {
		now := time.Now()
		if least := earliest.Add(now.Sub(begin)); least.After(now) {
			return least
		}
		return now
	}
}
