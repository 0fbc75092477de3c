package main

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"time"

	"github.com/iterdns/iterdns/glue"
	roothints "github.com/iterdns/iterdns/rootHints"
)

// servers is how many root name servers there are, and have been since 1997. A file
// with another number is cut off or is not the root's.
const servers = 13

// ttl is what IANA writes into its file; nothing in this library looks at it.
const ttl = "3600000"

var (
	errNoDate  = errors.New("no comment that tells when the hints were last updated")
	errOlder   = errors.New("older than the hints that are embedded already")
	errServers = fmt.Errorf("not %d name servers", servers)
	errFamily  = errors.New("name server without an address of each family")
	errPrivate = errors.New("address that is not public")
)

// refreshed returns the text of the embedded file for the hints in source, which must
// be complete and not older than the day embedded.
func refreshed(source string, embedded time.Time) (string, error) {
	d, err := roothints.Parse(strings.NewReader(source))
	if err != nil {
		return "", err
	}
	if err := checkComplete(d); err != nil {
		return "", err
	}
	date, err := lastUpdate(source)
	if err != nil {
		return "", err
	}
	if date.Before(embedded) {
		return "", fmt.Errorf("%w: %s before %s", errOlder, date.Format(time.DateOnly), embedded.Format(time.DateOnly))
	}
	return format(d, date), nil
}

// checkComplete demands of the hints for everybody what Parse leaves to the owner
// of other ones.
func checkComplete(d *glue.Delegation) error {
	if len(d.Servers) != servers {
		return fmt.Errorf("%w but %d", errServers, len(d.Servers))
	}
	for _, s := range d.Servers {
		var ipv4, ipv6 bool
		for _, a := range s.Addrs {
			if !public(a) {
				return fmt.Errorf("%w: %s %s", errPrivate, s.Name, a)
			}
			ipv4, ipv6 = ipv4 || a.Is4(), ipv6 || a.Is6()
		}
		if !ipv4 || !ipv6 {
			return fmt.Errorf("%w: %s", errFamily, s.Name)
		}
	}
	return nil
}

// globalIPv6 is the only part of the IPv6 space from which public addresses are
// given out.
var globalIPv6 = netip.MustParsePrefix("2000::/3")

func public(a netip.Addr) bool {
	return a.IsGlobalUnicast() && !a.IsPrivate() && (a.Is4() || globalIPv6.Contains(a))
}

// updated finds the date in the comment of IANA's file ("last update:  April 18,
// 2024") or of ours ("last update: 2024-04-18").
var updated = regexp.MustCompile(`(?m)^;\s*last update:\s*(.*?)\s*$`)

func lastUpdate(source string) (time.Time, error) {
	found := updated.FindStringSubmatch(source)
	if found == nil {
		return time.Time{}, errNoDate
	}
	for _, layout := range []string{time.DateOnly, "January 2, 2006"} {
		if day, err := time.Parse(layout, found[1]); err == nil {
			return day, nil
		}
	}
	return time.Time{}, fmt.Errorf("%w: %q is no date", errNoDate, found[1])
}

// format writes hints in one way only, so that a refresh shows what changed.
func format(d *glue.Delegation, date time.Time) string {
	var b strings.Builder
	fmt.Fprintln(&b, "; Names and addresses of the root name servers, as published by IANA.")
	fmt.Fprintln(&b, "; Written by go generate; see hints.go.")
	fmt.Fprintln(&b, "; last update:", date.Format(time.DateOnly))
	fmt.Fprintln(&b, "$TTL", ttl)
	for _, s := range d.Servers {
		fmt.Fprintf(&b, "%-20s NS   %s\n", ".", s.Name)
		for _, a := range s.Addrs {
			rrtype := "AAAA"
			if a.Is4() {
				rrtype = "A"
			}
			fmt.Fprintf(&b, "%-20s %-4s %s\n", s.Name, rrtype, a)
		}
	}
	return b.String()
}
