package main

import (
	"cmp"
	"errors"
	"fmt"
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

// maxQuoted is how many characters of a name are in its error: the line has it whole.
const maxQuoted = 60

// Errors of lines that are no question. The text is what the output has.
var (
	errLineLong = fmt.Errorf("the line is longer than %d bytes", maxLine)
	errBinary   = errors.New("the line is not text: it has control characters or is not UTF-8")
	errWords    = errors.New("a line is a name, or a name and types separated by commas, such as example.com MX,TXT")
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
	if name, err = parseName(words[0], c.wildcards); err != nil {
		return "", nil, err
	}
	if len(words) > 1 {
		if types, err = parseTypes(words[1]); err != nil {
			return "", nil, fmt.Errorf("%w; %w", err, errWords)
		}
	}
	if len(words) > 2 {
		return "", nil, fmt.Errorf("%q is a word too many; %w", cut(words[2]), errWords)
	}
	return name, types, nil
}

// parseName returns the name to ask for: absolute, in the form of zone files.
func parseName(word string, wildcards bool) (string, error) {
	if err := otherThing(word); err != nil {
		return "", err
	}
	name := word
	if !isASCII(word) {
		ascii, err := profile.ToASCII(word)
		if err != nil {
			return "", fmt.Errorf("%w: %s", errIDN, cut(strings.TrimPrefix(err.Error(), "idna: ")))
		}
		name = ascii
		if err := otherThing(name); err != nil { // full-width characters have become those of ASCII
			return "", err
		}
	}
	if (name == "*" || strings.HasPrefix(name, "*.")) && !wildcards {
		return "", errWildcard
	}
	if _, err := dnssec.ParseName(name); err != nil {
		return "", fmt.Errorf("%w: %q", cmp.Or(errors.Unwrap(err), err), cut(name))
	}
	return dns.Fqdn(name), nil
}

// cut returns the beginning of a text that is longer than maxQuoted characters.
func cut(text string) string {
	n := 0
	for i := range text {
		if n++; n > maxQuoted {
			return text[:i] + "…"
		}
	}
	return text
}

func isASCII(word string) bool {
	for i := range len(word) {
		if word[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
