package main

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"unicode/utf8"

	"github.com/miekg/dns"
	"golang.org/x/net/idna"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
)

// maxLine is how many bytes of a line are read; the longest name as zone files have it is 1,003.
const maxLine = 4096

// maxShown is how many bytes of a line that is no question are written.
const maxShown = 1024

// Errors of lines that are no question. The text is what the output has.
var (
	errLineLong = fmt.Errorf("the line is longer than %d bytes", maxLine)
	errBinary   = errors.New("the line is not text: it has control characters or is not UTF-8")
	errWords    = errors.New("a line is a name, or a name and types, separated by blanks")
	errURL      = errors.New("a URL is no domain name")
	errAddress  = errors.New("an IP address is no domain name")
	errWildcard = errors.New("a wildcard stands for names and is none (-wildcards asks for it)")
	errIDN      = errors.New("not a valid internationalised name")
)

// question is one question of a list.
type question struct {
	seq   uint64 // its number in the lists, from 1
	input string // the line, fit to be written
	name  string // absolute, with the final dot; "" when err is set
	qtype uint16
	err   error // why the line is no question; nil: it is one

	duplicate bool // it is in the lists before
}

// profile converts names as browsers do (UTS #46, as the URL standard uses it): not
// transitional, and any ASCII character and hyphen that DNS allows.
var profile = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.Transitional(false),
	idna.StrictDomainName(false), idna.CheckHyphens(false), idna.VerifyDNSLength(false))

// parseLine returns the questions of a line: one for each type, or one with an error. They have
// no numbers yet. A line of blanks has none.
func parseLine(line []byte, long bool, c *config) []question {
	line = trimBlanks(line)
	if len(line) == 0 && !long {
		return nil
	}
	q := question{input: shownLine(line)}
	var words []string
	switch {
	case long:
		q.err = errLineLong
	case !isText(line):
		q.err = errBinary
	default:
		words = strings.Fields(string(line))
	}
	types := c.types
	if q.err == nil {
		q.name, types, q.err = parseWords(words, c)
	}
	if q.err != nil {
		q.name = ""
		return []question{q}
	}
	questions := make([]question, len(types))
	for i, t := range types {
		questions[i] = q
		questions[i].qtype = t
	}
	return questions
}

func trimBlanks(line []byte) []byte {
	return []byte(strings.Trim(string(line), " \t\r\n"))
}

// isText reports whether a line is UTF-8 without control characters but tabs.
func isText(line []byte) bool {
	for _, b := range line {
		if b < ' ' && b != '\t' || b == 0x7f {
			return false
		}
	}
	return utf8.Valid(line)
}

// shownLine returns the part of a line that is written, all of it printable.
func shownLine(line []byte) string {
	if len(line) > maxShown {
		cut := maxShown
		for cut > maxShown-utf8.UTFMax && !utf8.RuneStart(line[cut]) {
			cut--
		}
		line = line[:cut]
	}
	return resolver.Printable(string(line))
}

// parseWords reads the name and the types of a line.
func parseWords(words []string, c *config) (name string, types []uint16, err error) {
	types = c.types
	if len(words) == 2 {
		if types, err = parseTypes(words[1]); err != nil {
			return "", nil, fmt.Errorf("%w: %w", errWords, err)
		}
	}
	if len(words) > 2 {
		return "", nil, errWords
	}
	name, err = parseName(words[0], c.wildcards)
	return name, types, err
}

// parseName returns the name to ask for: absolute, in the form of zone files.
func parseName(word string, wildcards bool) (string, error) {
	switch {
	case strings.Contains(word, "://"), strings.ContainsAny(word, "/?") && strings.Contains(word, "."):
		return "", errURL
	case isAddress(word):
		return "", errAddress
	}
	name := word
	if !isASCII(word) {
		ascii, err := profile.ToASCII(word)
		if err != nil {
			return "", fmt.Errorf("%w: %w", errIDN, err)
		}
		name = ascii
	}
	if (name == "*" || strings.HasPrefix(name, "*.")) && !wildcards {
		return "", errWildcard
	}
	if _, err := dnssec.ParseName(name); err != nil {
		return "", err
	}
	return dns.Fqdn(name), nil
}

// isAddress reports whether a word is an IP address, in brackets or with a port or not.
func isAddress(word string) bool {
	if _, err := netip.ParseAddrPort(word); err == nil {
		return true
	}
	_, err := netip.ParseAddr(strings.Trim(word, "[]"))
	return err == nil
}

func isASCII(word string) bool {
	for i := range len(word) {
		if word[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
