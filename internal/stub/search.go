package stub

import (
	"fmt"
	"iter"
	"strings"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// SearchList is the search list of resolv.conf(5). The zero SearchList is empty.
type SearchList struct {
	domains []string // each ends with its dot; "." is the root
	ndots   int
}

// NewSearchList checks a list of domains, with or without trailing dots. A name with at
// least ndots dots is tried as it stands first; 0 stands for defaultNdots.
func NewSearchList(domains []string, ndots int) (SearchList, error) {
	if ndots == 0 {
		ndots = defaultNdots
	}
	s := SearchList{ndots: ndots}
	for _, domain := range domains {
		if _, err := dnsname.Parse(domain); err != nil {
			return SearchList{}, fmt.Errorf("search list: %q: %w", domain, err)
		}
		s.domains = append(s.domains, strings.TrimSuffix(domain, ".")+".")
	}
	return s, nil
}

// defaultNdots is what resolv.conf has when it says nothing.
const defaultNdots = 1

// Candidates returns the names to ask for, in order, when a caller names a host, each as it
// is spelled and as the cache knows it. Without askable names there are none.
func (s *SearchList) Candidates(name string) iter.Seq2[string, dnsname.Name] {
	return func(yield func(string, dnsname.Name) bool) {
		// Without a search list, which is the usual case, nothing is made but the name.
		if len(s.domains) == 0 {
			if n, err := dnsname.Parse(name); err == nil && askable(name) {
				yield(name, n)
			}
			return
		}
		for candidate := range candidates(name, s.domains, s.ndots) {
			n, err := dnsname.Parse(candidate)
			if err == nil && !yield(candidate, n) {
				return
			}
		}
	}
}

// candidates returns the name as it stands, and the name in each domain of the search list,
// unless a trailing dot makes it absolute. A name with at least ndots dots is tried as it
// stands first, any other last. Names that are too long are left out, and those in onion.,
// which belongs to Tor (RFC 7686 §2). Each is absolute, with or without its dot.
func candidates(name string, search []string, ndots int) iter.Seq[string] {
	return func(yield func(string) bool) {
		ask := func(candidate string) bool { return !askable(candidate) || yield(candidate) }
		if strings.HasSuffix(name, ".") || len(search) == 0 {
			ask(name)
			return
		}
		asIsFirst := strings.Count(name, ".") >= ndots
		if asIsFirst && !ask(name) {
			return
		}
		for _, domain := range search {
			candidate := name + "."
			if domain != "." {
				candidate += domain
			}
			if !ask(candidate) {
				return
			}
		}
		if !asIsFirst {
			ask(name)
		}
	}
}

// askable reports whether DNS may be asked for a name.
func askable(name string) bool {
	bare := strings.TrimSuffix(name, ".")
	beforeTLD := len(bare) - len(onion)
	return len(bare) <= maxHostName && (beforeTLD < 0 || !strings.EqualFold(bare[beforeTLD:], onion))
}

const onion = ".onion"

// maxHostName is the length of the longest name that package net asks for, without a
// trailing dot. A name of 255 bytes on the wire (RFC 1035 §2.3.4) has two more: the
// length of the first label and the root label.
const maxHostName = 253

// IsHostName reports whether package net takes s for a name that may be asked for, or
// returned to a caller as a host: labels of at most 63 letters, digits, hyphens and
// underscores (which SRV needs), no hyphen at either end of a label, not digits alone,
// and no more than maxHostName characters. The root is one too.
func IsHostName(s string) bool {
	if s == "." {
		return true
	}
	bare := strings.TrimSuffix(s, ".")
	if bare == "" || len(bare) > maxHostName {
		return false
	}
	digitsOnly, start := true, 0
	for i := range len(bare) {
		switch c := bare[i]; {
		case c == '.':
			if !fitsLabel(bare[start:i]) {
				return false
			}
			start = i + 1
		case '0' <= c && c <= '9':
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', c == '-', c == '_':
			digitsOnly = false
		default:
			return false
		}
	}
	return !digitsOnly && fitsLabel(bare[start:])
}

// fitsLabel reports whether characters that host names have make a label.
func fitsLabel(label string) bool {
	n := len(label)
	return n > 0 && n <= dnsname.MaxLabel && label[0] != '-' && label[n-1] != '-'
}
