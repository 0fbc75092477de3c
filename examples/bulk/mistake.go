package main

import (
	"errors"
	"net/netip"
	"regexp"
	"strings"
)

// Errors of lines that are something else than a name. Where a name may have the character that gives
// it away, the text says how that is written: an escaped one is asked for.
var (
	errURL     = errors.New("a URL is no domain name: leave its host only")
	errAddress = errors.New("an IP address is no domain name")
	errPrefix  = errors.New("a prefix of IP addresses is no domain name")
	errPort    = errors.New("a host with a port is no domain name: leave the port out")
	errMail    = errors.New(`a mail address is no domain name: leave what follows the @ (a name that has an @ is written with \@)`)
	errColon   = errors.New(`a colon is in no name of a host (a name that has one is written with \:)`)
	errQuoted  = errors.New(`quotes are around it, as in a table (CSV): leave them out (a name that has one is written with \")`)
	errTable   = errors.New(`it looks like a row of a table (CSV): leave the name only (a name that has a comma or a semicolon is written with \, or \;)`)
	errComment = errors.New(`it looks like a comment, which lists do not have (a name that begins with # or ; is written with \# or \;)`)
)

// otherThing returns what a word is that is meant for something else than a name; nil: it may be a name.
// Such words can be asked for, and the answer that they do not exist would hide the mistake.
func otherThing(word string) error {
	switch {
	case isQuoted(word):
		return errQuoted
	case strings.HasPrefix(word, "#"), strings.HasPrefix(word, ";"):
		return errComment
	case isAddress(word):
		return errAddress
	case isPrefix(word):
		return errPrefix
	case isURL(word):
		return errURL
	case unescaped(word, ",;") >= 0:
		return errTable
	case unescaped(word, "@") >= 0:
		return errMail
	case hasPort.MatchString(word) && unescaped(word, ":") == strings.LastIndex(word, ":"):
		return errPort
	case unescaped(word, ":") >= 0:
		return errColon
	}
	return nil
}

// unescaped returns where the first of some characters stands in a word without a backslash before it;
// -1: nowhere.
func unescaped(word, characters string) int {
	for i := 0; i < len(word); i++ {
		switch {
		case word[i] == '\\':
			i++ // of three digits, the others are none of the characters
		case strings.IndexByte(characters, word[i]) >= 0:
			return i
		}
	}
	return -1
}

// isQuoted reports whether quotes are around a word, or begin what a word is the first part of.
func isQuoted(word string) bool {
	return strings.HasPrefix(word, `"`) || len(word) > 1 && word[0] == '\'' && word[len(word)-1] == '\''
}

var (
	// hasPort finds a port at the end.
	hasPort = regexp.MustCompile(`:[0-9]+$`)
	// hexAddress is an IPv4 address as one number, as C libraries read them.
	hexAddress = regexp.MustCompile(`^0[xX][0-9A-Fa-f]{8}$`)
)

// isAddress reports whether a word is an IP address, in brackets or with a port or a final dot or not.
func isAddress(word string) bool {
	if _, err := netip.ParseAddrPort(word); err == nil {
		return true
	}
	bare := strings.TrimSuffix(word, ".")
	_, err := netip.ParseAddr(strings.Trim(bare, "[]"))
	return err == nil || hexAddress.MatchString(bare)
}

func isPrefix(word string) bool {
	_, err := netip.ParsePrefix(word)
	return err == nil
}

// isURL reports whether a word is a URL or a part of one. Reverse zones of less than a /24 have a slash
// in their names (RFC 2317).
func isURL(word string) bool {
	if i := unescaped(word, ":"); i >= 0 && strings.HasPrefix(word[i:], "://") {
		return true
	}
	reverse := strings.HasSuffix(strings.ToLower(strings.TrimSuffix(word, ".")), ".in-addr.arpa")
	return unescaped(word, "/?") >= 0 && strings.Contains(word, ".") && !reverse
}
