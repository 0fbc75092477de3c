package main

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
)

// pad returns an owner name with tabs up to the column where dig puts the TTL.
func pad(owner string) string {
	const column, tab = 24, 8
	tabs := max(1, (column-len(owner)+tab-1)/tab)
	return owner + strings.Repeat("\t", tabs)
}

// recordText returns a record in one line.
func recordText(rr dns.RR) string {
	owner, rest, _ := strings.Cut(resolver.PrintableRR(rr), "\t")
	return pad(owner) + rest
}

// server names a server as dig does.
func server(addr netip.AddrPort, name string) string {
	return fmt.Sprintf("%s#%d(%s)", addr.Addr(), addr.Port(), hostText(name))
}

// hostText returns a name without its trailing dot.
func hostText(name string) string {
	if name == "." {
		return name
	}
	return strings.TrimSuffix(name, ".")
}

func questionText(q dns.Question) string { return q.Name + " " + dns.Type(q.Qtype).String() }

func rcodeText(rcode int) string {
	if rcode == dns.RcodeBadVers {
		return "BADVERS" // miekg/dns has the name that the number has in TSIG records
	}
	if name, ok := dns.RcodeToString[rcode]; ok {
		return name
	}
	return fmt.Sprintf("RCODE%d", rcode)
}

func extendedText(e resolver.ExtendedError) string {
	if e == (resolver.ExtendedError{}) {
		return ""
	}
	return " (" + e.String() + ")"
}

// validatedText says who vouches for what was judged: nobody but a zone's own keys.
func validatedText(i resolver.ValidatedInfo) string {
	if i.Status != dnssec.Secure || i.Zone == "" {
		return "validated"
	}
	return "validated by " + i.Zone
}

func aliasType(dname bool) string {
	if dname {
		return "DNAME"
	}
	return "CNAME"
}

func overTCP(network string) string {
	if network == "tcp" {
		return " over TCP"
	}
	return ""
}

func joinAddrs(addrs []netip.Addr) string {
	texts := make([]string, len(addrs))
	for i, a := range addrs {
		texts[i] = a.String()
	}
	return strings.Join(texts, " ")
}

// count returns a number with its noun.
func count(n int, noun string) string {
	switch {
	case n == 1:
		return "1 " + noun
	case strings.HasSuffix(noun, "y"):
		return fmt.Sprintf("%d %sies", n, strings.TrimSuffix(noun, "y"))
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// verdict says how the question ended.
func verdict(i resolver.DoneInfo) string {
	r := i.Result
	if r == nil {
		return "no answer"
	}
	text := rcodeText(r.Rcode)
	switch {
	case r.Rcode == dns.RcodeNameError:
		text += ": there is no such name"
	case len(data(r.Answer)) == 0:
		text += ": the name has no such records"
	default:
		text += ": " + count(len(data(r.Answer)), "record")
	}
	if r.Status == dnssec.Indeterminate {
		return text + ", not validated"
	}
	return fmt.Sprintf("%s, %s", text, r.Status)
}

// data returns the records without the signatures over them.
func data(rrs []dns.RR) []dns.RR {
	return slices.DeleteFunc(slices.Clone(rrs), func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeRRSIG })
}

// effort says what it took.
func effort(i resolver.DoneInfo) string {
	return fmt.Sprintf("%s, %s received, %s", count(i.Sends, "query"), count(i.Bytes, "byte"), millis(i.Elapsed))
}
