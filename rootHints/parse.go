package roothints

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"

	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/dnsname"
)

// maxSize is how many bytes a hints file may have. IANA's has 3,313, most of
// them comments; the bound keeps a wrong path (a log, a disk) from being read in.
const maxSize = 64 << 10

// Why hints are refused. Each is wrapped in a *ParseError that says where; names
// that are malformed bring a reason of their own.
var (
	// ErrNoServers: there is no NS record of the root.
	ErrNoServers = errors.New("no name server for the root")
	// ErrNoAddress: a name server has neither an A nor an AAAA record.
	ErrNoAddress = errors.New("name server without an address")
	// ErrForeignOwner: an NS record is not the root's, or an address is not that of
	// a root name server.
	ErrForeignOwner = errors.New("record does not belong in root hints")
	// ErrForeignType: a record has another type than NS, A or AAAA.
	ErrForeignType = errors.New("record type other than NS, A and AAAA")
	// ErrClass: a record has another class than IN.
	ErrClass = errors.New("class other than IN")
	// ErrDirective: a directive is none of $TTL and $ORIGIN.
	ErrDirective = errors.New("directive other than $TTL and $ORIGIN")
	// ErrTooManyServers: there are more than glue.MaxServers name servers.
	ErrTooManyServers = fmt.Errorf("more than %d name servers", glue.MaxServers)
	// ErrTooManyAddrs: a name server has more than glue.MaxAddrs addresses.
	ErrTooManyAddrs = fmt.Errorf("more than %d addresses for one name server", glue.MaxAddrs)
	// ErrAddress: the data of an A record is no IPv4 address or that of an AAAA
	// record no IPv6 address, or it is one at which no server can be.
	ErrAddress = errors.New("unusable address")
	// ErrTTL: a TTL is no number of seconds up to 2^31-1, with or without units.
	ErrTTL = errors.New("malformed TTL")
	// ErrSyntax: the text is no zone file.
	ErrSyntax = errors.New("malformed zone-file text")
	// ErrTooLarge: the file has more than 64 KiB.
	ErrTooLarge = errors.New("hints file larger than 64 KiB")
)

// ParseError says in which line of a hints file something is wrong, and what. It
// wraps one of the Err values of this package or the reason why a name is refused.
type ParseError struct {
	Line int // from 1
	Err  error
}

func (e *ParseError) Error() string { return fmt.Sprintf("root hints: line %d: %v", e.Line, e.Err) }

// Unwrap returns what is wrong, without the place.
func (e *ParseError) Unwrap() error { return e.Err }

// Parse reads root hints in zone-file syntax, as the package page describes it, to
// the end of r. Servers come in the order of their NS records and addresses in the
// order of theirs; repeated records count once. The error is a *ParseError unless
// reading itself failed.
func Parse(r io.Reader) (*glue.Delegation, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxSize+1))
	if err != nil {
		return nil, fmt.Errorf("root hints: %w", err)
	}
	p := parser{scanner: scanner{text: string(text), line: 1}, origin: dnsname.Root}
	if len(text) > maxSize {
		return nil, &ParseError{1 + strings.Count(string(text), "\n"), ErrTooLarge}
	}
	for p.text != "" {
		e, err := p.next()
		if err != nil {
			return nil, err
		}
		if err := p.entry(e); err != nil {
			return nil, err
		}
	}
	return p.delegation()
}

// parser collects what the entries of a hints file say.
type parser struct {
	scanner
	origin  dnsname.Name
	owner   dnsname.Name // of the last record; "" before the first
	servers []hint[dnsname.Name]
	addrs   []hint[address]
}

// hint remembers where a record stands, for errors that show only at the end.
type hint[T comparable] struct {
	value T
	line  int
}

type address struct {
	owner dnsname.Name
	addr  netip.Addr
}

func (p *parser) entry(e entry) error {
	switch {
	case len(e.words) == 0:
		return nil
	case !e.indented && strings.HasPrefix(e.words[0].text, "$"):
		return p.directive(e.words)
	}
	return p.record(e)
}

func (p *parser) directive(words []word) error {
	name := strings.ToUpper(words[0].text)
	if name != "$TTL" && name != "$ORIGIN" {
		return words[0].fail(fmt.Errorf("%w: %s", ErrDirective, words[0].text))
	}
	if len(words) != 2 {
		return words[0].fail(fmt.Errorf("%w: %s takes one value", ErrSyntax, name))
	}
	if name == "$TTL" {
		return checkTTL(words[1])
	}
	origin, err := p.name(words[1])
	if err != nil {
		return err
	}
	p.origin = origin
	return nil
}

// record reads `[owner] [TTL] [class] type data`, TTL and class in either order.
func (p *parser) record(e entry) error {
	words := e.words
	if !e.indented {
		owner, err := p.name(words[0])
		if err != nil {
			return err
		}
		p.owner, words = owner, words[1:]
	}
	last := e.words[len(e.words)-1]
	if p.owner == "" {
		return last.fail(fmt.Errorf("%w: first record without an owner", ErrSyntax))
	}
	words, err := skipTTLAndClass(words)
	if err != nil {
		return err
	}
	if len(words) == 0 {
		return last.fail(fmt.Errorf("%w: record without a type", ErrSyntax))
	}
	rrtype := strings.ToUpper(words[0].text)
	if rrtype != "NS" && rrtype != "A" && rrtype != "AAAA" {
		return words[0].fail(fmt.Errorf("%w: %s", ErrForeignType, words[0].text))
	}
	if len(words) != 2 {
		return last.fail(fmt.Errorf("%w: %s record takes one value", ErrSyntax, rrtype))
	}
	if rrtype == "NS" {
		return p.addServer(words[1])
	}
	return p.addAddress(words[1], rrtype == "A")
}

// skipTTLAndClass passes over a TTL and a class, each at most once.
func skipTTLAndClass(words []word) ([]word, error) {
	for ttl, class := false, false; len(words) > 0; words = words[1:] {
		switch text := words[0].text; {
		case !ttl && '0' <= text[0] && text[0] <= '9':
			if err := checkTTL(words[0]); err != nil {
				return nil, err
			}
			ttl = true
		case !class && strings.EqualFold(text, "IN"):
			class = true
		case slices.Contains([]string{"CH", "CS", "HS"}, strings.ToUpper(text)):
			return nil, words[0].fail(fmt.Errorf("%w: %s", ErrClass, text))
		default:
			return words, nil
		}
	}
	return words, nil
}

func (p *parser) addServer(w word) error {
	if !p.owner.IsRoot() {
		return w.fail(fmt.Errorf("%w: name server of %s", ErrForeignOwner, p.owner))
	}
	name, err := p.name(w)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(p.servers, func(s hint[dnsname.Name]) bool { return s.value == name }) {
		return nil
	}
	if len(p.servers) == glue.MaxServers {
		return w.fail(ErrTooManyServers)
	}
	p.servers = append(p.servers, hint[dnsname.Name]{name, w.line})
	return nil
}

func (p *parser) addAddress(w word, ipv4 bool) error {
	addr, err := netip.ParseAddr(w.text)
	switch {
	case err != nil, addr.Is4() != ipv4, addr.Is4In6(), addr.Zone() != "",
		addr.IsUnspecified(), addr.IsMulticast():
		return w.fail(fmt.Errorf("%w: %s", ErrAddress, w.text))
	}
	p.addrs = append(p.addrs, hint[address]{address{p.owner, addr}, w.line})
	return nil
}

// delegation puts servers and addresses together once all are known: an address
// may stand before the NS record that makes it belong.
func (p *parser) delegation() (*glue.Delegation, error) {
	if len(p.servers) == 0 {
		return nil, &ParseError{p.line, ErrNoServers}
	}
	d := &glue.Delegation{Zone: dnsname.Root, Servers: make([]glue.Server, len(p.servers))}
	for i, s := range p.servers {
		d.Servers[i] = glue.Server{Name: s.value, Bailiwick: glue.BailiwickOf(s.value, dnsname.Root, dnsname.Root)}
	}
	for _, a := range p.addrs {
		i := slices.IndexFunc(d.Servers, func(s glue.Server) bool { return s.Name == a.value.owner })
		if i < 0 {
			return nil, &ParseError{a.line, fmt.Errorf("%w: %s is no root name server", ErrForeignOwner, a.value.owner)}
		}
		s := &d.Servers[i]
		if slices.Contains(s.Addrs, a.value.addr) {
			continue
		}
		if len(s.Addrs) == glue.MaxAddrs {
			return nil, &ParseError{a.line, fmt.Errorf("%w: %s", ErrTooManyAddrs, s.Name)}
		}
		s.Addrs = append(s.Addrs, a.value.addr)
	}
	for i, s := range d.Servers {
		if len(s.Addrs) == 0 {
			return nil, &ParseError{p.servers[i].line, fmt.Errorf("%w: %s", ErrNoAddress, s.Name)}
		}
	}
	return d, nil
}
