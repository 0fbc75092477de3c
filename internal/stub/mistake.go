package stub

import (
	"net"
	"net/netip"
	"strings"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// Mistake says why a name is not asked for, as the end of a sentence, and what to do instead. Both
// are "" for a name that IsHostName accepts and that DNS may be asked for.
func Mistake(name string) (what, remedy string) {
	if what, remedy = OtherThing(name); what != "" {
		return what, remedy
	}
	if IsHostName(name) && askable(name) {
		return "", ""
	}
	return malformed(name)
}

// OtherThing says what a text is that was passed for a name, and what to do instead; both are "" if
// it is nothing else.
func OtherThing(name string) (what, remedy string) {
	_, notAddress := netip.ParseAddr(name)
	_, _, notHostPort := net.SplitHostPort(name)
	switch {
	case name == "":
		return "the name is empty", "Check where the name comes from"
	case notAddress == nil:
		return "it is an address, not a name", "LookupAddr returns the names of an address"
	case strings.Contains(name, "://"):
		return "it is a URL, not a name", "Ask for its host alone, which the method Hostname of a url.URL returns"
	case strings.Contains(name, "@"):
		return "it is a mail address, not a name", "Ask for the domain behind the @"
	case strings.Contains(name, "/"):
		return "it has a slash, as a URL or a prefix of addresses has", "Ask for the name of the host alone"
	case notHostPort == nil:
		return "it has a port", "Ask for the host alone, which net.SplitHostPort returns"
	}
	return "", ""
}

// malformed says what is wrong with a name that is not asked for.
func malformed(name string) (what, remedy string) {
	bare := strings.TrimSuffix(name, ".")
	for _, c := range bare {
		switch {
		case c > 0x7f:
			return "it has characters that are not ASCII", "Convert it with golang.org/x/net/idna (idna.Lookup.ToASCII)"
		case c == '*':
			return "it is a wildcard, which stands for other names and is not the name of a host", "Ask for one of the names that it stands for"
		case c == ' ', c == '\t', c == '\n', c == '\r':
			return "it has a blank or a line end", "Trim it with strings.TrimSpace"
		case !isHostCharacter(c):
			return "it has the character " + string(c) + ", which names of hosts do not have", "Names of hosts have letters, digits, hyphens and dots"
		}
	}
	for label := range strings.SplitSeq(bare, ".") {
		switch {
		case label == "":
			return "it has an empty label: it begins with a dot, or two dots follow each other", "Check its spelling"
		case len(label) > dnsname.MaxLabel:
			return "it has a label of more than 63 bytes", "A name has labels of 1 to 63 bytes between dots"
		case !fitsLabel(label):
			return "it has a label that begins or ends with a hyphen", "Check its spelling"
		}
	}
	switch {
	case len(bare) > maxHostName:
		return "it has more than 253 bytes", "Check its spelling"
	case !askable(name):
		return "names below onion. belong to Tor and are never asked for in DNS (RFC 7686)", "Connect by Tor's own proxy"
	}
	return "it has digits and dots alone, and is no complete address", "Check its spelling"
}

// isHostCharacter reports whether names of hosts have that character, dots included.
func isHostCharacter(c rune) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.'
}
