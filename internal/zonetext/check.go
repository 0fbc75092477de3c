package zonetext

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/miekg/dns"
)

// LineError says what is wrong with a line.
type LineError struct {
	Line int // from 1
	Err  error
}

func (e *LineError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

// Unwrap returns the error without the place.
func (e *LineError) Unwrap() error { return e.Err }

// Check finds the usual mistakes in a text, in the syntax of zone files, and says which word of
// which line is wrong and what was expected there, which the parser of miekg/dns does not. A
// record that it does not know the form of is left to the parser. The error is a *LineError.
func Check(text string) error {
	s := scanner{text: text}
	named := false // a record before has a name
	for s.at < len(text) {
		start := s.at
		e := entry{owned: !strings.ContainsRune(" \t", rune(text[start]))}
		for _, word := range s.entry() {
			if len(e.words) == 0 {
				start = word.begin
			}
			e.words = append(e.words, word.of(text))
		}
		err := e.check()
		if err == nil && len(e.words) > 0 && !e.owned && !named {
			err = fmt.Errorf("%q has no name, and there is no record before it whose name it could have: the zone's own name is @", strings.Join(e.words, " "))
		}
		if err != nil {
			return &LineError{1 + strings.Count(text[:start], "\n"), err}
		}
		named = named || e.owned && len(e.words) > 0 && (e.words[0][0] != '$' || strings.EqualFold(e.words[0], "$GENERATE"))
	}
	return nil
}

// entry is the words of an entry of a zone file.
type entry struct {
	owned bool // the first one is the owner, or a directive
	words []string
}

// check says what is wrong with an entry; nil when nothing is known to be.
func (e entry) check() error {
	switch {
	case len(e.words) == 0:
		return nil
	case e.owned && strings.HasPrefix(e.words[0], "$"):
		return checkDirective(e.words)
	}
	rest := e.words
	if e.owned {
		if owner := rest[0]; !isName(owner) {
			return fmt.Errorf("%q is no domain name, which begins the line", owner)
		}
		rest = rest[1:]
	}
	for i, word := range rest {
		rrtype, ok := parseType(word)
		switch {
		case ok:
			return checkData(rrtype, strings.ToUpper(word), rest[i+1:])
		case isClass(word), isTTL(word) && i < 2:
		default:
			return fmt.Errorf("%q is no type%s%s", word, e.likelyType(word), e.place(i))
		}
	}
	return fmt.Errorf("%q has no type behind it: want NAME [TTL] TYPE DATA", strings.Join(e.words, " "))
}

// place says what an indented line's first word is taken for.
func (e entry) place(i int) string {
	if e.owned || i > 0 {
		return ""
	}
	return "; the line begins with a blank, so that it has no name of its own: names begin in the first column"
}

// likelyType says which type may be meant.
func (e entry) likelyType(word string) string {
	if isUnits(word) {
		return ", and no TTL, as it has no number"
	}
	upper := strings.ToUpper(word)
	for _, known := range []string{"A", "AAAA", "NS", "CNAME", "MX", "TXT", "SRV", "PTR", "SOA", "CAA", "HTTPS", "SVCB", "TLSA", "DNAME"} {
		if isSlip(upper, known) {
			return ": " + known + "?"
		}
	}
	return ": want one such as A, AAAA, MX or TYPE65280"
}

// isSlip reports whether a word is another one with a letter too many, too few, or wrong.
func isSlip(word, known string) bool {
	if len(known) < 2 {
		return false
	}
	same := 0
	for same < len(word) && same < len(known) && word[same] == known[same] {
		same++
	}
	tail := 0
	for tail < len(word)-same && tail < len(known)-same && word[len(word)-1-tail] == known[len(known)-1-tail] {
		tail++
	}
	return len(word)-same-tail <= 1 && len(known)-same-tail <= 1
}

func checkDirective(words []string) error {
	switch name := strings.ToUpper(words[0]); name {
	case "$TTL":
		if len(words) != 2 || !isTTL(words[1]) {
			return fmt.Errorf("%q: want $TTL and a number of seconds, or such as 1h30m", strings.Join(words, " "))
		}
	case "$ORIGIN":
		if len(words) != 2 || !isName(words[1]) {
			return fmt.Errorf("%q: want $ORIGIN and a domain name", strings.Join(words, " "))
		}
	case "$INCLUDE":
		return fmt.Errorf("%q: no other file is read; write its records here", strings.Join(words, " "))
	case "$GENERATE":
	default:
		return fmt.Errorf("%q is no directive: want $TTL, $ORIGIN or $GENERATE", words[0])
	}
	return nil
}

// isUnits reports whether a word has the units of a TTL and no number.
func isUnits(word string) bool {
	return word != "" && strings.Trim(strings.ToLower(word), "smhdw") == ""
}

// isTTL reports whether a word is a TTL: seconds, or numbers each with a unit.
func isTTL(word string) bool {
	return word != "" && '0' <= word[0] && word[0] <= '9' && strings.Trim(strings.ToLower(word), "0123456789smhdw") == ""
}

func isClass(word string) bool {
	word = strings.ToUpper(word)
	_, known := dns.StringToClass[word]
	return known || strings.HasPrefix(word, "CLASS") && isTTL(word[len("CLASS"):])
}

func isName(word string) bool {
	_, ok := dns.IsDomainName(word)
	return ok && word != ""
}

// A field is one word of RDATA.
type field struct {
	what string // that is expected
	ok   func(word string) bool
}

var (
	nameField   = field{"a domain name", isName}
	ipv4Field   = field{"an IPv4 address such as 192.0.2.1", func(word string) bool { return isAddr(word, netip.Addr.Is4) }}
	ipv6Field   = field{"an IPv6 address such as 2001:db8::1", func(word string) bool { return isAddr(word, netip.Addr.Is6) }}
	stringField = field{"a string", func(word string) bool { return word != "" }}
)

func isAddr(word string, ofFamily func(netip.Addr) bool) bool {
	a, err := netip.ParseAddr(word)
	return err == nil && ofFamily(a) && a.Zone() == ""
}

// number is a field with a number of so many bits.
func number(what string, bits int) field {
	return field{fmt.Sprintf("%s from 0 to %d", what, uint64(1)<<bits-1), func(word string) bool {
		_, err := strconv.ParseUint(word, 10, bits)
		return err == nil
	}}
}

// forms are the words of RDATA by type, of the types whose mistakes are usual.
var forms = map[uint16][]field{
	dns.TypeA:     {ipv4Field},
	dns.TypeAAAA:  {ipv6Field},
	dns.TypeNS:    {nameField},
	dns.TypeCNAME: {nameField},
	dns.TypeDNAME: {nameField},
	dns.TypePTR:   {nameField},
	dns.TypeMX:    {number("a preference", 16), nameField},
	dns.TypeSRV:   {number("a priority", 16), number("a weight", 16), number("a port", 16), nameField},
	dns.TypeCAA:   {number("flags", 8), stringField, stringField},
}

// checkData says what is wrong with RDATA.
func checkData(rrtype uint16, name string, words []string) error {
	form, known := forms[rrtype]
	switch {
	case len(words) > 0 && words[0] == `\#`:
		return nil // the parser says what is wrong
	case len(words) == 0 && (known || rrtype == dns.TypeTXT):
		return fmt.Errorf("%s without data: want %s", name, formText(rrtype))
	case !known:
		return nil
	}
	for i, f := range form {
		if i >= len(words) {
			return fmt.Errorf("%s %q is too short: want %s", name, strings.Join(words, " "), formText(rrtype))
		}
		if !f.ok(words[i]) {
			return fmt.Errorf("%s %q: want %s", name, words[i], f.what)
		}
	}
	if len(words) > len(form) {
		return fmt.Errorf("%s: %q is too much: want %s, and a line for each record", name, words[len(form)], formText(rrtype))
	}
	return nil
}

// formText says what RDATA has.
func formText(rrtype uint16) string {
	if rrtype == dns.TypeTXT {
		return stringField.what
	}
	var what []string
	for _, f := range forms[rrtype] {
		what = append(what, f.what)
	}
	return strings.Join(what, ", ")
}
